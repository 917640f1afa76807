//! Opening connections at their intended moments, and moving bytes: what a connection received becomes events of its
//! protocol, and what it has to say goes out.

use mio::event::Event as Readiness;

use super::clock::now_ns;
use super::counters::reason_of;
use super::engine::Engine;
use super::protocol::{CloseHandshake, Ending, Event};
use super::scheduler::Connect;
use super::table::{Connection, State};
use super::transport::{Received, Transport};
use wsceiling_model::record::{FailedAt, FailureReason};

/// Connects in one turn of the loop; each takes some 30 us, so that reading waits for 1 ms at most.
const CONNECTS_PER_TURN: usize = 32;

/// Reads of one connection in one turn of the loop: a flood on one of them must not starve the others.
const READS_PER_TURN: usize = 8;

/// Bytes that all connections of a worker may keep between reads.
const BUFFERED_MAX: usize = 256 << 20;

/// What became of a connection while its input was consumed.
#[derive(Debug)]
enum Consumed {
    /// It goes on.
    Fine,
    /// It is gone, or no longer to be read in this turn.
    Gone,
    /// Writing failed; what it received may still say why.
    Unwritable(FailureReason),
}

impl Engine {
    /// Issues the connects that are due by a tick. True: more are due.
    pub(super) fn connect_due(&mut self, tick: u64) -> bool {
        self.count_due(tick);
        for _ in 0..CONNECTS_PER_TURN {
            match self.scheduler.take_connect(tick) {
                Some(Connect::Asked(intended)) => {
                    let destination = self.transport.next_destination();
                    self.connect(self.scheduler.ticks.next(intended), destination, true);
                }
                Some(Connect::Replacement(intended, destination)) => {
                    self.counters.due(1);
                    self.connect(intended, destination, false);
                }
                None => return false,
            }
        }
        true
    }

    fn connect(&mut self, intended: u64, destination: u16, asked_for: bool) {
        let started = now_ns();
        self.counters.issued(intended, started);
        let retried = |at, reason| self.counters.note(at, &reason, now_ns());
        let link = match self.transport.open(destination, retried) {
            Ok(link) => link,
            Err((at, reason)) => {
                self.counters.failed(at, &reason, started);
                if asked_for {
                    self.scheduler.settle();
                }
                return;
            }
        };
        let mut connection = Connection::connecting(link, destination, intended, started);
        connection.asked_for = asked_for;
        let handle = self.table.insert(connection);
        let index = handle.index;
        // Over loopback the connection stands as soon as `connect` returns, so the request goes out at once: that saves
        // a wake-up and the question whether it succeeded.
        let result = self.send_request(index).and_then(|()| {
            let connection = self.table.at(index);
            self.transport.register(index, &connection.link, connection.state() != State::Connecting)
        });
        let connecting = self.table.state(index) == State::Connecting;
        if let Err(errno) = result {
            let at = if connecting { FailedAt::Connect } else { FailedAt::Handshake };
            self.fail(index, at, &reason_of(errno), now_ns());
        } else if connecting {
            self.scheduler.begin_timeout(State::Connecting, started, handle);
        }
    }

    /// Sends the upgrade request if the connection stands; if not yet, it stays [`State::Connecting`].
    fn send_request(&mut self, index: u32) -> nix::Result<()> {
        let connection = self.table.at(index);
        self.transport.out.clear();
        let destination = connection.destination;
        self.protocol.write_request(connection.last().serial, destination, &mut self.transport.out);
        if !self.transport.send_first(index, destination, &mut connection.link)? {
            return Ok(());
        }
        let now = now_ns();
        self.counters.connected(now.saturating_sub(connection.issued_ns()));
        self.table.enter(index, State::Upgrading);
        self.scheduler.begin_timeout(State::Upgrading, now, self.table.handle(index));
        Ok(())
    }

    /// The kernel says that something happened to a connection.
    #[inline]
    pub fn ready(&mut self, index: u32, readiness: &Readiness) {
        let connection = self.table.at(index);
        let mut unwritable = None;
        match connection.state() {
            State::Free => return,
            State::Connecting => {
                if let Err(errno) = self.send_request(index) {
                    self.fail(index, FailedAt::Connect, &reason_of(errno), now_ns());
                    return;
                }
                if self.table.state(index) == State::Connecting {
                    return;
                }
            }
            _ if connection.link.is_blocked() => unwritable = Transport::send_unsent(&mut connection.link).err(),
            _ => {}
        }
        let closed = readiness.is_read_closed() || readiness.is_error();
        if closed || readiness.is_readable() || unwritable.is_some() {
            self.read(index, closed, unwritable);
        }
    }

