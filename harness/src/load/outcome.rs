//! What came of a load: the numbers of all workers and stages together, the judgement and the verdict. The JSON form is
//! described in `docs/load.md`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde::{Serialize, Serializer};

use super::drive::{Run, StageRun, WorkersUsed};
use super::options::Options;
use super::threshold::Judged;
use super::{Preflight, hints, resolve, text};
use crate::matrix::Scenario;
use crate::record::{ErrorTally, Latency, Stage};
use crate::run::drive::client::Expect;
use crate::run::drive::histogram;
use crate::run::drive::limited::client_limits;
use crate::run::drive::protocol::{Failure, Histogram, Window};
use crate::run::drive::step::{self, Frame};

/// Version of the JSON form; raised when a field changes its meaning or goes.
pub const FORMAT: u32 = 1;

/// What came of a load.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// [`FORMAT`].
    pub format: u32,
    /// Name and version of the program.
    pub program: String,
    /// The server, without secrets.
    pub url: String,
    /// Start, RFC 3339.
    pub started: String,
    /// Length in seconds.
    pub duration_s: f64,
    /// How it ended.
    pub ended: Ended,
    /// What was asked for.
    pub request: Requested,
    /// Addresses of the server, with the connections open to each at the end.
    pub addresses: Vec<AddressUsed>,
    /// Version and cipher suite of TLS, where it was looked at.
    pub tls: Option<String>,
    /// What was assumed, for a person.
    pub assumptions: Vec<String>,
    /// Connections.
    pub connections: Connections,
    /// Rate of connects.
    pub rate: Rate,
    /// Messages of the holds.
    pub messages: Messages,
    /// Latencies in microseconds.
    pub latency: Latencies,
    /// Failures by stage and cause, most frequent first.
    pub errors: Vec<ErrorSummary>,
    /// The generator itself.
    pub own: Own,
    /// Each stage.
    pub stages: Vec<StageSummary>,
    /// The conditions.
    pub thresholds: Vec<Judged>,
    /// Whether the load ended by itself and all conditions are met.
    pub passed: bool,
    /// The outcome in a sentence.
    pub verdict: String,
}

/// How a load ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    #[default]
    Complete,
    /// By Ctrl-C.
    Interrupted,
    /// By `--max-duration`.
    MaxDuration,
    /// A worker failed, for this reason.
    GeneratorFailed(String),
}

impl Serialize for Ended {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Complete => to.serialize_str("complete"),
            Self::Interrupted => to.serialize_str("interrupted"),
            Self::MaxDuration => to.serialize_str("max-duration"),
            Self::GeneratorFailed(why) => to.serialize_str(&format!("generator-failed: {why}")),
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Requested {
    /// What connections do; `None` in an empty outcome.
    pub scenario: Option<Scenario>,
    /// What counts as an answer; `None`: what the app's protocol says.
    pub expect: Option<Expect>,
    /// Bytes of a message.
    pub message_bytes: u64,
    /// Seconds between two messages of a connection.
    pub every_s: f64,
}

/// An address of the server.
#[derive(Debug, Clone, Serialize)]
pub struct AddressUsed {
    /// The address, and whether it was used.
    #[serde(flatten)]
    pub address: resolve::Address,
    /// Connections open to it at the end.
    pub open: u64,
}

/// Connections.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Connections {
    /// Connections asked for: the sum of what the stages add.
    pub requested: u64,
    /// Connects that the schedule asked for, with those that replaced failed or closed ones.
    pub due: u64,
    /// Connects issued.
    pub issued: u64,
    /// Upgrades accepted.
    pub opened: u64,
    /// Connects that failed, at any stage.
    pub failed: u64,
    /// Open connections lost.
    pub lost: u64,
    /// Largest number open at once, as far as was seen.
    pub peak: u64,
    /// Open at the end of the last window.
    pub open: u64,
    /// Of those, the ones whose last message was answered.
    pub held: u64,
}

impl Connections {
    /// Connects that should have succeeded: those asked for, or where some were replaced all that were due.
    pub fn wanted(&self) -> u64 {
        self.requested.max(self.due)
    }
}

/// Rate of connects, per second.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Rate {
    /// Asked for: of the stage that adds most connections.
    pub requested_per_s: f64,
    /// Issued in it, from the start to the last connect.
    pub issued_per_s: f64,
    /// Opened in it, from the start to the last upgrade.
    pub achieved_per_s: f64,
}

