//! Saying and hearing: messages at their intended moments, publishes into rooms, and the replies.

use super::asking;
use super::clock::now_ns;
use super::engine::Engine;
use super::protocol::Event;
use super::scheduler::{Turn, Whom};
use super::table::{Handle, State, wrapped_ms};
use wsceiling_model::matrix::Scenario;
use wsceiling_model::record::FailedAt;

/// Messages in one turn of the loop, so that reading waits for 1 ms at most.
const MESSAGES_PER_TURN: usize = 128;

impl Engine {
    /// The upgrade of a connection is accepted: it is open, and says its first word at once.
    pub(super) fn opened(&mut self, index: u32, now: u64) {
        let handle = self.table.handle(index);
        self.table.enter(index, State::Open);
        let connection = self.table.at(index);
        self.counters.opened(connection.since_ns, now);
        connection.since_ns = now;
        connection.sequence = 0;
        connection.opened_ms = wrapped_ms(now);
        if std::mem::take(&mut connection.asked_for)
            && let Some(opening) = &mut self.scheduler.opening
        {
            opening.settle();
            if opening.is_storm() {
                self.counters.restored(now.saturating_sub(opening.start_ns));
            }
        }
        self.scheduler.add_messages(handle, now);
        match self.scenario {
            Scenario::Broadcast => self.join(index, now),
            Scenario::Churn => {
                self.scheduler.add_life(handle, now);
                self.ask(index, now, now);
            }
            Scenario::Idle | Scenario::Echo => self.ask(index, now, now),
        }
    }

    /// Asks for membership in a room that has space.
    fn join(&mut self, index: u32, now: u64) {
        let first_ns = self.scheduler.first_publish(now);
        let connection = self.table.at(index);
        let (room, is_new) = self.rooms.assign(connection.destination);
        connection.room = room;
        if is_new {
            self.scheduler.add_publishes(room, first_ns);
        }
        self.protocol.write_join(&self.rooms.name(room), &mut self.transport.out);
        self.counters.asked(now);
    }

    /// Says what is due by a tick. True: more is due.
    pub(super) fn say_due(&mut self, tick: u64) -> bool {
        for _ in 0..MESSAGES_PER_TURN {
            let (due, handle) = match self.scheduler.next_message(tick, &self.table) {
                Turn::Later => return false,
                Turn::Skipped => continue,
                Turn::Blocked(due, handle) => {
                    self.counters.late(self.scheduler.ticks.next(due), now_ns());
                    asking::park(self.table.at(handle.index), due, &self.scheduler, &mut self.counters);
                    continue;
                }
                Turn::Now(due, handle) => (due, handle),
            };
            self.transport.out.clear();
            if self.scenario == Scenario::Broadcast {
                // Keeps the server's idle timeout away; neither counted nor awaited.
                self.write_message(handle.index);
            } else {
                self.ask(handle.index, self.scheduler.ticks.next(due), now_ns());
                if let Some(probe) = &mut self.scheduler.probe {
                    // It was due in the hold, and the loop is behind.
                    probe.asked(Whom::Connection(handle), now_ns());
                }
            }
            self.send_out(handle.index);
        }
        true
    }

    /// Writes the message that was due at `intended` into the output.
    #[inline]
    fn ask(&mut self, index: u32, intended: u64, now: u64) {
        if !self.protocol.asks() {
            return;
        }
        self.counters.late(intended, now);
        asking::ask(self.table.at(index), intended, &mut self.counters);
        self.write_message(index);
    }

    /// Asks whom the probe is to ask by a tick. True: more are to be asked.
    pub(super) fn probe_due(&mut self, tick: u64) -> bool {
        for _ in 0..MESSAGES_PER_TURN {
            match self.scheduler.take_probe(tick) {
                None => return false,
                Some((due, Whom::Connection(handle))) => self.probe(handle, due),
                Some((due, Whom::Room(room))) => self.publish(room, due),
            }
        }
        true
    }

