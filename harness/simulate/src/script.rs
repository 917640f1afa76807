//! A simulated trial: a script of steps becomes a line of the record with its samples.

mod lines;
mod model;

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Counters, generator, host, instance, source};

use wsceiling_model::matrix::{Broadcast, Cell, Churn, Front, Gates, Load, Message, Runtime, Scenario, Size};
use wsceiling_model::record::{
    Component, Exit, FailedAt, FailureReason, FrontRecord, GeneratorRecord, HeadroomRecord, HopKind, Metric, Sample,
    TrialRecord,
};

/// Idle time before the first step.
const LEAD_MS: f64 = 1000.0;
/// Time between two samples.
const BEAT_MS: f64 = 250.0;

/// What is going on at a moment of the trial.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub t_ms: f64,
    pub open: f64,
    /// Totals.
    pub opened: f64,
    pub due: f64,
    pub failed: f64,
    pub lost: f64,
    /// Within the step that fails.
    pub failing: bool,
    /// Seconds since that step began, and since its trouble began; negative before.
    pub since_failed_s: f64,
    pub since_trouble_s: f64,
}

/// How the failing step goes.
#[derive(Debug, Clone)]
enum Course {
    /// Opens at the asked rate up to a number, then no further.
    Plateau(f64),
    /// Opens evenly, and too slowly, up to a number.
    Slope(f64),
    /// Opens at the asked rate up to a number, then all is lost.
    Collapse(f64),
    /// Opens all; replies are late.
    Late,
    /// Opens all; each connection is closed after so many seconds.
    Lifetime(f64),
}

/// The failing step.
#[derive(Debug, Clone)]
pub struct Fail {
    course: Course,
    errors: Vec<(FailedAt, FailureReason, u64)>,
    p99_us: u64,
    lag_us: u64,
    issued: f64,
    held: f64,
    unanswered: bool,
    opened_after: Option<u64>,
}

impl Fail {
    fn new(course: Course) -> Self {
        Self {
            course,
            errors: Vec::new(),
            p99_us: 1500,
            lag_us: 900,
            issued: 1.0,
            held: 1.0,
            unanswered: false,
            opened_after: None,
        }
    }

    pub fn plateau(open: u32) -> Self {
        Self::new(Course::Plateau(f64::from(open)))
    }

    pub fn slope(open: u32) -> Self {
        Self { p99_us: 2_000_000, ..Self::new(Course::Slope(f64::from(open))) }
    }

    pub fn collapse(peak: u32) -> Self {
        Self::new(Course::Collapse(f64::from(peak)))
    }

    pub fn late(p99_us: u64) -> Self {
        Self { p99_us, ..Self::new(Course::Late) }
    }

    pub fn lifetime(seconds: f64, how: &str) -> Self {
        Self::new(Course::Lifetime(seconds)).error(FailedAt::Open, how, 1)
    }

    pub fn error(mut self, at: FailedAt, reason: &str, count: u64) -> Self {
        self.errors.push((at, reason.to_owned().into(), count));
        self
    }

    pub fn lag_p99(mut self, us: u64) -> Self {
        self.lag_us = us;
        self
    }

    /// No reply comes within the hold, so that there is nothing to measure.
    pub fn unanswered(mut self) -> Self {
        self.unanswered = true;
        self
    }

    /// Connections that were let in after the first failure; the default is none on a plateau and a collapse, else half.
    pub fn opened_after(mut self, count: u64) -> Self {
        self.opened_after = Some(count);
        self
    }

    /// Share of the connects due that were issued.
    pub fn issued(mut self, share: f64) -> Self {
        self.issued = share;
        self
    }

    /// Share of the open connections whose echo comes back.
    pub fn held(mut self, share: f64) -> Self {
        self.held = share;
        self
    }

    fn failures(&self) -> f64 {
        self.errors.iter().filter(|(stage, ..)| *stage != FailedAt::Open).map(|(.., count)| *count).sum::<u64>() as f64
    }
}

/// One step on the time line.
#[derive(Debug, Clone)]
struct Leg {
    start: f64,
    opened: f64,
    end: f64,
    before: f64,
    target: f64,
    fail: Option<Fail>,
}

type Override = Box<dyn Fn(&Moment) -> Option<f64>>;

