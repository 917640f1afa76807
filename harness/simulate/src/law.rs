//! A trial whose server follows a law: so much CPU for an idle connection, a message, an opening and itself, so much memory
//! for a connection. The samples come from going through the trial in small steps, not from the analysis' formulas.

use std::collections::BTreeMap;

use crate::Trial;
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{Component, Metric, Outcome, Sample, StepRecord, TrialRecord};

/// What a server takes.
#[derive(Debug, Clone, Copy)]
pub struct Law {
    /// CPU microseconds per second of an open connection, per message, per opening, and per second of the server itself.
    pub idle: f64,
    pub message: f64,
    pub opening: f64,
    pub baseline: f64,
    /// From so many connections on everything takes so many times the CPU.
    pub thrash: Option<(f64, f64)>,
    /// Bytes of a connection.
    pub bytes: f64,
    /// Bytes that a second and a message leave behind.
    pub leak_per_second: f64,
    pub leak_per_message: f64,
    /// Bytes of page cache that a connection takes away.
    pub cache_lost: f64,
}

/// An ordinary server: 8 micro-cores for an idle connection, 60 us for a message, 150 us to open one.
pub const LAW: Law = Law {
    idle: 8.0,
    message: 60.0,
    opening: 150.0,
    baseline: 2_000.0,
    thrash: None,
    bytes: 8_000.0,
    leak_per_second: 0.0,
    leak_per_message: 0.0,
    cache_lost: 0.0,
};

/// What the generator does.
#[derive(Debug, Clone)]
pub struct Drive {
    /// Connections of each step.
    pub steps: Vec<u32>,
    /// Connections opened per second.
    pub rate: f64,
    pub hold_s: f64,
    /// Time between two messages of a connection.
    pub every_s: f64,
    /// An opening is over so long after its last connection.
    pub settle_s: f64,
    /// In the probe each connection that was not answered in the hold is asked once. It is over 20 ms after the last one.
    pub probe_s: f64,
    pub sample_ms: f64,
}

impl Drive {
    /// Six steps of 500, sampled each 100 ms, with a probe of 300 ms.
    pub fn new(hold_s: f64, every_s: f64) -> Self {
        let steps = (1..=6).map(|step| step * 500).collect();
        Self { steps, rate: 2_000.0, hold_s, every_s, settle_s: 0.03, probe_s: 0.3, sample_ms: 100.0 }
    }
}

/// How far trials, and moments of one trial, are from the law.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scatter {
    /// Relative standard deviation of each number of the law from trial to trial.
    pub trials: f64,
    /// Relative standard deviation of the CPU of one sample interval.
    pub samples: f64,
    /// Standard deviation of a sampled memory in bytes.
    pub bytes: f64,
}

/// What happens for a time.
struct Phase {
    seconds: f64,
    openings: f64,
    /// Messages beside the first of each connection.
    messages: Messages,
}

enum Messages {
    /// Of each open connection per second.
    Each(f64),
    /// Evenly over the phase.
    All(f64),
}

/// From the last message of a probe to its end, in seconds.
const PROBE_TAIL_S: f64 = 0.02;
/// Time of one step of the simulation in milliseconds.
const TICK_MS: f64 = 1.0;

