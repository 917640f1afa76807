//! Between the coordinator and a worker: messages, one JSON value a line over one ordered byte stream (a worker's
//! standard input and output, or the TCP connection of one that [dialled](crate::dial)). [`PROTOCOL_VERSION`] is raised with
//! every change.
//!
//! All moments are nanoseconds of the worker's `CLOCK_MONOTONIC`, which every process of one machine shares; messages sent
//! by the generator carry it, so that a worker can tell how old a message of another worker is. The coordinator translates
//! those of workers on other machines.

pub(crate) mod channel;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::client::ClientConfig;
use wsceiling_model::matrix::{Portion, Protocol, Scenario, ThinkTime};
use wsceiling_model::record::{AgeCounts, Answer, FailedAt, FailureReason};

/// Version of these messages.
pub const PROTOCOL_VERSION: u32 = 5;

/// From the coordinator to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// First message: everything the worker needs to know. Answered by [`Report::Ready`].
    Configure(Box<WorkerConfig>),
    /// Open more connections, open loop. Answered by [`Report::Opened`] once each of them is open or has failed.
    Open {
        /// How many.
        count: u32,
        /// Connects per second of this worker.
        per_second: f64,
        /// Moment of the first connect.
        start_ns: u64,
    },
    /// Open so many connections, each at a random moment after `start_ns`. Answered by [`Report::Opened`] like
    /// [`Self::Open`], with [`Window::restored`].
    Reconnect {
        /// How many.
        count: u32,
        /// Time that the moments are spread over; zero: all at once.
        jitter: Duration,
        /// The first moment.
        start_ns: u64,
    },
    /// Close connections with a close frame, newest first, open loop, until so many are left. Answered by
    /// [`Report::Opened`] once each of them has ended, on which the other side has a second.
    Shrink {
        /// Connections to keep.
        keep: u32,
        /// Closes per second of this worker.
        per_second: f64,
        /// Moment of the first close.
        start_ns: u64,
    },
    /// Begin the measured window: the load goes on as it is configured. Answered by [`Report::Held`] at its end. What is due
    /// until the probe that follows belongs to it.
    Hold {
        /// Length of the window.
        length: Duration,
    },
    /// After a hold: ask every open connection once that was not answered in it, so that each is known to be held. The load
    /// is silent meanwhile. Answered by [`Report::Probed`] once all have answered, or a second after the last was asked.
    Probe {
        /// Time over which the questions are spread if every connection has to be asked; fewer take their share of it.
        within: Duration,
    },
    /// Close connections with RST, newest first, until this many are left. Answered by [`Report::Closed`].
    CloseTo {
        /// Connections to keep.
        keep: u32,
    },
    /// End the opening or the hold that is under way now; it is reported as it stands. A probe asks nobody any more.
    Stop,
    /// Say what time it is, at once, whatever else is under way. Answered by [`Report::Pong`].
    Ping {
        /// Comes back with the answer.
        id: u64,
    },
    /// Close everything with RST and exit.
    Quit,
}

/// What a worker needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerConfig {
    /// [`PROTOCOL_VERSION`] of the coordinator.
    pub version: u32,
    /// Index of the worker, from 0.
    pub worker: u32,
    /// Addresses of the instances; connections go to them in turn.
    pub destinations: Vec<SocketAddr>,
    /// Unix-domain sockets of the instances, in the place of [`Self::destinations`]; empty: over TCP.
    #[serde(default)]
    pub sockets: Vec<PathBuf>,
    /// Source addresses and ports this worker alone may use, towards every destination.
    pub sources: Vec<PortRange>,
    /// Value of the `Host` header and path with query of the upgrade.
    pub host: String,
    /// See [`Self::host`].
    pub path: String,
    /// More headers of the upgrade.
    pub headers: Vec<(String, String)>,
    /// What the server speaks.
    pub protocol: Protocol,
    /// What the connections do.
    pub scenario: Scenario,
    /// Bytes of a message and time between two messages of one connection.
    pub message_bytes: u32,
    /// See [`Self::message_bytes`].
    pub message_every: Duration,
    /// How that time is distributed around [`Self::message_every`].
    pub message_spread: ThinkTime,
    /// Messages of several sizes, of which [`Self::message_bytes`] is the longest; empty: all are of that size.
    pub message_mix: Vec<Portion>,
    /// Broadcast: connections in a room. Rooms are numbered per worker, so that no room spans workers.
    pub room: u32,
    /// Broadcast: time between two messages published into one room.
    pub publish_every: Duration,
    /// Broadcast: bytes of a published message.
    pub publish_bytes: u32,
    /// Churn: mean time that a connection stays open.
    pub lifetime: Duration,
    /// See [`wsceiling_model::matrix::Load::connect_timeout`].
    pub connect_timeout: Duration,
    /// See [`wsceiling_model::matrix::Load::handshake_timeout`].
    pub handshake_timeout: Duration,
    /// Seed of this worker.
    pub seed: u64,
    /// Time between two [`Report::Status`].
    pub status_every: Duration,
    /// CPUs the worker may run on; empty: any.
    pub cpus: Vec<u32>,
    /// Descriptors that the worker may have, below the hard limit.
    #[serde(default)]
    pub descriptors: Option<u64>,
    /// Whether the worker tells in each status what it uses itself: nobody else can see that on another machine.
    #[serde(default)]
    pub usage: bool,
    /// What `load` asks for beyond a matrix.
    #[serde(default)]
    pub client: ClientConfig,
}