    /// Asks a connection whether it is held, unless a late message of the load has asked it meanwhile.
    fn probe(&mut self, handle: Handle, due: u64) {
        if !self.table.is_in(handle, State::Open) {
            return;
        }
        let now = now_ns();
        let load = self.counters.load();
        let connection = self.table.at(handle.index);
        let is_asked = connection.since_ns >= load.start || connection.parked_ns != 0;
        if !is_asked {
            self.counters.late(self.scheduler.ticks.next(due), now);
            if asking::probe(connection, due, &self.scheduler, &mut self.counters) {
                self.transport.out.clear();
                self.write_message(handle.index);
                self.send_out(handle.index);
            }
        }
        if let Some(probe) = &mut self.scheduler.probe {
            probe.asked(Whom::Connection(handle), now);
        }
    }

    #[inline]
    fn write_message(&mut self, index: u32) {
        let connection = self.table.at(index);
        connection.sequence = connection.sequence.wrapping_add(1);
        self.protocol.write_message(connection.last(), &mut self.transport.out);
    }

    /// Publishes what is due by a tick. True: more is due.
    pub(super) fn publish_due(&mut self, tick: u64) -> bool {
        for _ in 0..MESSAGES_PER_TURN {
            match self.scheduler.next_publish(tick) {
                Turn::Later => return false,
                // A room does not wait for its members.
                Turn::Skipped | Turn::Blocked(..) => {}
                Turn::Now(due, room) => self.publish(room, due),
            }
        }
        true
    }

    /// Publishes into a room through its first member. Every member is to receive it.
    fn publish(&mut self, room: u32, due: u64) {
        let members = self.rooms.at(room).members();
        let Some(publisher) = members.first().copied() else { return };
        let expected = members.len() as u64;
        let (intended, now) = (self.scheduler.ticks.next(due), now_ns());
        self.counters.late(intended, now);
        // Told apart by its moment, so two in one tick must not have the same.
        let at_ns = intended.max(self.rooms.at(room).last_ns + 1);
        self.rooms.publish(room, at_ns);
        self.counters.message_due(at_ns, expected);
        let is_probe = self.scheduler.is_silent(at_ns);
        if let Some(probe) = &mut self.scheduler.probe {
            probe.asked(Whom::Room(room), now);
        }
        if self.table.at(publisher).link.is_blocked() {
            return;
        }
        if is_probe {
            self.counters.probed(expected);
        } else {
            self.counters.message_sent(at_ns, expected);
        }
        self.transport.out.clear();
        self.protocol.write_publish(&self.rooms.name(room), at_ns, self.publish_bytes, &mut self.transport.out);
        self.send_out(publisher);
    }

    /// A connection received a message.
    #[inline]
    pub(super) fn heard(&mut self, index: u32, message: Event, now: u64) {
        let broadcast = self.scenario == Scenario::Broadcast;
        let connection = self.table.at(index);
        match message {
            Event::Answered => {
                let handle = connection.handle(index);
                if asking::answered(handle, connection, &mut self.scheduler, &mut self.counters, now) {
                    self.write_message(index);
                }
            }
            Event::Joined if broadcast => {
                if !std::mem::replace(&mut connection.joined, true) {
                    self.counters.answered(connection.since_ns, now);
                    connection.since_ns = now;
                    self.rooms.join(connection.room, index);
                }
            }
            // One that is older than the last one, or than the membership, is history.
            Event::Published(at_ns) if broadcast => {
                if connection.joined && at_ns > connection.since_ns {
                    connection.since_ns = at_ns;
                    self.rooms.received(connection.room, at_ns);
                    if self.scheduler.is_silent(at_ns) {
                        self.counters.probe_answered(at_ns, now);
                    } else {
                        self.counters.answered(at_ns, now);
                    }
                }
            }
            Event::Error(reason) => self.counters.note(FailedAt::Open, &reason, now),
            _ => self.counters.unasked += 1,
        }
    }
}