/// Messages of the holds; of the openings, where no hold was reached.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Messages {
    /// Messages that the schedule asked for.
    pub due: u64,
    /// Sent. A message is not sent while the last one of its connection is unanswered.
    pub sent: u64,
    /// Answered.
    pub answered: u64,
    /// Messages from the server that answered nothing.
    pub unasked: u64,
    /// Per second of the holds.
    pub due_per_s: f64,
    /// See [`Self::due_per_s`].
    pub answered_per_s: f64,
    /// Answered while connections were opened, before the holds.
    pub answered_while_opening: u64,
}

/// Latencies, in microseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Latencies {
    /// TCP connect.
    pub connect: Latency,
    /// From the intended connect to the accepted upgrade, with TCP and TLS.
    pub handshake: Latency,
    /// From the intended sending of a message to its answer, in the same windows as [`Messages`].
    pub reply: Latency,
}

/// Failures of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorSummary {
    /// Stage, cause, count, and milliseconds to the first.
    #[serde(flatten)]
    pub tally: ErrorTally,
    /// What to do about it, where that is known.
    pub hint: Option<&'static str>,
}

/// The generator itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Own {
    /// Its workers.
    #[serde(flatten)]
    pub workers: WorkersUsed,
    /// CPU time in seconds.
    pub cpu_s: Option<f64>,
    /// Cores used on average.
    pub cpu_ratio: Option<f64>,
    /// Largest share of a core that one worker used over half a second.
    pub busiest_worker_ratio: Option<f64>,
    /// Largest memory of all workers in bytes.
    pub memory_bytes: Option<u64>,
    /// User memory of one connection in bytes.
    pub memory_per_connection_bytes: Option<f64>,
    /// Delay of the workers' loops behind their schedule, in microseconds.
    pub lag: Latency,
    /// Why the generator, and not the server, was the limit; empty: it was not.
    pub limited_by: Vec<String>,
    /// The same in a sentence.
    pub statement: String,
}

/// A stage.
#[derive(Debug, Clone, Serialize)]
pub struct StageSummary {
    /// Connections, connects per second and seconds that were asked for.
    pub to: u32,
    /// See [`Self::to`].
    pub rate_per_s: f64,
    /// See [`Self::to`].
    pub hold_s: f64,
    /// Upgrades accepted in it.
    pub opened: u64,
    /// Open at its end.
    pub open: u64,
    /// Held at its end.
    pub held: u64,
    /// Lost in it.
    pub lost: u64,
    /// Connects that failed in it.
    pub failed: u64,
    /// Messages due and answered in its hold.
    pub messages_due: u64,
    /// See [`Self::messages_due`].
    pub messages_answered: u64,
    /// Reply times in its hold.
    pub reply: Latency,
    /// Whether its hold was reached.
    pub held_to_its_end: bool,
}

impl Outcome {
    /// Puts together what the workers reported, and judges it.
    ///
    /// # Errors
    /// When a worker's histogram cannot be decoded.
    pub fn new(options: &Options, preflight: &Preflight, run: Run, wall: SystemTime, took: Duration) -> Result<Self> {
        let mut outcome = Self {
            format: FORMAT,
            program: concat!("wsceiling ", env!("CARGO_PKG_VERSION")).to_owned(),
            url: options.shown.clone(),
            started: jiff::Timestamp::try_from(wall).map(|time| time.to_string()).unwrap_or_default(),
            duration_s: took.as_secs_f64(),
            request: Requested {
                scenario: Some(options.scenario),
                expect: preflight.expect,
                message_bytes: options
                    .payload
                    .as_ref()
                    .map_or(u64::from(options.message_bytes), |own| own.bytes.len() as u64),
                every_s: options.every.as_secs_f64(),
            },
            addresses: addresses(preflight, &run),
            tls: preflight.tls.clone(),
            assumptions: preflight.assumptions.clone(),
            connections: connections(options, &run),
            rate: rate(&run),
            messages: messages(&run),
            latency: Latencies {
                connect: latency(all(&run).map(|window| &window.connect))?,
                handshake: latency(all(&run).map(|window| &window.handshake))?,
                reply: latency(measured(&run).map(|window| &window.reply))?,
            },
            errors: errors(&run),
            stages: run.stages.iter().map(stage).collect::<Result<_>>()?,
            own: own(&run)?,
            ended: run.ended,
            ..Self::default()
        };
        outcome.own.statement = text::own_statement(&outcome);
        outcome.thresholds = options.thresholds.iter().map(|threshold| threshold.judge(&outcome)).collect();
        let ended_well = matches!(outcome.ended, Ended::Complete | Ended::MaxDuration);
        outcome.passed = ended_well && outcome.thresholds.iter().all(|judged| judged.passed);
        outcome.verdict = text::verdict(&outcome);
        Ok(outcome)
    }
}

