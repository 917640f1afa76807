//! Memory that grows while the connections stay as many: a leak, a cache, a heap that nobody cleans up.

use std::fmt;

use serde::Serialize;

use super::cost::{Course, Traffic, nearest, samples_within};
use super::least_squares::{Row, Solution, Terms, inflation, non_negative};
use super::time_series::TimeSeries;
use wsceiling_model::format::{self, Unit};
use wsceiling_model::record::{Component, Metric, StepRecord, TrialRecord};

/// A coefficient is real if it is more than so many of its standard errors.
const ERRORS: f64 = 3.0;
/// Growth is real if it is more than this share of what the memory of the trial grew.
const SHARE: f64 = 0.05;
/// The same where holds are so short that what connections take a little late cannot be told from growth.
const SHARE_AT_ONCE: f64 = 0.3;
/// By so long after the opening, connections have taken what they take.
const LATE_MS: f64 = 900.0;
/// Degrees of freedom that the windows leave at least.
const FREEDOM: usize = 3;
/// Time and messages are not told apart above this variance inflation; as for CPU.
const INFLATION: f64 = 30.0;
/// Windows in one hold at most, and how long each is at least; where these are too few, half as long.
const WINDOWS_MAX: f64 = 8.0;
const WINDOW_MS: f64 = 500.0;
const SHORT_WINDOW_MS: f64 = 250.0;

const TIME: usize = 0;
const MESSAGES: usize = 1;
const ONLY_TIME: Terms = [true, false, false, false];
const ONLY_MESSAGES: Terms = [false, true, false, false];
const BOTH: Terms = [true, true, false, false];

/// How memory grows while the connections stay as many, over all instances.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Growth {
    /// Bytes per second, whatever is sent. Where [`Self::with`] is [`GrowsWith::Either`] it is the growth under this load.
    pub bytes_per_second: f64,
    /// Bytes that each message leaves behind.
    pub bytes_per_message: f64,
    /// What it grows with.
    pub with: GrowsWith,
    /// Part of all that the memory of the trial grew by, 0 to 1.
    pub share: f64,
}

/// What memory grows with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrowsWith {
    /// Time.
    Time,
    /// Messages.
    Messages,
    /// Both.
    Both,
    /// Time or messages: the load does not tell them apart.
    Either,
}

impl fmt::Display for Growth {
    /// `1.20 KiB/s`, `64 B with each message`, `1.20 KiB/s with time or messages`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = format!("{}/s", format::quantity(Unit::Bytes, self.bytes_per_second));
        let per_message = format!("{} with each message", format::quantity(Unit::Bytes, self.bytes_per_message));
        match self.with {
            GrowsWith::Time => f.write_str(&per_second),
            GrowsWith::Messages => f.write_str(&per_message),
            GrowsWith::Both => write!(f, "{per_second} and {per_message}"),
            GrowsWith::Either => write!(f, "{per_second} with time or messages"),
        }
    }
}

impl Growth {
    fn terms(&self) -> Terms {
        match self.with {
            GrowsWith::Time | GrowsWith::Either => ONLY_TIME,
            GrowsWith::Messages => ONLY_MESSAGES,
            GrowsWith::Both => BOTH,
        }
    }
}

/// A window in which connections stay as many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StillWindow {
    from_ms: f64,
    to_ms: f64,
    messages: f64,
}

/// How the memory of a trial grows while the connections stay as many: see [`still_windows`]. `None`: it does not, or not by so much that it stands out of the scatter and matters.
pub(crate) fn growth(record: &TrialRecord, series: &TimeSeries) -> Option<Growth> {
    let windows = still_windows(record, series);
    let (found, with) = tell(&rows(&windows, |t| used(series, t)))?;
    let [bytes_per_second, bytes_per_message, ..] = found.coefficients;
    let (all, seconds, sent) = of_launches(record, series)?;
    let share = (bytes_per_second * seconds + bytes_per_message * sent) / all;
    let least = if looks_late(record) { SHARE } else { SHARE_AT_ONCE };
    (all > 0.0 && share > least).then(|| Growth { bytes_per_second, bytes_per_message, with, share: share.min(1.0) })
}

