//! What came of an experiment: what was measured before and after, against what was predicted.

use super::Finding;
use crate::verdict::Verdict;
use wsceiling_model::format;
use wsceiling_model::matrix::Knob;
use wsceiling_model::record::{Cause, Experiment, Measure, Outcome, Tolerance, TrialRecord};

/// How far an exact number may be from its prediction.
const WITHIN: f64 = 0.10;
/// How far a number may be from the one before it to be the same one.
const SAME: f64 = 0.01;
/// Share of the predicted move from which a rate follows it, and up to which nothing moved.
const FOLLOWS: f64 = 0.5;
const STANDS: f64 = 0.2;
/// Share of the predicted move beyond which a rate moved for another reason.
const FAR: f64 = 2.0;

/// Compares, and says so: `ceiling moved 993 -> 1,493, predicted 1,493: confirmed`.
pub(crate) fn judge(
    experiment: &Experiment,
    record: &TrialRecord,
    verdict: Option<&Verdict>,
    after: Option<f64>,
) -> (Finding, String) {
    // A client that has more of what it lacked, and runs out of it again, is what was predicted.
    let own = experiment.suspect == Cause::ClientLimited && verdict.is_some_and(|it| it.cause == experiment.suspect);
    let measured = matches!(record.outcome, Outcome::Ok | Outcome::Ceiling) || own;
    let client = !own && verdict.is_some_and(|verdict| verdict.cause == Cause::ClientLimited);
    let Some(after) = after.filter(|_| measured && !client) else {
        let reason = record.reason.as_ref().map(ToString::to_string);
        let why = reason.or_else(|| verdict.map(|it| it.sentence.clone())).unwrap_or_else(|| "no step ran".into());
        return (Finding::Inconclusive, format!("the trial was {}: {why}: inconclusive", record.outcome));
    };
    let finding = compare(experiment, verdict, after);
    (finding, sentence(experiment, verdict, after, finding))
}

fn compare(experiment: &Experiment, verdict: Option<&Verdict>, after: f64) -> Finding {
    let Experiment { before, predicted, .. } = *experiment;
    let near = |a: f64, b: f64, share: f64| (a - b).abs() <= (share * b.abs()).max(1.0);
    let moved = (after - before) / (predicted - before);
    let hit = match (experiment.tolerance, experiment.measure) {
        (Tolerance::Same, _) if near(after, before, SAME) => return Finding::Suspected,
        (Tolerance::Same, _) => return Finding::Rejected,
        (Tolerance::Half, _) => (FOLLOWS..=FAR).contains(&moved),
        // More than was asked for is as good.
        (Tolerance::Exact, Measure::Passed) => after >= predicted * (1.0 - WITHIN),
        (Tolerance::Exact, Measure::Overflows) => after <= WITHIN * before,
        (Tolerance::Exact, _) => near(after, predicted, WITHIN),
    };
    let other = verdict.is_some_and(|verdict| verdict.cause != Cause::None && verdict.cause != experiment.suspect);
    match moved {
        // What predicts no move cannot be put to the test.
        moved if !moved.is_finite() => Finding::Inconclusive,
        // Whatever is too slow keeps up with less: that is what the suspect predicts, and every rival of it too.
        _ if hit && slows_the_load(experiment) => Finding::Suspected,
        _ if hit => Finding::Confirmed,
        // Not even the first step passed, before or after: a move up to it would not be seen.
        _ if no_step_passed(experiment, after) => Finding::Inconclusive,
        // A little further on something else stands: the suspect may have been in its way. Whole steps are too coarse to
        // show how far on.
        _ if other && (experiment.measure == Measure::Passed || !near(after, before, 2.0 * SAME)) => {
            Finding::Inconclusive
        }
        moved if moved < STANDS => Finding::Rejected,
        _ => Finding::Inconclusive,
    }
}

fn no_step_passed(experiment: &Experiment, after: f64) -> bool {
    experiment.measure == Measure::Passed && experiment.before <= 0.0 && after <= 0.0
}

/// Whether the experiment only asked for less of a server that is suspected to lack CPU, or places in a queue.
fn slows_the_load(experiment: &Experiment) -> bool {
    matches!(experiment.change.knob, Knob::Rate | Knob::MessageEvery)
        && matches!(
            experiment.suspect,
            Cause::CpuQuota | Cause::SingleThread | Cause::GlobalLock | Cause::CpuSaturated | Cause::AcceptQueue
        )
}

fn sentence(experiment: &Experiment, verdict: Option<&Verdict>, after: f64, finding: Finding) -> String {
    let (what, number): (_, fn(f64) -> String) = match experiment.measure {
        Measure::Connections => ("ceiling", format::whole),
        Measure::Passed => ("largest step that passed", format::whole),
        Measure::Opened => ("connections opened", per_second),
        Measure::Answered => ("messages answered", per_second),
        Measure::Overflows => ("overflows of the accept queue", format::whole),
    };
    let (before, then, predicted) = (number(experiment.before), number(after), number(experiment.predicted));
    let word = finding.word();
    if experiment.tolerance == Tolerance::Same {
        let again = if finding == Finding::Suspected { "the same number again" } else { "another number" };
        return format!("stopped at {before}, then at {then}, {again}: {word}");
    }
    let stood = finding == Finding::Rejected || no_step_passed(experiment, after);
    let moved = if stood { "did not move" } else { "moved" };
    let why = match (finding, verdict) {
        (Finding::Suspected, _) => ", as with anything else that is too slow".to_owned(),
        (Finding::Inconclusive, _) if no_step_passed(experiment, after) => {
            ", as the first step was too much".to_owned()
        }
        (Finding::Inconclusive, Some(verdict)) if verdict.cause == Cause::None => {
            ", and all that was asked for was held".to_owned()
        }
        (Finding::Inconclusive, Some(verdict)) if verdict.cause != experiment.suspect => {
            format!(", where {} stopped it first", verdict.cause)
        }
        _ => String::new(),
    };
    format!("{what} {moved} {before} -> {then}, predicted {predicted}{why}: {word}")
}

fn per_second(value: f64) -> String {
    format!("{}/s", format::number(value))
}
