//! The readings of one source over a trial: on the trial's clock, without jumps at restarts, and with what failed how often.

use std::collections::BTreeMap;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use wsceiling_model::record::{
    Component, Event, EventKind, Exit, HopKind, Metric, RestartSign, Sample, ScrapeFault, Warning,
};

use crate::reading::{Number, Reading};
use crate::scraper::Row;

/// Clocks that differ by less are taken for one: the clock of an HTTP answer has whole seconds.
const SAME_CLOCK_S: f64 = 1.5;
/// Start times that differ by less are one: some exporters compute them anew, from a boot time that the kernel adjusts.
const SAME_START_S: f64 = 1.0;
/// A boot time moves with each adjustment of the clock.
const SAME_BOOT_S: f64 = 5.0;
/// A counter that falls below this part of its value began anew; a smaller step back is another process's, or a kernel's
/// that counts waiting for I/O.
const RESTARTED_BELOW: f64 = 0.5;
/// Samples older than so many periods are stale.
const STALE_PERIODS: f64 = 3.0;

/// What is known of one source.
pub(crate) struct Track {
    component: Component,
    source: String,
    every: Duration,
    /// The trial's start, in seconds since 1970 on this machine's clock.
    epoch_unix_s: f64,
    /// How far the source's clock is ahead of this machine's.
    ahead_s: f64,
    counters: BTreeMap<Metric, Counter>,
    names: BTreeMap<String, Arc<str>>,
    starts: Vec<f64>,
    started: Option<String>,
    restarts: Option<u64>,
    exit: Option<Exit>,
    asked: u64,
    faults: Vec<(Discriminant<ScrapeFault>, Failure)>,
    events: Vec<Event>,
}

struct Failure {
    why: ScrapeFault,
    first_ms: f64,
    times: u64,
}

/// A metric of the source; only the ones that rise have a base.
#[derive(Default)]
struct Counter {
    last: f64,
    /// What was counted before the last restart.
    base: f64,
    at_unix_s: Option<f64>,
    seen: bool,
}

