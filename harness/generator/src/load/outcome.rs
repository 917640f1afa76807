//! What came of a load: the numbers of all workers and stages together, the judged gates and the verdict. The JSON form is
//! described in `docs/load.md`.

use serde::Serialize;

use super::close::Closing;
use super::drive::{Ended, WorkersUsed};
use super::gate::JudgedGate;
use super::resolve;
use super::server::PartSeen;
use crate::client::Expect;
use wsceiling_model::matrix::Scenario;
use wsceiling_model::record::{FailureTally, Latency};

/// Version of the JSON form; raised when a field changes its meaning or goes.
pub const FORMAT: u32 = 1;

/// What came of a load.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// [`FORMAT`].
    pub format: u32,
    /// Name and version of the program.
    pub program: String,
    /// The server, without secrets; of several URLs all.
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
    /// The close handshakes at the end; `None`: nothing was open then, or the generator failed.
    pub closing: Option<Closing>,
    /// Failures by stage and cause, most frequent first.
    pub errors: Vec<ErrorSummary>,
    /// What was read of the server meanwhile; empty: nobody was asked to.
    pub server: Vec<PartSeen>,
    /// What else was seen of it: restarts, and why numbers are missing.
    pub server_notes: Vec<String>,
    /// The generator itself.
    pub own: Own,
    /// Each stage.
    pub stages: Vec<StageSummary>,
    /// The gates, judged.
    #[serde(rename = "thresholds")]
    pub gates: Vec<JudgedGate>,
    /// Whether the load ended by itself and all gates passed.
    pub passed: bool,
    /// The outcome in a sentence.
    pub verdict: String,
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
    /// The URL that it belongs to, without secrets.
    pub url: String,
    /// The address, and whether it was used.
    #[serde(flatten)]
    pub address: resolve::Resolved,
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
    /// Of those, the ones that were answered in the last hold or in the probe after it, and wait for nothing.
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
    /// Sent. A message that is due while the last one of its connection is unanswered is sent when the answer comes.
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
    /// Messages sent after the holds to ask connections that were not answered in them, and their answers. Not among the
    /// others.
    pub probes: u64,
    /// See [`Self::probes`].
    pub probes_answered: u64,
}

/// Latencies, in microseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Latencies {
    /// TCP connect.
    pub connect: Latency,
    /// From the first flight of TLS to the agreed keys: a part of [`Self::handshake`].
    pub tls: Latency,
    /// From the intended connect to the accepted upgrade, with TCP and TLS.
    pub handshake: Latency,
    /// From the intended sending of a message to its answer, in the same windows as [`Messages`]. What was not answered is in
    /// it with the time that it had waited at the end.
    pub reply: Latency,
    /// The same for the messages of the probes.
    pub probe: Latency,
}

impl Latencies {
    /// The replies that thresholds and sentences are about: those of the load, or of the probes where nothing of the load was
    /// due in the holds.
    pub fn replies(&self) -> &Latency {
        if self.reply.count > 0 { &self.reply } else { &self.probe }
    }
}

/// Failures of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorSummary {
    /// Stage, cause, count, and milliseconds to the first.
    #[serde(flatten)]
    pub tally: FailureTally,
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
    /// Messages of the probe after its hold, their answers and reply times.
    pub probes: u64,
    /// See [`Self::probes`].
    pub probes_answered: u64,
    /// See [`Self::probes`].
    pub probe: Latency,
    /// Whether its hold was reached.
    pub held_to_its_end: bool,
}

impl ErrorSummary {
    /// Another source port was taken, and nothing failed.
    pub(super) fn is_retried(&self) -> bool {
        self.tally.reason.is_retried()
    }

    /// The reason, and how far the connection had come.
    pub(super) fn describe(&self) -> String {
        format!("{}: {}", self.tally.at, self.tally.reason)
    }
}
