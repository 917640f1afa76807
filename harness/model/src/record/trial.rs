//! One line of `trials.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    AgeCounts, Answer, ClientLimit, Event, Experiment, FailureTally, FrontRecord, Gate, HeadroomRecord, LongRecord,
    LostAges, Reason, Warning,
};
use crate::component::Component;
use crate::trial_id::TrialId;
use crate::wall::Wall;

/// What happened in one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// Which trial.
    pub trial: TrialId,
    /// Start, RFC 3339, UTC; `None` where the trial was skipped.
    pub started: Option<String>,
    /// What is put to the test, where this is an experiment ([`TrialId::confirm`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Experiment>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why; `None` for `ok` and `ceiling`.
    pub reason: Option<Reason>,
    /// Duration from start to the end of the clean-up, in milliseconds.
    pub duration_ms: f64,
    /// Milliseconds from the trial's start to the first connect of the generator.
    pub to_first_connect_ms: Option<f64>,
    /// Milliseconds since the trial's start at which the generator had closed its last connection.
    pub last_close_ms: Option<f64>,
    /// The instances that were launched; a relaunched one (narrowing after a collapse) is a new entry.
    pub instances: Vec<InstanceRecord>,
    /// The stages of the front that were launched; empty: the instances were reached directly.
    #[serde(default)]
    pub fronts: Vec<FrontRecord>,
    /// Steps in the order they were driven.
    pub steps: Vec<StepRecord>,
    /// Last good and first bad number of connections, where any step ran.
    pub ceiling: Option<Bracket>,
    /// The generator.
    pub generator: Option<GeneratorRecord>,
    /// What the same client opened elsewhere, where the trial ended on a plateau.
    #[serde(default, rename = "demand", skip_serializing_if = "Option::is_none")]
    pub headroom: Option<HeadroomRecord>,
    /// What became of the connections that were kept beside the load, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongRecord>,
    /// Limits that were read or computed before the trial.
    pub walls: Vec<Wall>,
    /// What happened when: exits, first failures, relaunches.
    pub events: Vec<Event>,
    /// Where each number of a component was read: metric name -> source (`cgroup2 memory.current`).
    pub sources: BTreeMap<Component, BTreeMap<String, String>>,
    /// Remarks that do not change the outcome (limits not enforced, shared cores, noise).
    pub warnings: Vec<Warning>,
}

impl TrialRecord {
    /// A row of which nothing was measured.
    pub fn unmeasured(trial: TrialId, outcome: Outcome) -> Self {
        Self {
            trial,
            started: None,
            experiment: None,
            outcome,
            reason: None,
            duration_ms: 0.0,
            to_first_connect_ms: None,
            last_close_ms: None,
            instances: Vec::new(),
            fronts: Vec::new(),
            steps: Vec::new(),
            ceiling: None,
            generator: None,
            headroom: None,
            long: None,
            walls: Vec::new(),
            events: Vec::new(),
            sources: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }
}

/// How a trial ended. Every trial of the plan has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step passed: at least `max`.
    Ok,
    /// A step failed and the server side stopped it.
    Ceiling,
    /// The numbers contradict each other or the client was the limit; no ceiling may be read from it.
    Invalid,
    /// Something it needs is missing.
    Skipped,
    /// The target did not start or did not listen in time.
    FailedToStart,
    /// The target answered wrongly.
    FailedVerification,
    /// The trial took longer than it may.
    TimedOut,
    /// The user stopped the run.
    Killed,
}

impl Outcome {
    /// All of them, in the order of a report's key.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Ceiling,
        Self::Invalid,
        Self::Skipped,
        Self::FailedToStart,
        Self::FailedVerification,
        Self::TimedOut,
        Self::Killed,
    ];
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Ceiling => "ceiling",
            Self::Invalid => "invalid",
            Self::Skipped => "skipped",
            Self::FailedToStart => "failed to start",
            Self::FailedVerification => "failed verification",
            Self::TimedOut => "timed out",
            Self::Killed => "killed",
        })
    }
}