impl WorkerConfig {
    /// A worker whose connections go to `destinations` and send an echo of 64 bytes every 10 s, from ports that the kernel
    /// chooses. Other fields are changed where they need to be.
    pub fn new(destinations: Vec<SocketAddr>) -> Self {
        const TEN_SECONDS: Duration = Duration::from_secs(10);
        Self {
            version: PROTOCOL_VERSION,
            worker: 0,
            host: destinations.first().map_or_else(|| "localhost".to_owned(), SocketAddr::to_string),
            destinations,
            sockets: Vec::new(),
            sources: Vec::new(),
            path: "/".to_owned(),
            headers: Vec::new(),
            protocol: Protocol::Echo,
            scenario: Scenario::Echo,
            message_bytes: 64,
            message_every: TEN_SECONDS,
            message_spread: ThinkTime::Fixed,
            message_mix: Vec::new(),
            room: 1,
            publish_every: TEN_SECONDS,
            publish_bytes: 64,
            lifetime: TEN_SECONDS,
            connect_timeout: TEN_SECONDS,
            handshake_timeout: TEN_SECONDS,
            seed: 0,
            status_every: Duration::from_millis(250),
            cpus: Vec::new(),
            descriptors: None,
            usage: false,
            client: ClientConfig::default(),
        }
    }
}

/// A source address with the ports that one worker may bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    /// Source address.
    pub address: IpAddr,
    /// First port.
    pub first: u16,
    /// Last port, inclusive.
    pub last: u16,
}

/// From a worker to the coordinator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case")]
pub enum Report {
    /// The worker is configured.
    Ready {
        /// [`PROTOCOL_VERSION`] of the worker.
        version: u32,
        /// Its process id.
        pid: u32,
        /// Its soft descriptor limit, raised to the hard one.
        descriptor_limit: u64,
    },
    /// Sent every [`WorkerConfig::status_every`].
    Status(Status),
    /// Every connection of the last [`Command::Open`] or [`Command::Reconnect`] is open or has failed, or the last
    /// [`Command::Shrink`] is done.
    Opened(Box<Window>),
    /// The window of the last [`Command::Hold`] is over.
    Held(Box<Window>),
    /// The window of the last [`Command::Probe`] is over.
    Probed(Box<Window>),
    /// The last [`Command::CloseTo`] is done.
    Closed {
        /// Connections still open.
        open: u64,
    },
    /// The answer to [`Command::Ping`].
    Pong {
        /// Of the ping.
        id: u64,
        /// The worker's clock.
        now_ns: u64,
    },
    /// The worker cannot go on; it exits after this.
    Fatal {
        /// Why, for a person.
        message: String,
    },
}

/// The state of a worker at a moment. Totals count from its start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The moment.
    pub now_ns: u64,
    /// Connections open now.
    pub open: u64,
    /// Open connections with no unanswered message older than half a second.
    pub held: u64,
    /// Connects the schedule has asked for so far.
    pub due: u64,
    /// Connects issued so far.
    pub issued: u64,
    /// Connects that failed so far, at any stage.
    pub failed: u64,
    /// Open connections lost so far.
    pub lost: u64,
    /// Largest delay of the loop behind its schedule since the last status.
    pub lag_us_max: u64,
    /// The most frequent failure of the window under way; only where [`ClientConfig::live`] is set.
    #[serde(default)]
    pub top_failure: Option<Failure>,
    /// 99th percentile of the reply times of the window under way, in microseconds; likewise.
    #[serde(default)]
    pub reply_us_p99: Option<u64>,
    /// What the worker uses itself; only where [`WorkerConfig::usage`] is set.
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// What a worker uses itself, or all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time since its start in microseconds, user and system (`getrusage`(2)); of all: the sum.
    pub cpu_us: u64,
    /// Share of a core since the status before; `None` in the first one. Of all: the largest.
    pub core_ratio: Option<f64>,
    /// Anonymous memory in bytes (`RssAnon`, proc(5)); of all: the sum.
    pub memory_bytes: Option<u64>,
}

