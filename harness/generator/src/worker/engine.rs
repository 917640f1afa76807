//! The engine: one loop over readiness events and the schedule, with everything that a worker knows.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use mio::Registry;

use super::clock::{Ticks, now_ns};
use super::connection::{Connection, Handle, Slab, State};
use super::counters::Counters;
use super::dialogue::Dialogue;
use super::place::Place;
use super::port::Ports;
use super::rooms::Rooms;
use super::schedule::{Due, Timeouts, nanoseconds};
use super::script::Script;
use super::secure::Secure;
use super::shrink::Shrinking;
use super::sizes::Sizes;
use super::task::{Hold, Opening};
use super::think::Think;
use crate::codec::frame::Limits;
use crate::codec::handshake::Request;
use crate::protocol::{PROTOCOL_VERSION, Report, Status, WorkerConfig};
use wsceiling_model::matrix::{Protocol, Scenario};

/// Bytes of the read buffer that all connections share.
const READ_BUFFER: usize = 64 << 10;

/// How long the other side may take to answer a close frame before the connection is closed with RST.
const CLOSE_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// An instance of the target.
#[derive(Debug)]
pub(super) struct Destination {
    pub place: Place,
    pub ports: Ports,
    /// Connections open to it.
    pub open: u64,
}

/// Everything that a worker knows.
#[derive(Debug)]
pub struct Engine {
    pub(super) registry: Registry,
    pub(super) config: WorkerConfig,
    pub(super) request: Request,
    pub(super) limits: Limits,
    pub(super) destinations: Vec<Destination>,
    /// The destination of the next connection.
    pub(super) turn: usize,
    pub(super) slab: Slab,
    /// Number of the next connection.
    pub(super) serial: u32,
    pub(super) random: fastrand::Rng,
    pub(super) ticks: Ticks,
    pub(super) dialogue: Dialogue,
    /// Messages of a person's own, in place of the dialogue's.
    pub(super) script: Option<Script>,
    /// TLS of the connections; `None`: plain TCP.
    pub(super) secure: Option<Secure>,
    pub(super) rooms: Rooms,
    /// Input of the connection at hand.
    pub(super) input: Vec<u8>,
    /// Output of the connection at hand.
    pub(super) out: Vec<u8>,
    /// Bytes that all connections keep between reads.
    pub(super) buffered: usize,
    /// Connections that had more to read than one turn takes.
    pub(super) again: Vec<Handle>,
    /// When which connection says something.
    pub(super) beats: Due<Handle>,
    /// When which connection is closed (churn).
    pub(super) lives: Due<Handle>,
    /// Connections to open in the place of closed ones (churn): intended moment and destination.
    pub(super) replacements: VecDeque<(u64, u16)>,
    pub(super) connecting: Timeouts,
    pub(super) upgrading: Timeouts,
    pub(super) closing: Timeouts,
    /// Time between two messages of a connection.
    pub(super) think: Think,
    pub(super) publish_every_ns: u64,
    pub(super) opening: Option<Opening>,
    pub(super) shrinking: Option<Shrinking>,
    pub(super) hold: Option<Hold>,
    pub(super) counters: Counters,
    pub(super) totals: Status,
    /// Grace of the last hold.
    pub(super) grace_ns: u64,
    pub(super) status_every_ns: u64,
    pub(super) status_due_ns: u64,
    /// Reports that were not sent yet.
    pub(super) reports: Vec<Report>,
}