/// One launched instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// Index among the instances, from 0.
    pub index: u32,
    /// Which launch of the instances it belongs to, from 0; relaunches count up.
    pub launch: u32,
    /// Address that the generator connects to.
    pub address: String,
    /// Process id on the host.
    pub pid: Option<u32>,
    /// Id of the container.
    pub container: Option<String>,
    /// Id or digest of the image.
    pub image: Option<String>,
    /// The command line.
    pub command: Vec<String>,
    /// SHA-256 of the program that runs, hex; the same for bare and packed docker.
    pub binary_sha256: Option<String>,
    /// Limits of the size, as they were applied.
    pub limits: Vec<AppliedLimit>,
    /// How it ended; `None` while it is still running or where it was never known.
    pub exit: Option<Exit>,
    /// Log file relative to the run folder.
    pub log: Option<String>,
    /// Last lines of the log, at most 20, where the instance ended by itself or failed.
    pub log_tail: Vec<String>,
    /// Lines of the whole log that name a limit (see [`super::log_patterns`]): of each part of the trial the first of each
    /// kind.
    #[serde(default)]
    pub log_signs: Vec<LogSign>,
}

/// A line of a log that names a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "AnyLogSign")]
pub struct LogSign {
    /// The line, at most 500 characters.
    pub line: String,
    /// It was written after this moment, the start of the step in which it was, in milliseconds since the trial's start;
    /// `None`: before the first step, or the record is of format 2 or older, which did not tell.
    pub after_ms: Option<f64>,
}

/// Format 2 and older had the lines alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyLogSign {
    Line(String),
    Sign { line: String, after_ms: Option<f64> },
}

impl From<AnyLogSign> for LogSign {
    fn from(any: AnyLogSign) -> Self {
        match any {
            AnyLogSign::Line(line) => Self { line, after_ms: None },
            AnyLogSign::Sign { line, after_ms } => Self { line, after_ms },
        }
    }
}

/// A limit of the size and whether the machine let the harness apply it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppliedLimit {
    /// `cpus`, `memory_bytes`, `pids` or `nofile`.
    pub name: String,
    /// The asked value.
    pub value: f64,
    /// Where it is enforced (`cgroup1 memory.limit_in_bytes`, `docker`, `rlimit`), or `None`: not enforced.
    pub enforced_by: Option<String>,
    /// Why it is not enforced.
    pub reason: Option<String>,
}

impl AppliedLimit {
    /// A limit that is enforced there.
    pub fn enforced(name: &str, value: f64, by: &str) -> Self {
        Self { name: name.to_owned(), value, enforced_by: Some(by.to_owned()), reason: None }
    }

    /// A limit that the machine does not enforce.
    pub fn not_enforced(name: &str, value: f64, reason: String) -> Self {
        Self { name: name.to_owned(), value, enforced_by: None, reason: Some(reason) }
    }
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code, where it exited.
    pub code: Option<i32>,
    /// Signal number, where a signal ended it (a container's 128 + n is split up).
    pub signal: Option<i32>,
    /// The kernel or the engine says that it was killed for memory.
    pub oom_killed: Option<bool>,
    /// The harness asked it to stop.
    pub requested: bool,
    /// Milliseconds since the trial's start when the end was seen.
    pub t_ms: f64,
}

impl std::fmt::Display for Exit {
    /// `exit code 1`, `signal 9 (killed for memory)`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.signal, self.code) {
            (Some(signal), _) => write!(f, "signal {signal}")?,
            (None, Some(code)) => write!(f, "exit code {code}")?,
            (None, None) => f.write_str("unknown how")?,
        }
        f.write_str(if self.oom_killed == Some(true) { " (killed for memory)" } else { "" })
    }
}

/// Why a step was driven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// A step of the staircase.
    #[default]
    Staircase,
    /// One step more after the first that failed by a little: how more connections fail is evidence of what stopped them.
    /// It finds no ceiling.
    PastEdge,
    /// A few connects more, slowly and a moment later, where so many were refused that the step ended early: who lets them in
    /// refused a rate, who does not a number. It finds no ceiling.
    Again,
    /// An extra step inside the bracket.
    Narrow,
    /// A stage of the load, up or down.
    Stage,
    /// Every connection was closed with RST and connected again.
    Storm,
}

impl StepKind {
    /// Whether it says what the ceiling is; others are asked for what they show of the step that failed.
    pub const fn finds_ceiling(self) -> bool {
        !matches!(self, Self::PastEdge | Self::Again)
    }
}

