//! What the coordinator asks for: open, hold, close; and the reports on it.

use super::clock::{SECOND_NS, now_ns};
use super::connection::{Handle, State};
use super::engine::Engine;
use super::schedule::nanoseconds;
use crate::protocol::{Command, Report, Window};
use wsceiling_model::matrix::Scenario;

/// Longest part of a hold in which nothing new is said, unless messages are spread over it.
const QUIET_MAX_NS: u64 = SECOND_NS / 2;

/// What follows on a connection that is closed politely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// Another one takes its place (churn).
    Replaced,
    /// Nothing.
    ForGood,
}

/// An open or reconnect command under way.
#[derive(Debug)]
pub(super) struct Opening {
    count: u32,
    per_second: f64,
    /// The first moment.
    pub start_ns: u64,
    /// Reconnect: all moments, in order. Else none, and the rate says them.
    moments: Option<Vec<u64>>,
    /// Connects issued.
    issued: u32,
    /// Connects that were counted as due.
    counted: u32,
    /// Connections that are open or have failed.
    pub settled: u32,
}

impl Opening {
    fn new(count: u32, per_second: f64, start_ns: u64) -> Self {
        Self { count, per_second, start_ns, moments: None, issued: 0, counted: 0, settled: 0 }
    }

    /// Connects at random moments.
    fn storm(count: u32, jitter_ns: u64, start_ns: u64, random: &mut fastrand::Rng) -> Self {
        let mut moments: Vec<_> = (0..count).map(|_| start_ns.saturating_add(random.u64(..=jitter_ns))).collect();
        moments.sort_unstable();
        Self { moments: Some(moments), ..Self::new(count, 1.0, start_ns) }
    }

    /// Whether connections come back after they were closed.
    pub fn is_storm(&self) -> bool {
        self.moments.is_some()
    }

    /// Intended moment of a connect.
    fn moment(&self, connect: u32) -> u64 {
        if let Some(moments) = &self.moments {
            return moments.get(connect as usize).copied().unwrap_or(u64::MAX);
        }
        let after = f64::from(connect) / self.per_second * SECOND_NS as f64;
        self.start_ns.saturating_add(after as u64)
    }

    /// Intended moment of the next connect.
    pub fn next_moment(&self) -> Option<u64> {
        (self.issued < self.count).then(|| self.moment(self.issued))
    }

    /// Takes the next connect, if it is due.
    pub fn take(&mut self, now: u64) -> Option<u64> {
        let moment = self.next_moment().filter(|moment| *moment <= now)?;
        self.issued += 1;
        Some(moment)
    }

    /// Connects that have become due since the last time.
    fn newly_due(&mut self, now: u64) -> u32 {
        let mut due = self.counted;
        if let Some(moments) = &self.moments {
            due = due.max(moments.partition_point(|moment| *moment <= now) as u32);
        } else if now >= self.start_ns {
            let passed = (now - self.start_ns) as f64 / SECOND_NS as f64 * self.per_second;
            due = due.max((passed as u32).saturating_add(1).min(self.count)).max(self.issued);
        }
        due - std::mem::replace(&mut self.counted, due)
    }
}

/// A hold under way.
#[derive(Debug)]
pub(super) struct Hold {
    /// From here on nothing new is said, so that every message has time to come back.
    quiet_ns: u64,
    /// Its end.
    pub to_ns: u64,
}

impl Hold {
    /// Whether what is due at a moment is left out.
    pub fn is_quiet(&self, moment_ns: u64) -> bool {
        (self.quiet_ns..self.to_ns).contains(&moment_ns)
    }
}

impl Engine {
    /// Whether an open or a hold is under way.
    pub fn is_busy(&self) -> bool {
        self.opening.is_some() || self.hold.is_some() || self.shrinking.is_some()
    }

