//! A simulated trial: a script of steps becomes a line of the record with its samples.

mod course;
mod lines;
mod samples;

use std::collections::BTreeMap;
use std::time::Duration;

use course::{Course, Leg};
pub use course::{Fail, Moment, rising};
use wsceiling_model::matrix::{Broadcast, Cell, Churn, Front, Load, Message, Runtime, Scenario, Size};
use wsceiling_model::record::{
    Answer, Component, Event, EventKind, Exit, FailedAt, FailureReason, FrontRecord, GeneratorRecord, HeadroomRecord,
    HopKind, LostAges, Metric, StepKind,
};

/// Idle time before the first step.
const LEAD_MS: f64 = 1000.0;

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
    /// The platform of a server that the harness does not start; empty: it is on none that is known.
    pub remote: Option<String>,
    /// What the client opened elsewhere.
    pub headroom: Option<HeadroomRecord>,
    fronts: Vec<FrontRecord>,
    repeat: u32,
    legs: Vec<Leg>,
    exit: Option<Exit>,
    events: Vec<Event>,
    log: Vec<String>,
    generator: GeneratorRecord,
    overrides: BTreeMap<(Component, Metric), Override>,
    noise: bool,
    sampled: bool,
    answers: Vec<Answer>,
    lost_ages: Vec<LostAges>,
}

/// The load that scripts start from.
pub fn load() -> Load {
    Load {
        step: 500,
        hold: Duration::from_secs(1),
        message: Message::plain(64, Duration::from_secs(1)),
        resolution: 0.05,
        narrow: 0,
        connect_timeout: Duration::from_secs(5),
        broadcast: Broadcast { room: 50, every: Duration::from_secs(1), bytes: 64 },
        churn: Churn { lifetime: Duration::from_secs(30) },
        ..Load::default()
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
        let generator = GeneratorRecord {
            workers: 1,
            containers: Vec::new(),
            descriptor_limit: 20_000,
            destinations: Vec::new(),
            sources: vec!["127.0.0.2".into()],
            ports_per_pair: 28_000,
            cpu_us: Some(900_000),
            busiest_worker_ratio: Some(0.41),
            cpus: Vec::new(),
            server_cpus: Vec::new(),
            limited_by: Vec::new(),
            nodes: Vec::new(),
        };
        Self {
            cell,
            size: Size::unlimited("small"),
            load: load(),
            facts: BTreeMap::new(),
            front: None,
            args: Vec::new(),
            headroom: None,
            fronts: Vec::new(),
            repeat,
            legs: Vec::new(),
            exit: None,
            events: Vec::new(),
            log: Vec::new(),
            generator,
            overrides: BTreeMap::new(),
            noise: false,
            sampled: true,
            answers: Vec::new(),
            lost_ages: Vec::new(),
            remote: None,
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

    /// Nothing of the server is sampled, only the generator.
    pub fn unsampled(mut self) -> Self {
        self.sampled = false;
        self
    }

    /// What upgrades of the failing step were answered with.
    pub fn answered(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// How old the connections were that were lost in the failing step.
    pub fn lost_ages(mut self, ages: Vec<LostAges>) -> Self {
        self.lost_ages = ages;
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
        let kind = StepKind::Staircase;
        self.legs.push(Leg { kind, start, opened, end: opened + self.hold_ms(), before, target, fail: None });
        self
    }

    /// After the step that fails so many are asked for again, of which so many are let in.
    pub fn again(self, asked: u32, let_in: u32, refusal: &str) -> Self {
        let open = self.next().1 as u32;
        let refused = u64::from(asked - let_in);
        let mut script = if refused == 0 {
            self.good(open + asked)
        } else {
            self.fail(Fail::plateau(open + let_in).error(FailedAt::Handshake, refusal, refused))
        };
        if let Some(last) = script.legs.last_mut() {
            last.kind = StepKind::Again;
        }
        script
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
            Course::Late | Course::Lifetime(..) | Course::ClosesNewest(_) => before + step,
        };
        let timeout = |(_, reason, _): &(FailedAt, FailureReason, u64)| reason.is_timeout();
        let waits = if fail.errors.iter().any(timeout) { 5000.0 } else { 50.0 };
        let opened = start + (target - before) / self.load.rate * 1e3 + waits;
        let end = opened + self.hold_ms();
        if let Course::Lifetime(seconds, _) = fail.course {
            let lost = ((end - start) / 1e3 - seconds) * self.load.rate;
            fail.errors[0].2 = lost.clamp(0.0, target - before) as u64;
        }
        if let Course::ClosesNewest(open) = fail.course {
            fail.errors[0].2 = (target - open) as u64;
        }
        let kind = StepKind::Staircase;
        self.legs.push(Leg { kind, start, opened, end, before, target, fail: Some(fail) });
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

    /// Something happens so long after the trouble began.
    pub fn event(mut self, after_ms: f64, component: Component, what: EventKind) -> Self {
        let t_ms = self.trouble() + after_ms;
        self.events.push(Event { t_ms, component: Some(component), what });
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
}
