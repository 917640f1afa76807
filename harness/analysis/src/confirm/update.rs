//! What experiments make of a verdict.

use super::{Confirmation, Finding};
use crate::verdict::Verdict;
use crate::verdict::confidence::{CONFIRMED, REJECTED};
use wsceiling_model::record::Cause;

/// Confidence of a cap that came again at the same number.
const AGAIN: f64 = 0.60;

/// The verdict of a cell after its experiments; `second` is the runner-up as a verdict of its own. A suspect that is
/// confirmed is nearly certain. One that is rejected is not: the runner-up takes its place, where there is one.
pub(crate) fn update(mut verdict: Verdict, second: Option<Verdict>, tried: &[Confirmation]) -> Verdict {
    let found = |cause: Cause| overall(tried.iter().filter(|it| it.experiment.suspect == cause));
    match found(verdict.cause) {
        Some(Finding::Confirmed) => verdict.confidence = CONFIRMED,
        Some(Finding::Suspected) => verdict.confidence = verdict.confidence.max(AGAIN),
        Some(Finding::Rejected) => {
            verdict.confidence = verdict.confidence.min(REJECTED);
            let Some(mut next) = second else { return verdict };
            match found(next.cause) {
                Some(Finding::Confirmed) => next.confidence = CONFIRMED,
                Some(Finding::Rejected) => next.confidence = next.confidence.min(REJECTED),
                _ => {}
            }
            if next.confidence > verdict.confidence {
                next.runner_up = Some((verdict.cause, verdict.confidence));
                return next;
            }
            verdict.runner_up = Some((next.cause, next.confidence));
        }
        // What says nothing of the one may have shown the other.
        Some(Finding::Inconclusive) => {
            let confirmed = second.filter(|next| found(next.cause) == Some(Finding::Confirmed));
            if let Some(mut next) = confirmed {
                next.confidence = CONFIRMED;
                next.runner_up = Some((verdict.cause, verdict.confidence));
                return next;
            }
        }
        None => {}
    }
    verdict
}

/// What several experiments on one suspect say together: one that confirms is enough, and only where none is left open
/// they reject.
pub(super) fn overall<'a>(findings: impl Iterator<Item = &'a Confirmation>) -> Option<Finding> {
    let all: Vec<Finding> = findings.map(|it| it.finding).collect();
    let order = [Finding::Confirmed, Finding::Inconclusive, Finding::Rejected, Finding::Suspected];
    order.into_iter().find(|finding| all.contains(finding))
}