/// One step: connections added, then held and measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Why it was driven.
    pub kind: StepKind,
    /// Launch of the instances it ran against, see [`InstanceRecord::launch`].
    pub launch: u32,
    /// Connections wanted at its end.
    pub target: u32,
    /// Milliseconds since the trial's start: first connect, last one settled, end of the hold and of its probe.
    pub started_ms: f64,
    /// See [`Self::started_ms`].
    pub opened_ms: f64,
    /// See [`Self::started_ms`].
    pub ended_ms: f64,
    /// Connects that the schedule asked for and that were issued in this step.
    pub due: u64,
    /// See [`Self::due`].
    pub issued: u64,
    /// Upgrades that succeeded in this step.
    pub opened: u64,
    /// Of those, the ones that succeeded after the first connect of the step had failed for good: a limit of number lets
    /// nobody in any more, one of rate does. `None`: the record is of format 2 or older.
    #[serde(default)]
    pub opened_after_failure: Option<u64>,
    /// Moment of the last upgrade that succeeded so far.
    #[serde(default)]
    pub last_opened_ms: Option<f64>,
    /// Connections open at the step's end, and those that are held: answered since the hold began, and waiting for nothing.
    pub open: u64,
    /// See [`Self::open`].
    pub held: u64,
    /// Open connections lost in this step without the generator closing them.
    pub lost: u64,
    /// Connects asked for, and upgrades achieved, per second.
    pub requested_per_s: f64,
    /// See [`Self::requested_per_s`].
    pub achieved_per_s: f64,
    /// Messages of the load due, sent, and answered in the hold.
    pub messages_due: u64,
    /// See [`Self::messages_due`].
    pub messages_sent: u64,
    /// See [`Self::messages_due`].
    pub messages_answered: u64,
    /// Messages sent while connections were opened: what was due of the load meanwhile, and the first of each connection.
    #[serde(default)]
    pub messages_opening: u64,
    /// Moment at which the hold was over and the probe began that ends with [`Self::ended_ms`]: connections that were not
    /// answered in the hold are asked once, so that each is known to be held. The load is silent meanwhile. `None`: there
    /// was no probe, or the record is older than it.
    #[serde(default)]
    pub probe_from_ms: Option<f64>,
    /// Messages of the probe that were sent and that were answered; none of them is counted as load.
    #[serde(default)]
    pub probes: u64,
    /// See [`Self::probes`].
    #[serde(default)]
    pub probes_answered: u64,
    /// Longest wait of what was answered in the step, microseconds; also of messages that were due before its hold, so
    /// that a server that answers late is told from one that answers no more. `None`: nothing was answered, or the record
    /// is of format 2 or older.
    #[serde(default)]
    pub slowest_reply_us: Option<u64>,
    /// TCP connect time.
    pub connect: Latency,
    /// Upgrade time, from the intended time of the connect to the accepted upgrade.
    pub handshake: Latency,
    /// Time from a message's intended sending to its reply (fan-out: to each member's receipt). A message of the load that
    /// was due and not answered is in it with the time that it had waited at the step's end.
    pub reply: Latency,
    /// The same for the probe.
    #[serde(default)]
    pub probe: Latency,
    /// The gates, in order.
    pub gates: Vec<Gate>,
    /// All gates passed.
    pub passed: bool,
    /// Open connections of each address that the generator connects to, at the step's end: of each instance, or of
    /// the one front before them.
    pub spread: Vec<u64>,
    /// Connections of the front to each instance at that moment, as the kernel counts them (abandoned ones among them);
    /// empty: there is no front, or its namespace could not be asked.
    #[serde(default)]
    pub upstream_spread: Vec<u64>,
    /// Connections that were just being replaced at the step's end (churn); the gate `connected` counts them, since
    /// they are neither open nor failed.
    #[serde(default)]
    pub replacing: u64,
    /// Failures of this step.
    pub errors: Vec<FailureTally>,
    /// How old the open connections were that were lost in this step, by reason, the most frequent first. Empty: none was, or
    /// the record is older than it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost_ages: Vec<LostAges>,
    /// How long those have been open that are open at the step's end. Empty: the trial lost none, or the record is older.
    #[serde(default, skip_serializing_if = "AgeCounts::is_empty")]
    pub open_ages: AgeCounts,
    /// What upgrades were answered with that did not succeed in this step, at most [`Self::ANSWERS_MAX`] different answers,
    /// the most frequent first. Empty: none was answered, or the record is older than it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// What the first upgrade of a generator was answered with that succeeded: in the step in which it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Answer>,
    /// Largest delay of any worker's loop behind its schedule in this step, in microseconds.
    pub lag_us_max: u64,
    /// 99th percentile of that delay.
    pub lag_us_p99: u64,
    /// The worker that was furthest behind, by that percentile and then by the largest delay; `None`: no worker had a
    /// schedule.
    pub slowest_worker: Option<SlowestWorker>,
    /// What came of a [`StepKind::Storm`].
    pub storm: Option<StormRecord>,
}

