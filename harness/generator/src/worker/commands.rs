//! What the coordinator asks for: open, hold, ramp down, close; and the reports on it.

use std::collections::VecDeque;
use std::time::Duration;

use super::asking::{self, Unanswered};
use super::clock::now_ns;
use super::close::{CLOSES_PER_TURN, Then};
use super::engine::Engine;
use super::scheduler::{GRACE_NS, Opening, RampDown, Whom};
use super::table::{Connection, Handle, State};
use crate::ipc::{Command, Report, Window};
use wsceiling_model::matrix::Scenario;
use wsceiling_model::record::AgeCounts;

/// Age of an unanswered message from which on its connection does not count as held in a status. Below [`GRACE_NS`], so that
/// statuses show a server that does not answer the probe before it is over.
const ANSWER_NS: u64 = GRACE_NS / 2;

impl Engine {
    /// Whether an open, a shrink, a hold or a probe is under way.
    pub fn is_busy(&self) -> bool {
        self.scheduler.is_busy()
    }

    /// Starts a command. The error is a fragment for a person.
    pub fn start(&mut self, command: &Command) -> Result<(), String> {
        match *command {
            Command::Open { count, per_second, start_ns } => {
                if per_second.is_nan() || per_second <= 0.0 {
                    return Err(format!("open {count} connections at {per_second} per second (hint: above 0)"));
                }
                self.begin_opening(start_ns);
                self.scheduler.opening = Some(Opening::new(count, per_second, start_ns));
            }
            Command::Reconnect { count, jitter, start_ns } => {
                self.begin_opening(start_ns);
                self.scheduler.begin_storm(count, jitter, start_ns);
            }
            Command::Shrink { keep, per_second, start_ns } => {
                if per_second.is_nan() || per_second <= 0.0 {
                    return Err(format!("close connections at {per_second} per second (hint: above 0)"));
                }
                self.begin_opening(start_ns);
                let order = self.too_many(keep);
                self.scheduler.ramp_down = Some(RampDown::new(keep, per_second, start_ns, order));
            }
            Command::Hold { length } => {
                let now = now_ns();
                self.left.clear();
                self.counters.begin_hold(now);
                self.scheduler.begin_hold(now, length);
            }
            Command::Probe { within } => self.begin_probe(within),
            Command::CloseTo { keep } => self.close_to(keep),
            Command::Stop => self.stop(),
            Command::Configure(_) => return Err("configured twice".to_owned()),
            // A ping is answered where commands are received.
            Command::Ping { .. } | Command::Quit => {}
        }
        Ok(())
    }

    /// Counts connects that have become due.
    pub(super) fn count_due(&mut self, now: u64) {
        if let Some(opening) = &mut self.scheduler.opening {
            self.counters.due(u64::from(opening.newly_due(now)));
        }
    }

    /// Ends what is under way, so that it is reported.
    fn stop(&mut self) {
        let now = now_ns();
        self.end_opening(now);
        self.end_ramp_down(now);
        if let Some(hold) = &mut self.scheduler.hold {
            hold.cut_short(now);
        }
        if let Some(probe) = &mut self.scheduler.probe {
            probe.cut_short();
        }
    }

    fn begin_opening(&mut self, start_ns: u64) {
        self.left.clear();
        self.counters.begin_opening(start_ns.min(now_ns()));
    }

    /// Closes connections with RST, newest first; an open command under way ends.
    fn close_to(&mut self, keep: u32) {
        let now = now_ns();
        self.end_opening(now);
        self.end_ramp_down(now);
        let mut closing: Vec<u32> = self.table.in_state(State::Closing).map(|(handle, _)| handle.index).collect();
        let mut pending: Vec<Handle> = self.table.opening().map(|(handle, _)| handle).collect();
        pending.sort_unstable_by_key(|handle| handle.serial);
        let replacements = &mut self.scheduler.replacements;
        let alive = self.table.open() as usize + pending.len() + closing.len() + replacements.len();
        let mut excess = alive.saturating_sub(keep as usize);
        // First those that are not open: what is to replace others, what is about to close, what is not open yet.
        while excess > 0 && replacements.pop_back().is_some() {
            excess -= 1;
        }
        while excess > 0
            && let Some(index) = closing.pop()
        {
            self.table.at(index).replace = false;
            self.release(index, now);
            excess -= 1;
        }
        while excess > 0
            && let Some(handle) = pending.pop()
        {
            self.release(handle.index, now);
            excess -= 1;
        }
        for handle in self.table.oldest_first(State::Open).iter().rev().take(excess) {
            self.keep_unanswered(handle.index, now);
            self.drop_open(handle.index, now);
        }
        self.reports.push(Report::Closed { open: self.table.open() });
    }

    /// Ends an open command, whether all of its connections are settled or not.
    fn end_opening(&mut self, now: u64) {
        if self.scheduler.opening.is_none() {
            return;
        }
        self.count_due(now);
        self.scheduler.opening = None;
        let pending = self.table.opening().filter(|(_, connection)| connection.asked_for);
        let pending: Vec<u32> = pending.map(|(handle, _)| handle.index).collect();
        for index in pending {
            self.release(index, now);
        }
        self.report_opened(now);
    }

