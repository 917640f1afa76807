//! The verdict of a cell as sentences, with its evidence.

use serde::Serialize;

use super::{Fact, Link, document};
use crate::describe;
use crate::text;
use wsceiling_analysis::{CellFindings, Evidence, EvidenceName, TrialFindings, Verdict};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Outcome};

/// The verdict box.
#[derive(Serialize)]
pub struct VerdictView {
    headline: String,
    bounds: Option<String>,
    disagreement: Option<String>,
    sentence: Option<String>,
    reason: Option<String>,
    hint: Option<String>,
    log: Option<String>,
    facts: Vec<Fact>,
    chain: Vec<ChainNode>,
    tried: Vec<String>,
    fix: Option<String>,
    limits: Option<Link>,
    evidence: Vec<EvidenceRow>,
}

/// A box of the chain from the cause to what the client saw.
#[derive(Serialize)]
struct ChainNode {
    name: String,
    note: String,
}

#[derive(Serialize)]
struct EvidenceRow {
    component: String,
    name: String,
    about: Option<&'static str>,
    before: String,
    after: String,
    source: String,
}

/// The verdict of a cell; `root` leads from the page to the run folder.
pub fn verdict(cell: &CellFindings, root: &str) -> VerdictView {
    let verdict = cell.verdict.as_ref();
    let text = |text: &Option<String>| text.as_deref().map(text::sentence).filter(|text| !text.is_empty());
    let log = cell.hint.as_ref().and_then(text::quoted_log).map(|lines| lines.join("\n"));
    let broken = !matches!(cell.outcome, Outcome::Ok | Outcome::Ceiling);
    VerdictView {
        headline: headline(cell),
        bounds: bounds(cell),
        disagreement: describe::disagreement(cell),
        sentence: verdict.map(|verdict| text::sentence(&verdict.sentence)),
        reason: text(&cell.reason).or_else(|| broken.then(|| text::sentence(describe::meaning(cell.outcome)))),
        hint: text(&cell.hint.as_ref().map(ToString::to_string)).filter(|_| log.is_none()),
        log,
        facts: verdict.map(facts).unwrap_or_default(),
        chain: verdict.map(chain).unwrap_or_default(),
        tried: cell.confirmations.tried.iter().map(|tried| text::sentence(&describe::experiment(tried))).collect(),
        fix: verdict.and_then(|verdict| text(&verdict.fix)).map(full_stop),
        limits: verdict.and_then(|verdict| limits(verdict.cause, root)),
        evidence: verdict.map(evidence).unwrap_or_default(),
    }
}

