//! The windows of a trial that a cost is fitted to: the openings, holds and probes of the steps that passed, each between
//! two samples. In a hold connections and messages come evenly, so a window of it may begin or end a moment later. In
//! openings and probes they do not quite, so no sample cuts one: an opening lies between the last sample before it and the
//! first one after it, and a probe that has no sample after it is one window with the opening that follows.

use super::course::{Asked, Course};
use super::result::Traffic;
use crate::time_series::TimeSeries;
use wsceiling_model::record::{Component, Metric, StepRecord, TrialRecord};

/// What a window is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The second before the first connection.
    Idle,
    Opening,
    Hold,
    Probe,
    /// A probe after which connections close, or a step fails. Its last sample cuts it: there may be less in it than an even
    /// probe would have.
    CutProbe,
}

/// A window between two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    pub repeat: u32,
    /// Connections of its step.
    pub level: u32,
    pub phase: Phase,
    pub asked: Asked,
    /// Used by all instances.
    pub cpu_us: f64,
}

/// All windows of a trial in which the CPU of all instances is known.
pub(super) fn of_trial(
    record: &TrialRecord,
    series: &TimeSeries,
    instances: &[Component],
    configured: Traffic,
) -> Vec<Window> {
    let mut windows = Vec::new();
    let Some(first) = instances.first() else { return windows };
    let moments = series.moments(*first);
    let mut course = (None, Course::default());
    for (at, step) in record.steps.iter().enumerate().filter(|(at, _)| rises(record, *at)) {
        if course.0 != Some(step.launch) {
            course = (Some(step.launch), Course::new(record, step.launch, configured));
        }
        for (phase, from, to) in phases(record, at, moments) {
            let (Some(from), Some(to)) = (from, to) else { continue };
            let used = |instance: &Component| {
                let at = |t| series.at(*instance, Metric::CpuUsage, t);
                Some(at(to)? - at(from)?).filter(|used| *used >= 0.0)
            };
            let Some(cpu_us) = instances.iter().map(used).sum::<Option<f64>>().filter(|_| to > from) else { continue };
            let asked = course.1.between(from, to);
            windows.push(Window { repeat: record.trial.repeat, level: step.target, phase, asked, cpu_us });
        }
    }
    windows
}

/// Whether a step passed with more connections than any before it. What a server keeps of connections that have gone, or
/// spends on a storm, is not what a connection costs.
pub(super) fn rises(record: &TrialRecord, at: usize) -> bool {
    let step = &record.steps[at];
    let before = record.steps[..at].iter().filter(|before| before.launch == step.launch);
    step.passed && before.map(|before| before.target).max().is_none_or(|most| step.target > most)
}

/// Phases of a step, each with its first and its last sample.
fn phases(record: &TrialRecord, at: usize, moments: &[f64]) -> impl Iterator<Item = (Phase, Option<f64>, Option<f64>)> {
    let step = &record.steps[at];
    let of_launch = |other: &&StepRecord| other.launch == step.launch;
    let previous = at.checked_sub(1).map(|at| &record.steps[at]).filter(of_launch);
    let idle = previous
        .is_none()
        .then(|| (Phase::Idle, before(moments, step.started_ms - 1000.0), before(moments, step.started_ms)));
    let opened = after(moments, step.opened_ms);
    let unsampled = |one: &StepRecord, next: &StepRecord| {
        one.probe_from_ms.is_some() && after(moments, one.ended_ms).is_none_or(|sample| sample > next.started_ms)
    };
    let joined = previous.filter(|previous| rises(record, at - 1) && unsampled(previous, step));
    let opening_from = before(moments, joined.and_then(|previous| previous.probe_from_ms).unwrap_or(step.started_ms));
    let hold_ends = before(moments, step.probe_from_ms.unwrap_or(step.ended_ms));
    let next = record.steps.get(at + 1).filter(of_launch).filter(|_| rises(record, at + 1));
    let (probe, probe_ends) = match next {
        Some(next) if unsampled(step, next) => (Phase::Probe, hold_ends),
        Some(_) => (Phase::Probe, after(moments, step.ended_ms)),
        None => (Phase::CutProbe, before(moments, step.ended_ms)),
    };
    idle.into_iter().chain([
        (Phase::Opening, opening_from, opened),
        (Phase::Hold, opened, hold_ends),
        (probe, hold_ends, probe_ends.filter(|_| step.probe_from_ms.is_some())),
    ])
}

