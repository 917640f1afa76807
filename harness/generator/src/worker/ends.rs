//! Ends of connections: failures, losses, timeouts, lives that are over. Each is counted once, with its cause.

use super::clock::now_ns;
use super::connection::{Handle, State};
use super::engine::Engine;
use super::schedule::Timeouts;
use super::task::Gone;
use crate::codec::session::Context;
use wsceiling_model::matrix::Scenario;
use wsceiling_model::record::{FailedAt, FailureReason};

/// Connections whose life is ended in one turn of the loop.
const ENDS_PER_TURN: usize = 64;

impl Engine {
    /// A connection failed before it was open.
    pub(super) fn fail(&mut self, index: u32, at: FailedAt, cause: &FailureReason, now: u64) {
        self.counters.fail(at, cause, now);
        self.totals.failed += 1;
        self.release(index, now);
    }

    /// An open connection is lost. With `linger` its close frame is out and the other side's end is awaited.
    pub(super) fn lose(&mut self, index: u32, cause: &FailureReason, linger: bool, now: u64) {
        self.leave(index);
        self.totals.lost += 1;
        self.counters.lost += 1;
        self.counters.fail(FailedAt::Open, cause, now);
        if linger {
            self.begin_closing(index, now);
        } else {
            self.release(index, now);
        }
    }

    /// A connection is no longer counted as open.
    fn leave(&mut self, index: u32) {
        let connection = self.slab.at(index);
        self.totals.open -= 1;
        self.destinations[usize::from(connection.destination)].open -= 1;
        if self.config.scenario == Scenario::Broadcast {
            self.rooms.leave(connection.room, index);
        }
    }

    fn begin_closing(&mut self, index: u32, now: u64) {
        self.slab.at(index).state = State::Closing;
        let handle = self.handle(index);
        self.closing.begin(now, handle);
    }

    /// Closes a connection with RST and frees its slot and its port.
    pub(super) fn release(&mut self, index: u32, now: u64) {
        let connection = self.slab.remove(index);
        if let Some(secure) = &mut self.secure {
            secure.forget(index);
        }
        self.buffered -= connection.session.buffered();
        self.destinations[usize::from(connection.destination)].ports.give(connection.source);
        if let Some(socket) = connection.socket {
            // Not by dropping it: where debug assertions are on, that asks the kernel first whether it is open.
            let _ = nix::unistd::close(socket);
        }
        if connection.replace {
            self.replacements.push_back((now, connection.destination));
        }
        if connection.asked_for
            && let Some(opening) = &mut self.opening
        {
            opening.settled += 1;
        }
    }

    /// Closes an open connection with RST, because the coordinator wants it.
    pub(super) fn drop_open(&mut self, index: u32, now: u64) {
        self.leave(index);
        self.release(index, now);
    }

    /// Ends what has waited too long.
    pub(super) fn time_out(&mut self, now: u64) {
        while let Some(handle) = ended(&mut self.connecting, &mut self.slab, State::Connecting, now) {
            self.fail(handle.index, FailedAt::Connect, &FailureReason::Timeout, now);
        }
        while let Some(handle) = ended(&mut self.upgrading, &mut self.slab, State::Upgrading, now) {
            self.fail(handle.index, FailedAt::Handshake, &FailureReason::Timeout, now);
        }
        while let Some(handle) = ended(&mut self.closing, &mut self.slab, State::Closing, now) {
            self.release(handle.index, now);
        }
    }

    /// Closes the connections whose life is over, politely; others will take their places. True: more are due.
    pub(super) fn expire_due(&mut self, tick: u64) -> bool {
        for _ in 0..ENDS_PER_TURN {
            let Some((due, handle)) = self.lives.first() else { return false };
            if due > tick {
                return false;
            }
            self.lives.pop();
            self.close_politely(handle, due, Gone::Replaced);
        }
        true
    }

    /// Closes an open connection, as it was due, with a close frame. False: it is not open any more.
    pub(super) fn close_politely(&mut self, handle: Handle, due: u64, gone: Gone) -> bool {
        let Some(connection) = self.slab.get(handle).filter(|connection| connection.state == State::Open) else {
            return false;
        };
        connection.replace = gone == Gone::Replaced;
        self.out.clear();
        let mut context =
            Context { request: &self.request, limits: self.limits, random: &mut self.random, out: &mut self.out };
        connection.session.close(1000, &mut context);
        self.counters.closes += 1;
        let now = now_ns();
        self.counters.late(self.ticks.next(due), now);
        self.leave(handle.index);
        self.begin_closing(handle.index, now);
        self.say_out(handle.index);
        true
    }
}

/// The next connection whose time in a state is over.
fn ended(queue: &mut Timeouts, slab: &mut super::connection::Slab, state: State, now: u64) -> Option<Handle> {
    let waits = |handle| slab.get(handle).is_some_and(|connection| connection.state == state);
    queue.first(waits).filter(|(deadline, _)| *deadline <= now).map(|(_, handle)| handle)
}
