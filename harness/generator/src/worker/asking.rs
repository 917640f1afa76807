//! One question at a time: a connection that still waits for an answer cannot send its next message when it is due. The
//! message is *parked*, and sent as soon as the answer comes; its time counts from the moment at which it was due. So do
//! those that follow, until the connection has caught up with its schedule. Without that, a server that stalls would be
//! asked less, and the waits of the messages that were never sent would be in no distribution (coordinated omission).
//!
//! Works on moments that it is given, so that tests can play a server in virtual time.

use super::counters::Counters;
use super::scheduler::Scheduler;
use super::table::{Connection, Handle};

/// A connection says its message, which was due at `intended`.
#[inline]
pub fn ask(connection: &mut Connection, intended: u64, counters: &mut Counters) {
    counters.asked(intended);
    connection.waiting = true;
    connection.probing = false;
    connection.since_ns = intended;
}

/// A message is due at `due` while the connection waits. It was taken out of the schedule.
pub fn park(connection: &mut Connection, due: u64, scheduler: &Scheduler, counters: &mut Counters) {
    counters.message_due(scheduler.ticks.next(due), 1);
    connection.parked_ns = due;
}

/// A probe asks a connection at `due`: now, or once it no longer waits. True: the message is to be sent now.
pub fn probe(connection: &mut Connection, due: u64, scheduler: &Scheduler, counters: &mut Counters) -> bool {
    if connection.waiting {
        connection.parked_ns = due;
        return false;
    }
    counters.probed(1);
    connection.waiting = true;
    connection.probing = true;
    connection.since_ns = scheduler.ticks.next(due);
    true
}

/// A connection is answered. True: a message was parked, and is to be sent now.
#[inline]
pub fn answered(
    handle: Handle,
    connection: &mut Connection,
    scheduler: &mut Scheduler,
    counters: &mut Counters,
    now: u64,
) -> bool {
    connection.waiting = false;
    if connection.probing {
        counters.probe_answered(connection.since_ns, now);
    } else {
        counters.answered(connection.since_ns, now);
    }
    connection.parked_ns != 0 && catch_up(handle, connection, scheduler, counters, now)
}

/// Says the parked message. The next one is parked too if it was due by now, else it goes back to the schedule.
#[inline(never)]
fn catch_up(
    handle: Handle,
    connection: &mut Connection,
    scheduler: &mut Scheduler,
    counters: &mut Counters,
    now: u64,
) -> bool {
    let due = std::mem::take(&mut connection.parked_ns);
    let intended = scheduler.ticks.next(due);
    if scheduler.is_silent(intended) {
        return probe(connection, due, scheduler, counters);
    }
    counters.message_sent(intended, 1);
    connection.waiting = true;
    connection.probing = false;
    connection.since_ns = intended;
    let next = scheduler.message_after(due);
    let intended = scheduler.ticks.next(next);
    if intended <= now && !scheduler.is_silent(intended) {
        park(connection, next, scheduler, counters);
    } else {
        scheduler.resume_messages(handle, next);
    }
    true
}

/// What a connection, or a room, leaves unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered {
    /// When the message was due that it waits for; 0: none.
    pub since_ns: u64,
    /// That message is one of a probe.
    pub probing: bool,
    /// See [`Connection::parked_ns`].
    pub parked_ns: u64,
    /// From here on nothing was due any more, because the connection ended.
    pub until_ns: u64,
}

impl Unanswered {
    /// What a connection has left unanswered until now, or will leave that ends now; `None`: nothing.
    pub fn of(connection: &Connection, until_ns: u64) -> Option<Self> {
        let Connection { since_ns, probing, parked_ns, .. } = *connection;
        connection.waiting.then_some(Self { since_ns, probing, parked_ns, until_ns })
    }

    /// Counts all of it: it has waited until `end`. Says when the first message was due that is not among it, where one
    /// was parked that is missing in the schedule.
    pub fn count(self, scheduler: &mut Scheduler, counters: &mut Counters, end: u64) -> Option<u64> {
        if self.probing {
            counters.probe_unanswered(self.since_ns, end, 1);
        } else {
            counters.unanswered(self.since_ns, end, 1);
        }
        if self.parked_ns == 0 {
            return None;
        }
        let intended = scheduler.ticks.next(self.parked_ns);
        if scheduler.is_silent(intended) {
            counters.probe_unanswered(intended, end, 1);
            return None;
        }
        counters.unanswered(intended, end, 1);
        Some(count_missed(self.parked_ns, self.until_ns, scheduler, counters, end))
    }
}

/// Counts the messages that were due after the one at `due` and before `until`, and were never sent. Says when the first
/// one after them is due.
pub fn count_missed(due: u64, until: u64, scheduler: &mut Scheduler, counters: &mut Counters, end: u64) -> u64 {
    let until = until.min(counters.load().end);
    let mut next = due;
    loop {
        next = scheduler.message_after(next);
        let intended = scheduler.ticks.next(next);
        if intended >= until {
            return next;
        }
        counters.message_due(intended, 1);
        counters.unanswered(intended, end, 1);
    }
}

#[cfg(test)]
mod tests;
