//! What the rules ask: the record of one trial, looked at around the first step that failed.

mod admissions;
mod cpu;
mod distance;
mod evidence;
mod failures;
mod symptoms;

pub(crate) use admissions::Admissions;
pub(crate) use distance::{Distance, EdgeAnswered, describe_answer};
pub(crate) use evidence::{describe_exit, describe_hop};
pub(crate) use failures::is_timeout;

use std::time::Duration;

use crate::pattern::{self, FailurePattern};
use crate::time_series::TimeSeries;
use wsceiling_model::matrix::{Cell, Front, Size};
use wsceiling_model::record::{
    Component, Environment, Exit, FailureTally, FrontRecord, InstanceRecord, KnownLine, LogSign, Metric, RunHeader,
    StepRecord, TrialRecord, client_limits,
};

/// A trial and what is known around it.
pub(crate) struct TrialContext<'a> {
    pub record: &'a TrialRecord,
    pub cell: &'a Cell,
    pub size: Option<&'a Size>,
    /// Settings of the front of the cell.
    pub front: Option<&'a Front>,
    /// Facts of the machine that the instances run on; of one at a distance none is known.
    pub environment: &'a Environment,
    /// Where the server is, if the harness did not start it.
    pub distance: Option<Distance<'a>>,
    /// Longest message of the load in bytes.
    pub message_bytes: u32,
    /// How long the client waits for an upgrade.
    pub patience: Duration,
    /// Whether the record tells when lines of logs were written: since format 3.
    pub timed_logs: bool,
    pub series: &'a TimeSeries,
    pub pattern: FailurePattern,
    /// The first step that failed.
    pub failed: Option<&'a StepRecord>,
    /// What failed in it; attempts that were made again with another port are none.
    pub failures: Vec<FailureTally>,
    /// When the first connection that failed began to suffer: a timeout is seen long after its cause.
    pub first_failure_ms: Option<f64>,
    /// From just before the failed step to just after it: counters are compared between these.
    pub from: f64,
    pub to: f64,
    /// To just after the step past the edge, where there was one: what lasts is seen for longer.
    pub beyond: f64,
}

/// A counter that rose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rise {
    pub component: Component,
    pub by: f64,
    /// First sample at which it had risen.
    pub onset_ms: f64,
}

impl<'a> TrialContext<'a> {
    /// `None` where no step was driven.
    pub(crate) fn new(
        header: &'a RunHeader,
        cell: &'a Cell,
        record: &'a TrialRecord,
        series: &'a TimeSeries,
    ) -> Option<Self> {
        let pattern = pattern::of_trial(record, series)?;
        let failed = pattern::first_failed(record);
        let last = record.steps.last()?;
        let (from, to) = failed.map_or((last.started_ms, last.ended_ms), |step| (step.started_ms, step.ended_ms));
        // Instances that were launched again count from 0, and what is asked past the edge, or again, fails on its own
        // account: their numbers are another window's.
        let apart = |step: &&StepRecord, failed: &StepRecord| {
            step.launch > failed.launch || !step.kind.finds_ceiling() && step.started_ms > failed.started_ms
        };
        let next = record.steps.iter().find(|step| failed.is_some_and(|failed| apart(step, failed)));
        let relaunched = |step: &&StepRecord| failed.is_some_and(|failed| step.launch > failed.launch);
        let last_here = record.steps.iter().rfind(|step| failed.is_some_and(|failed| step.launch == failed.launch));
        let last_ended = last_here.map_or(to, |step| step.ended_ms);
        // Servers are launched again between two steps, and have samples before the next one starts.
        let launched_again = record.steps.iter().any(|step| relaunched(&step));
        let beyond = if launched_again { last_ended } else { last_ended + 1000.0 };
        let to = next.map_or(to + 1000.0, |next| {
            let ends = if relaunched(&next) { last_ended } else { next.started_ms };
            (to + 1000.0).min(ends)
        });
        let errors = failed.map_or(&[][..], |step| &step.errors);
        let failures: Vec<FailureTally> =
            errors.iter().filter(|error| !client_limits::is_retried(error)).cloned().collect();
        let first_failure_ms = failed.and_then(|step| {
            let began = |error: &FailureTally| error.first_ms as f64 - failures::waited_ms(error, &header.load);
            failures.iter().map(began).min_by(f64::total_cmp).map(|t| t.max(step.started_ms))
        });
        let distance = Distance::of(header, cell);
        Some(Self {
            record,
            cell,
            size: cell.size.as_ref().and_then(|size| header.sizes.iter().find(|known| &known.name == size)),
            front: cell.front.as_ref().and_then(|front| header.fronts.iter().find(|known| &known.name == front)),
            environment: if distance.is_some() { Distance::environment() } else { &header.environment },
            distance,
            message_bytes: header.load.message.longest(),
            patience: header.load.handshake_timeout,
            timed_logs: header.format >= 3,
            series,
            pattern,
            failed,
            failures,
            first_failure_ms,
            from,
            to,
            beyond,
        })
    }

