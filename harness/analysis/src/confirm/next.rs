//! Which experiment a cell waits for.

use super::update::overall;
use super::{Confirmation, Finding};
use crate::verdict::Verdict;
use wsceiling_model::matrix::Knob;
use wsceiling_model::record::{Cause, Experiment};

/// Trials that must meet a suspected cap at the same number.
const SAME_NUMBER: usize = 3;

/// Experiments that the trials of a cell suggest, for the cause and for its runner-up.
#[derive(Default)]
pub(crate) struct Candidates<'a> {
    /// Of each trial that agrees on the cause.
    pub first: Vec<&'a [Experiment]>,
    /// Of the same trials for the runner-up.
    pub second: Vec<&'a [Experiment]>,
}

/// The experiment that a cell waits for; `None`: its cause is confirmed, or nothing is left to try.
pub(crate) fn waiting(verdict: &Verdict, candidates: &Candidates<'_>, tried: &[Confirmation]) -> Option<Experiment> {
    let of = |cause: Cause| overall(tried.iter().filter(|it| it.experiment.suspect == cause));
    let left = |trials: &[&[Experiment]]| -> Option<Experiment> {
        let most = trials.iter().map(|all| all.len()).max()?;
        let choices = (0..most).filter_map(|at| typical(trials.iter().filter_map(|all| all.get(at))));
        choices.into_iter().find(|choice| !is_done(choice, trials.len(), tried))
    };
    match of(verdict.cause) {
        Some(Finding::Confirmed) => None,
        first => left(&candidates.first).or_else(|| {
            let open = matches!(first, Some(Finding::Rejected | Finding::Inconclusive));
            let second = verdict.runner_up.as_ref().filter(|_| open)?;
            (of(second.0) != Some(Finding::Confirmed)).then(|| left(&candidates.second)).flatten()
        }),
    }
}

/// The one whose number before is the median of the trials.
fn typical<'a>(alike: impl Iterator<Item = &'a Experiment>) -> Option<Experiment> {
    let mut alike: Vec<&Experiment> = alike.collect();
    alike.sort_by(|a, b| a.before.total_cmp(&b.before));
    alike.get(alike.len() / 2).map(|one| (*one).clone())
}

fn is_done(choice: &Experiment, trials: usize, tried: &[Confirmation]) -> bool {
    let same =
        |it: &&Confirmation| it.experiment.suspect == choice.suspect && it.experiment.change.knob == choice.change.knob;
    let times = tried.iter().filter(same).count();
    if choice.change.knob == Knob::Again { trials + times >= SAME_NUMBER } else { times > 0 }
}
