//! How the connections of a trial went. The pattern is read from the first step that failed; steps that narrow the bracket
//! afterwards run against what that step left.

use serde::Serialize;

use super::time_series::TimeSeries;
use wsceiling_model::record::{Component, FailedAt, Metric, StepRecord, TrialRecord};

/// How the connections of a trial went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailurePattern {
    /// All that was asked for was held.
    Reached,
    /// As many close as open, without failures.
    Churn,
    /// Open stays level while attempts fail.
    Plateau,
    /// Open still rises, far slower than asked.
    Slope,
    /// At least half of the open connections are lost within 2 s.
    Collapse,
    /// A collapse, then a rise.
    Sawtooth,
}

/// A collapse loses this share of the open connections ...
const COLLAPSE_SHARE: f64 = 0.5;
/// ... of what was open while nearly all were ...
const NEARLY_ALL: f64 = 0.75;
/// ... within this time.
const COLLAPSE_MS: f64 = 2000.0;
/// A slope opens less than this share of the asked rate.
const SLOPE_RATE: f64 = 0.5;
/// Churn may fail this share of its connects.
const CHURN_FAILURES: f64 = 0.01;

/// The first step that failed.
pub(crate) fn first_failed(record: &TrialRecord) -> Option<&StepRecord> {
    record.steps.iter().find(|step| !step.passed)
}

/// The pattern of a trial; `None` where no step ran.
pub(crate) fn of_trial(record: &TrialRecord, series: &TimeSeries) -> Option<FailurePattern> {
    record.steps.first()?;
    let Some(step) = first_failed(record) else { return Some(FailurePattern::Reached) };
    if let Some(fell_at) = collapse(record, step, series) {
        let after = series.between(Component::Generator, Metric::Open, fell_at, step.ended_ms);
        let low = after.iter().map(|(_, open)| *open).fold(f64::INFINITY, f64::min);
        let rose = after.iter().skip_while(|(_, open)| *open > low).map(|(_, open)| *open).fold(0.0, f64::max);
        let high = peak(record, step, series);
        return Some(if rose - low >= COLLAPSE_SHARE * high {
            FailurePattern::Sawtooth
        } else {
            FailurePattern::Collapse
        });
    }
    let before_open = step.errors.iter().filter(|error| error.at != FailedAt::Open);
    let before_open: f64 = before_open.map(|error| error.count as f64).sum();
    if step.lost > 0 && before_open < CHURN_FAILURES * step.issued.max(1) as f64 {
        return Some(FailurePattern::Churn);
    }
    Some(if before_open == 0.0 || is_slope(record, step, series) {
        FailurePattern::Slope
    } else {
        FailurePattern::Plateau
    })
}

/// Moment from which at least half of the connections are lost within 2 s, and far faster than they were opened: where
/// each is closed a fixed time after it opened, all that are open are always lost within that time, one after the other.
pub(crate) fn collapse(record: &TrialRecord, step: &StepRecord, series: &TimeSeries) -> Option<f64> {
    // What is lost in the step past the edge is lost there.
    let next = record.steps.iter().map(|other| other.started_ms).find(|started| *started >= step.ended_ms);
    let to = next.map_or(step.ended_ms + 1000.0, |next| next.min(step.ended_ms + 1000.0));
    let losses = series.between(Component::Generator, Metric::Lost, step.started_ms - 1000.0, to);
    if losses.len() < 2 {
        let had = seen(record, step, series);
        return (step.lost as f64 >= COLLAPSE_SHARE * had && step.lost > 0).then_some(step.started_ms);
    }
    let opened_per_ms = step.requested_per_s / 1e3;
    let peak = seen(record, step, series);
    losses.iter().enumerate().find_map(|(at, (t, lost))| {
        let open = series.at(Component::Generator, Metric::Open, *t)?;
        // The end of a slow fall is none.
        if open < 1.0 || open < NEARLY_ALL * peak {
            return None;
        }
        let half = COLLAPSE_SHARE * open;
        let (ticks, (moment, _)) = losses[at..].iter().enumerate().find(|(_, (_, later))| later - lost >= half)?;
        let took_ms = moment - t;
        // Within two samples anything may have been at once.
        let at_once = ticks <= 2 || took_ms <= 0.5 * half / opened_per_ms.max(1e-9);
        (took_ms <= COLLAPSE_MS && at_once).then_some(*t)
    })
}

/// Most connections open at any moment up to the end of a step.
pub(crate) fn peak(record: &TrialRecord, step: &StepRecord, series: &TimeSeries) -> f64 {
    let seen = seen(record, step, series);
    if collapse(record, step, series).is_none() {
        return seen;
    }
    // What was lost at once was open at once, also where no sample fell in between.
    let all = opened_before(record, step) + step.opened as f64;
    seen.max(all.min((step.open + step.lost) as f64))
}

/// Open at the end of the step before, of the same launch.
fn opened_before(record: &TrialRecord, step: &StepRecord) -> f64 {
    let before = record.steps.iter().take_while(|other| !std::ptr::eq(*other, step));
    before.filter(|other| other.launch == step.launch).last().map_or(0.0, |other| other.open as f64)
}

/// Most connections that a count has seen.
fn seen(record: &TrialRecord, step: &StepRecord, series: &TimeSeries) -> f64 {
    let sampled = series.between(Component::Generator, Metric::Open, step.started_ms, step.ended_ms);
    let sampled = sampled.iter().map(|(_, open)| *open).fold(0.0, f64::max);
    let reached = opened_before(record, step).max(step.open as f64);
    // The record's own peak knows what was held between two samples.
    let known = record.ceiling.map_or(0.0, |bracket| bracket.peak as f64);
    reached.max(sampled).max(if is_last_launch(record, step) { known } else { 0.0 })
}

fn is_last_launch(record: &TrialRecord, step: &StepRecord) -> bool {
    record.steps.iter().all(|other| other.launch <= step.launch)
}

/// Connections kept opening, slower than asked: the step took more than twice the time the asked rate would have taken
/// for what it opened.
fn is_slope(record: &TrialRecord, step: &StepRecord, series: &TimeSeries) -> bool {
    let gain = series.between(Component::Generator, Metric::Open, step.started_ms, step.opened_ms);
    let before = gain.first().map_or(0.0, |(_, open)| *open);
    let rise = gain.iter().map(|(_, open)| open - before).fold(0.0, f64::max);
    let (Some((done_ms, _)), true) = (gain.iter().find(|(_, open)| open - before >= 0.95 * rise), rise >= 10.0) else {
        return false;
    };
    let rate = 0.95 * rise / ((done_ms - step.started_ms) / 1e3).max(1e-3);
    // One sample's worth of time is not evidence of slowness; the asked time of the gain is compared with it.
    let asked_ms = rise / step.requested_per_s.max(1e-9) * 1e3;
    let slow = rate < SLOPE_RATE * step.requested_per_s && done_ms - step.started_ms > asked_ms + 750.0;
    let calm = record.steps.iter().find(|other| other.passed).and_then(|other| other.handshake.p99_us);
    slow && calm.zip(step.handshake.p99_us).is_none_or(|(calm, now)| now as f64 > 10.0 * calm as f64)
}
