//! The line of the record of a simulated trial.

use std::collections::BTreeMap;

use base64::Engine as _;
use hdrhistogram::serialization::{Serializer as _, V2Serializer};

use super::course::{Course, Fail, Leg};
use super::{LEAD_MS, Script};
use wsceiling_model::matrix::Runtime;
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{
    AgeCounts, AppliedLimit, Bracket, Component, Event, Exit, FailedAt, FailureReason, FailureTally, Gate, GateName,
    InstanceRecord, Latency, LogSign, LostAges, Outcome, StepRecord, TrialRecord,
};

impl Fail {
    /// Upgrades that succeeded after the first failure.
    fn after_failure(&self, opened: u64) -> u64 {
        let slow = matches!(self.course, Course::Slope(_)) && self.failures() > 0.0;
        self.opened_after.unwrap_or(if slow { opened / 2 } else { 0 })
    }
}

impl Script {
    pub(super) fn record(&self, end: f64, sources: BTreeMap<Component, BTreeMap<String, String>>) -> TrialRecord {
        let steps: Vec<StepRecord> = self.legs.iter().map(|leg| self.step(leg)).collect();
        let good = steps.iter().filter(|step| step.passed).map(|step| u64::from(step.target)).max().unwrap_or(0);
        let bad = steps.iter().find(|step| !step.passed).map(|step| u64::from(step.target));
        let mut peak = steps.iter().map(|step| step.open).max().unwrap_or(0);
        if let Some(Fail { course: Course::Collapse(most), .. }) = self.legs.last().and_then(|leg| leg.fail.as_ref()) {
            peak = peak.max(*most as u64);
        }
        let exited = self.exit.iter().map(|exit| Event {
            t_ms: exit.t_ms,
            component: Some(Component::Instance(0)),
            what: "instance-0 ended by itself".into(),
        });
        let outcome = if bad.is_some() { Outcome::Ceiling } else { Outcome::Ok };
        TrialRecord {
            started: Some(format!("2026-11-24T03:{:02}:00Z", 10 + self.repeat)),
            duration_ms: end + 900.0,
            to_first_connect_ms: Some(LEAD_MS),
            last_close_ms: Some(end + 400.0),
            instances: (0..self.cell.instances).map(|index| self.instance(index, end)).collect(),
            fronts: self.fronts.clone(),
            steps,
            ceiling: Some(Bracket { last_good: good, first_bad: bad, peak }),
            generator: Some(self.generator.clone()),
            headroom: self.headroom.clone(),
            events: exited.chain(self.events.iter().cloned()).collect(),
            sources,
            ..TrialRecord::unmeasured(TrialId::new(&self.cell.id, self.repeat), outcome)
        }
    }

    fn instance(&self, index: u32, end: f64) -> InstanceRecord {
        let docker = self.cell.runtime == Runtime::Docker;
        let enforced = if docker { "docker" } else { "cgroup1" };
        let asked = [
            ("cpus", self.size.cpus),
            ("memory_bytes", self.size.memory_bytes.map(|bytes| bytes as f64)),
            ("pids", self.size.pids.map(|pids| pids as f64)),
        ];
        let limits = asked.into_iter().filter_map(|(name, value)| Some(AppliedLimit::enforced(name, value?, enforced)));
        let stopped = Exit { code: Some(0), signal: None, oom_killed: Some(false), requested: true, t_ms: end + 600.0 };
        let own = self.exit.clone().filter(|_| index == 0);
        InstanceRecord {
            index,
            launch: 0,
            address: if docker {
                format!("172.18.0.{}:9000", index + 2)
            } else {
                format!("127.0.0.1:{}", 40_001 + index)
            },
            pid: Some(4100 + index),
            container: docker.then(|| format!("{:064x}", 0xc0_ffee_u64 + u64::from(index))),
            image: docker.then(|| format!("sha256:{:064x}", 0xbeef)),
            command: vec![self.cell.target.clone(), "--address".into(), format!("127.0.0.1:{}", 40_001 + index)],
            binary_sha256: Some(format!("{:064x}", 0xec_u64)),
            limits: limits.collect(),
            log_signs: self.log_signs(index),
            log_tail: if own.is_some() || index == 0 { self.log.clone() } else { Vec::new() },
            exit: Some(own.unwrap_or(stopped)),
            log: Some(format!("logs/{}.{}.0-{index}.log", self.cell.id, self.repeat)),
        }
    }