impl Track {
    pub fn new(component: Component, source: String, every: Duration, epoch_unix_s: f64) -> Self {
        Self {
            component,
            source,
            every,
            epoch_unix_s,
            ahead_s: 0.0,
            counters: BTreeMap::new(),
            names: BTreeMap::new(),
            starts: Vec::new(),
            started: None,
            restarts: None,
            exit: None,
            asked: 0,
            faults: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Takes a reading that came at `now_ms` of the trial; its numbers were so at `middle_ms` unless they say otherwise.
    pub fn take(&mut self, reading: Reading, middle_ms: f64, now_ms: f64) -> Vec<Row> {
        self.asked += 1;
        // One failure of a kind counts once for each reading.
        let mut faults = reading.faults.clone();
        self.set_clock(&reading, middle_ms, now_ms);
        let restart = match self.restart(&reading) {
            Ok(restart) => restart,
            Err(fault) => {
                faults.push(fault);
                self.fail(faults, now_ms);
                return Vec::new();
            }
        };
        if let Some(sign) = &restart {
            self.restarted(sign.clone(), now_ms);
            self.counters.values_mut().for_each(Counter::restart);
        }
        self.end(&reading, now_ms);
        let mut rows: Vec<Row> = Vec::new();
        let mut restarted = restart.is_some();
        for number in reading.numbers {
            let at_ms = match self.moment(&number, middle_ms, now_ms) {
                Ok(at_ms) => at_ms,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            let value = match self.counted(&number, &mut restarted, now_ms) {
                Ok(value) => value,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            // What was so before the trial is no sample of it.
            if at_ms >= 0.0 {
                self.add(&mut rows, at_ms, &number, value);
            }
        }
        self.fail(faults, now_ms);
        rows
    }

    fn add(&mut self, rows: &mut Vec<Row>, at_ms: f64, number: &Number, value: f64) {
        let source = &self.source;
        let named = self.names.entry(number.name.clone());
        let place = named.or_insert_with_key(|name| format!("{source} {name}").into());
        let place = (number.metric, Arc::clone(place));
        let at = rows.iter().position(|row| row.sample.t_ms.total_cmp(&at_ms).is_eq()).unwrap_or_else(|| {
            let sample = Sample { t_ms: at_ms, component: self.component, values: Vec::new() };
            rows.push(Row { sample, sources: Vec::new() });
            rows.len() - 1
        });
        let row = &mut rows[at];
        row.sample.values.push((number.metric, value));
        row.sample.values.sort_by_key(|(metric, _)| *metric);
        row.sources.push(place);
    }

    /// What the source's clock says against this machine's.
    fn set_clock(&mut self, reading: &Reading, middle_ms: f64, now_ms: f64) {
        if let Some(clock) = reading.clock_unix_s {
            let ahead = clock - self.unix_s(middle_ms);
            self.ahead_s = if ahead.abs() < SAME_CLOCK_S { 0.0 } else { ahead };
        }
        // Nothing can be known before it is so.
        let latest = reading.numbers.iter().filter_map(|number| number.at_unix_s).fold(f64::MIN, f64::max);
        let lead = latest - self.ahead_s - self.unix_s(now_ms);
        if lead > 0.0 {
            self.ahead_s += lead;
        }
    }

    fn unix_s(&self, t_ms: f64) -> f64 {
        self.epoch_unix_s + t_ms / 1000.0
    }

    /// The moment of a number on the trial's clock, or why it is none of now.
    fn moment(&mut self, number: &Number, middle_ms: f64, now_ms: f64) -> Result<f64, ScrapeFault> {
        let counter = self.counters.entry(number.metric).or_default();
        let Some(at) = number.at_unix_s else { return Ok(middle_ms) };
        let at_ms = (at - self.ahead_s - self.epoch_unix_s) * 1000.0;
        let repeated = || Err(ScrapeFault::Repeated { metric: number.metric.name().to_owned() });
        if counter.at_unix_s.is_some_and(|last| at.total_cmp(&last).is_eq()) {
            return repeated();
        }
        let age_ms = now_ms - at_ms;
        if age_ms > self.every.as_secs_f64() * 1000.0 * STALE_PERIODS {
            return Err(ScrapeFault::Stale { age_ms: age_ms as u64 });
        }
        if counter.at_unix_s.is_some_and(|last| at < last) {
            return repeated();
        }
        counter.at_unix_s = Some(at);
        Ok(at_ms)
    }

    /// The value, where a counter goes on over restarts.
    fn counted(&mut self, number: &Number, restarted: &mut bool, now_ms: f64) -> Result<f64, ScrapeFault> {
        let (metric, value) = (number.metric, number.value);
        if !is_counter(metric) {
            return Ok(value);
        }
        let counter = self.counters.entry(metric).or_default();
        if counter.seen && value < counter.last {
            if value > counter.last * RESTARTED_BELOW {
                return Err(ScrapeFault::WentBack { metric: metric.name().to_owned() });
            }
            let sign = RestartSign::Counter { metric: metric.name().to_owned(), from: counter.last, to: value };
            counter.restart();
            if !std::mem::replace(restarted, true) {
                self.restarted(sign, now_ms);
            }
        }
        let counter = self.counters.entry(metric).or_default();
        (counter.last, counter.seen) = (value, true);
        Ok(counter.base + value)
    }

    /// Whether what it tells of began anew since the last reading.
    fn restart(&mut self, reading: &Reading) -> Result<Option<RestartSign>, ScrapeFault> {
        let mut sign = None;
        let same_s = if self.component == Component::Host { SAME_BOOT_S } else { SAME_START_S };
        if let Some(start) = reading.started_unix_s {
            match self.starts.iter().position(|known| (known - start).abs() <= same_s) {
                Some(at) if at + 1 == self.starts.len() => {}
                None if self.starts.last().is_none_or(|last| start > *last) => {
                    sign = (!self.starts.is_empty()).then_some(RestartSign::StartTime);
                    self.starts.push(start);
                }
                // Time does not run back: that is another process.
                _ => return Err(ScrapeFault::SeveralProcesses { metric: "the start time".to_owned() }),
            }
        }
        if let Some(started) = &reading.started {
            let before = self.started.replace(started.clone());
            if before.is_some_and(|before| before != *started) {
                sign = sign.or(Some(RestartSign::StartTime));
            }
        }
        if let Some(restarts) = reading.restarts {
            let before = self.restarts.replace(restarts);
            if before.is_some_and(|before| restarts > before) {
                sign = Some(RestartSign::Engine { restarts });
            }
        }
        Ok(sign)
    }

    fn restarted(&mut self, sign: RestartSign, now_ms: f64) {
        let what = EventKind::Restarted { sign, source: self.source.clone() };
        self.events.push(Event { t_ms: now_ms, component: Some(self.component), what });
    }

    /// Writes down an end once.
    fn end(&mut self, reading: &Reading, now_ms: f64) {
        let Some(exit) = &reading.exit else {
            self.exit = None;
            return;
        };
        let exit = Exit { t_ms: now_ms, ..exit.clone() };
        let known = self.exit.as_ref().is_some_and(|known| Exit { t_ms: now_ms, ..known.clone() } == exit);
        self.exit = Some(exit.clone());
        if !known {
            let what = match self.component {
                Component::Front(_) => EventKind::FrontEnded { front: HopKind::Balancer, exit },
                _ => EventKind::InstanceEnded { exit },
            };
            self.events.push(Event { t_ms: now_ms, component: Some(self.component), what });
        }
    }

    fn fail(&mut self, faults: Vec<ScrapeFault>, now_ms: f64) {
        let mut counted = Vec::new();
        for why in faults {
            let kind = discriminant(&why);
            if counted.contains(&kind) {
                continue;
            }
            counted.push(kind);
            match self.faults.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, failure)) => failure.times += 1,
                None => self.faults.push((kind, Failure { why, first_ms: now_ms, times: 1 })),
            }
        }
    }

    /// What happened, and what was missing.
    pub fn finish(self) -> (Vec<Event>, Vec<Warning>) {
        let warnings = self.faults.into_iter().map(|(_, failure)| Warning::MetricsMissing {
            component: self.component,
            source: self.source.clone(),
            why: failure.why,
            first_ms: failure.first_ms,
            times: failure.times,
            of: self.asked,
        });
        (self.events, warnings.collect())
    }
}

impl Counter {
    /// What was counted stays; the next value counts from 0.
    fn restart(&mut self) {
        self.base += self.last;
        self.last = 0.0;
    }
}

/// Whether a metric only rises.
fn is_counter(metric: Metric) -> bool {
    metric.name().ends_with("_total")
}

#[cfg(test)]
mod tests;
