//! Moving bytes: what a connection received becomes steps of its session, and what it has to say goes out.

use std::os::fd::AsRawFd as _;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Token};
use nix::errno::Errno;

use super::clock::now_ns;
use super::connection::{Output, State};
use super::counters::reason_of;
use super::engine::Engine;
use super::socket;
use crate::codec::handshake::{self, Refusal};
use crate::codec::session::{Context, Step};
use wsceiling_model::record::{FailedAt, FailureReason};

/// Reads of one connection in one turn of the loop: a flood on one of them must not starve the others.
const READS_PER_TURN: usize = 8;

/// Bytes that all connections of a worker may keep between reads.
const BUFFERED_MAX: usize = 256 << 20;

/// Answers that a connection may leave unsent, in bytes, because the server does not read.
const UNSENT_MAX: usize = 64 << 10;

/// What became of a connection while its input was consumed.
#[derive(Debug)]
pub(super) enum Consumed {
    /// It goes on.
    Fine,
    /// It is gone, or no longer to be read in this turn.
    Gone,
    /// Writing failed; what it received may still say why.
    Unwritable(FailureReason),
}

impl Engine {
    /// The kernel says that something happened to a connection.
    #[inline]
    pub fn ready(&mut self, index: u32, event: &Event) {
        let connection = self.slab.at(index);
        let mut unwritable = None;
        match connection.state {
            State::Free => return,
            State::Connecting => {
                if let Err(errno) = self.send_request(index) {
                    self.fail(index, FailedAt::Connect, &reason_of(errno), now_ns());
                    return;
                }
                if self.slab.at(index).state == State::Connecting {
                    return;
                }
            }
            _ if connection.output.is_some() => unwritable = self.send_output(index).err(),
            _ => {}
        }
        let closed = event.is_read_closed() || event.is_error();
        if closed || event.is_readable() || unwritable.is_some() {
            self.pump(index, closed, unwritable);
        }
    }

    /// Reads on where the last turn stopped. True: there is still more.
    pub(super) fn read_again(&mut self) -> bool {
        for handle in std::mem::take(&mut self.again) {
            if self.slab.get(handle).is_some() {
                self.pump(handle.index, true, None);
            }
        }
        !self.again.is_empty()
    }

    /// Reads and consumes. A read that does not fill the buffer has emptied the socket, unless its end (`closed`) is
    /// still to be read.
    fn pump(&mut self, index: u32, closed: bool, mut unwritable: Option<FailureReason>) {
        let mut input = std::mem::take(&mut self.input);
        for turn in 1..=READS_PER_TURN {
            let Some(socket) = &self.slab.at(index).socket else { break };
            match socket::receive(socket, &mut input) {
                Ok(0) => {
                    self.cut_off(index, &FailureReason::Eof);
                    break;
                }
                Ok(length) => match self.unseal(index, &input[..length]) {
                    Consumed::Gone => break,
                    Consumed::Unwritable(cause) => unwritable = Some(cause),
                    Consumed::Fine if length < input.len() && !closed && unwritable.is_none() => break,
                    Consumed::Fine => {}
                },
                Err(Errno::EAGAIN) => {
                    if let Some(cause) = &unwritable {
                        self.cut_off(index, cause);
                    }
                    break;
                }
                Err(errno) => {
                    self.cut_off(index, &reason_of(errno));
                    break;
                }
            }
            if turn == READS_PER_TURN {
                if let Some(cause) = &unwritable {
                    self.cut_off(index, cause);
                } else {
                    let handle = self.handle(index);
                    self.again.push(handle);
                }
            }
        }
        self.input = input;
    }

    /// The connection ended without a word.
    pub(super) fn cut_off(&mut self, index: u32, cause: &FailureReason) {
        let now = now_ns();
        match self.slab.at(index).state {
            State::Connecting | State::Upgrading => {
                let cause = self.before_keys(index, cause);
                self.fail(index, FailedAt::Handshake, &cause, now);
            }
            State::Open => self.lose(index, cause, false, now),
            State::Closing => self.release(index, now),
            State::Free => {}
        }
    }