    /// What instance 0 wrote in the step that failed.
    fn log_signs(&self, index: u32) -> Vec<LogSign> {
        let after_ms = self.failed().map(|leg| leg.start);
        let lines = self.log.iter().filter(|_| index == 0);
        lines.map(|line| LogSign { line: line.clone(), after_ms }).collect()
    }

    fn step(&self, leg: &Leg) -> StepRecord {
        let at_end = self.moment(leg.end);
        let open = at_end.open.round() as u64;
        let wanted = (leg.target - leg.before) as u64;
        let fail = leg.fail.as_ref();
        let held = (open as f64 * fail.map_or(1.0, |fail| fail.held)).round() as u64;
        let issued = (wanted as f64 * fail.map_or(1.0, |fail| fail.issued)).round() as u64;
        let opened = (self.moment(leg.end).opened - self.moment(leg.start).opened).round() as u64;
        let seconds = (leg.opened - leg.start) / 1e3;
        let messages = open * self.load.hold.as_millis() as u64 / self.load.message.every.as_millis() as u64;
        let p99 = fail.map_or(900 + open / 20, |fail| fail.p99_us);
        let answered = if fail.is_some_and(|fail| fail.unanswered) { 0 } else { messages * held / open.max(1) };
        let reply = latency(if open == 0 || answered == 0 { 0 } else { messages }, p99 / 4, p99);
        let mut step = StepRecord {
            kind: leg.kind,
            target: leg.target as u32,
            started_ms: leg.start,
            opened_ms: leg.opened,
            ended_ms: leg.end,
            due: wanted,
            issued,
            opened: opened.min(issued),
            opened_after_failure: Some(fail.map_or(0, |fail| fail.after_failure(opened.min(issued)))),
            last_opened_ms: Some(self.last_opened_ms(leg)),
            open,
            held,
            lost: at_end.lost.round() as u64,
            open_ages: self.ages(leg).1,
            requested_per_s: self.load.rate,
            achieved_per_s: (opened as f64 / seconds).round(),
            messages_due: messages,
            messages_sent: messages,
            messages_answered: answered,
            slowest_reply_us: fail.and_then(|fail| fail.slowest_reply_us).or((answered > 0).then_some(p99)),
            connect: latency(opened, 110, 420),
            handshake: latency(opened, p99 / 6 + 100, p99 + 200),
            reply,
            spread: match fail.map(|fail| &fail.spread) {
                Some(own) if !own.is_empty() => own.clone(),
                _ if self.fronts.is_empty() => spread(open, self.cell.instances),
                _ => vec![open],
            },
            upstream_spread: if self.fronts.is_empty() { Vec::new() } else { spread(open, self.cell.instances) },
            errors: fail.map_or(Vec::new(), |fail| self.errors(leg, fail)),
            lost_ages: fail.map_or_else(Vec::new, |fail| self.ages_lost(leg, fail)),
            answers: fail.map_or_else(Vec::new, |_| self.answers.clone()),
            lag_us_max: fail.map_or(900, |fail| fail.lag_us * 2),
            lag_us_p99: fail.map_or(450, |fail| fail.lag_us),
            ..StepRecord::default()
        };
        // Rounded, so that a number reads back from JSON as the very same one.
        let value = |name: GateName| name.measure(&step).map(|value| (value * 1e4).round() / 1e4);
        let gate = |name: GateName| Gate::new(name, value(name), name.limit(&self.load.gates));
        step.gates = GateName::ALL.map(gate).to_vec();
        step.passed = step.gates.iter().all(|gate| gate.passed);
        step
    }