    /// Reads on where the last turn stopped. True: there is still more.
    pub(super) fn read_again(&mut self) -> bool {
        for handle in std::mem::take(&mut self.unread) {
            if self.table.get(handle).is_some() {
                self.read(handle.index, true, None);
            }
        }
        !self.unread.is_empty()
    }

    /// Reads and consumes. A read that does not fill the buffer has emptied the socket, unless its end (`closed`) is
    /// still to be read.
    fn read(&mut self, index: u32, closed: bool, mut unwritable: Option<FailureReason>) {
        let mut input = self.transport.take_input();
        for turn in 1..=READS_PER_TURN {
            match Transport::receive(&self.table.at(index).link, &mut input) {
                Received::Bytes(length) => match self.decrypt(index, &input[..length]) {
                    Consumed::Gone => break,
                    Consumed::Unwritable(reason) => unwritable = Some(reason),
                    Consumed::Fine if length < input.len() && !closed && unwritable.is_none() => break,
                    Consumed::Fine => {}
                },
                Received::Empty => {
                    if let Some(reason) = &unwritable {
                        self.cut_off(index, reason);
                    }
                    break;
                }
                Received::End(reason) => {
                    self.cut_off(index, &reason);
                    break;
                }
            }
            if turn == READS_PER_TURN {
                if let Some(reason) = &unwritable {
                    self.cut_off(index, reason);
                } else {
                    self.unread.push(self.table.handle(index));
                }
            }
        }
        self.transport.give_input(input);
    }

    /// Takes in what a connection received: ciphertext, where it has TLS.
    #[inline]
    fn decrypt(&mut self, index: u32, cipher: &[u8]) -> Consumed {
        let Some(tls) = self.transport.tls() else { return self.consume(index, cipher) };
        let mut plain = std::mem::take(&mut tls.plain);
        plain.clear();
        let (opened, agreed_ns) = tls.open(index, cipher, &mut plain);
        if let Some(took_ns) = agreed_ns {
            self.counters.keyed(took_ns);
        }
        let consumed = if plain.is_empty() {
            self.transport.out.clear();
            self.conclude(index, None, now_ns())
        } else {
            self.consume(index, &plain)
        };
        if let Some(tls) = self.transport.tls() {
            tls.plain = plain;
        }
        match (opened, consumed) {
            (Err(reason), Consumed::Fine | Consumed::Unwritable(_)) if self.table.state(index) != State::Free => {
                self.cut_off(index, &reason);
                Consumed::Gone
            }
            (_, consumed) => consumed,
        }
    }

    /// Does what the input says.
    #[inline]
    fn consume(&mut self, index: u32, input: &[u8]) -> Consumed {
        let now = now_ns();
        // Taken out, because messages lie in it while the engine works on them.
        let mut session = std::mem::take(&mut self.table.at(index).session);
        let before = session.buffered();
        self.transport.out.clear();
        let mut rest = input;
        let mut end: Option<Ending> = None;
        loop {
            let last = self.table.at(index).last();
            let (used, event) = self.protocol.next(&mut session, rest, last, &mut self.transport.out);
            rest = &rest[used..];
            match event {
                Event::Starved => break,
                Event::Nothing => {}
                Event::Opened => self.opened(index, now),
                Event::Ended(ending, handshake) => {
                    self.counters.closes += u64::from(handshake == CloseHandshake::Begun);
                    self.counters.closes_answered += u64::from(handshake == CloseHandshake::Answered);
                    end.get_or_insert(ending);
                }
                message => self.heard(index, message, now),
            }
        }
        let after = session.buffered();
        self.table.at(index).session = session;
        self.buffered = self.buffered + after - before;
        if end.is_none() && after > before && self.buffered > BUFFERED_MAX {
            end = Some(Ending { reason: FailureReason::InputMemory, linger: false });
        }
        self.conclude(index, end, now)
    }

    /// Sends the answers of a turn, and ends the connection where the turn says so.
    fn conclude(&mut self, index: u32, end: Option<Ending>, now: u64) -> Consumed {
        let sent = self.transport.send(index, &mut self.table.at(index).link);
        let Some(Ending { reason, linger }) = end else {
            return match sent {
                Ok(()) if self.table.state(index) == State::Free => Consumed::Gone,
                Ok(()) => Consumed::Fine,
                Err(reason) => Consumed::Unwritable(reason),
            };
        };
        self.end(index, &reason, linger && sent.is_ok(), now);
        // The other side's end may already be there to be read.
        if self.table.state(index) == State::Closing { Consumed::Fine } else { Consumed::Gone }
    }

    /// Sends the output of an open connection. A failure ends the connection, with the reason that the server gave, where
    /// it gave one before.
    pub(super) fn send_out(&mut self, index: u32) {
        if let Err(reason) = self.transport.send(index, &mut self.table.at(index).link) {
            self.read(index, true, Some(reason));
        }
    }
}