/// With a full stop, unless it ends like a sentence already.
fn full_stop(mut text: String) -> String {
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

fn headline(cell: &CellFindings) -> String {
    match &cell.ceiling {
        Some(ceiling) => format!("Holds {} connections", describe::ceiling(ceiling)),
        None => match cell.outcome {
            Outcome::Ok | Outcome::Ceiling => "No ceiling was measured".to_owned(),
            Outcome::Invalid => "Invalid: no ceiling can be stated".to_owned(),
            Outcome::Skipped => "Skipped".to_owned(),
            Outcome::FailedToStart => "The target failed to start".to_owned(),
            Outcome::FailedVerification => "The target gave a wrong answer".to_owned(),
            Outcome::TimedOut => "Timed out".to_owned(),
            Outcome::Killed => "The run was stopped before this cell was measured".to_owned(),
        },
    }
}

fn bounds(cell: &CellFindings) -> Option<String> {
    let ceiling = cell.ceiling.as_ref()?;
    let trials = if ceiling.valid == ceiling.trials {
        format::counted(u64::from(ceiling.trials), "trial", "trials")
    } else {
        format!("{} valid of {}", ceiling.valid, format::counted(u64::from(ceiling.trials), "trial", "trials"))
    };
    let low = format::count(ceiling.low);
    let peak = format!("At most {} were held at any moment.", format::count(ceiling.peak));
    Some(match ceiling.high {
        _ if ceiling.unmet == ceiling.valid => {
            format!("No step failed in {trials}, so the ceiling is above the largest step of the matrix. {peak}")
        }
        Some(high) => format!(
            "Median of {trials}. Every trial held {low} and none held {}, so the ceiling is in between. {peak}",
            format::count(high)
        ),
        None => format!(
            "Median of {trials}. Every trial held {low}, and {} of them reached no ceiling. {peak}",
            format::count(u64::from(ceiling.unmet))
        ),
    })
}

fn facts(verdict: &Verdict) -> Vec<Fact> {
    let mut facts = vec![Fact::new("failure pattern", describe::pattern(verdict.pattern))];
    if verdict.cause != Cause::None {
        facts.insert(0, Fact::new("cause", verdict.cause.to_string()));
        let words = describe::confidence(verdict.confidence);
        facts.push(Fact::new("confidence", format!("{words} ({})", format::trimmed(verdict.confidence))));
    }
    if let Some(moment) = verdict.onset_ms {
        facts.push(Fact::new("time", format!("{} after the trial's start", format::moment(moment))));
    }
    if let Some((cause, confidence)) = &verdict.runner_up {
        let short = describe::confidence_short(*confidence);
        let number = format::trimmed(*confidence);
        facts.push(Fact::new("runner-up", format!("{cause}, {short} ({number})")));
    }
    facts
}

/// From the cause over what followed from it to what the client saw; empty where nothing followed.
fn chain(verdict: &Verdict) -> Vec<ChainNode> {
    if verdict.chain.is_empty() {
        return Vec::new();
    }
    let begin = verdict.onset_ms;
    let root = ChainNode { name: verdict.cause.to_string(), note: "the cause".into() };
    let links = verdict.chain.iter().map(|link| ChainNode {
        name: link.cause.to_string(),
        note: match link.onset_ms.zip(begin).map(|(onset, begin)| onset - begin) {
            Some(later) if later > 0.0 => format!("{} later", format::moment(later)),
            Some(_) => "at the same time".into(),
            None => "because of it".into(),
        },
    });
    let seen =
        verdict.seen.iter().map(|seen| ChainNode { name: text::one_line(seen), note: "seen by the client".into() });
    std::iter::once(root).chain(links).chain(seen).collect()
}

/// The section of the documentation on a cause.
fn limits(cause: Cause, root: &str) -> Option<Link> {
    let section = document::section(cause)?;
    Some(Link::new(format!("{root}{section}"), cause.name(), ""))
}

fn evidence(verdict: &Verdict) -> Vec<EvidenceRow> {
    let text = |value: &Option<String>| value.as_deref().map_or_else(|| "not read".to_owned(), text::one_line);
    let row = |evidence: &Evidence| EvidenceRow {
        component: evidence.component.to_string(),
        name: text::one_line(&evidence.name.to_string()),
        about: match evidence.name {
            EvidenceName::Metric(metric) => Some(metric.describe()),
            _ => None,
        },
        before: text(&evidence.before),
        after: text(&evidence.after),
        source: text::one_line(&evidence.source),
    };
    verdict.evidence.iter().map(row).collect()
}

/// The trial that is shown open: a valid one that held the median, else one that any step of ran in, else the first.
pub fn shown_trial(cell: &CellFindings) -> usize {
    let is_median = |trial: &TrialFindings| {
        let held = trial.bracket.map(|bracket| bracket.last_good);
        matches!(trial.record.outcome, Outcome::Ok | Outcome::Ceiling)
            && held.is_some()
            && held == cell.ceiling.as_ref().map(|ceiling| ceiling.connections)
    };
    let agrees = |trial: &TrialFindings| {
        trial.verdict.as_ref().map(|verdict| verdict.cause) == cell.verdict.as_ref().map(|verdict| verdict.cause)
    };
    let trials = &cell.trials;
    let find = |wanted: &dyn Fn(&TrialFindings) -> bool| trials.iter().position(wanted);
    find(&|trial| is_median(trial) && agrees(trial))
        .or_else(|| find(&|trial| is_median(trial)))
        .or_else(|| find(&|trial| agrees(trial) && !trial.record.steps.is_empty()))
        .or_else(|| find(&|trial| !trial.record.steps.is_empty()))
        .unwrap_or(0)
}