/// Growth within the step that failed, from when each connection had a message until the first failure: where no step
/// passed, it is all that there is. Two points make no fit, so it is told with less confidence.
pub(crate) fn growth_in(step: &StepRecord, first_failure_ms: f64, series: &TimeSeries) -> Option<Growth> {
    let moments = series.moments(series.instances().next()?);
    let still: Vec<f64> = moments.iter().copied().filter(|t| *t >= settled(step) && *t < first_failure_ms).collect();
    let (from, to) = (*still.first()?, *still.last()?);
    let first = *moments.iter().rfind(|t| **t <= step.started_ms)?;
    let all = used(series, to)? - used(series, first)?;
    let bytes_per_second = (used(series, to)? - used(series, from)?) / (to - from).max(1.0) * 1e3;
    let share = bytes_per_second * (to - step.opened_ms) / 1e3 / all;
    let real = to - from >= WINDOW_MS / 2.0 && all > 0.0 && share > SHARE;
    real.then(|| Growth { bytes_per_second, bytes_per_message: 0.0, with: GrowsWith::Either, share: share.min(1.0) })
}

/// What the windows grow with, and how much. `None`: nothing that stands out of the scatter.
fn tell(rows: &[Row]) -> Option<(Solution, GrowsWith)> {
    let is_real = |fit: &Solution, term: usize| fit.t(term).is_some_and(|t| t > ERRORS);
    let told = inflation(rows, BOTH)[TIME] <= INFLATION;
    let both = fit(rows, BOTH).filter(|fit| told && is_real(fit, TIME) && is_real(fit, MESSAGES));
    let time = fit(rows, ONLY_TIME).filter(|fit| is_real(fit, TIME));
    let messages = fit(rows, ONLY_MESSAGES).filter(|fit| is_real(fit, MESSAGES));
    match (both, time, messages) {
        (Some(both), ..) => Some((both, GrowsWith::Both)),
        // Either explains it: where one does so clearly better, it is that one.
        (None, Some(time), Some(messages)) if told && clearly(&time, &messages) => Some((time, GrowsWith::Time)),
        (None, Some(time), Some(messages)) if told && clearly(&messages, &time) => {
            Some((messages, GrowsWith::Messages))
        }
        (None, Some(time), Some(_)) => Some((time, GrowsWith::Either)),
        (None, Some(time), None) => Some((time, GrowsWith::Time)),
        (None, None, Some(messages)) => Some((messages, GrowsWith::Messages)),
        (None, None, None) => None,
    }
}

/// Whether a fit leaves less than another one by what an F test with one degree of freedom at 95 % asks for, about 4.
fn clearly(better: &Solution, worse: &Solution) -> bool {
    let error = better.residual.unwrap_or(0.0);
    worse.squares - better.squares > 4.0 * error * error
}

/// The same growth of a part of the memory: bytes per second and per message.
pub(crate) fn of_part(windows: &[StillWindow], growth: &Growth, value: impl Fn(f64) -> Option<f64>) -> (f64, f64) {
    let fit = fit(&rows(windows, value), growth.terms());
    fit.map_or((0.0, 0.0), |fit| (fit.coefficients[TIME], fit.coefficients[MESSAGES]))
}

/// Memory that is charged to connections, over all instances: page cache is given back under pressure and does not grow
/// with connections.
pub(crate) fn used(series: &TimeSeries, t_ms: f64) -> Option<f64> {
    let of = |instance: Component| {
        let file = series.at(instance, Metric::MemoryFile, t_ms).unwrap_or(0.0);
        Some(series.at(instance, Metric::MemoryCurrent, t_ms)? - file)
    };
    let mut instances = series.instances().peekable();
    instances.peek()?;
    instances.map(of).sum()
}