/// A trial of one instance under that law.
pub fn trial(cell: &str, repeat: u32, law: &Law, drive: &Drive, scatter: Scatter) -> Trial {
    let mut random = fastrand::Rng::with_seed(u64::from(repeat).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let law = law.of_trial(scatter.trials, &mut random);
    let mut server = Server::new(law, drive.sample_ms, scatter, random);
    let mut record = TrialRecord::unmeasured(TrialId::new(cell, repeat), Outcome::Ok);
    server.run(&Phase { seconds: 1.037, openings: 0.0, messages: Messages::All(0.0) });
    let mut before = 0.0;
    for target in &drive.steps {
        let open = f64::from(*target);
        let opened = open - before;
        let started_ms = server.t_ms;
        let each = 1.0 / drive.every_s;
        let opening = Phase { seconds: opened / drive.rate, openings: opened, messages: Messages::Each(each) };
        let settling = Phase { seconds: drive.settle_s, openings: 0.0, messages: Messages::Each(each) };
        let while_opening = server.run(&opening) + server.run(&settling);
        let opened_ms = server.t_ms;
        let sent = server.run(&Phase { seconds: drive.hold_s, openings: 0.0, messages: Messages::Each(each) });
        let unasked = open * (1.0 - drive.hold_s / drive.every_s).max(0.0);
        let probe_from_ms = (unasked > 0.0).then_some(server.t_ms);
        if unasked > 0.0 {
            let seconds = drive.probe_s - PROBE_TAIL_S;
            server.run(&Phase { seconds, openings: 0.0, messages: Messages::All(unasked) });
            server.run(&Phase { seconds: PROBE_TAIL_S, openings: 0.0, messages: Messages::All(0.0) });
        }
        record.steps.push(StepRecord {
            target: *target,
            started_ms,
            opened_ms,
            ended_ms: server.t_ms,
            opened: opened as u64,
            open: open as u64,
            held: open as u64,
            messages_opening: (opened + while_opening).round() as u64,
            messages_sent: sent.round() as u64,
            probe_from_ms,
            probes: unasked.round() as u64,
            passed: true,
            ..StepRecord::default()
        });
        server.run(&Phase { seconds: 0.013, openings: 0.0, messages: Messages::All(0.0) });
        before = open;
    }
    server.run(&Phase { seconds: 0.3, openings: 0.0, messages: Messages::All(0.0) });
    let metrics = [Metric::CpuUsage, Metric::MemoryCurrent, Metric::MemoryAnon, Metric::MemoryFile];
    let sources: BTreeMap<String, String> =
        metrics.into_iter().map(|metric| (metric.name().to_owned(), "simulated".to_owned())).collect();
    record.sources.insert(Component::Instance(0), sources);
    record.duration_ms = server.t_ms;
    (record, server.samples)
}

impl Law {
    fn of_trial(&self, scatter: f64, random: &mut fastrand::Rng) -> Self {
        let mut about = |value: f64| value * scatter.mul_add(normal(random), 1.0).max(0.0);
        Self {
            idle: about(self.idle),
            message: about(self.message),
            opening: about(self.opening),
            baseline: about(self.baseline),
            bytes: about(self.bytes),
            ..*self
        }
    }
}

/// A server under load.
struct Server {
    law: Law,
    scatter: Scatter,
    random: fastrand::Rng,
    sample_ms: f64,
    samples: Vec<Sample>,
    t_ms: f64,
    next_sample_ms: f64,
    open: f64,
    messages: f64,
    cpu_us: f64,
    /// CPU since the last sample, before it gets its error.
    recent_us: f64,
}

impl Server {
    fn new(law: Law, sample_ms: f64, scatter: Scatter, random: fastrand::Rng) -> Self {
        let samples = Vec::new();
        let (t_ms, open, messages, cpu_us, recent_us) = (0.0, 0.0, 0.0, 5_000.0, 0.0);
        Self { law, scatter, random, sample_ms, samples, t_ms, next_sample_ms: 0.0, open, messages, cpu_us, recent_us }
    }

    /// Goes through a phase; gives the messages that were sent in it.
    fn run(&mut self, phase: &Phase) -> f64 {
        let ticks = (phase.seconds * 1e3 / TICK_MS).round();
        let mut sent = 0.0;
        for _ in 0..ticks as u32 {
            if self.t_ms >= self.next_sample_ms {
                self.sample();
            }
            let opened = phase.openings / ticks;
            let open = self.open + opened / 2.0;
            let messages = match phase.messages {
                Messages::Each(per_second) => open * per_second * TICK_MS / 1e3,
                Messages::All(all) => all / ticks,
            };
            let law = &self.law;
            let seconds = TICK_MS / 1e3;
            let used = (law.baseline + law.idle * open) * seconds + law.message * messages + law.opening * opened;
            let factor = law.thrash.filter(|(from, _)| open >= *from).map_or(1.0, |(_, factor)| factor);
            self.recent_us += used * factor;
            self.open += opened;
            self.messages += messages;
            self.t_ms += TICK_MS;
            sent += messages;
        }
        sent
    }

    fn sample(&mut self) {
        self.cpu_us += self.recent_us * self.scatter.samples.mul_add(normal(&mut self.random), 1.0).max(0.0);
        self.recent_us = 0.0;
        let law = &self.law;
        let leaked = law.leak_per_second * self.t_ms / 1e3 + law.leak_per_message * self.messages;
        let anon = 3e6 + law.bytes * self.open + leaked + self.scatter.bytes * normal(&mut self.random);
        let file = (5e7 - law.cache_lost * self.open).max(0.0);
        let values = vec![
            (Metric::CpuUsage, self.cpu_us),
            (Metric::MemoryCurrent, anon + file),
            (Metric::MemoryAnon, anon),
            (Metric::MemoryFile, file),
        ];
        self.samples.push(Sample { t_ms: self.t_ms, component: Component::Instance(0), values });
        self.next_sample_ms += self.sample_ms;
    }
}

/// A number of the standard normal distribution (Box and Muller).
pub(crate) fn normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}