    fn report_opened(&mut self, now: u64) {
        let window = self.window(now, |engine, connection| engine.is_answered(connection, 0, now));
        self.counters.begin_load(now);
        self.reports.push(Report::Opened(Box::new(window)));
    }

    /// Ends the open command whose connections are all settled. True: the next command may start.
    pub(super) fn end_settled_opening(&mut self) -> bool {
        let settled = self.scheduler.opening.as_ref().is_some_and(Opening::is_settled);
        if settled {
            self.end_opening(now_ns());
        }
        settled
    }

    /// The newest open connections that are too many. In churn those count too that are about to come back.
    fn too_many(&self, keep: u32) -> Vec<Handle> {
        let mut all = self.table.oldest_first(State::Open);
        let mut coming = self.scheduler.replacements.len();
        if self.scenario == Scenario::Churn {
            coming += self.table.opening().count() + self.about_to_be_replaced();
        }
        let excess = (all.len() + coming).saturating_sub(keep as usize).min(all.len());
        all.split_off(all.len() - excess)
    }

    fn about_to_be_replaced(&self) -> usize {
        self.table.in_state(State::Closing).filter(|(_, connection)| connection.replace).count()
    }

    /// Closes the connections that a shrink command wants closed by now. True: more are due.
    pub(super) fn ramp_down_due(&mut self, now: u64) -> bool {
        for _ in 0..CLOSES_PER_TURN {
            let Some(ramp_down) = &mut self.scheduler.ramp_down else { return false };
            let Some((due, handle)) = ramp_down.take(now) else { return false };
            if self.close_politely(handle, due, Then::Nothing)
                && let Some(ramp_down) = &mut self.scheduler.ramp_down
            {
                ramp_down.await_end(handle);
            }
        }
        true
    }

    /// Ends the shrink command once every connection that was told has ended. True: it has just ended.
    pub(super) fn end_done_ramp_down(&mut self) -> bool {
        let Some(ramp_down) = &mut self.scheduler.ramp_down else { return false };
        if !ramp_down.is_done(|handle| self.table.get(handle).is_some()) {
            return false;
        }
        if self.scenario == Scenario::Churn {
            // Some of those to be closed had their lives end before, and others in their places.
            let keep = ramp_down.keep;
            let order = self.too_many(keep);
            if let (Some(ramp_down), false) = (&mut self.scheduler.ramp_down, order.is_empty()) {
                ramp_down.extend(order);
                return false;
            }
        }
        self.end_ramp_down(now_ns());
        true
    }

    /// Ends the shrink command as it is.
    fn end_ramp_down(&mut self, now: u64) {
        if self.scheduler.ramp_down.take().is_some() {
            self.report_opened(now);
        }
    }

    /// Ends the hold whose time is over. True: the next command may start.
    pub(super) fn end_hold(&mut self, now: u64) -> bool {
        if self.scheduler.hold.take_if(|hold| hold.to_ns <= now).is_none() {
            return false;
        }
        let window = self.window(now, |engine, connection| engine.is_answered(connection, GRACE_NS, now));
        self.reports.push(Report::Held(Box::new(window)));
        true
    }

    /// Begins a probe: whoever was not answered since the hold began is asked once. Where only a share of the connections
    /// has to be asked, it takes that share of the time.
    fn begin_probe(&mut self, within: Duration) {
        let now = now_ns();
        self.counters.begin_probe(now);
        let (asks, awaited) = self.whom_to_ask();
        let all = match self.scenario {
            Scenario::Broadcast => self.rooms.len() as usize,
            _ => self.table.open() as usize,
        };
        let within = within.mul_f64(asks.len() as f64 / all.max(1) as f64);
        self.scheduler.begin_probe(now, within, asks, awaited);
    }

    /// Whom a probe that begins now has to ask, and who still waits for an answer to a message of the hold.
    fn whom_to_ask(&self) -> (Vec<Whom>, VecDeque<Whom>) {
        let (mut asks, mut awaited) = (Vec::new(), VecDeque::new());
        let hold_ns = self.counters.load().start;
        if self.scenario == Scenario::Broadcast {
            for room in 0..self.rooms.len() {
                let there = self.rooms.at(room);
                if there.last_ns < hold_ns && !there.members().is_empty() {
                    asks.push(Whom::Room(room));
                } else if there.is_waiting() {
                    awaited.push_back(Whom::Room(room));
                }
            }
        } else if self.protocol.asks() {
            for (handle, connection) in self.table.in_state(State::Open) {
                if connection.since_ns < hold_ns && connection.parked_ns == 0 {
                    asks.push(Whom::Connection(handle));
                } else if connection.waiting {
                    awaited.push_back(Whom::Connection(handle));
                }
            }
        }
        (asks, awaited)
    }