/// A trial in the making.
pub struct Script {
    pub cell: Cell,
    pub size: Size,
    pub load: Load,
    pub facts: BTreeMap<String, String>,
    pub front: Option<Front>,
    /// Arguments of the server.
    pub args: Vec<String>,
    /// What the client opened elsewhere.
    pub headroom: Option<HeadroomRecord>,
    fronts: Vec<FrontRecord>,
    repeat: u32,
    legs: Vec<Leg>,
    exit: Option<Exit>,
    log: Vec<String>,
    generator: GeneratorRecord,
    overrides: BTreeMap<(Component, Metric), Override>,
    noise: bool,
}

/// The load that scripts start from.
pub fn load() -> Load {
    Load {
        step: 500,
        rate: 2000.0,
        hold: Duration::from_secs(1),
        max: 20_000,
        stages: Vec::new(),
        message: Message::plain(64, Duration::from_secs(1)),
        gates: Gates::default(),
        resolution: 0.05,
        narrow: 0,
        connect_timeout: Duration::from_secs(5),
        handshake_timeout: Duration::from_secs(5),
        workers: None,
        workers_in: None,
        broadcast: Broadcast { room: 50, every: Duration::from_secs(1), bytes: 64 },
        churn: Churn { lifetime: Duration::from_secs(30) },
        generator: wsceiling_model::matrix::GeneratorLimits::default(),
    }
}

/// A cell of the target `echo`, with the size `small`.
pub fn cell(id: &str, runtime: Runtime, instances: u32) -> Cell {
    let target = id.split('-').next().unwrap_or(id).to_owned();
    Cell {
        id: id.into(),
        target,
        runtime,
        instances,
        front: None,
        size: Some("small".into()),
        scenario: Scenario::Idle,
    }
}

impl Script {
    pub fn new(cell: Cell, repeat: u32) -> Self {
        let size = Size {
            name: "small".into(),
            cpus: None,
            memory_bytes: None,
            nofile: None,
            pids: None,
            price_per_month: None,
        };
        let generator = GeneratorRecord {
            workers: 1,
            containers: Vec::new(),
            descriptor_limit: 20_000,
            sources: vec!["127.0.0.2".into()],
            ports_per_pair: 28_000,
            cpu_us: Some(900_000),
            busiest_worker_ratio: Some(0.41),
            cpus: Vec::new(),
            server_cpus: Vec::new(),
            limited_by: Vec::new(),
        };
        Self {
            cell,
            size,
            load: load(),
            facts: BTreeMap::new(),
            front: None,
            args: Vec::new(),
            headroom: None,
            fronts: Vec::new(),
            repeat,
            legs: Vec::new(),
            exit: None,
            log: Vec::new(),
            generator,
            overrides: BTreeMap::new(),
            noise: false,
        }
    }

    pub fn load(mut self, step: u32, max: u32) -> Self {
        (self.load.step, self.load.max) = (step, max);
        self
    }

    pub fn rate(mut self, per_s: f64) -> Self {
        self.load.rate = per_s;
        self
    }

    pub fn size(mut self, change: impl FnOnce(&mut Size)) -> Self {
        change(&mut self.size);
        self
    }

    pub fn generator(mut self, change: impl FnOnce(&mut GeneratorRecord)) -> Self {
        change(&mut self.generator);
        self
    }

    /// A fact of the environment.
    pub fn fact(mut self, name: &str, value: &str) -> Self {
        self.facts.insert(name.into(), value.into());
        self
    }

