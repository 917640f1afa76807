//! What stopped a trial, with the evidence.
//!
//! [`judge`] asks every rule of [`rules`] whether it fires on the facts of a trial, drops those that are consequences
//! of another one that fired, and takes the surest of the rest. `docs/limits.md` describes each cause under the name
//! that the rule has here. A verdict is a pure function of the record.

mod facts;
mod proof;
mod rules;
mod symptoms;

use serde::{Deserialize, Serialize};

pub(crate) use facts::Facts;
use proof::Candidate;
use rules::RULES;

use super::words;
use crate::record::{Component, Outcome};

/// What stopped a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How the connections went.
    pub shape: Shape,
    /// Short, stable name of the cause: `memory-limit`, `cpu-quota`, `client-limited`, `none`, `unknown`, ...
    pub cause: String,
    /// The sentence for a person.
    pub sentence: String,
    /// What to do about it.
    pub fix: Option<String>,
    /// 0.30 symptom only, 0.60 its counter moved, 0.85 arithmetic and onset match, 0.97 confirmed by an intervention.
    pub confidence: f64,
    /// Counters that prove it.
    pub evidence: Vec<Evidence>,
    /// Moment of the cause, milliseconds since the trial's start.
    pub onset_ms: Option<f64>,
    /// The next best cause and its confidence.
    pub runner_up: Option<(String, f64)>,
}

/// How the connections of a trial went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// All that was asked for was held.
    Reached,
    /// As many close as open, without failures.
    Churn,
    /// Open stays level while attempts fail.
    Plateau,
    /// Open still rises, far slower than asked.
    Slope,
    /// At least half of the open connections are lost within 2 s.
    Collapse,
    /// A collapse, then a rise.
    Sawtooth,
}

/// A counter that speaks for a cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Whose.
    pub component: Component,
    /// Name of the counter or fact.
    pub name: String,
    /// Before and after, as text with units; `None`: not read at that moment.
    pub before: Option<String>,
    /// See [`Self::before`].
    pub after: Option<String>,
    /// Where it was read.
    pub source: String,
}

/// Judges a trial: `None` where nothing was driven, so that there is nothing to judge.
pub(crate) fn judge(facts: &Facts<'_>) -> Option<Verdict> {
    if facts.record.outcome == Outcome::Ok {
        return Some(reached(facts));
    }
    let client = rules::CLIENT_LIMITED;
    if let Some(candidate) = (client.judge)(facts) {
        // The server is not judged by what a client could not ask of it.
        return Some(verdict(facts, client.cause, candidate, None));
    }
    facts.failed?;
    if facts.record.outcome == Outcome::Invalid {
        return None;
    }
    let mut fired: Vec<(usize, Candidate)> =
        RULES.iter().enumerate().filter_map(|(order, rule)| Some((order, (rule.judge)(facts)?))).collect();
    let dropped: Vec<&str> = fired.iter().flat_map(|(order, _)| RULES[*order].consequences.iter().copied()).collect();
    fired.retain(|(order, _)| !dropped.contains(&RULES[*order].cause));
    fired.sort_by(|(order_a, a), (order_b, b)| {
        let sure = b.proof.confidence().total_cmp(&a.proof.confidence());
        sure.then_with(|| earlier(a, b)).then(order_a.cmp(order_b))
    });
    let mut fired = fired.into_iter();
    let Some((order, first)) = fired.next() else {
        let lost = rules::SILENT_LOSS;
        let silent = (lost.judge)(facts).map(|candidate| verdict(facts, lost.cause, candidate, None));
        return Some(silent.unwrap_or_else(|| unknown(facts)));
    };
    let next = fired.next().map(|(order, second)| (RULES[order].cause.to_owned(), second.proof.confidence()));
    Some(verdict(facts, RULES[order].cause, first, next))
}

/// Of two roots the one whose counter moved earlier, unless both moved within a second.
fn earlier(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    match (a.proof.onset_ms, b.proof.onset_ms) {
        (Some(a), Some(b)) if (a - b).abs() > 1000.0 => a.total_cmp(&b),
        _ => std::cmp::Ordering::Equal,
    }
}

fn verdict(facts: &Facts<'_>, cause: &str, found: Candidate, runner_up: Option<(String, f64)>) -> Verdict {
    Verdict {
        shape: facts.shape,
        cause: cause.into(),
        sentence: found.sentence,
        fix: Some(found.fix),
        confidence: found.proof.confidence(),
        evidence: found.evidence,
        onset_ms: found.proof.onset_ms.or(facts.first_failure_ms),
        runner_up,
    }
}

fn reached(facts: &Facts<'_>) -> Verdict {
    let held = facts.record.ceiling.map_or(0, |bracket| bracket.last_good);
    let sentence =
        format!("No ceiling found: all of {} were held, so it is at least that many.", words::connections(held as f64));
    Verdict {
        shape: Shape::Reached,
        cause: "none".into(),
        sentence,
        fix: None,
        confidence: proof::MATCHED,
        evidence: Vec::new(),
        onset_ms: None,
        runner_up: None,
    }
}

/// An honest answer: what was seen, and that nothing explains it.
fn unknown(facts: &Facts<'_>) -> Verdict {
    let seen = facts.symptom_words();
    let sentence = format!(
        "Stopped at {}: {seen}. No counter that was read explains it.",
        words::connections(facts.held_at_failure())
    );
    let mut evidence = facts.failures_evidence();
    evidence.extend(facts.overview_evidence());
    Verdict {
        shape: facts.shape,
        cause: "unknown".into(),
        sentence,
        fix: None,
        confidence: proof::SYMPTOM,
        evidence,
        onset_ms: facts.first_failure_ms,
        runner_up: None,
    }
}