/// The same by the last sample of each instance at or before a moment: after the last step there is often none.
fn last_used(series: &TimeSeries, t_ms: f64) -> Option<f64> {
    let of = |instance: Component| {
        let last = |metric| Some(series.near(instance, metric, t_ms)?.1);
        Some(last(Metric::MemoryCurrent)? - last(Metric::MemoryFile).unwrap_or(0.0))
    };
    series.instances().map(of).sum()
}

/// When windows begin in a hold, and how long they are at least in milliseconds.
type Tried = (fn(&StepRecord) -> f64, f64);

/// Windows in which connections stay as many: over the second halves of the holds and over the probes. Where that is too
/// little to tell anything, also over the first halves, from when each connection has had a message, and in the end in
/// shorter windows: a few short holds are all that many a trial has.
pub(crate) fn still_windows(record: &TrialRecord, series: &TimeSeries) -> Vec<StillWindow> {
    let halves = |step: &StepRecord| f64::midpoint(step.opened_ms, hold_ends(step));
    let tried: [Tried; 3] = [(halves, WINDOW_MS), (settled, WINDOW_MS), (settled, SHORT_WINDOW_MS)];
    let windows = tried.map(|(from, least_ms)| windows_from(record, series, from, least_ms));
    let enough = windows.iter().position(|windows| windows.len() > FREEDOM).unwrap_or(windows.len() - 1);
    windows.into_iter().nth(enough).unwrap_or_default()
}

/// Whether some hold is so long that its second half tells growth from what connections take late.
fn looks_late(record: &TrialRecord) -> bool {
    let half = |step: &StepRecord| (hold_ends(step) - step.opened_ms) / 2.0;
    record.steps.iter().any(|step| step.passed && half(step) >= LATE_MS)
}

fn hold_ends(step: &StepRecord) -> f64 {
    step.probe_from_ms.unwrap_or(step.ended_ms)
}

/// When each connection has had a message in the hold, which is half of it at the latest.
fn settled(step: &StepRecord) -> f64 {
    let hold_ms = hold_ends(step) - step.opened_ms;
    let each_ms = hold_ms * step.open as f64 / (step.messages_sent as f64).max(1.0);
    step.opened_ms + each_ms.max(WINDOW_MS).min(hold_ms / 2.0)
}

fn windows_from(
    record: &TrialRecord,
    series: &TimeSeries,
    from: fn(&StepRecord) -> f64,
    least_ms: f64,
) -> Vec<StillWindow> {
    let Some(first) = series.instances().next() else { return Vec::new() };
    let moments = series.moments(first);
    let mut windows = Vec::new();
    for step in record.steps.iter().filter(|step| step.passed) {
        let course = Course::new(record, step.launch, Traffic::default());
        let (from, hold_ends) = (from(step), hold_ends(step));
        let parts = ((hold_ends - from) / least_ms).floor().clamp(1.0, WINDOWS_MAX) as u32;
        let part = |at: u32| from + (hold_ends - from) * f64::from(at) / f64::from(parts);
        let ends = (0..=parts).map(part).chain([step.ended_ms]);
        // No window reaches into what the next step opens.
        let still = samples_within(moments, from, step.ended_ms);
        let ends: Vec<f64> = ends.filter_map(|t| nearest(still, t)).collect();
        windows.extend(ends.windows(2).filter(|ends| ends[1] > ends[0]).map(|ends| {
            let messages = course.between(ends[0], ends[1]).messages;
            StillWindow { from_ms: ends[0], to_ms: ends[1], messages }
        }));
    }
    windows
}

fn rows(windows: &[StillWindow], value: impl Fn(f64) -> Option<f64>) -> Vec<Row> {
    let row = |window: &StillWindow| {
        let y = value(window.to_ms)? - value(window.from_ms)?;
        Some(Row { x: [(window.to_ms - window.from_ms) / 1e3, window.messages, 0.0, 0.0], y, sigma: 1.0 })
    };
    windows.iter().filter_map(row).collect()
}