impl Usage {
    /// Of both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let most = |one: f64, other: Option<f64>| other.map_or(one, |other| one.max(other));
        Self {
            cpu_us: self.cpu_us + other.cpu_us,
            core_ratio: self.core_ratio.map(|one| most(one, other.core_ratio)).or(other.core_ratio),
            memory_bytes: self.memory_bytes.zip(other.memory_bytes).map(|(one, other)| one + other),
        }
    }
}

/// Counters of one window: of an opening, a hold or a probe. Messages of the load belong to the window in which they were
/// due, or to the hold before it where it is a probe's: then they are those that were sent late or answered late.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// First and last moment of the window.
    pub from_ns: u64,
    /// See [`Self::from_ns`].
    pub to_ns: u64,
    /// Connects asked for, issued, and upgrades that succeeded.
    pub due: u64,
    /// See [`Self::due`].
    pub issued: u64,
    /// See [`Self::due`].
    pub opened: u64,
    /// Connections open at the window's end, by destination.
    pub open: Vec<u64>,
    /// Of those, the ones whose last message came back, by destination. After a probe: that were also answered since the hold
    /// began, unless the probe was stopped.
    pub held: Vec<u64>,
    /// Connections that were just being replaced at the window's end (churn): neither open nor failed.
    #[serde(default)]
    pub replacing: u64,
    /// Open connections lost in the window.
    pub lost: u64,
    /// How long those have been open that are open at the window's end; only if the worker has ever lost one.
    #[serde(default)]
    pub open_ages: AgeCounts,
    /// Messages of the load due, sent and answered.
    pub messages_due: u64,
    /// See [`Self::messages_due`].
    pub messages_sent: u64,
    /// See [`Self::messages_due`].
    pub messages_answered: u64,
    /// Messages of the probe that were sent and answered.
    #[serde(default)]
    pub probes: u64,
    /// See [`Self::probes`].
    #[serde(default)]
    pub probes_answered: u64,
    /// Close handshakes that the client began, and those that the server answered (RFC 6455, section 7.1.2).
    #[serde(default)]
    pub closes: u64,
    /// See [`Self::closes`].
    #[serde(default)]
    pub closes_answered: u64,
    /// Messages that answered nothing and were no fault either.
    #[serde(default)]
    pub unasked: u64,
    /// Moments of the last connect issued and the last upgrade accepted so far; 0: none.
    #[serde(default)]
    pub last_issued_ns: u64,
    /// See [`Self::last_issued_ns`].
    #[serde(default)]
    pub last_opened_ns: u64,
    /// Upgrades accepted after the first connect of the window had failed for good.
    #[serde(default)]
    pub opened_after_failure: u64,
    /// Longest wait of what was answered in the window, microseconds; also of messages that were due before it. 0: nothing
    /// was answered.
    #[serde(default)]
    pub slowest_reply_us: u64,
    /// TCP connect time, microseconds.
    pub connect: Histogram,
    /// Time from the first flight of TLS to the agreed keys, microseconds.
    #[serde(default)]
    pub tls: Histogram,
    /// Upgrade time from the intended connect, microseconds.
    pub handshake: Histogram,
    /// After [`Command::Reconnect`]: time from its first moment to each upgrade, microseconds.
    pub restored: Histogram,
    /// Reply time of the load's messages from the intended sending, microseconds. What is unanswered at the end of a probe is
    /// in it with the time that it has waited.
    pub reply: Histogram,
    /// The same of the probe's messages.
    #[serde(default)]
    pub probe: Histogram,
    /// Delay of the loop behind its schedule, microseconds.
    pub lag: Histogram,
    /// Failures.
    pub failures: Vec<Failure>,
    /// Ages of the open connections that were lost in the window.
    #[serde(default)]
    pub losses: Vec<Lost>,
    /// What upgrades of the window were answered with that did not succeed, and the first one of all that did.
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// See [`Self::answers`].
    #[serde(default)]
    pub accepted: Option<Answer>,
}

/// Connections that were lost for one reason in a window. Their times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lost {
    /// Why.
    pub reason: FailureReason,
    /// Those that had said nothing since the message that they begin with.
    pub silent: u64,
    /// Time from the upgrade to the loss.
    pub age: Histogram,
    /// Time from the last message to the loss.
    pub quiet: Histogram,
}

/// A histogram in `HdrHistogram` V2 form, base64, so that merging loses nothing. Empty: no value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram(pub String);

/// Failures of one kind in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// How far the connection had come.
    pub at: FailedAt,
    /// Why.
    pub reason: FailureReason,
    /// How many.
    pub count: u64,
    /// Moment of the first.
    pub first_ns: u64,
}
