//! The verdict of a cell with what its experiments found.

use super::cause::Verdict;
use super::confirm::{self, Candidates, Confirmation, Confirmations};
use super::findings::{Analysed, agreed};
use wsceiling_model::record::TrialRecord;

/// The verdict of a cell after its experiments, and those.
pub(super) fn confirmed(
    trials: &[&Analysed],
    experiments: Vec<(&TrialRecord, Analysed)>,
) -> (Option<Verdict>, Confirmations) {
    let tried: Vec<Confirmation> = experiments.into_iter().filter_map(confirmation).collect();
    let Some(verdict) = agreed(trials.iter().filter_map(|own| own.verdict.as_ref())) else {
        return (None, Confirmations { tried, next: None });
    };
    let agree = || trials.iter().filter(|own| own.verdict.as_ref().is_some_and(|own| own.cause == verdict.cause));
    let runner_up = verdict.runner_up.as_ref().map(|(cause, _)| cause);
    let same = |own: &&&Analysed| own.second.as_ref().map(|second| &second.cause) == runner_up;
    let candidates = Candidates {
        first: agree().map(|own| own.experiments[0].as_slice()).collect(),
        second: agree().filter(same).map(|own| own.experiments[1].as_slice()).collect(),
    };
    let next = confirm::waiting(&verdict, &candidates, &tried);
    let second = agree().filter(same).find_map(|own| own.second.clone());
    (Some(confirm::settle(verdict.clone(), second, &tried)), Confirmations { tried, next })
}

fn confirmation((record, own): (&TrialRecord, Analysed)) -> Option<Confirmation> {
    let experiment = record.experiment.clone()?;
    let (finding, sentence) = confirm::judge(&experiment, record, own.verdict.as_ref(), own.measured);
    Some(Confirmation {
        trial: record.trial.clone(),
        experiment,
        after: own.measured,
        finding,
        sentence,
        verdict: own.verdict,
        record: record.clone(),
    })
}
