//! The number that an experiment compares, from one trial.

use crate::context::TrialContext;
use crate::pattern::FailurePattern;
use wsceiling_model::record::{Component, Measure, Metric, StepKind, StepRecord};

/// The measured number; `None` where the trial has none.
pub(crate) fn measured(trial: &TrialContext<'_>, measure: Measure) -> Option<f64> {
    let step = trial.failed.or_else(|| trial.record.steps.last())?;
    match measure {
        Measure::Connections if trial.failed.is_none() => Some(step.open as f64),
        // Those that it closes as soon as they are open it does not hold, whether a sample saw them or not.
        Measure::Connections if trial.closes_newest() => Some(step.open as f64),
        // Those that come and go are the most while they are opened.
        Measure::Connections if trial.pattern == FailurePattern::Churn => Some(trial.peak()),
        Measure::Connections => Some(trial.held_at_failure()),
        Measure::Passed => Some(trial.record.ceiling.map_or(0.0, |bracket| bracket.last_good as f64)),
        Measure::Opened => Some(step.achieved_per_s),
        Measure::Answered => answered(step),
        Measure::Overflows => overflows(trial),
    }
}

fn answered(step: &StepRecord) -> Option<f64> {
    let seconds = (step.hold_end_ms() - step.opened_ms) / 1e3;
    (seconds > 0.0 && step.kind != StepKind::Storm).then(|| step.messages_answered as f64 / seconds)
}

/// The most of any instance: in a shared namespace all show the same.
fn overflows(trial: &TrialContext<'_>) -> Option<f64> {
    let read = |instance: Component| !trial.series.get(instance, Metric::ListenOverflows).is_empty();
    trial.instances().any(read).then(|| trial.server_rise(Metric::ListenOverflows).map_or(0.0, |rise| rise.by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fail, Judged as _, script};

    #[test]
    fn who_is_closed_as_soon_as_it_is_open_is_not_held() {
        // Cap 400: of those up to 600 the newest 200 are let in and closed. A sample may see them open for a moment.
        for seen in [400.0, 600.0] {
            let fail = Fail::closes_newest(400, "close 1013");
            let capped = script().load(200, 800).good(200).good(400).fail(fail).set(
                Component::Generator,
                Metric::Open,
                move |m| Some(if m.failing { seen } else { m.open }),
            );
            capped.with(|_, trial| assert_eq!(measured(trial, Measure::Connections), Some(400.0), "{seen}"));
        }
    }
}
