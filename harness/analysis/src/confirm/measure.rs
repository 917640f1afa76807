//! The number that an experiment compares, from one trial.

use crate::cause::{Facts, Shape};
use wsceiling_model::record::{Component, Measure, Metric, StepKind, StepRecord};

/// The measured number; `None` where the trial has none.
pub(crate) fn measured(facts: &Facts<'_>, measure: Measure) -> Option<f64> {
    let step = facts.failed.or_else(|| facts.record.steps.last())?;
    match measure {
        Measure::Connections if facts.failed.is_none() => Some(step.open as f64),
        // Those that come and go are the most while they are opened.
        Measure::Connections if facts.shape == Shape::Churn => Some(facts.peak()),
        Measure::Connections => Some(facts.held_at_failure()),
        Measure::Passed => Some(facts.record.ceiling.map_or(0.0, |bracket| bracket.last_good as f64)),
        Measure::Opened => Some(step.achieved_per_s),
        Measure::Answered => answered(step),
        Measure::Overflows => overflows(facts),
    }
}

fn answered(step: &StepRecord) -> Option<f64> {
    let seconds = (step.ended_ms - step.opened_ms) / 1e3;
    (seconds > 0.0 && step.kind != StepKind::Storm).then(|| step.messages_answered as f64 / seconds)
}

/// The most of any instance: in a shared namespace all show the same.
fn overflows(facts: &Facts<'_>) -> Option<f64> {
    let read = |instance: Component| !facts.tracks.get(instance, Metric::ListenOverflows).is_empty();
    facts.instances().any(read).then(|| facts.server_rise(Metric::ListenOverflows).map_or(0.0, |rise| rise.by))
}
