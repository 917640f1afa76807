//! What the rules ask: the record of one trial, looked at around the first step that failed.

use super::{Evidence, Shape, words};
use crate::shape;
use crate::tracks::Tracks;
use wsceiling_model::matrix::{Cell, Front, Load, Size};
use wsceiling_model::record::{
    Component, Environment, Exit, FailedAt, FailureTally, FrontRecord, Gate, GateName, InstanceRecord, Metric,
    RunHeader, StepRecord, TrialRecord, client_limits,
};

/// A trial and what is known around it.
pub(crate) struct Facts<'a> {
    pub record: &'a TrialRecord,
    pub cell: &'a Cell,
    pub size: Option<&'a Size>,
    /// Settings of the front of the cell.
    pub front: Option<&'a Front>,
    pub environment: &'a Environment,
    pub tracks: &'a Tracks,
    pub shape: Shape,
    /// The first step that failed.
    pub failed: Option<&'a StepRecord>,
    /// What failed in it; attempts that were made again with another port are none.
    failures: Vec<FailureTally>,
    /// When the first connection that failed began to suffer: a timeout is seen long after its cause.
    pub first_failure_ms: Option<f64>,
    /// From just before the failed step to just after it: counters are compared between these.
    pub from: f64,
    pub to: f64,
}

/// A counter that rose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rise {
    pub component: Component,
    pub by: f64,
    /// First sample at which it had risen.
    pub onset_ms: f64,
}

impl<'a> Facts<'a> {
    /// `None` where no step was driven.
    pub(crate) fn new(
        header: &'a RunHeader,
        cell: &'a Cell,
        record: &'a TrialRecord,
        tracks: &'a Tracks,
    ) -> Option<Self> {
        let shape = shape::shape(record, tracks)?;
        let failed = shape::first_failed(record);
        let last = record.steps.last()?;
        let (from, to) = failed.map_or((last.started_ms, last.ended_ms), |step| (step.started_ms, step.ended_ms));
        // Instances that were launched again count from 0: their numbers are another window's.
        let next = record.steps.iter().find(|step| failed.is_some_and(|failed| step.launch > failed.launch));
        let to = next.map_or(to + 1000.0, |next| (to + 1000.0).min(next.started_ms));
        let errors = failed.map_or(&[][..], |step| &step.errors);
        let failures: Vec<FailureTally> =
            errors.iter().filter(|error| !client_limits::is_retried(error)).cloned().collect();
        let first_failure_ms = failed.and_then(|step| {
            let began = |error: &FailureTally| error.first_ms as f64 - waited_ms(error, &header.load);
            failures.iter().map(began).min_by(f64::total_cmp).map(|t| t.max(step.started_ms))
        });
        Some(Self {
            record,
            cell,
            size: cell.size.as_ref().and_then(|size| header.sizes.iter().find(|known| &known.name == size)),
            front: cell.front.as_ref().and_then(|front| header.fronts.iter().find(|known| &known.name == front)),
            environment: &header.environment,
            tracks,
            shape,
            failed,
            failures,
            first_failure_ms,
            from,
            to,
        })
    }

    /// A counter's rise in the window.
    pub(super) fn rise(&self, component: Component, metric: Metric) -> Option<Rise> {
        let (_, before) = self.tracks.near(component, metric, self.from)?;
        let track = self.tracks.between(component, metric, self.from, self.to);
        let (onset_ms, _) = *track.iter().find(|(_, value)| *value > before)?;
        let after = track.iter().map(|(_, value)| *value).fold(before, f64::max);
        Some(Rise { component, by: after - before, onset_ms })
    }

    /// The largest rise of a counter over all instances. In a shared network namespace all of them show the same.
    pub(crate) fn server_rise(&self, metric: Metric) -> Option<Rise> {
        let rises = self.instances().filter_map(|instance| self.rise(instance, metric));
        rises.max_by(|a, b| a.by.total_cmp(&b.by).then(b.component.cmp(&a.component)))
    }