    /// Takes the steps that the input allows.
    #[inline]
    pub(super) fn consume(&mut self, index: u32, input: &[u8]) -> Consumed {
        let now = now_ns();
        let connection = self.slab.at(index);
        let serial = connection.serial;
        // Taken out, because messages lie in it while the engine works on them.
        let mut session = std::mem::take(&mut connection.session);
        let before = session.buffered();
        let seed = self.config.seed;
        self.out.clear();
        let mut rest = input;
        // Why the connection ends, and whether the other side is given the time to end it too.
        let mut end: Option<(FailureReason, bool)> = None;
        loop {
            let (used, step) = session.step(rest, || handshake::key(seed, serial), &mut self.context());
            rest = &rest[used..];
            let ended = match step {
                Step::Starved => break,
                Step::Control => continue,
                Step::Pong => {
                    self.ponged(index, now);
                    continue;
                }
                Step::Upgraded => {
                    self.upgraded(index, now);
                    continue;
                }
                Step::Text(payload) | Step::Binary(payload) => {
                    let text = matches!(step, Step::Text(_));
                    let Err(cause) = self.hear(index, text, payload, now) else { continue };
                    session.close(1002, &mut self.context());
                    self.counters.closes += 1;
                    (cause, true)
                }
                Step::Refused(refusal) => (bad_upgrade(refusal), false),
                Step::Closed(Some(code)) => (FailureReason::close(code), true),
                Step::Closed(None) => (FailureReason::Close(None), true),
                Step::CloseAnswered => {
                    self.counters.closes_answered += 1;
                    (FailureReason::Close(None), false)
                }
                Step::Broken(violation) => (FailureReason::Protocol(violation.rule().into()), true),
            };
            end.get_or_insert(ended);
        }
        let after = session.buffered();
        self.slab.at(index).session = session;
        self.buffered = self.buffered + after - before;
        if end.is_none() && after > before && self.buffered > BUFFERED_MAX {
            end = Some((FailureReason::InputMemory, false));
        }
        self.conclude(index, end, now)
    }

    /// What a session needs while it reads and closes.
    #[inline]
    pub(super) fn context(&mut self) -> Context<'_> {
        Context { request: &self.request, limits: self.limits, random: &mut self.random, out: &mut self.out }
    }

    /// Sends the answers of a turn, and ends the connection where the turn says so.
    pub(super) fn conclude(&mut self, index: u32, end: Option<(FailureReason, bool)>, now: u64) -> Consumed {
        let sent = self.send_out(index);
        let Some((cause, linger)) = end else {
            return match sent {
                Ok(()) if self.slab.at(index).state == State::Free => Consumed::Gone,
                Ok(()) => Consumed::Fine,
                Err(cause) => Consumed::Unwritable(cause),
            };
        };
        match self.slab.at(index).state {
            State::Connecting | State::Upgrading => self.fail(index, FailedAt::Handshake, &cause, now),
            State::Open => {
                self.lose(index, &cause, linger && sent.is_ok(), now);
                // The other side's end may already be there to be read.
                if self.slab.at(index).state == State::Closing {
                    return Consumed::Fine;
                }
            }
            State::Closing => self.release(index, now),
            State::Free => {}
        }
        Consumed::Gone
    }

    /// Sends what the engine's output holds for a connection, as far as its socket takes it; the rest waits.
    #[inline]
    pub(super) fn send_out(&mut self, index: u32) -> Result<(), FailureReason> {
        if let Some(secure) = &mut self.secure {
            secure.seal(index, &mut self.out);
        }
        if self.out.is_empty() {
            return Ok(());
        }
        let connection = self.slab.at(index);
        let Some(socket) = &connection.socket else { return Ok(()) };
        if connection.output.is_none() {
            let sent = socket::transmit(socket, &self.out).map_err(reason_of)?;
            if sent == self.out.len() {
                return Ok(());
            }
            self.out.drain(..sent);
        }
        self.keep_out(index)
    }

    /// Keeps output until the socket takes it.
    #[cold]
    fn keep_out(&mut self, index: u32) -> Result<(), FailureReason> {
        let connection = self.slab.at(index);
        let Some(socket) = &connection.socket else { return Ok(()) };
        if let Some(output) = &mut connection.output {
            // A server that pings without reading the pongs would fill the memory.
            let messages = self.config.message_bytes.max(self.config.publish_bytes) as usize;
            if output.bytes.len() - output.sent > UNSENT_MAX + messages {
                return Err(FailureReason::ServerDoesNotRead);
            }
            output.bytes.extend_from_slice(&self.out);
            return Ok(());
        }
        connection.output = Some(Box::new(Output { bytes: self.out.clone(), sent: 0 }));
        let interest = Interest::READABLE | Interest::WRITABLE;
        let result = self.registry.reregister(&mut SourceFd(&socket.as_raw_fd()), Token(index as usize), interest);
        result.map_err(|error| reason_of(Errno::from_raw(error.raw_os_error().unwrap_or(0))))
    }

    /// Sends output that waited.
    fn send_output(&mut self, index: u32) -> Result<(), FailureReason> {
        let connection = self.slab.at(index);
        let (Some(socket), Some(output)) = (&connection.socket, &mut connection.output) else { return Ok(()) };
        output.sent += socket::transmit(socket, &output.bytes[output.sent..]).map_err(reason_of)?;
        if output.sent == output.bytes.len() {
            connection.output = None;
        }
        Ok(())
    }

    /// Sends what the engine's output holds for an open connection. A failure ends the connection, with the reason that
    /// the server gave, where it gave one before.
    pub(super) fn say_out(&mut self, index: u32) {
        if let Err(cause) = self.send_out(index) {
            self.pump(index, true, Some(cause));
        }
    }
}

/// What a refused upgrade says of a connection.
fn bad_upgrade(refusal: Refusal) -> FailureReason {
    match refusal {
        Refusal::Status(status) => FailureReason::Http(status),
        other => FailureReason::BadUpgrade(other.to_string().into()),
    }
}
