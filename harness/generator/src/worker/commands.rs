//! What the coordinator asks for: open, hold, ramp down, close; and the reports on it.

use super::clock::now_ns;
use super::close::{CLOSES_PER_TURN, Then};
use super::engine::Engine;
use super::scheduler::{Opening, RampDown};
use super::table::{Handle, State};
use crate::ipc::{Command, Report, Window};
use wsceiling_model::matrix::Scenario;

impl Engine {
    /// Whether an open, a shrink or a hold is under way.
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
                self.counters.from_ns = start_ns.min(now_ns());
                self.scheduler.opening = Some(Opening::new(count, per_second, start_ns));
            }
            Command::Reconnect { count, jitter, start_ns } => {
                self.counters.from_ns = start_ns.min(now_ns());
                self.scheduler.begin_storm(count, jitter, start_ns);
            }
            Command::Shrink { keep, per_second, start_ns } => {
                if per_second.is_nan() || per_second <= 0.0 {
                    return Err(format!("close connections at {per_second} per second (hint: above 0)"));
                }
                self.counters.from_ns = start_ns.min(now_ns());
                let order = self.too_many(keep);
                self.scheduler.ramp_down = Some(RampDown::new(keep, per_second, start_ns, order));
            }
            Command::Hold { length } => {
                let now = now_ns();
                let rooms = (self.scenario == Scenario::Broadcast).then(|| self.rooms.len());
                self.counters.begin_messages(now);
                self.grace_ns = self.scheduler.begin_hold(now, length, rooms, &self.table).grace_ns();
            }
            Command::CloseTo { keep } => self.close_to(keep),
            Command::Stop => self.stop(),
            Command::Configure(_) => return Err("configured twice".to_owned()),
            Command::Quit => {}
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
            self.grace_ns = hold.grace_ns();
        }
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
        let window = self.window(0, now);
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
        let Some(hold) = self.scheduler.hold.take_if(|hold| hold.to_ns <= now) else { return false };
        // What was due in it and, because the loop is behind, was never said.
        self.counters.messages_due += if self.scenario == Scenario::Broadcast {
            let rooms = self.scheduler.unsaid_publishes(hold.quiet_ns);
            rooms.map(|room| self.rooms.at(room).members().len() as u64).sum::<u64>()
        } else {
            self.scheduler.unsaid_messages(hold.quiet_ns, &self.table)
        };
        let window = self.window(self.grace_ns, now);
        self.reports.push(Report::Held(Box::new(window)));
        true
    }

    /// The window that ends now.
    fn window(&mut self, grace_ns: u64, now: u64) -> Window {
        // Where connections come and go all the time, some have just sent their first message.
        let young_ns = if self.scenario == Scenario::Churn { grace_ns } else { 0 };
        let open = self.table.open_by_destination().to_vec();
        let mut held = vec![0; open.len()];
        for (_, connection) in self.table.in_state(State::Open) {
            held[usize::from(connection.destination)] += u64::from(self.is_held(connection, young_ns, now));
        }
        let replacing = self.replacing();
        Window { open, held, replacing, reply_grace_ms: grace_ns / 1_000_000, ..self.counters.take(now) }
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
        let held = open.filter(|(_, connection)| self.is_held(connection, self.grace_ns, now)).count() as u64;
        let status = self.counters.status(now, lag_us, (self.table.open(), held), live);
        self.reports.push(Report::Status(status));
    }
}