    /// Arguments of the server.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self
    }

    /// A line of the log of instance 0.
    pub fn log(mut self, line: &str) -> Self {
        self.log.push(line.into());
        self
    }

    /// A front before the instances, as it was set up and as it is recorded.
    pub fn fronted(mut self, front: Front, change: impl FnOnce(&mut FrontRecord)) -> Self {
        let mut record = FrontRecord {
            index: 0,
            launch: 0,
            kind: HopKind::Proxy(front.kind),
            version: None,
            command: vec![front.name.clone()],
            config: None,
            binary_sha256: None,
            address: "127.0.0.1:39000".into(),
            upstreams: (0..self.cell.instances).map(|index| format!("127.0.0.1:{}", 40_001 + index)).collect(),
            sources: Vec::new(),
            ports_per_pair: Some(28_232),
            pid: Some(4000),
            container: None,
            image: None,
            limits: Vec::new(),
            exit: None,
            log: None,
            log_tail: Vec::new(),
            known_lines: BTreeMap::new(),
        };
        change(&mut record);
        self.cell.front = Some(front.name.clone());
        self.front = Some(front);
        self.fronts.push(record);
        self
    }

    /// Numbers that differ a little from trial to trial.
    pub fn noisy(mut self) -> Self {
        self.noise = true;
        self
    }

    pub fn set(
        mut self,
        component: Component,
        metric: Metric,
        value: impl Fn(&Moment) -> Option<f64> + 'static,
    ) -> Self {
        self.overrides.insert((component, metric), Box::new(value));
        self
    }

    /// A step to `target` that passes.
    pub fn good(mut self, target: u32) -> Self {
        let (start, before) = self.next();
        let target = f64::from(target);
        let opened = start + (target - before) / self.load.rate * 1e3 + 20.0;
        self.legs.push(Leg { start, opened, end: opened + self.hold_ms(), before, target, fail: None });
        self
    }

    /// Steps that pass, up to `target`.
    pub fn good_up_to(mut self, target: u32) -> Self {
        let step = self.load.step;
        let mut at = self.next().1 as u32 + step;
        while at < target {
            self = self.good(at);
            at += step;
        }
        self.good(target)
    }

    /// The step that fails.
    pub fn fail(mut self, mut fail: Fail) -> Self {
        let (start, before) = self.next();
        let step = f64::from(self.load.step);
        let target = match fail.course {
            Course::Plateau(open) | Course::Slope(open) | Course::Collapse(open) => {
                (open + fail.failures()).max(before + if fail.failures() > 0.0 { 0.0 } else { step })
            }
            Course::Late | Course::Lifetime(_) => before + step,
        };
        let timeout = |(_, reason, _): &(FailedAt, FailureReason, u64)| reason.is_timeout();
        let waits = if fail.errors.iter().any(timeout) { 5000.0 } else { 50.0 };
        let opened = start + (target - before) / self.load.rate * 1e3 + waits;
        let end = opened + self.hold_ms();
        if let Course::Lifetime(seconds) = fail.course {
            let lost = ((end - start) / 1e3 - seconds) * self.load.rate;
            fail.errors[0].2 = lost.clamp(0.0, target - before) as u64;
        }
        self.legs.push(Leg { start, opened, end, before, target, fail: Some(fail) });
        self
    }

    /// Instance 0 ends by itself a moment after the trouble began.
    pub fn exit(mut self, change: impl FnOnce(&mut Exit)) -> Self {
        let t_ms = self.trouble() + 100.0;
        let mut exit = Exit { code: None, signal: None, oom_killed: Some(false), requested: false, t_ms };
        change(&mut exit);
        self.exit = Some(exit);
        self
    }

    fn hold_ms(&self) -> f64 {
        self.load.hold.as_secs_f64() * 1e3
    }

    fn next(&self) -> (f64, f64) {
        let Some(leg) = self.legs.last() else { return (LEAD_MS, 0.0) };
        let before = match leg.fail.as_ref().map(|fail| &fail.course) {
            Some(Course::Plateau(open) | Course::Slope(open)) => *open,
            Some(Course::Collapse(_)) => 0.0,
            _ => leg.target,
        };
        (leg.end + 10.0, before)
    }

    /// The first step that fails; others may follow it, past the edge.
    fn failed(&self) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.fail.is_some())
    }

    /// When the trouble of the failing step begins.
    fn trouble(&self) -> f64 {
        let Some((leg, fail)) = self.failed().and_then(|leg| Some((leg, leg.fail.as_ref()?))) else {
            return f64::MAX;
        };
        match fail.course {
            Course::Plateau(open) | Course::Collapse(open) => leg.start + (open - leg.before) / self.load.rate * 1e3,
            _ => leg.start,
        }
    }

    /// The state of the generator at a moment.
    fn moment(&self, t_ms: f64) -> Moment {
        let failing = self.failed();
        let since = |from: f64| (t_ms - from) / 1e3;
        let mut moment = Moment {
            t_ms,
            open: 0.0,
            opened: 0.0,
            due: 0.0,
            failed: 0.0,
            lost: 0.0,
            failing: failing.is_some_and(|leg| (leg.start..=leg.end).contains(&t_ms)),
            since_failed_s: failing.map_or(-1e6, |leg| since(leg.start)),
            since_trouble_s: failing.map_or(-1e6, |_| since(self.trouble())),
        };
        for leg in self.legs.iter().filter(|leg| t_ms >= leg.start) {
            let wanted = leg.target - leg.before;
            let asked = (since(leg.start) * self.load.rate).min(wanted);
            moment.due += asked;
            let (opened, lost) = match &leg.fail {
                None => (asked, 0.0),
                Some(fail) => self.failing(leg, fail, t_ms, asked),
            };
            moment.opened += opened;
            moment.lost += lost;
            if let Some(fail) = &leg.fail {
                let first = self.trouble() + if leg.opened - leg.start > 4000.0 { 5000.0 } else { 0.0 };
                moment.failed += fail.failures() * (since(first) / 0.5).clamp(0.0, 1.0);
            }
        }
        moment.open = (moment.opened - moment.lost).max(0.0);
        moment
    }

    /// Opened and lost in the failing step.
    fn failing(&self, leg: &Leg, fail: &Fail, t_ms: f64, asked: f64) -> (f64, f64) {
        match fail.course {
            Course::Plateau(open) => (asked.min(open - leg.before), 0.0),
            Course::Slope(open) => {
                let share = (t_ms - leg.start) / (leg.opened - 500.0 - leg.start);
                ((open - leg.before) * share.clamp(0.0, 1.0), 0.0)
            }
            Course::Collapse(peak) => {
                let lost = peak * ((t_ms - self.trouble()) / 60.0).clamp(0.0, 1.0);
                (asked.min(peak - leg.before), lost)
            }
            Course::Late => (asked * fail.issued, 0.0),
            Course::Lifetime(seconds) => {
                let gone = ((t_ms - leg.start) / 1e3 - seconds) * self.load.rate;
                (asked, gone.clamp(0.0, leg.target - leg.before))
            }
        }
    }

    /// The line and the samples.
    pub fn finish(self) -> (TrialRecord, Vec<Sample>) {
        let end = self.legs.last().map_or(LEAD_MS, |leg| leg.end);
        let mut rng = fastrand::Rng::with_seed(u64::from(self.repeat) * 7919 + self.cell.id.len() as u64);
        let mut samples = Vec::new();
        let mut sources: BTreeMap<Component, BTreeMap<String, String>> = BTreeMap::new();
        let mut used = Counters::default();
        for beat in 0..=((end + 500.0) / BEAT_MS) as u32 {
            let t_ms = f64::from(beat) * BEAT_MS;
            let moment = self.moment(t_ms);
            used.advance(&moment, f64::from(self.cell.instances));
            for component in self.components(t_ms) {
                let mut values = self.values(component, &moment, &used, &mut rng);
                values.retain(|(_, value)| value.is_finite());
                for (metric, _) in &values {
                    let source = source(self.cell.runtime, component, *metric);
                    sources.entry(component).or_default().entry(metric.name().into()).or_insert(source);
                }
                samples.push(Sample { t_ms, component, values });
            }
        }
        (self.record(end, sources), samples)
    }

    fn components(&self, t_ms: f64) -> Vec<Component> {
        let mut all = vec![Component::Host, Component::Generator];
        let dead = |index: u32| index == 0 && self.exit.as_ref().is_some_and(|exit| exit.t_ms < t_ms);
        all.extend(self.fronts.iter().map(|front| Component::Front(front.index)));
        all.extend((0..self.cell.instances).filter(|index| !dead(*index)).map(Component::Instance));
        all
    }

    fn values(
        &self,
        component: Component,
        moment: &Moment,
        used: &Counters,
        rng: &mut fastrand::Rng,
    ) -> Vec<(Metric, f64)> {
        let noise = if self.noise { 1.0 + (rng.f64() - 0.5) * 0.004 } else { 1.0 };
        let instances = f64::from(self.cell.instances);
        let defaults = match component {
            Component::Host => host(moment, used, instances),
            Component::Generator => generator(moment, used, self.legs.last()),
            Component::Front(_) => Vec::new(),
            Component::Instance(_) => instance(moment, used, instances, noise, self.size.nofile),
        };
        let mut values: BTreeMap<Metric, f64> = defaults.into_iter().collect();
        for ((of, metric), value) in &self.overrides {
            if *of == component {
                match value(moment) {
                    Some(value) => values.insert(*metric, value),
                    None => values.remove(metric),
                };
            }
        }
        values.into_iter().collect()
    }
}

/// A counter that rises by `total` within a second of the trouble's begin.
pub fn rising(total: f64) -> impl Fn(&Moment) -> Option<f64> {
    move |moment| Some((total * moment.since_trouble_s.clamp(0.0, 1.0)).round())
}