/// The first sample moment at or after a moment.
fn after(moments: &[f64], t: f64) -> Option<f64> {
    moments.get(moments.partition_point(|moment| *moment < t)).copied()
}

/// The last sample moment at or before a moment.
fn before(moments: &[f64], t: f64) -> Option<f64> {
    moments.get(moments.partition_point(|moment| *moment <= t).checked_sub(1)?).copied()
}

/// The sample moments from one moment to another.
pub(crate) fn samples_within(moments: &[f64], from: f64, to: f64) -> &[f64] {
    let (first, end) = (moments.partition_point(|t| *t < from), moments.partition_point(|t| *t <= to));
    &moments[first.min(end)..end]
}

/// The sample moment that is nearest to a moment.
pub(crate) fn nearest(moments: &[f64], t: f64) -> Option<f64> {
    let after = moments.partition_point(|moment| *moment < t);
    let around = [after.checked_sub(1), Some(after)].into_iter().flatten().filter_map(|at| moments.get(at).copied());
    around.min_by(|a, b| (a - t).abs().total_cmp(&(b - t).abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows of two steps, the second of which starts at a moment.
    fn windows(probe_from_ms: Option<f64>, second_ms: f64) -> Vec<(Phase, f64, f64)> {
        let moments: Vec<f64> = (0..=60).map(|at| f64::from(at) * 100.0).collect();
        let (started_ms, opened_ms, ended_ms) = (1190.0, 1410.0, 2410.0);
        let passed = true;
        let first =
            StepRecord { target: 1, started_ms, opened_ms, probe_from_ms, ended_ms, passed, ..StepRecord::default() };
        let second = StepRecord {
            target: 2,
            started_ms: second_ms,
            opened_ms: second_ms + 220.0,
            probe_from_ms: probe_from_ms.map(|_| second_ms + 1000.0),
            ended_ms: second_ms + 1220.0,
            ..first.clone()
        };
        let trial = wsceiling_model::plan::TrialId::new("a", 1);
        let unmeasured = TrialRecord::unmeasured(trial, wsceiling_model::record::Outcome::Ok);
        let record = TrialRecord { steps: vec![first, second], ..unmeasured };
        let all = (0..2).flat_map(|at| phases(&record, at, &moments).collect::<Vec<_>>());
        all.filter_map(|(phase, from, to)| Some((phase, from?, to?))).filter(|(_, from, to)| to > from).collect()
    }

    #[test]
    fn no_sample_within_an_opening_is_the_end_of_a_window() {
        use Phase::{Hold, Idle, Opening};
        let first = [(Idle, 100.0, 1100.0), (Opening, 1100.0, 1500.0), (Hold, 1500.0, 2400.0)];
        let found = windows(None, 2430.0);
        assert_eq!(found[..3], first);
        assert_eq!(found[3..], [(Opening, 2400.0, 2700.0), (Hold, 2700.0, 3600.0)]);
    }

    #[test]
    fn a_probe_without_a_sample_after_it_is_one_window_with_the_next_opening() {
        use Phase::{CutProbe, Hold, Opening, Probe};
        let found = windows(Some(2199.0), 2430.0);
        assert_eq!(found[2..4], [(Hold, 1500.0, 2100.0), (Opening, 2100.0, 2700.0)]);
        // The last one ends before the connections are closed.
        assert_eq!(found[4..], [(Hold, 2700.0, 3400.0), (CutProbe, 3400.0, 3600.0)]);
        let found = windows(Some(2199.0), 2530.0);
        assert_eq!(found[2..5], [(Hold, 1500.0, 2100.0), (Probe, 2100.0, 2500.0), (Opening, 2500.0, 2800.0)]);
    }

    #[test]
    fn the_nearest_sample_is_before_or_after() {
        let moments = [0.0, 100.0, 200.0];
        let nearest = |t| nearest(&moments, t);
        assert_eq!([nearest(-5.0), nearest(49.0), nearest(51.0), nearest(999.0)], [0.0, 0.0, 100.0, 200.0].map(Some));
        assert_eq!(super::nearest(&[], 1.0), None);
    }
}
