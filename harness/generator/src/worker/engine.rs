//! The engine of a worker: it takes what is due from the scheduler and what happened from the transport, asks the
//! protocol what to say and what it means, and keeps the connection table and the counters.
//!
//! Its parts know nothing of each other, so each is tested by itself. What they do together is here and in the files
//! along a connection's life: `io` (connect, read, write), `messages`, `close`; and in `commands` for the coordinator.

use anyhow::bail;
use mio::Registry;

use super::asking::Unanswered;
use super::clock::now_ns;
use super::counters::Counters;
use super::protocol::Protocol;
use super::rooms::Rooms;
use super::scheduler::{Scheduler, nanoseconds};
use super::table::{Connection, ConnectionTable, Handle};
use super::transport::Transport;
use crate::ipc::{PROTOCOL_VERSION, Report, WorkerConfig};
use wsceiling_model::matrix::Scenario;

/// Everything that a worker knows.
#[derive(Debug)]
pub struct Engine {
    pub(super) scenario: Scenario,
    /// Connections say nothing.
    pub(super) silent: bool,
    pub(super) table: ConnectionTable,
    pub(super) scheduler: Scheduler,
    pub(super) transport: Transport,
    pub(super) protocol: Protocol,
    pub(super) rooms: Rooms,
    pub(super) counters: Counters,
    /// Bytes that all connections keep between reads.
    pub(super) buffered: usize,
    /// Connections that had more to read than one turn takes.
    pub(super) unread: Vec<Handle>,
    /// Bytes of a message that is published into a room.
    pub(super) publish_bytes: u32,
    /// What connections left unanswered that ended in the hold under way, or in the probe after it.
    pub(super) left: Vec<Unanswered>,
    /// Time between two statuses, and whether a person is watching them.
    pub(super) status: (u64, bool),
    /// Reports that were not sent yet.
    pub(super) reports: Vec<Report>,
}

impl Engine {
    /// An engine without connections. Says what is wrong with the configuration.
    pub fn new(config: &WorkerConfig, registry: Registry) -> anyhow::Result<Self> {
        check(config)?;
        let transport = Transport::new(config, registry)?;
        let mut random = fastrand::Rng::with_seed(config.seed);
        let protocol = Protocol::new(config, random.fork())?;
        let now = now_ns();
        let destinations = transport.destinations();
        Ok(Self {
            scenario: config.scenario,
            silent: config.client.silent,
            table: ConnectionTable::new(destinations),
            scheduler: Scheduler::new(config, random, now),
            transport,
            protocol,
            rooms: Rooms::new(config.worker, config.room, destinations),
            counters: Counters::new(now),
            buffered: 0,
            unread: Vec::new(),
            publish_bytes: config.publish_bytes,
            left: Vec::new(),
            status: (nanoseconds(config.status_every), config.client.live),
            reports: Vec::new(),
        })
    }

    /// One turn of the loop: does what is due. True: more is due at once.
    pub fn work(&mut self) -> bool {
        let now = now_ns();
        let tick = self.scheduler.ticks.last(now);
        let mut more = self.end_hold(now);
        more |= self.connect_due(tick);
        more |= self.say_due(tick);
        more |= self.publish_due(tick);
        more |= self.probe_due(tick);
        more |= self.expire_due(tick);
        more |= self.ramp_down_due(tick);
        self.time_out(now);
        more |= self.read_again();
        more |= self.end_probe(now);
        more |= self.end_settled_opening();
        more |= self.end_done_ramp_down();
        self.report_status(now);
        more
    }

    /// The next moment at which something is due.
    pub fn next_moment(&mut self) -> u64 {
        self.scheduler.next_moment(&self.table)
    }

    /// Reports to send.
    pub fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Whether the last message of an open connection came back, or in broadcast the last publish of its room reached it.
    /// What is younger than `grace_ns` need not have come back yet.
    pub(super) fn is_answered(&self, connection: &Connection, grace_ns: u64, now: u64) -> bool {
        if self.scenario == Scenario::Broadcast {
            let last_ns = self.rooms.at(connection.room).last_ns;
            return connection.joined && (connection.since_ns >= last_ns || now.saturating_sub(last_ns) < grace_ns);
        }
        !connection.waiting || now.saturating_sub(connection.since_ns) < grace_ns
    }

    /// Whether an open connection was asked since a moment, or in broadcast something was published into its room.
    pub(super) fn is_asked_since(&self, connection: &Connection, moment_ns: u64) -> bool {
        match self.scenario {
            Scenario::Broadcast => self.rooms.at(connection.room).last_ns >= moment_ns,
            _ => connection.since_ns >= moment_ns || !self.protocol.asks(),
        }
    }
}

/// Says what no part of the engine could work with.
fn check(config: &WorkerConfig) -> anyhow::Result<()> {
    if config.version != PROTOCOL_VERSION {
        bail!(
            "the coordinator speaks version {} and this worker version {PROTOCOL_VERSION} (hint: both must be the same build)",
            config.version
        );
    }
    if config.scenario == Scenario::Broadcast && !config.protocol.has_rooms() {
        bail!("the scenario broadcast needs a target that speaks the app's protocol");
    }
    for (name, duration) in [
        ("message", config.message_every),
        ("publish", config.publish_every),
        ("lifetime", config.lifetime),
        ("status", config.status_every),
    ] {
        if duration.is_zero() {
            bail!("the interval `{name}` is zero");
        }
    }
    Ok(())
}
