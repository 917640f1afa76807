//! The verdict of a cell with what its experiments found.

use super::confirm::{self, Candidates, Confirmation, Confirmations};
use super::trial::AnalysedTrial;
use super::verdict::{Evidence, EvidenceName, Verdict, confidence};
use wsceiling_model::format;
use wsceiling_model::matrix::Cell;
use wsceiling_model::record::{Cause, Component, TrialRecord};

/// The verdict of a cell after its experiments, and those.
pub(super) fn confirmed(
    trials: &[&AnalysedTrial],
    experiments: Vec<(&TrialRecord, AnalysedTrial)>,
) -> (Option<Verdict>, Confirmations) {
    let tried: Vec<Confirmation> = experiments.into_iter().filter_map(confirmation).collect();
    let Some(verdict) = agreed(trials.iter().filter_map(|own| own.verdict.as_ref())) else {
        return (None, Confirmations { tried, next: None });
    };
    let agree = || trials.iter().filter(|own| own.verdict.as_ref().is_some_and(|own| own.cause == verdict.cause));
    let runner_up = verdict.runner_up.map(|(cause, _)| cause);
    let same = |own: &&&AnalysedTrial| own.second.as_ref().map(|second| second.cause) == runner_up;
    let candidates = Candidates {
        first: agree().map(|own| own.experiments[0].as_slice()).collect(),
        second: agree().filter(same).map(|own| own.experiments[1].as_slice()).collect(),
    };
    let next = confirm::waiting(&verdict, &candidates, &tried);
    let second = agree().filter(same).find_map(|own| own.second.clone());
    (Some(confirm::update(verdict.clone(), second, &tried)), Confirmations { tried, next })
}

fn confirmation((record, own): (&TrialRecord, AnalysedTrial)) -> Option<Confirmation> {
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

/// The cause that most trials agree on (ties: the surest), with the surest verdict of those.
fn agreed<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> Option<Verdict> {
    let mut by_cause: Vec<(usize, &Verdict)> = Vec::new();
    for verdict in verdicts {
        match by_cause.iter_mut().find(|(_, known)| known.cause == verdict.cause) {
            Some((count, best)) => {
                *count += 1;
                if verdict.confidence > best.confidence {
                    *best = verdict;
                }
            }
            None => by_cause.push((1, verdict)),
        }
    }
    let order = |(count, verdict): &(usize, &Verdict)| (*count, (verdict.confidence * 1000.0) as u64);
    // The first of equals, so that the answer does not depend on how a maximum is searched.
    let best = by_cause.iter().map(order).max()?;
    by_cause.into_iter().find(|entry| order(entry) == best).map(|(_, verdict)| verdict.clone())
}

/// A suspected cap that was met at the same number in at least three trials is more than a symptom.
pub(super) fn same_number_each_time(cell: &Cell, trials: &mut [(&TrialRecord, AnalysedTrial)], valid: &[usize]) {
    let suspected =
        |at: &&usize| trials[**at].1.verdict.as_ref().is_some_and(|verdict| verdict.cause == Cause::ApplicationCap);
    let which: Vec<usize> = valid.iter().filter(suspected).copied().collect();
    let held = |at: &usize| {
        let failed = trials[*at].0.steps.iter().find(|step| !step.passed);
        failed.map_or(0.0, |step| step.open as f64)
    };
    let numbers: Vec<f64> = which.iter().map(held).collect();
    let most = numbers.iter().copied().fold(0.0, f64::max);
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    if which.len() < 3 || which.len() < valid.len() || most - least > 0.01 * most {
        return;
    }
    for at in which {
        if let Some(verdict) = &mut trials[at].1.verdict {
            verdict.confidence = verdict.confidence.max(confidence::MOVED);
            verdict.evidence.push(Evidence {
                component: Component::Generator,
                name: EvidenceName::HeldInEachTrial,
                before: None,
                after: Some(numbers.iter().map(|held| format::whole(*held)).collect::<Vec<_>>().join(", ")),
                source: format!("trials of {}", cell.id),
            });
        }
    }
}