    /// Starts a command. The error is a fragment for a person.
    pub fn start(&mut self, command: &Command) -> Result<(), String> {
        match *command {
            Command::Open { count, per_second, start_ns } => {
                if per_second.is_nan() || per_second <= 0.0 {
                    return Err(format!("open {count} connections at {per_second} per second (hint: above 0)"));
                }
                self.counters.from_ns = start_ns.min(now_ns());
                self.opening = Some(Opening::new(count, per_second, start_ns));
            }
            Command::Reconnect { count, jitter, start_ns } => {
                self.counters.from_ns = start_ns.min(now_ns());
                self.opening = Some(Opening::storm(count, nanoseconds(jitter), start_ns, &mut self.random));
            }
            Command::Shrink { keep, per_second, start_ns } => {
                if per_second.is_nan() || per_second <= 0.0 {
                    return Err(format!("close connections at {per_second} per second (hint: above 0)"));
                }
                self.begin_shrink(keep, per_second, start_ns);
            }
            Command::Hold { length } => self.begin_hold(nanoseconds(length)),
            Command::CloseTo { keep } => self.close_to(keep),
            Command::Stop => self.stop(),
            Command::Configure(_) => return Err("configured twice".to_owned()),
            Command::Quit => {}
        }
        Ok(())
    }

    /// Counts connects that have become due.
    pub(super) fn count_due(&mut self, now: u64) {
        if let Some(opening) = &mut self.opening {
            let due = u64::from(opening.newly_due(now));
            self.totals.due += due;
            self.counters.due += due;
        }
    }

    /// Begins a hold. Where a message of each connection would not fall into it, they are spread evenly over its first
    /// four fifths.
    fn begin_hold(&mut self, length_ns: u64) {
        let broadcast = self.config.scenario == Scenario::Broadcast;
        let every_ns = if broadcast { self.publish_every_ns } else { self.think.mean_ns };
        let fifth = length_ns / 5;
        let short = fifth.min(QUIET_MAX_NS);
        let spread = every_ns > length_ns - short;
        self.grace_ns = if spread { fifth } else { short };
        let now = now_ns();
        let to_ns = now.saturating_add(length_ns);
        let quiet_ns = to_ns - self.grace_ns;
        self.counters.begin_messages(now);
        let at = |index: usize, of: usize| now + ((quiet_ns - now) as f64 * index as f64 / of as f64) as u64;
        if spread && broadcast {
            let rooms = self.rooms.len();
            self.rooms.due.replace((0..rooms).map(|room| (at(room as usize, rooms as usize), room)));
        } else if spread {
            let open = self.totals.open as usize;
            let handles = self.slab.in_state(State::Open).enumerate();
            let handles = handles.map(|(at_index, (index, connection))| {
                (at(at_index, open), Handle { index, serial: connection.serial })
            });
            self.beats.replace(handles);
        } else if self.think.is_random() && !broadcast {
            self.beats.bring_forward(quiet_ns, || self.random.u64(now..quiet_ns.max(now + 1)));
        }
        self.hold = Some(Hold { quiet_ns, to_ns });
    }

    /// Ends what is under way, so that it is reported.
    fn stop(&mut self) {
        let now = now_ns();
        self.end_opening(now);
        self.end_shrinking(now);
        if let Some(hold) = &mut self.hold {
            // What was said a moment ago still has its time to come back.
            hold.quiet_ns = hold.quiet_ns.min(now);
            hold.to_ns = hold.to_ns.min(now.saturating_add(QUIET_MAX_NS));
            self.grace_ns = hold.to_ns - hold.quiet_ns;
        }
    }

    /// Closes connections, newest first; an open command under way ends.
    fn close_to(&mut self, keep: u32) {
        let now = now_ns();
        self.end_opening(now);
        self.end_shrinking(now);
        let mut closing: Vec<_> = self.slab.in_state(State::Closing).map(|(index, _)| index).collect();
        let mut pending: Vec<_> = self
            .slab
            .in_state(State::Connecting)
            .chain(self.slab.in_state(State::Upgrading))
            .map(|(index, connection)| (connection.serial, index))
            .collect();
        let alive = self.totals.open as usize + pending.len() + closing.len() + self.replacements.len();
        let mut excess = alive.saturating_sub(keep as usize);
        // First those that are not open: what is to replace others, what is about to close, what is not open yet.
        while excess > 0 && self.replacements.pop_back().is_some() {
            excess -= 1;
        }
        while excess > 0
            && let Some(index) = closing.pop()
        {
            self.slab.at(index).replace = false;
            self.release(index, now);
            excess -= 1;
        }
        pending.sort_unstable();
        while excess > 0
            && let Some((_, index)) = pending.pop()
        {
            self.release(index, now);
            excess -= 1;
        }
        let mut open: Vec<_> =
            self.slab.in_state(State::Open).map(|(index, connection)| (connection.serial, index)).collect();
        open.sort_unstable();
        while excess > 0
            && let Some((_, index)) = open.pop()
        {
            self.drop_open(index, now);
            excess -= 1;
        }
        self.reports.push(Report::Closed { open: self.totals.open });
    }

