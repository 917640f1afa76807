//! Saying and hearing: messages at their intended moments, publishes into rooms, and the replies.

use super::clock::now_ns;
use super::connection::{Connection, State};
use super::counters::Counters;
use super::dialogue::Reply;
use super::engine::Engine;
use crate::codec::frame::{self, Opcode};
use wsceiling_model::matrix::Scenario;
use wsceiling_model::record::{FailedAt, FailureReason};

/// Messages in one turn of the loop, so that reading waits for 1 ms at most.
const MESSAGES_PER_TURN: usize = 128;

impl Engine {
    /// The upgrade of a connection is accepted: it is open, and says its first word at once.
    pub(super) fn upgraded(&mut self, index: u32, now: u64) {
        let handle = self.handle(index);
        let connection = self.slab.at(index);
        self.counters.upgraded(now.saturating_sub(connection.since_ns));
        self.counters.last_opened_ns = now;
        connection.state = State::Open;
        connection.since_ns = now;
        connection.sequence = 0;
        let destination = connection.destination;
        if std::mem::take(&mut connection.asked_for)
            && let Some(opening) = &mut self.opening
        {
            opening.settled += 1;
            if opening.is_storm() {
                self.counters.restored(now.saturating_sub(opening.start_ns));
            }
        }
        self.totals.open += 1;
        self.destinations[usize::from(destination)].open += 1;
        self.beats.push(now.saturating_add(self.think.draw(&mut self.random)), handle);
        match self.config.scenario {
            Scenario::Broadcast => {
                let first_ns = now.saturating_add(self.random.u64(0..self.publish_every_ns));
                let room = self.rooms.assign(destination, first_ns);
                self.slab.at(index).room = room;
                let name = self.rooms.name(room);
                let key = self.random.u32(..).to_ne_bytes();
                frame::write(&mut self.out, Opcode::Text, self.dialogue.join(&name), key);
                self.counters.messages_due += 1;
                self.counters.messages_sent += 1;
            }
            Scenario::Churn => {
                let lifetime_ns = self.config.lifetime.as_nanos() as f64 * -(1.0 - self.random.f64()).ln();
                self.lives.push(now.saturating_add(lifetime_ns as u64), handle);
                self.ask(index, now, now);
            }
            Scenario::Idle | Scenario::Echo => self.ask(index, now, now),
        }
    }

    /// Says what is due by a tick. True: more is due.
    pub(super) fn talk_due(&mut self, tick: u64) -> bool {
        for _ in 0..MESSAGES_PER_TURN {
            let Some((due, handle)) = self.beats.first() else { return false };
            if due > tick {
                return false;
            }
            if self.slab.get(handle).is_none_or(|connection| connection.state != State::Open) {
                self.beats.pop();
                continue;
            }
            self.beats.postpone(due.saturating_add(self.think.draw(&mut self.random)));
            if self.hold.as_ref().is_some_and(|hold| hold.is_quiet(due)) {
                continue;
            }
            self.out.clear();
            if self.config.scenario == Scenario::Broadcast {
                // Keeps the server's idle timeout away; neither counted nor awaited.
                self.write_message(handle.index);
            } else {
                self.ask(handle.index, self.ticks.next(due), now_ns());
            }
            self.say_out(handle.index);
        }
        true
    }

    /// Writes the message that was due at `intended` into the output, unless the last one is still unanswered.
    #[inline]
    fn ask(&mut self, index: u32, intended: u64, now: u64) {
        if self.mirrors() {
            return;
        }
        self.counters.late(intended, now);
        let connection = self.slab.at(index);
        self.counters.asked(intended, !connection.waiting);
        if connection.waiting {
            return;
        }
        connection.waiting = true;
        connection.since_ns = intended;
        self.write_message(index);
    }

