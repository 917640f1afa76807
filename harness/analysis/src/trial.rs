//! The analysis of one trial.

use super::confirm;
use super::context::TrialContext;
use super::cost::{self, Traffic, TrialCosts};
use super::judge;
use super::plot_series::{PlotSeries, plot_series};
use super::time_series::TimeSeries;
use super::verdict::Verdict;
use wsceiling_model::matrix::Cell;
use wsceiling_model::record::{Cause, Experiment, Measure, Outcome, RunHeader, Sample, TrialRecord};

/// What the samples of one trial gave.
#[derive(Default)]
pub(super) struct AnalysedTrial {
    pub verdict: Option<Verdict>,
    /// The runner-up as a verdict of its own.
    pub second: Option<Verdict>,
    /// Experiments that would confirm the cause, and the runner-up.
    pub experiments: [Vec<Experiment>; 2],
    /// Of an experiment: what it measured. Of any other trial: the connections at which it stopped.
    pub measured: Option<f64>,
    pub series: Vec<PlotSeries>,
    pub costs: TrialCosts,
}

/// Analyses a trial with its samples, in the order of time.
pub(super) fn analyse(header: &RunHeader, cell: &Cell, record: &TrialRecord, samples: &[Sample]) -> AnalysedTrial {
    let series = TimeSeries::new(samples);
    let mut analysed = AnalysedTrial {
        series: plot_series(&series),
        costs: cost::of_trial(record, &series, Traffic::configured(&header.load, cell.scenario)),
        ..AnalysedTrial::default()
    };
    let changed = record.experiment.as_ref().map(|experiment| experiment.header(header, cell));
    let (header, cell) = changed.as_ref().map_or((header, cell), |(header, cell)| (header, cell));
    let Some(trial) = TrialContext::new(header, cell, record, &series) else { return analysed };
    analysed.verdict = judge::judge(&trial);
    if let Some(experiment) = &record.experiment {
        analysed.measured = confirm::measured(&trial, experiment.measure);
        return analysed;
    }
    analysed.measured = confirm::measured(&trial, Measure::Connections);
    let suspects = analysed.verdict.as_ref().map(|verdict| (verdict.cause, verdict.runner_up));
    if let Some((first, second)) = suspects {
        let of = |cause: Cause| confirm::experiments(header, &trial, cause);
        analysed.experiments = [of(first), second.map_or_else(Vec::new, |(cause, _)| of(cause))];
        analysed.second = second.and_then(|(cause, _)| judge::judge_as(&trial, cause));
    }
    analysed
}

/// Whether a ceiling may be read from a trial: it ended as one does, and its client was not the limit.
pub(super) fn is_valid(record: &TrialRecord, verdict: Option<&Verdict>) -> bool {
    effective(record, verdict) <= Outcome::Ceiling
}

/// The outcome after judging: a trial whose client was the limit is invalid, whatever the harness made of it.
pub(super) fn effective(record: &TrialRecord, verdict: Option<&Verdict>) -> Outcome {
    let client = verdict.is_some_and(|verdict| verdict.cause == Cause::ClientLimited);
    if client && record.outcome == Outcome::Ceiling { Outcome::Invalid } else { record.outcome }
}