impl StepRecord {
    /// Most different answers of a step.
    pub const ANSWERS_MAX: usize = 6;

    /// End of the hold, in milliseconds since the trial's start: the step's, where no probe followed.
    pub fn hold_end_ms(&self) -> f64 {
        self.probe_from_ms.unwrap_or(self.ended_ms)
    }
}

/// The delay of the worker that was furthest behind its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowestWorker {
    /// Index of the worker, from 0.
    pub worker: u32,
    /// Its largest delay in microseconds.
    pub lag_us_max: u64,
    /// 99th percentile of its delay.
    pub lag_us_p99: u64,
}

/// A storm: the generator closes all connections with RST, and each connects again, once, at its own moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StormRecord {
    /// Connections that were open and were closed.
    pub dropped: u64,
    /// Milliseconds that closing them took.
    pub closing_ms: f64,
    /// Milliseconds over which the reconnects were spread at random; 0: all at once.
    pub jitter_ms: u64,
    /// Largest delay of a reconnect behind its moment, in microseconds: the generator's own part. Without jitter it is
    /// the time that the generator needs to issue all of them.
    pub lag_us_max: u64,
    /// Time from the first moment of reconnecting until a connection was open again, one value each.
    pub restored: Latency,
    /// Milliseconds from that moment until 99.9 % of the wanted connections were open again; `None`: that never were.
    pub restored_ms_p999: Option<f64>,
}

/// A latency distribution in microseconds: percentiles to read, and the whole histogram.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Number of values.
    pub count: u64,
    /// Percentiles in microseconds; `None` where there is no value.
    pub p50_us: Option<u64>,
    /// 90th percentile.
    pub p90_us: Option<u64>,
    /// 99th percentile.
    pub p99_us: Option<u64>,
    /// 99.9th percentile.
    pub p999_us: Option<u64>,
    /// Largest value.
    pub max_us: Option<u64>,
    /// `HdrHistogram` V2, base64; `None` where there is no value.
    pub histogram: Option<String>,
}

/// The ceiling of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bracket {
    /// Largest number of connections whose gates all passed; 0 where the first step failed.
    pub last_good: u64,
    /// Smallest number that failed; `None`: none failed, so `at least last_good`.
    pub first_bad: Option<u64>,
    /// Largest number held at any moment, even in a step that failed.
    pub peak: u64,
}

/// The generator of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GeneratorRecord {
    /// Number of worker processes.
    pub workers: u32,
    /// Ids of the containers that the workers ran in; empty: they were processes of the host.
    pub containers: Vec<String>,
    /// Descriptor limit of each worker.
    pub descriptor_limit: u64,
    /// Addresses that it connects to, where somebody else runs the server: those that the names of its URLs led to; empty:
    /// those of the instances, or of the front.
    #[serde(default)]
    pub destinations: Vec<String>,
    /// Source addresses used.
    pub sources: Vec<String>,
    /// Source ports available to each (source, destination) pair, over all workers.
    pub ports_per_pair: u64,
    /// CPU time of all workers in the trial, in microseconds.
    pub cpu_us: Option<u64>,
    /// Largest share of one core that any worker used between two samples.
    pub busiest_worker_ratio: Option<f64>,
    /// CPUs the generator may run on; empty: not pinned.
    pub cpus: Vec<u32>,
    /// CPUs the instances may run on; empty: not pinned.
    pub server_cpus: Vec<u32>,
    /// Why the client, and not the server, was the limit; empty: it was not.
    pub limited_by: Vec<ClientLimit>,
    /// Where each worker ran, in their order; empty: all of them on this host.
    #[serde(default)]
    pub nodes: Vec<WorkerNode>,
}

/// Where a worker on a swarm ran, and how its clock relates to the coordinator's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerNode {
    /// Name of the node.
    pub node: String,
    /// Addresses that its connections came from.
    pub addresses: Vec<String>,
    /// Its clock less the coordinator's, in microseconds; `None`: it runs on the coordinator's machine and has its clock.
    pub clock_offset_us: Option<f64>,
    /// The most by which that may have been wrong at a step's start, in microseconds: half of the shortest round trip, and
    /// 100 ppm of the time since.
    pub clock_uncertainty_us: Option<f64>,
}

impl WorkerNode {
    /// Uncertainty of a clock from which on a trial is warned of, in microseconds.
    pub const CLOCK_UNCERTAIN_US: f64 = 5_000.0;
}