    #[inline]
    fn write_message(&mut self, index: u32) {
        let connection = self.slab.at(index);
        connection.sequence = connection.sequence.wrapping_add(1);
        if self.script.is_some() && self.write_scripted(index) {
            return;
        }
        let connection = self.slab.at(index);
        let payload = self.dialogue.message(connection.serial, connection.sequence);
        frame::write(&mut self.out, Opcode::Text, payload, self.random.u32(..).to_ne_bytes());
    }

    /// Publishes what is due by a tick. True: more is due.
    pub(super) fn publish_due(&mut self, tick: u64) -> bool {
        for _ in 0..MESSAGES_PER_TURN {
            let Some((due, room)) = self.rooms.due.first() else { return false };
            if due > tick {
                return false;
            }
            self.rooms.due.postpone(due.saturating_add(self.publish_every_ns));
            if self.hold.as_ref().is_none_or(|hold| !hold.is_quiet(due)) {
                self.publish(room, due);
            }
        }
        true
    }

    /// Publishes into a room through its first member. Every member is to receive it.
    fn publish(&mut self, room: u32, due: u64) {
        let members = self.rooms.at(room).members();
        let Some(publisher) = members.first().copied() else { return };
        let expected = members.len() as u64;
        self.counters.messages_due += expected;
        self.counters.late(self.ticks.next(due), now_ns());
        // Told apart by its moment, so two in one tick must not have the same.
        let at_ns = self.ticks.next(due).max(self.rooms.at(room).last_ns + 1);
        self.rooms.publish(room, at_ns);
        if self.slab.at(publisher).output.is_some() {
            return;
        }
        self.counters.messages_sent += expected;
        let name = self.rooms.name(room);
        self.out.clear();
        let payload = self.dialogue.publish(&name, at_ns, self.config.publish_bytes);
        frame::write(&mut self.out, Opcode::Text, payload, self.random.u32(..).to_ne_bytes());
        self.say_out(publisher);
    }

    /// A connection received a message. The error is why the connection cannot go on.
    #[inline]
    pub(super) fn hear(&mut self, index: u32, text: bool, payload: &[u8], now: u64) -> Result<(), FailureReason> {
        let broadcast = self.config.scenario == Scenario::Broadcast;
        if self.mirrors() {
            let opcode = if text { Opcode::Text } else { Opcode::Binary };
            frame::write(&mut self.out, opcode, payload, self.random.u32(..).to_ne_bytes());
        }
        let connection = self.slab.at(index);
        let (serial, sequence, waits) = (connection.serial, connection.sequence, connection.waiting);
        let reply = match &mut self.script {
            None => self.dialogue.reply(text, payload, serial, sequence, waits),
            Some(script) => {
                script.reply((text, payload), (serial, sequence, connection.since_ns), waits, &self.dialogue)
            }
        };
        match reply {
            Reply::Answer => {
                connection.waiting = false;
                self.counters.answered(connection.since_ns, now);
            }
            Reply::Stale if broadcast => {}
            Reply::Stale | Reply::Wrong => return Err(FailureReason::WrongEcho),
            Reply::Joined if broadcast => self.joined(index, now),
            Reply::Published(at_ns) if broadcast => received(connection, at_ns, now, &mut self.counters),
            Reply::Error(cause) => self.counters.fail(FailedAt::Open, &cause, now),
            Reply::Joined | Reply::Published(_) | Reply::Other => self.counters.unasked += 1,
        }
        Ok(())
    }

    /// A connection is a member of its room.
    fn joined(&mut self, index: u32, now: u64) {
        let connection = self.slab.at(index);
        if std::mem::replace(&mut connection.joined, true) {
            return;
        }
        self.counters.answered(connection.since_ns, now);
        connection.since_ns = now;
        self.rooms.join(connection.room, index);
    }
}

/// A member received a publish. One that is older than the last one, or than its membership, is history.
fn received(connection: &mut Connection, at_ns: u64, now: u64, counters: &mut Counters) {
    if connection.joined && at_ns > connection.since_ns {
        connection.since_ns = at_ns;
        counters.answered(at_ns, now);
    }
}