impl Engine {
    /// An engine without connections. Says what is wrong with the configuration.
    pub fn new(config: WorkerConfig, registry: Registry) -> anyhow::Result<Self> {
        if config.version != PROTOCOL_VERSION {
            bail!(
                "the coordinator speaks version {} and this worker version {PROTOCOL_VERSION} (hint: both must be the same build)",
                config.version
            );
        }
        let destinations = destinations(&config)?;
        if destinations.is_empty() || destinations.len() > usize::from(u16::MAX) {
            bail!("{} destinations (hint: from 1 to {})", destinations.len(), u16::MAX);
        }
        if config.scenario == Scenario::Broadcast && config.protocol != Protocol::App {
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
        let request = Request::new(&config.host, &config.path, &config.headers)
            .map_err(anyhow::Error::msg)
            .context("prepare the upgrade request")?;
        let secure = config.client.tls.as_ref().map(Secure::new).transpose().map_err(anyhow::Error::msg)?;
        let now = now_ns();
        let mut random = fastrand::Rng::with_seed(config.seed);
        Ok(Self {
            ticks: Ticks::new(random.u64(..)),
            registry,
            request,
            limits: Limits::default(),
            rooms: Rooms::new(config.worker, config.room, destinations.len()),
            destinations,
            turn: 0,
            slab: Slab::default(),
            serial: 0,
            random,
            dialogue: Dialogue::new(
                config.protocol,
                Sizes::new(config.message_bytes, &config.message_mix, config.seed),
            ),
            script: config.client.script.as_ref().map(|script| Script::new(script, config.worker)),
            secure,
            input: vec![0; READ_BUFFER],
            out: Vec::new(),
            buffered: 0,
            again: Vec::new(),
            beats: Due::default(),
            lives: Due::default(),
            replacements: VecDeque::new(),
            connecting: Timeouts::new(config.connect_timeout),
            upgrading: Timeouts::new(config.handshake_timeout),
            closing: Timeouts::new(CLOSE_WAIT),
            think: Think::new(config.message_every, config.message_spread),
            publish_every_ns: nanoseconds(config.publish_every),
            opening: None,
            shrinking: None,
            hold: None,
            counters: Counters::new(now),
            totals: Status::default(),
            grace_ns: nanoseconds(CLOSE_WAIT),
            status_every_ns: nanoseconds(config.status_every),
            status_due_ns: now,
            reports: Vec::new(),
            config,
        })
    }

    /// Does what is due. True: more is due at once.
    pub fn work(&mut self) -> bool {
        let now = now_ns();
        let tick = self.ticks.last(now);
        // First of all, or what is said now would count as unanswered in the hold that ends now.
        let mut more = self.end_hold(now);
        more |= self.connect_due(tick);
        more |= self.talk_due(tick);
        more |= self.publish_due(tick);
        more |= self.expire_due(tick);
        more |= self.shrink_due(tick);
        self.time_out(now);
        more |= self.read_again();
        more |= self.end_settled_opening();
        more |= self.shrink_done();
        self.status_due(now);
        more
    }

    /// The next moment at which something is due.
    pub fn next_moment(&mut self) -> u64 {
        let Self { slab, connecting, upgrading, closing, .. } = self;
        let mut waits = |queue: &mut Timeouts, state| {
            queue.first(|handle| slab.get(handle).is_some_and(|connection| connection.state == state))
        };
        let timeouts =
            [waits(connecting, State::Connecting), waits(upgrading, State::Upgrading), waits(closing, State::Closing)];
        let next = timeouts
            .into_iter()
            .chain([self.beats.first(), self.lives.first()])
            .flatten()
            .map(|(moment, _)| moment)
            .chain(self.rooms.due.first().map(|(moment, _)| moment))
            .chain(self.opening.as_ref().and_then(Opening::next_moment))
            .chain(self.shrinking.as_ref().and_then(Shrinking::next_moment))
            .chain(self.replacements.front().map(|(moment, _)| *moment))
            .chain(self.hold.as_ref().map(|hold| hold.to_ns))
            .fold(self.status_due_ns, u64::min);
        self.ticks.next(next)
    }

    /// Reports to send.
    pub fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// The name of the connection in a slot.
    pub(super) fn handle(&mut self, index: u32) -> Handle {
        Handle { index, serial: self.slab.at(index).serial }
    }

    /// Whether an open connection counts as held: its last message came back, or in broadcast the last publish of its
    /// room reached it. What is younger than `grace_ns` need not have come back yet.
    pub(super) fn is_held(&self, connection: &Connection, grace_ns: u64, now: u64) -> bool {
        if self.config.scenario == Scenario::Broadcast {
            let last_ns = self.rooms.at(connection.room).last_ns;
            return connection.joined && (connection.since_ns >= last_ns || now.saturating_sub(last_ns) < grace_ns);
        }
        !connection.waiting || now.saturating_sub(connection.since_ns) < grace_ns
    }
}

fn destinations(config: &WorkerConfig) -> anyhow::Result<Vec<Destination>> {
    let ip = |address: &SocketAddr| Destination {
        place: Place::ip(*address),
        ports: Ports::new(&config.sources, address.ip()),
        open: 0,
    };
    if config.sockets.is_empty() {
        return Ok(config.destinations.iter().map(ip).collect());
    }
    let unix = |path: &PathBuf| {
        let place = Place::unix(path).with_context(|| format!("connect to {}", path.display()))?;
        Ok(Destination { place, ports: Ports::none(), open: 0 })
    };
    config.sockets.iter().map(unix).collect()
}