    /// What the step lost by reason, with ages: those that the script says, or that a lifetime gives.
    fn ages_lost(&self, leg: &Leg, fail: &Fail) -> Vec<LostAges> {
        let counts = self.ages(leg).0;
        let reason = fail.errors.iter().find(|(at, _, _)| *at == FailedAt::Open).map(|(_, reason, _)| reason.clone());
        let Some(reason) = reason.filter(|_| self.lost_ages.is_empty() && !counts.is_empty()) else {
            return self.lost_ages.clone();
        };
        // They had said something at any time of the last second.
        let mut quiet = AgeCounts::default();
        (0..counts.count()).for_each(|number| quiet.add((number * 618 % 1000) as u32));
        vec![LostAges { reason, count: counts.count(), silent: 0, age: counts.into(), quiet: quiet.into() }]
    }

    /// Ages of those that the step lost, and of those that it left open; none where they have no lifetime.
    fn ages(&self, leg: &Leg) -> (AgeCounts, AgeCounts) {
        let (mut lost, mut open) = (AgeCounts::default(), AgeCounts::default());
        let Some(Course::Lifetime(seconds, jitter)) = leg.fail.as_ref().map(|fail| &fail.course) else {
            return (lost, open);
        };
        for number in 0..(leg.target - leg.before) as u32 {
            // The golden ratio spreads them evenly, and neighbours have different ones.
            let spread = (f64::from(number) * 0.618_034).fract() * 2.0 - 1.0;
            let life_ms = seconds * 1e3 * (1.0 + jitter * spread);
            let most_ms = leg.end - leg.start - f64::from(number) / self.load.rate * 1e3;
            if life_ms <= most_ms { lost.add(life_ms as u32) } else { open.add(most_ms.max(0.0) as u32) }
        }
        (lost, open)
    }

    fn last_opened_ms(&self, leg: &Leg) -> f64 {
        match leg.fail.as_ref() {
            Some(Fail {
                course: Course::Plateau(open) | Course::Collapse(open), opened_after: None | Some(0), ..
            }) => leg.start + ((open - leg.before) / self.load.rate * 1e3).max(0.0),
            _ => leg.opened - 20.0,
        }
    }

    fn errors(&self, leg: &Leg, fail: &Fail) -> Vec<FailureTally> {
        let first = |at: FailedAt, reason: &FailureReason| match fail.course {
            Course::Lifetime(seconds, jitter) => leg.start + seconds * (1.0 - jitter) * 1e3,
            _ if reason.is_timeout() => self.trouble() + 5000.0,
            _ => self.trouble() + if at == FailedAt::Open { 40.0 } else { 60.0 },
        };
        fail.errors
            .iter()
            .map(|(at, reason, count)| FailureTally {
                at: *at,
                reason: reason.clone(),
                count: *count,
                first_ms: first(*at, reason).min(leg.end) as u64,
            })
            .collect()
    }
}

fn spread(open: u64, instances: u32) -> Vec<u64> {
    let instances = u64::from(instances);
    (0..instances).map(|index| open / instances + u64::from(index < open % instances)).collect()
}

/// A latency distribution with about these percentiles.
pub fn latency(count: u64, p50_us: u64, p99_us: u64) -> Latency {
    if count == 0 {
        return Latency::default();
    }
    let mut histogram = hdrhistogram::Histogram::<u64>::new(3).unwrap();
    let parts = count.min(200);
    for part in 0..parts {
        let quantile = (part as f64 + 0.5) / parts as f64;
        let growth = (p99_us as f64 / p50_us.max(1) as f64).powf((quantile - 0.5) / 0.49);
        let times = count / parts + u64::from(part < count % parts);
        histogram.record_n((p50_us.max(1) as f64 * growth).max(1.0) as u64, times).unwrap();
    }
    let at = |quantile| Some(histogram.value_at_quantile(quantile));
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(&histogram, &mut bytes).unwrap();
    Latency {
        count,
        p50_us: at(0.5),
        p90_us: at(0.9),
        p99_us: at(0.99),
        p999_us: at(0.999),
        max_us: Some(histogram.max()),
        histogram: Some(base64::engine::general_purpose::STANDARD.encode(bytes)),
    }
}