    /// A counter's rise in the window.
    pub(crate) fn rise(&self, component: Component, metric: Metric) -> Option<Rise> {
        let (_, before) = self.series.near(component, metric, self.from)?;
        let points = self.series.between(component, metric, self.from, self.to);
        let (onset_ms, _) = *points.iter().find(|(_, value)| *value > before)?;
        let after = points.iter().map(|(_, value)| *value).fold(before, f64::max);
        Some(Rise { component, by: after - before, onset_ms })
    }

    /// The largest rise of a counter over all instances. In a shared network namespace all of them show the same.
    pub(crate) fn server_rise(&self, metric: Metric) -> Option<Rise> {
        let rises = self.instances().filter_map(|instance| self.rise(instance, metric));
        rises.max_by(|a, b| a.by.total_cmp(&b.by).then(b.component.cmp(&a.component)))
    }

    /// The largest value of a gauge in the window, with its moment.
    pub(crate) fn most(&self, component: Component, metric: Metric) -> Option<(f64, f64)> {
        let points = self.series.between(component, metric, self.from, self.to).iter().copied();
        points.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.total_cmp(&a.0)))
    }

    /// How far a counter rose in the window; 0 where it did not, or was not read.
    pub(crate) fn risen(&self, component: Component, metric: Metric) -> f64 {
        self.rise(component, metric).map_or(0.0, |rise| rise.by)
    }

    /// The largest value of a gauge in the window.
    pub(crate) fn highest(&self, component: Component, metric: Metric) -> Option<f64> {
        self.most(component, metric).map(|(_, value)| value)
    }

    /// Instances that were sampled.
    pub(crate) fn instances(&self) -> impl Iterator<Item = Component> {
        self.series.instances()
    }

    /// Ends of instances that nobody asked for, of the launch that failed.
    pub(crate) fn exits(&self) -> impl Iterator<Item = (&'a InstanceRecord, &'a Exit)> {
        let launch = self.failed.map(|step| step.launch);
        let record = self.record;
        record
            .instances
            .iter()
            .filter(move |instance| Some(instance.launch) == launch)
            .filter_map(|instance| Some((instance, instance.exit.as_ref()?)))
            .filter(|(_, exit)| !exit.requested)
    }

    /// Whether an instance ended by itself.
    pub(crate) fn ended(&self) -> bool {
        self.exits().next().is_some()
    }

    /// A log line of the failed launch that has one of the patterns (compared in lower case). Where the record tells when
    /// lines were written, only those count that were written in the failed step: what a server said before it, it
    /// survived.
    pub(crate) fn log_line(&self, patterns: &[&str]) -> Option<(Component, &'a str)> {
        let failed = self.failed?;
        let record = self.record;
        let instances = record.instances.iter().filter(|instance| instance.launch == failed.launch);
        instances.into_iter().find_map(|instance| {
            let has = |line: &str| {
                let line = line.to_lowercase();
                patterns.iter().any(|pattern| line.contains(pattern))
            };
            let timely = |sign: &&LogSign| sign.after_ms.is_some_and(|after_ms| after_ms >= failed.started_ms);
            let mut signs = instance.log_signs.iter().filter(|sign| !self.timed_logs || timely(sign));
            let sign = signs.find(|sign| has(&sign.line)).map(|sign| sign.line.as_str());
            let tail = || instance.log_tail.iter().map(String::as_str).find(|line| !self.timed_logs && has(line));
            Some((Component::Instance(instance.index), sign.or_else(tail)?))
        })
    }

    /// Hops of the front that stood there when the trial failed.
    pub(crate) fn fronts(&self) -> impl Iterator<Item = &'a FrontRecord> {
        let launch = self.failed.map(|step| step.launch);
        self.record.fronts.iter().filter(move |front| Some(front.launch) == launch)
    }

    /// The first hop of the front whose log has one of these known lines, with the example that was kept.
    pub(crate) fn front_line(&self, lines: &[KnownLine]) -> Option<(&'a FrontRecord, u64)> {
        let count = |front: &FrontRecord| lines.iter().filter_map(|line| front.known_lines.get(line)).sum::<u64>();
        self.fronts().map(|front| (front, count(front))).find(|(_, count)| *count > 0)
    }

    /// Whether a moment fits the first failure: within a second, and the time between two samples, of it.
    pub(crate) fn at_first_failure(&self, moment: f64) -> bool {
        self.first_failure_ms.is_none_or(|first| (moment - first).abs() <= 1000.0 + self.tick_ms())
    }

    /// Whether a moment fits the first loss of an open connection, in the same way.
    pub(crate) fn at_first_loss(&self, moment: f64) -> bool {
        self.first_lost_ms().is_some_and(|first| (moment - first).abs() <= 1000.0 + self.tick_ms())
    }

    /// Whether what lasted from one moment to another lasted into the failures, and did not end before them.
    pub(crate) fn lasts_into_failures(&self, from: f64, to: f64) -> bool {
        let first = self.first_failure_ms.unwrap_or(to);
        from <= first + 1000.0 + self.tick_ms() && to >= first - 1000.0 - self.tick_ms()
    }

    /// Time between two samples.
    pub(crate) fn tick_ms(&self) -> f64 {
        let moments = self.series.components().next().map_or(&[][..], |component| self.series.moments(component));
        let mut beats: Vec<f64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        beats.sort_by(f64::total_cmp);
        beats.get(beats.len() / 2).copied().unwrap_or(250.0)
    }

    /// Most connections open up to the end of the failed step.
    pub(crate) fn peak(&self) -> f64 {
        self.failed.map_or(0.0, |step| pattern::peak(self.record, step, self.series))
    }

    /// Connections at which it stopped, for sentences: the peak of a collapse, else what was open in the end.
    pub(crate) fn held_at_failure(&self) -> f64 {
        match (self.pattern, self.failed) {
            (FailurePattern::Collapse | FailurePattern::Sawtooth, _) | (_, None) => self.peak(),
            (_, Some(step)) => step.open as f64,
        }
    }

    /// Share of the open connections that an instance has.
    pub(crate) fn share_of(&self, component: Component) -> f64 {
        let (Component::Instance(index), Some(step)) = (component, self.failed) else { return 1.0 };
        let even = 1.0 / f64::from(self.cell.instances.max(1));
        // After a collapse the spread is that of the survivors; connections were dealt out in turn.
        if step.open == 0 || matches!(self.pattern, FailurePattern::Collapse | FailurePattern::Sawtooth) {
            return even;
        }
        // One that ended has none left.
        // Behind a front only its own connections tell; abandoned ones are among them.
        let spread = if step.upstream_spread.is_empty() { &step.spread } else { &step.upstream_spread };
        let all = if spread.len() == self.cell.instances as usize { spread.iter().sum::<u64>() } else { 0 };
        let own = spread.get(index as usize).filter(|own| **own > 0 && all > 0);
        own.map_or(even, |own| *own as f64 / all as f64)
    }

    /// Numbers of a kernel setting in the environment, by the end of its name (`tcp_mem`).
    pub(crate) fn setting(&self, name: &str) -> Vec<f64> {
        let ends = |key: &&String| key.rsplit(['.', '/']).next() == Some(name);
        let text = self.environment.facts.iter().find(|(key, _)| ends(key)).map(|(_, value)| value.as_str());
        text.unwrap_or_default().split_whitespace().filter_map(|number| number.parse().ok()).collect()
    }
}