fn all(run: &Run) -> impl Iterator<Item = &Window> {
    run.stages.iter().flat_map(|stage| stage.opening.iter().chain(&stage.hold))
}

/// The windows that messages are counted in, by stage: the holds, or where none was reached the openings.
fn measured_stages(run: &Run) -> impl Iterator<Item = &Vec<Window>> {
    let no_hold = run.stages.iter().all(|stage| stage.hold.is_empty());
    run.stages.iter().map(move |stage| if no_hold { &stage.opening } else { &stage.hold })
}

fn measured(run: &Run) -> impl Iterator<Item = &Window> {
    measured_stages(run).flatten()
}

/// The windows that tell the state at the end.
fn last(run: &Run) -> &[Window] {
    run.stages.iter().rev().map(at_end).find(|windows| !windows.is_empty()).unwrap_or_default()
}

fn at_end(stage: &StageRun) -> &[Window] {
    if stage.hold.is_empty() { &stage.opening } else { &stage.hold }
}

fn sum<'a>(windows: impl Iterator<Item = &'a Window>, field: fn(&Window) -> u64) -> u64 {
    windows.map(field).sum()
}

fn open(window: &Window) -> u64 {
    window.open.iter().sum()
}

fn held(window: &Window) -> u64 {
    window.held.iter().sum()
}

/// Failures before the upgrade; what was retried with another port is none.
fn failed(window: &Window) -> u64 {
    let counts = |failure: &&Failure| failure.stage != Stage::Open && !failure.cause.ends_with(hints::RETRIED);
    window.failures.iter().filter(counts).map(|failure| failure.count).sum()
}

fn latency<'a>(parts: impl Iterator<Item = &'a Histogram>) -> Result<Latency> {
    Ok(histogram::latency(&histogram::merge(parts)?))
}

fn addresses(preflight: &Preflight, run: &Run) -> Vec<AddressUsed> {
    let mut index = 0;
    let with_open = preflight.addresses.iter().map(|address| {
        let mut open = 0;
        if address.used {
            open = last(run).iter().filter_map(|window| window.open.get(index)).sum();
            index += 1;
        }
        AddressUsed { address: address.clone(), open }
    });
    with_open.collect()
}

fn connections(options: &Options, run: &Run) -> Connections {
    let mut before = 0;
    let mut requested = 0;
    for stage in &options.stages {
        requested += u64::from(stage.to.saturating_sub(before));
        before = stage.to;
    }
    let ended = last(run);
    let mut connections = Connections {
        requested,
        due: sum(all(run), |window| window.due),
        issued: sum(all(run), |window| window.issued),
        opened: sum(all(run), |window| window.opened),
        failed: sum(all(run), failed),
        lost: sum(all(run), |window| window.lost),
        peak: run.peak,
        open: sum(ended.iter(), open),
        held: sum(ended.iter(), held),
    };
    // A worker that died reported no window; its last states are all that is known.
    if matches!(run.ended, Ended::GeneratorFailed(_)) {
        connections.due = connections.due.max(run.last.due);
        connections.issued = connections.issued.max(run.last.issued);
        connections.failed = connections.failed.max(run.last.failed);
        connections.lost = connections.lost.max(run.last.lost);
        connections.open = run.last.open;
        connections.held = run.last.held;
        let opened = connections.issued.saturating_sub(connections.failed).min(connections.open + connections.lost);
        connections.opened = connections.opened.max(opened);
    }
    connections
}

fn rate(run: &Run) -> Rate {
    let added = |stage: &&StageRun| u64::from(stage.stage.to).saturating_sub(stage.open_before);
    let Some(stage) = run.stages.iter().max_by_key(added) else { return Rate::default() };
    let windows = || stage.opening.iter();
    let from_ns = windows().map(|window| window.from_ns).min().unwrap_or(0);
    let per_second = |count: u64, last_ns: Option<u64>| {
        // The first connect is due at the start, so there is one interval less than connects.
        let passed_s = last_ns.unwrap_or(0).saturating_sub(from_ns) as f64 / 1e9;
        if count > 1 && passed_s > 0.0 { (count - 1) as f64 / passed_s } else { 0.0 }
    };
    Rate {
        requested_per_s: stage.stage.per_second,
        issued_per_s: per_second(
            sum(windows(), |window| window.issued),
            windows().map(|window| window.last_issued_ns).max(),
        ),
        achieved_per_s: per_second(
            sum(windows(), |window| window.opened),
            windows().map(|window| window.last_opened_ns).max(),
        ),
    }
}

