//! Opening connections: at their intended moments, each from a source port of its own.

use mio::unix::SourceFd;
use mio::{Interest, Token};
use nix::errno::Errno;

use std::os::fd::{AsRawFd as _, OwnedFd};

use super::clock::now_ns;
use super::connection::{Connection, Output, State};
use super::counters::{named, reason_of};
use super::engine::Engine;
use super::port::Source;
use super::socket;
use crate::codec::handshake;
use wsceiling_model::record::{FailedAt, FailureReason};

/// Connects in one turn of the loop; each takes some 30 us, so that reading waits for 1 ms at most.
const CONNECTS_PER_TURN: usize = 32;

/// Source ports to try for one connection, where others have taken them.
const PORT_TRIES: usize = 64;

impl Engine {
    /// Issues the connects that are due by a tick. True: more are due.
    pub(super) fn connect_due(&mut self, tick: u64) -> bool {
        self.count_due(tick);
        for _ in 0..CONNECTS_PER_TURN {
            if let Some(opening) = &mut self.opening
                && let Some(intended) = opening.take(tick)
            {
                let destination = self.turn as u16;
                self.turn = (self.turn + 1) % self.destinations.len();
                self.connect(self.ticks.next(intended), destination, true);
            } else if let Some((intended, destination)) = self.replacements.pop_front() {
                self.totals.due += 1;
                self.counters.due += 1;
                self.connect(intended, destination, false);
            } else {
                return false;
            }
        }
        true
    }

    fn connect(&mut self, intended: u64, destination: u16, asked_for: bool) {
        let started = now_ns();
        self.counters.late(intended, started);
        self.counters.issued += 1;
        self.counters.last_issued_ns = started;
        self.totals.issued += 1;
        let (socket, source) = match self.open_socket(destination) {
            Ok(opened) => opened,
            Err((stage, cause)) => {
                self.counters.fail(stage, &cause, started);
                self.totals.failed += 1;
                if asked_for && let Some(opening) = &mut self.opening {
                    opening.settled += 1;
                }
                return;
            }
        };
        let serial = self.serial;
        self.serial = serial.wrapping_add(1);
        let index = self.slab.insert(Connection {
            socket: Some(socket),
            state: State::Connecting,
            asked_for,
            destination,
            source,
            serial,
            // Until it is open: by how many microseconds the connect was issued late.
            sequence: (started.saturating_sub(intended) / 1000) as u32,
            since_ns: intended,
            ..Connection::default()
        });
        // Over loopback the connection stands as soon as `connect` returns, so the request goes out at once: that saves
        // a wake-up and the question whether it succeeded.
        let result = self.send_request(index).and_then(|()| self.register(index));
        if let Err(errno) = result {
            let stage =
                if self.slab.at(index).state == State::Connecting { FailedAt::Connect } else { FailedAt::Handshake };
            self.fail(index, stage, &reason_of(errno), now_ns());
        } else if self.slab.at(index).state == State::Connecting {
            let handle = self.handle(index);
            self.connecting.begin(started, handle);
        }
    }

    /// A socket from a free source port. Ports that somebody else uses are passed over, which is counted.
    fn open_socket(&mut self, destination: u16) -> Result<(OwnedFd, Source), (FailedAt, FailureReason)> {
        let there = &mut self.destinations[usize::from(destination)];
        let mut tries = 1;
        loop {
            let Some(source) = there.ports.take() else {
                return Err((FailedAt::Bind, FailureReason::NoSourcePort));
            };
            let address = there.ports.address(source);
            let (stage, errno) = match socket::open(&there.place, address) {
                Ok(opened) => return Ok((opened, source)),
                Err(failed) => failed,
            };
            there.ports.give(source);
            let taken = matches!(
                (stage, errno),
                (FailedAt::Bind, Errno::EADDRINUSE) | (FailedAt::Connect, Errno::EADDRNOTAVAIL)
            );
            if !taken || address.is_none() || tries == PORT_TRIES {
                return Err((stage, reason_of(errno)));
            }
            self.counters.fail(stage, &FailureReason::Retried(named(errno)), now_ns());
            tries += 1;
        }
    }

    /// Sends the upgrade request if the connection stands; if not yet, it stays [`State::Connecting`].
    pub(super) fn send_request(&mut self, index: u32) -> nix::Result<()> {
        let connection = self.slab.at(index);
        let Some(socket) = &connection.socket else { return Ok(()) };
        self.out.clear();
        self.request.write(&handshake::key(self.config.seed, connection.serial), &mut self.out);
        if let Some(secure) = &mut self.secure {
            // What would be wrong with every session was found before the first one.
            secure.greet(index, &mut self.out).map_err(|_| Errno::EPROTO)?;
        }
        let sent = socket::transmit(socket, &self.out)?;
        if sent == 0 {
            return Ok(());
        }
        let now = now_ns();
        let issued = connection.since_ns + u64::from(connection.sequence) * 1000;
        self.counters.connected(now.saturating_sub(issued));
        connection.state = State::Upgrading;
        if let Some(secure) = &mut self.secure {
            secure.greeted(index, now);
        }
        if sent < self.out.len() {
            connection.output = Some(Box::new(Output { bytes: self.out[sent..].to_vec(), sent: 0 }));
        }
        let handle = self.handle(index);
        self.upgrading.begin(now, handle);
        Ok(())
    }

    /// Asks for the events of a connection: writability only where something waits for it.
    fn register(&mut self, index: u32) -> nix::Result<()> {
        let connection = self.slab.at(index);
        let Some(socket) = &connection.socket else { return Ok(()) };
        let interest = if connection.state == State::Connecting || connection.output.is_some() {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let result = self.registry.register(&mut SourceFd(&socket.as_raw_fd()), Token(index as usize), interest);
        result.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
    }
}