    /// Ends the probe once all have answered, or have had their time. True: the next command may start.
    pub(super) fn end_probe(&mut self, now: u64) -> bool {
        let (table, rooms) = (&self.table, &self.rooms);
        let waits = |whom| match whom {
            Whom::Connection(handle) => table.waits(handle) == Some(true),
            Whom::Room(room) => rooms.at(room).is_waiting(),
        };
        let is_behind = self.scheduler.is_behind();
        let Some(probe) = &mut self.scheduler.probe else { return false };
        if !probe.is_over(now, waits) || (is_behind && now < probe.next_moment()) {
            return false;
        }
        let hold_ns = if probe.was_stopped() { 0 } else { self.counters.load().start };
        // Where connections come and go all the time, some have just sent their first message.
        let young_ns = if self.scenario == Scenario::Churn { GRACE_NS } else { 0 };
        self.count_unanswered(now);
        let window = self.window(now, |engine, connection| {
            engine.is_answered(connection, young_ns, now) && engine.is_asked_since(connection, hold_ns)
        });
        self.scheduler.end_probe(now);
        self.counters.begin_load(now);
        self.reports.push(Report::Probed(Box::new(window)));
        true
    }

    /// Counts what was due in the hold, or was asked in the probe, and is not answered: it has waited until now. What is
    /// parked goes back to the schedule.
    fn count_unanswered(&mut self, now: u64) {
        let (scheduler, counters) = (&mut self.scheduler, &mut self.counters);
        for unanswered in self.left.drain(..) {
            unanswered.count(scheduler, counters, now);
        }
        let load = counters.load();
        if self.scenario == Scenario::Broadcast {
            while let Some((due, room)) = scheduler.take_unsaid_publish() {
                let (intended, members) = (scheduler.ticks.next(due), self.rooms.at(room).members().len() as u64);
                counters.message_due(intended, members);
                counters.unanswered(intended, now, members);
            }
            for publish in self.rooms.take_outstanding() {
                counters.unanswered(publish.at_ns, now, publish.left.into());
                counters.probe_unanswered(publish.at_ns, now, publish.left.into());
            }
            return;
        }
        // The loop is so far behind that these were not even looked at.
        while let Some((due, handle)) = scheduler.take_unsaid() {
            if self.table.waits(handle).is_some() {
                let intended = scheduler.ticks.next(due);
                counters.message_due(intended, 1);
                counters.unanswered(intended, now, 1);
                let next = asking::count_missed(due, load.end, scheduler, counters, now);
                scheduler.resume_messages(handle, next);
            }
        }
        let open = self.table.in_state(State::Open).filter(|(_, connection)| connection.waiting);
        let waiting: Vec<Handle> = open.map(|(handle, _)| handle).collect();
        for handle in waiting {
            let connection = self.table.at(handle.index);
            let Some(unanswered) = Unanswered::of(connection, load.end) else { continue };
            connection.parked_ns = 0;
            if let Some(next) = unanswered.count(scheduler, counters, now) {
                scheduler.resume_messages(handle, next);
            }
        }
    }

    /// The window that ends now; `is_held` says which open connections are held.
    fn window(&mut self, now: u64, is_held: impl Fn(&Self, &Connection) -> bool) -> Window {
        let open = self.table.open_by_destination().to_vec();
        let mut held = vec![0; open.len()];
        for (_, connection) in self.table.in_state(State::Open) {
            held[usize::from(connection.destination)] += u64::from(is_held(self, connection));
        }
        let replacing = self.replacing();
        let (answers, accepted) = self.protocol.take_answers();
        let mut open_ages = AgeCounts::default();
        if self.counters.any_lost() {
            let ages = self.table.in_state(State::Open).map(|(_, connection)| connection.loss(now).age_ms);
            ages.for_each(|age_ms| open_ages.add(u32::try_from(age_ms).unwrap_or(u32::MAX)));
        }
        Window { open, held, replacing, open_ages, answers, accepted, ..self.counters.take(now) }
    }

    /// Connections that are just being replaced: the old one says goodbye, or the new one is not open yet (churn).
    fn replacing(&self) -> u64 {
        if self.scenario != Scenario::Churn || self.scheduler.opening.is_some() {
            return 0;
        }
        let coming = self.table.opening().count() + self.scheduler.replacements.len();
        (self.about_to_be_replaced() + coming) as u64
    }

    /// Reports the state, when it is time to.
    pub(super) fn report_status(&mut self, now: u64) {
        if now < self.scheduler.status_ns {
            return;
        }
        // The loop's own lateness counts as lag, also where nothing else was due.
        let lag_us = (now - self.scheduler.status_ns) / 1000;
        let (every_ns, live) = self.status;
        self.scheduler.status_ns = now.saturating_add(every_ns);
        let open = self.table.in_state(State::Open);
        let held = open.filter(|(_, connection)| self.is_answered(connection, ANSWER_NS, now)).count() as u64;
        let status = self.counters.status(now, lag_us, (self.table.open(), held), live);
        self.reports.push(Report::Status(status));
    }
}