    /// Ends an open command, whether all of its connections are settled or not.
    fn end_opening(&mut self, now: u64) {
        if self.opening.is_none() {
            return;
        }
        self.count_due(now);
        self.opening = None;
        let pending: Vec<_> = self
            .slab
            .in_state(State::Connecting)
            .chain(self.slab.in_state(State::Upgrading))
            .filter(|(_, connection)| connection.asked_for)
            .map(|(index, _)| index)
            .collect();
        for index in pending {
            self.release(index, now);
        }
        let window = self.window(0, now);
        self.reports.push(Report::Opened(Box::new(window)));
    }

    /// Ends the open command whose connections are all settled. True: the next command may start.
    pub(super) fn end_settled_opening(&mut self) -> bool {
        let settled = self.opening.as_ref().is_some_and(|opening| opening.settled >= opening.count);
        if settled {
            self.end_opening(now_ns());
        }
        settled
    }

    /// Ends the hold whose time is over. True: the next command may start.
    pub(super) fn end_hold(&mut self, now: u64) -> bool {
        let Some(hold) = self.hold.take_if(|hold| hold.to_ns <= now) else { return false };
        self.count_unsaid(hold.quiet_ns);
        let window = self.window(self.grace_ns, now);
        self.reports.push(Report::Held(Box::new(window)));
        true
    }

    /// Counts what was due in the hold and, because the loop is behind, was never said.
    fn count_unsaid(&mut self, quiet_ns: u64) {
        self.counters.messages_due += if self.config.scenario == Scenario::Broadcast {
            let unsaid = self.rooms.due.before(quiet_ns);
            unsaid.map(|room| self.rooms.at(room).members().len() as u64).sum::<u64>()
        } else {
            let slab = &mut self.slab;
            let is_open = |handle| slab.get(handle).is_some_and(|connection| connection.state == State::Open);
            self.beats.before(quiet_ns).map(is_open).filter(|open| *open).count() as u64
        };
    }

    /// The window that ends now.
    pub(super) fn window(&mut self, grace_ns: u64, now: u64) -> Window {
        // Where connections come and go all the time, some have just sent their first message.
        let young_ns = if self.config.scenario == Scenario::Churn { grace_ns } else { 0 };
        let mut held = vec![0; self.destinations.len()];
        for (_, connection) in self.slab.in_state(State::Open) {
            held[usize::from(connection.destination)] += u64::from(self.is_held(connection, young_ns, now));
        }
        let open = self.destinations.iter().map(|destination| destination.open).collect();
        let replacing = self.replacing();
        Window { open, held, replacing, reply_grace_ms: grace_ns / 1_000_000, ..self.counters.take(now) }
    }

    /// Connections that are just being replaced: the old one says goodbye, or the new one is not open yet (churn).
    fn replacing(&self) -> u64 {
        if self.config.scenario != Scenario::Churn || self.opening.is_some() {
            return 0;
        }
        let closing = self.slab.in_state(State::Closing).filter(|(_, connection)| connection.replace).count();
        let coming = self.slab.in_state(State::Connecting).chain(self.slab.in_state(State::Upgrading)).count();
        (closing + coming + self.replacements.len()) as u64
    }

    /// Reports the state, when it is time to.
    pub(super) fn status_due(&mut self, now: u64) {
        if now < self.status_due_ns {
            return;
        }
        // The loop's own lateness counts as lag, also where nothing else was due.
        let lag_us = (now - self.status_due_ns) / 1000;
        let first = self.totals.now_ns == 0;
        self.totals.lag_us_max = std::mem::take(&mut self.counters.lag_us_max).max(if first { 0 } else { lag_us });
        self.status_due_ns = now.saturating_add(self.status_every_ns);
        self.totals.now_ns = now;
        let open = self.slab.in_state(State::Open);
        self.totals.held = open.filter(|(_, connection)| self.is_held(connection, self.grace_ns, now)).count() as u64;
        if self.config.client.live {
            self.totals.top_failure = self.counters.top_failure();
            self.totals.reply_us_p99 = self.counters.reply_us_p99();
        }
        self.reports.push(Report::Status(self.totals.clone()));
    }
}