fn fit(rows: &[Row], terms: Terms) -> Option<Solution> {
    let taken = terms.iter().filter(|term| **term).count();
    if rows.len() < taken + FREEDOM { None } else { non_negative(rows, terms) }
}

/// What memory grew by from the first connect to the last good step, in how many seconds and with how many messages, over
/// all launches.
fn of_launches(record: &TrialRecord, series: &TimeSeries) -> Option<(f64, f64, f64)> {
    let mut total = (0.0, 0.0, 0.0);
    let mut launches: Vec<u32> = record.steps.iter().map(|step| step.launch).collect();
    launches.dedup();
    for launch in launches {
        let own = || record.steps.iter().filter(|step| step.launch == launch);
        let ends = own().next().zip(own().rfind(|step| step.passed));
        let Some((StepRecord { started_ms, .. }, StepRecord { ended_ms, .. })) = ends else { continue };
        let asked = Course::new(record, launch, Traffic::default()).between(*started_ms, *ended_ms);
        total.0 += last_used(series, *ended_ms)? - last_used(series, *started_ms)?;
        total.1 += asked.seconds;
        total.2 += asked.messages;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_simulate::law::{self, Drive, LAW, Law, Scatter};

    /// The growth of one trial under a law.
    fn grown(law: &Law, drive: &Drive) -> Option<Growth> {
        let scatter = Scatter { trials: 0.04, samples: 0.05, bytes: 20_000.0 };
        let (record, samples) = law::trial("cell", 1, law, drive, scatter);
        growth(&record, &TimeSeries::new(&samples))
    }

    #[test]
    fn memory_that_grows_is_told_from_connections_and_time_from_messages() {
        let drive = Drive::new(2.0, 5.0);
        assert_eq!(grown(&LAW, &drive), None);
        let leak = Law { leak_per_message: 400.0, ..LAW };
        let found = grown(&leak, &drive).unwrap();
        assert_eq!(found.with, GrowsWith::Messages);
        assert!((found.bytes_per_message - 400.0).abs() < 40.0, "{found:?}");
        let seconds = Law { leak_per_second: 600_000.0, ..LAW };
        let found = grown(&seconds, &drive).unwrap();
        assert_eq!((found.with, found.to_string().contains("/s")), (GrowsWith::Time, true), "{found:?}");
        assert!((found.bytes_per_second - 600_000.0).abs() < 60_000.0, "{found:?}");
        // The share is that of the leak in all that grew: 3,000 connections and what leaked in 15 seconds.
        let truth = 600_000.0 * 15.4 / (600_000.0 * 15.4 + 3_000.0 * 8_000.0);
        assert!((found.share - truth).abs() < 0.05, "{found:?} {truth}");
        // A soak at one number sends as many messages in each second.
        let soak = Drive { steps: vec![2_000], ..Drive::new(20.0, 1.0) };
        let found = grown(&leak, &soak).unwrap();
        assert_eq!(found.with, GrowsWith::Either);
        assert!(found.to_string().ends_with("with time or messages"), "{found}");
    }

    #[test]
    fn one_good_hold_is_enough_where_each_connection_had_a_message_early() {
        let once = Drive { steps: vec![500], ..Drive::new(3.0, 0.5) };
        assert_eq!(grown(&LAW, &once), None);
        let leak = Law { leak_per_message: 16_000.0, ..LAW };
        let found = grown(&leak, &once).unwrap();
        let per_second = found.bytes_per_second + found.bytes_per_message * 1000.0;
        assert!((per_second - 16e6).abs() < 1e6, "{found:?}");
    }

    #[test]
    fn three_short_holds_with_a_sample_each_quarter_of_a_second_are_enough_to_see_a_leak() {
        let short = Drive { steps: vec![200, 400, 600], sample_ms: 250.0, ..Drive::new(1.5, 1.0) };
        assert_eq!(grown(&LAW, &short), None);
        let leak = Law { leak_per_second: 8_000_000.0, ..LAW };
        let found = grown(&leak, &short).unwrap();
        let per_second = found.bytes_per_second + found.bytes_per_message * 400.0;
        assert!((per_second - 8e6).abs() < 1e6 && found.share > 0.8, "{found:?}");
    }

    #[test]
    fn what_the_next_step_opens_before_its_first_sample_is_no_growth() {
        // A step ends anywhere between two samples, and the next one opens at once.
        for more_ms in 0..10 {
            let hold = 2.0 + f64::from(more_ms) * 0.025;
            let rough = Drive { steps: vec![200, 400, 600, 800, 1000], sample_ms: 250.0, ..Drive::new(hold, 20.0) };
            assert_eq!(grown(&Law { bytes: 90_000.0, ..LAW }, &rough), None, "{hold}");
        }
    }

    #[test]
    fn no_sample_after_the_last_step_is_needed() {
        let leak = Law { leak_per_message: 20_000.0, ..LAW };
        let (record, mut samples) = law::trial(
            "cell",
            1,
            &leak,
            &Drive::new(2.0, 1.0),
            Scatter { trials: 0.04, samples: 0.05, bytes: 20_000.0 },
        );
        let ended_ms = record.steps.last().unwrap().ended_ms;
        samples.retain(|sample| sample.t_ms < ended_ms);
        let found = growth(&record, &TimeSeries::new(&samples)).unwrap();
        assert!(found.share > 0.5, "{found:?}");
    }

    #[test]
    fn in_short_holds_a_little_growth_is_what_connections_take_late() {
        // An eighth of what the connections take.
        let late = Law { leak_per_second: 250_000.0, ..LAW };
        assert_eq!(grown(&late, &Drive::new(0.5, 5.0)), None);
        assert!(grown(&late, &Drive::new(2.0, 5.0)).is_some());
        let much = Law { leak_per_second: 4_000_000.0, ..LAW };
        assert!(grown(&much, &Drive::new(0.5, 5.0)).is_some());
    }

    /// What windows of a second grow with, each of so many messages and bytes.
    fn told(windows: &[(f64, f64)]) -> Option<GrowsWith> {
        let row = |(messages, y): &(f64, f64)| Row { x: [1.0, *messages, 0.0, 0.0], y: *y, sigma: 1.0 };
        tell(&windows.iter().map(row).collect::<Vec<_>>()).map(|(_, with)| with)
    }

    #[test]
    fn what_explains_it_clearly_better_is_named_and_else_both_are() {
        // 100 bytes a message, and a scatter of 10; time alone would explain it with more than 3 errors too.
        let messages: Vec<_> = (0..12).map(|at| f64::from(at % 3 + 1) * 5.0).collect();
        let by = |of: fn(f64) -> f64| {
            let scattered =
                |(at, messages): (usize, &f64)| (*messages, of(*messages) + if at % 2 == 0 { 10.0 } else { -10.0 });
            told(&messages.iter().enumerate().map(scattered).collect::<Vec<_>>())
        };
        assert_eq!(by(|messages| 100.0 * messages), Some(GrowsWith::Messages));
        assert_eq!(by(|_| 900.0), Some(GrowsWith::Time));
        assert_eq!(by(|messages| 900.0 + 100.0 * messages), Some(GrowsWith::Both));
        assert_eq!(by(|_| 0.0), None);
        // Nearly as many messages in each second: a difference of 2 % is not trusted, however well it fits.
        let even: Vec<_> =
            (0..12).map(|at| 100.0 + f64::from(at % 3)).map(|messages| (messages, messages * 50.0)).collect();
        assert_eq!(told(&even), Some(GrowsWith::Either));
    }

    #[test]
    fn growth_that_is_a_trifle_is_none() {
        // 4 % of what the connections take.
        let trifle = Law { leak_per_second: 60_000.0, ..LAW };
        assert_eq!(grown(&trifle, &Drive::new(2.0, 5.0)), None);
    }
}
