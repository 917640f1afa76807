//! How the trials of a cell ended, and whether they agree.

use serde::Serialize;

use wsceiling_model::record::{Cause, Outcome};

/// How some trials of a cell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ending {
    /// Their outcome.
    pub outcome: Outcome,
    /// What stopped them; `None`: nothing, or nothing that was judged.
    pub cause: Option<Cause>,
    /// How many.
    pub trials: u32,
}

/// The endings of trials, those of most trials first; more than one: they disagree.
pub(super) fn endings(trials: impl Iterator<Item = (Outcome, Option<Cause>)>) -> Vec<Ending> {
    let mut endings: Vec<Ending> = Vec::new();
    for (outcome, cause) in trials {
        let cause = cause.filter(|cause| *cause != Cause::None && outcome != Outcome::Ok);
        match endings.iter_mut().find(|ending| (ending.outcome, ending.cause) == (outcome, cause)) {
            Some(ending) => ending.trials += 1,
            None => endings.push(Ending { outcome, cause, trials: 1 }),
        }
    }
    endings.sort_by_key(|ending| std::cmp::Reverse(ending.trials));
    endings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_that_end_alike_are_one_ending() {
        let crash = (Outcome::Ceiling, Some(Cause::Crash));
        let reached = (Outcome::Ok, Some(Cause::None));
        let found = endings([crash, reached, reached].into_iter());
        let ending = |outcome, cause, trials| Ending { outcome, cause, trials };
        assert_eq!(found, [ending(Outcome::Ok, None, 2), ending(Outcome::Ceiling, Some(Cause::Crash), 1)]);
        assert_eq!(endings([crash, crash].into_iter()).len(), 1);
        assert!(endings([].into_iter()).is_empty());
    }
}