/// Length of the windows of all workers, which run side by side, in seconds.
fn seconds(windows: &Vec<Window>) -> f64 {
    let length = |window: &Window| window.to_ns.saturating_sub(window.from_ns);
    windows.iter().map(length).max().unwrap_or(0) as f64 / 1e9
}

fn messages(run: &Run) -> Messages {
    let seconds: f64 = measured_stages(run).map(seconds).sum();
    let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    let due = sum(measured(run), |window| window.messages_due);
    let answered = sum(measured(run), |window| window.messages_answered);
    let opening = run.stages.iter().flat_map(|stage| &stage.opening);
    Messages {
        due,
        sent: sum(measured(run), |window| window.messages_sent),
        answered,
        unasked: sum(all(run), |window| window.unasked),
        due_per_s: per_second(due),
        answered_per_s: per_second(answered),
        answered_while_opening: sum(opening, |window| window.messages_answered),
    }
}

fn errors(run: &Run) -> Vec<ErrorSummary> {
    let mut tallies = BTreeMap::<(Stage, &str), (u64, u64)>::new();
    for failure in all(run).flat_map(|window| &window.failures) {
        let tally = tallies.entry((failure.stage, &failure.cause)).or_insert((0, u64::MAX));
        tally.0 += failure.count;
        tally.1 = tally.1.min(failure.first_ns.saturating_sub(run.epoch_ns) / 1_000_000);
    }
    let mut errors: Vec<_> = tallies
        .into_iter()
        .map(|((stage, cause), (count, first_ms))| ErrorSummary {
            hint: hints::hint(stage, cause),
            tally: ErrorTally { stage, cause: cause.to_owned(), count, first_ms },
        })
        .collect();
    errors.sort_by_key(|error| std::cmp::Reverse(error.tally.count));
    errors
}

fn stage(stage: &StageRun) -> Result<StageSummary> {
    let both = || stage.opening.iter().chain(&stage.hold);
    Ok(StageSummary {
        to: stage.stage.to,
        rate_per_s: stage.stage.per_second,
        hold_s: stage.stage.hold.as_secs_f64(),
        opened: sum(both(), |window| window.opened),
        open: sum(at_end(stage).iter(), open),
        held: sum(at_end(stage).iter(), held),
        lost: sum(both(), |window| window.lost),
        failed: sum(both(), failed),
        messages_due: sum(stage.hold.iter(), |window| window.messages_due),
        messages_answered: sum(stage.hold.iter(), |window| window.messages_answered),
        reply: latency(stage.hold.iter().map(|window| &window.reply))?,
        held_to_its_end: !stage.hold.is_empty(),
    })
}

fn own(run: &Run) -> Result<Own> {
    let cost = run.cost.as_ref();
    let busiest = cost.and_then(super::cost::Cost::busiest_worker_ratio);
    let mut limited_by = Vec::new();
    for stage in &run.stages {
        for reason in client_limits(&as_step(stage, run.epoch_ns)?, busiest) {
            if !limited_by.contains(&reason) {
                limited_by.push(reason);
            }
        }
    }
    Ok(Own {
        workers: run.workers.clone(),
        cpu_s: cost.and_then(super::cost::Cost::cpu_s),
        cpu_ratio: cost.and_then(super::cost::Cost::cpu_ratio),
        busiest_worker_ratio: busiest,
        memory_bytes: cost.and_then(super::cost::Cost::peak_bytes),
        memory_per_connection_bytes: cost.and_then(super::cost::Cost::bytes_per_connection),
        lag: latency(all(run).map(|window| &window.lag))?,
        limited_by,
        statement: String::new(),
    })
}

/// A stage in the form that the rules for the generator's own limits read.
fn as_step(stage: &StageRun, epoch_ns: u64) -> Result<crate::record::StepRecord> {
    let frame = Frame {
        kind: crate::record::StepKind::Staircase,
        launch: 0,
        target: stage.stage.to,
        per_second: stage.stage.per_second,
        epoch_ns,
        started_ms: 0.0,
        opened_ms: 0.0,
        ended_ms: 0.0,
    };
    let gates = crate::matrix::Gates { connected: 1.0, echoed: 1.0, p99: Duration::MAX };
    step::record(frame, &stage.opening, &stage.hold, gates)
}