    /// The largest value of a gauge in the window, with its moment.
    pub(crate) fn most(&self, component: Component, metric: Metric) -> Option<(f64, f64)> {
        let track = self.tracks.between(component, metric, self.from, self.to).iter().copied();
        track.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.total_cmp(&a.0)))
    }

    pub(crate) fn instances(&self) -> impl Iterator<Item = Component> {
        self.tracks.instances()
    }

    /// CPU that a component used between two moments, in cores.
    pub(super) fn cores(&self, component: Component, from: f64, to: f64) -> Option<f64> {
        let track = self.tracks.between(component, Metric::CpuUsage, from, to);
        let ((t0, v0), (t1, v1)) = (*track.first()?, *track.last()?);
        (t1 > t0 && v1 >= v0).then(|| (v1 - v0) / (t1 - t0) / 1e3)
    }

    /// CPU of all instances in the failed step, in cores.
    pub(super) fn server_cores(&self) -> Option<f64> {
        let all: Vec<f64> = self.instances().filter_map(|c| self.cores(c, self.from, self.to)).collect();
        (!all.is_empty()).then(|| all.iter().sum())
    }

    /// Ends of instances that nobody asked for, of the launch that failed.
    pub(super) fn exits(&self) -> impl Iterator<Item = (&'a InstanceRecord, &'a Exit)> {
        let launch = self.failed.map(|step| step.launch);
        let record = self.record;
        record
            .instances
            .iter()
            .filter(move |instance| Some(instance.launch) == launch)
            .filter_map(|instance| Some((instance, instance.exit.as_ref()?)))
            .filter(|(_, exit)| !exit.requested)
    }

    /// A log line of the failed launch that has one of the patterns (compared in lower case).
    pub(super) fn log_line(&self, patterns: &[&str]) -> Option<(Component, &'a str)> {
        let launch = self.failed.map(|step| step.launch);
        let record = self.record;
        record.instances.iter().filter(|instance| Some(instance.launch) == launch).find_map(|instance| {
            let has = |line: &&String| {
                let line = line.to_lowercase();
                patterns.iter().any(|pattern| line.contains(pattern))
            };
            let line = instance.log_signs.iter().chain(&instance.log_tail).find(has)?;
            Some((Component::Instance(instance.index), line.as_str()))
        })
    }

    /// Stages of the front that stood there when the trial failed.
    pub(super) fn fronts(&self) -> impl Iterator<Item = &'a FrontRecord> {
        let launch = self.failed.map(|step| step.launch);
        self.record.fronts.iter().filter(move |front| Some(front.launch) == launch)
    }

    /// The first stage of the front whose log has one of these known lines, with the example that was kept.
    pub(super) fn front_line(&self, names: &[&str]) -> Option<(&'a FrontRecord, u64)> {
        let count = |front: &FrontRecord| names.iter().filter_map(|name| front.known_lines.get(*name)).sum::<u64>();
        self.fronts().map(|front| (front, count(front))).find(|(_, count)| *count > 0)
    }

    /// How often each known line is in the log of a stage, with an example.
    pub(super) fn front_evidence(front: &FrontRecord) -> Vec<Evidence> {
        let each = |(name, count): (&String, &u64)| Evidence {
            component: Component::Front(front.index),
            name: format!("log lines `{name}`"),
            before: None,
            after: Some(words::count(*count as f64)),
            source: format!("log of the {}", front.kind),
        };
        let lines = front.known_lines.iter().map(each);
        let example = front.log_tail.first().filter(|_| !front.known_lines.is_empty()).map(|line| Evidence {
            component: Component::Front(front.index),
            name: "log".into(),
            before: None,
            after: Some(line.clone()),
            source: format!("log of the {}", front.kind),
        });
        lines.chain(example).collect()
    }

    /// Failures of the failed step.
    pub(super) fn failures(&self) -> &[FailureTally] {
        &self.failures
    }

    /// How many failures the failed step has.
    pub(super) fn failed_count(&self) -> f64 {
        self.failures().iter().map(|error| error.count as f64).sum()
    }

    /// Share of the failures that a cause's symptoms cover; 0 where nothing failed.
    pub(super) fn share(&self, covers: impl Fn(&FailureTally) -> bool) -> f64 {
        let covered: f64 = self.failures().iter().filter(|error| covers(error)).map(|error| error.count as f64).sum();
        if covered > 0.0 { covered / self.failed_count() } else { 0.0 }
    }

    /// How far the trial's trouble is that of a server that is too slow: connects or upgrades that time out, or, where
    /// nothing failed, a gate on replies or latency.
    pub(super) fn slowness(&self) -> f64 {
        let Some(step) = self.failed else { return 0.0 };
        if self.failures.is_empty() {
            return if step.lost == 0 { 1.0 } else { 0.0 };
        }
        // A gate with nothing to measure says nothing about slowness, unless messages were due and none was answered.
        let late = |gate: &Gate| {
            gate.name != GateName::Connected && !gate.passed && (gate.value.is_some() || step.messages_due > 0)
        };
        if self.exits().next().is_some() || !step.gates.iter().any(late) {
            return self.share(is_timeout);
        }
        // Late answers are trouble of their own beside the failures of a few; and who answers late also loses
        // connections: it drops slow readers, or a heartbeat runs out.
        if step.gates.iter().any(|gate| gate.name == GateName::Connected && gate.passed) {
            return 1.0;
        }
        self.share(|error| is_timeout(error) || error.at == FailedAt::Open)
    }

    /// Whether a moment fits the first failure: within a second, and the time between two samples, of it.
    pub(super) fn at_first_failure(&self, moment: f64) -> bool {
        self.first_failure_ms.is_none_or(|first| (moment - first).abs() <= 1000.0 + self.beat_ms())
    }

    /// Whether a moment fits the first loss of an open connection, in the same way.
    pub(super) fn at_first_loss(&self, moment: f64) -> bool {
        let open = self.failures.iter().filter(|error| error.at == FailedAt::Open);
        let first = open.map(|error| error.first_ms as f64).reduce(f64::min);
        first.is_some_and(|first| (moment - first).abs() <= 1000.0 + self.beat_ms())
    }

    /// Time between two samples.
    pub(super) fn beat_ms(&self) -> f64 {
        let moments = self.tracks.components().next().map_or(&[][..], |component| self.tracks.moments(component));
        let mut beats: Vec<f64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        beats.sort_by(f64::total_cmp);
        beats.get(beats.len() / 2).copied().unwrap_or(250.0)
    }

    /// Most connections open up to the end of the failed step.
    pub(crate) fn peak(&self) -> f64 {
        self.failed.map_or(0.0, |step| shape::peak(self.record, step, self.tracks))
    }

    /// Connections at which it stopped, for sentences: the peak of a collapse, else what was open in the end.
    pub(crate) fn held_at_failure(&self) -> f64 {
        match (self.shape, self.failed) {
            (Shape::Collapse | Shape::Sawtooth, _) | (_, None) => self.peak(),
            (_, Some(step)) => step.open as f64,
        }
    }

    /// Share of the open connections that an instance has.
    pub(super) fn share_of(&self, component: Component) -> f64 {
        let (Component::Instance(index), Some(step)) = (component, self.failed) else { return 1.0 };
        let even = 1.0 / f64::from(self.cell.instances.max(1));
        // After a collapse the spread is that of the survivors; connections were dealt out in turn.
        if step.open == 0 || matches!(self.shape, Shape::Collapse | Shape::Sawtooth) {
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

    /// Cores of the machine.
    pub(super) fn cores_of_the_machine(&self) -> Option<f64> {
        self.environment.facts.get("cpu.cores").and_then(|cores| cores.parse().ok())
    }

    /// A sampled number before and after; of a gauge the largest value is what counts.
    pub(super) fn evidence(&self, component: Component, metric: Metric) -> Option<Evidence> {
        let before = self.tracks.near(component, metric, self.from).map(|(_, value)| value)?;
        let after = self.most(component, metric).map(|(_, value)| value);
        let source = self.record.sources.get(&component).and_then(|sources| sources.get(metric.name()));
        Some(Evidence {
            component,
            name: metric.name().into(),
            before: Some(words::metric(metric, before)),
            after: after.map(|value| words::metric(metric, value)),
            source: source.cloned().unwrap_or_else(|| "source not recorded".into()),
        })
    }

    /// Several of them.
    pub(super) fn all_evidence(&self, component: Component, metrics: &[Metric]) -> Vec<Evidence> {
        metrics.iter().filter_map(|metric| self.evidence(component, *metric)).collect()
    }
}

/// How long a failed connection had waited when its failure was noticed.
fn waited_ms(error: &FailureTally, load: &Load) -> f64 {
    if !is_timeout(error) {
        return 0.0;
    }
    let limit = if error.at == FailedAt::Handshake { load.handshake_timeout } else { load.connect_timeout };
    limit.as_secs_f64() * 1e3
}

/// The client gave up waiting.
pub(super) fn is_timeout(error: &FailureTally) -> bool {
    error.at != FailedAt::Open && error.reason.is_timeout()
}

/// The other side broke the connection, or refused it.
pub(super) fn is_broken(error: &FailureTally) -> bool {
    error.reason.is_broken()
}

/// Status of a refusal in HTTP.
pub(super) fn http_status(error: &FailureTally) -> Option<u16> {
    error.reason.http_status()
}
