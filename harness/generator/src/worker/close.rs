//! Ends of connections: failures, losses, timeouts, lives that are over. Each is counted once, with its reason.

use super::asking::Unanswered;
use super::clock::now_ns;
use super::engine::Engine;
use super::table::{Handle, State};
use wsceiling_model::matrix::Scenario;
use wsceiling_model::record::{FailedAt, FailureReason};

/// Connections that are closed politely in one turn of the loop, for each cause of it.
pub(super) const CLOSES_PER_TURN: usize = 64;

/// What follows on a connection that is closed politely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Another one takes its place (churn).
    Replace,
    /// Nothing.
    Nothing,
}

impl Engine {
    /// A connection is over, whatever its state. With `linger` the other side is given the time to end it too.
    pub(super) fn end(&mut self, index: u32, reason: &FailureReason, linger: bool, now: u64) {
        match self.table.state(index) {
            State::Connecting | State::Upgrading => self.fail(index, FailedAt::Handshake, reason, now),
            State::Open => self.lose(index, reason, linger, now),
            State::Closing => self.release(index, now),
            State::Free => {}
        }
    }

    /// The connection ended without a word.
    pub(super) fn cut_off(&mut self, index: u32, reason: &FailureReason) {
        let early = matches!(self.table.state(index), State::Connecting | State::Upgrading);
        if early && self.transport.is_agreeing_keys(index) && !matches!(reason, FailureReason::Tls(_)) {
            let reason = FailureReason::Tls(format!("{reason} in the handshake").into());
            self.end(index, &reason, false, now_ns());
        } else {
            self.end(index, reason, false, now_ns());
        }
    }

    /// A connection failed before it was open.
    pub(super) fn fail(&mut self, index: u32, at: FailedAt, reason: &FailureReason, now: u64) {
        self.counters.failed(at, reason, now);
        self.release(index, now);
    }

    /// An open connection is lost. With `linger` its close frame is out and the other side's end is awaited.
    fn lose(&mut self, index: u32, reason: &FailureReason, linger: bool, now: u64) {
        let age_ms = self.table.at(index).age_ms(now);
        self.counters.lost(reason, age_ms, now);
        self.keep_unanswered(index, now);
        if linger {
            self.begin_closing(index, now);
        } else {
            self.drop_open(index, now);
        }
    }

    /// Keeps what a connection leaves unanswered that ends in a hold, or in the probe after it: it counts as having waited
    /// until that is over.
    pub(super) fn keep_unanswered(&mut self, index: u32, now: u64) {
        if self.counters.is_holding() {
            self.left.extend(Unanswered::of(self.table.at(index), now));
        }
    }

    fn leave_room(&mut self, index: u32) {
        if self.scenario != Scenario::Broadcast {
            return;
        }
        let connection = self.table.at(index);
        let missed = self.rooms.leave(connection.room, index, connection.since_ns);
        if self.counters.is_holding() {
            let left = |since_ns| Unanswered {
                since_ns,
                probing: self.scheduler.is_silent(since_ns),
                parked_ns: 0,
                until_ns: since_ns,
            };
            self.left.extend(missed.into_iter().map(left));
        }
    }

    /// An open connection no longer counts as open, and its end is awaited.
    fn begin_closing(&mut self, index: u32, now: u64) {
        self.leave_room(index);
        self.table.enter(index, State::Closing);
        self.scheduler.begin_timeout(State::Closing, now, self.table.handle(index));
    }

    /// Closes an open connection with RST.
    pub(super) fn drop_open(&mut self, index: u32, now: u64) {
        self.leave_room(index);
        self.release(index, now);
    }

    /// Closes a connection with RST and frees its slot and its port.
    pub(super) fn release(&mut self, index: u32, now: u64) {
        let connection = self.table.remove(index);
        self.buffered -= connection.session.buffered();
        self.transport.close(index, connection.link, connection.destination);
        if connection.replace {
            self.scheduler.replacements.push_back((now, connection.destination));
        }
        if connection.asked_for {
            self.scheduler.settle();
        }
    }

    /// Ends what has waited too long.
    pub(super) fn time_out(&mut self, now: u64) {
        while let Some((state, handle)) = self.scheduler.timed_out(now, &self.table) {
            match state {
                State::Connecting => self.fail(handle.index, FailedAt::Connect, &FailureReason::Timeout, now),
                State::Upgrading => self.fail(handle.index, FailedAt::Handshake, &FailureReason::Timeout, now),
                _ => self.release(handle.index, now),
            }
        }
    }

    /// Closes the connections whose life is over, politely; others will take their places. True: more are due.
    pub(super) fn expire_due(&mut self, tick: u64) -> bool {
        for _ in 0..CLOSES_PER_TURN {
            let Some((due, handle)) = self.scheduler.take_expired(tick) else { return false };
            self.close_politely(handle, due, Then::Replace);
        }
        true
    }

    /// Closes an open connection, as it was due, with a close frame. False: it is not open any more.
    pub(super) fn close_politely(&mut self, handle: Handle, due: u64, then: Then) -> bool {
        if !self.table.is_in(handle, State::Open) {
            return false;
        }
        let now = now_ns();
        let connection = self.table.at(handle.index);
        // The client does not wait any longer, so what was not answered has waited until now.
        if let Some(unanswered) = Unanswered::of(connection, now).filter(|_| self.counters.is_holding()) {
            unanswered.count(&mut self.scheduler, &mut self.counters, now);
        }
        connection.replace = then == Then::Replace;
        self.transport.out.clear();
        self.protocol.write_close(&mut connection.session, &mut self.transport.out);
        self.counters.closes += 1;
        self.counters.late(self.scheduler.ticks.next(due), now);
        self.begin_closing(handle.index, now);
        self.send_out(handle.index);
        true
    }
}
