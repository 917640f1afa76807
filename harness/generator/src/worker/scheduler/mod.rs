//! The scheduler: what is due when. It knows moments and names of connections, and neither sockets nor messages; whoever
//! asks it does what is due.

mod due;
mod hold;
mod opening;
mod probe;
mod ramp_down;
mod think_time;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::clock::Ticks;
use super::table::{ConnectionTable, Handle, State};
use crate::ipc::WorkerConfig;
pub use due::nanoseconds;
use due::{Due, Timeouts};
pub use hold::Hold;
pub use opening::Opening;
pub use probe::{GRACE_NS, Probe, Whom};
pub use ramp_down::RampDown;
use think_time::ThinkTimes;

/// How long the other side may take to answer a close frame before the connection is closed with RST.
pub const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// States of a connection that end by a timeout, in the order in which they are looked at.
const TIMED: [State; 3] = [State::Connecting, State::Upgrading, State::Closing];

/// A connect that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connect {
    /// Of the open command under way, intended for that moment.
    Asked(u64),
    /// In the place of a closed connection to that destination, which ended at that moment (churn).
    Replacement(u64, u16),
}

/// The next of what repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn<T> {
    /// Nothing is due yet.
    Later,
    /// One was due and is left out: its connection is not open, or the load is silent.
    Skipped,
    /// One is due, intended for that moment.
    Now(u64, T),
    /// One is due and cannot be said yet, because the last one is unanswered. The next one is not drawn yet.
    Blocked(u64, T),
}

/// What is due when. All moments are nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Debug)]
pub struct Scheduler {
    /// The resolution of the schedule.
    pub ticks: Ticks,
    random: fastrand::Rng,
    /// When which connection says something.
    messages: Due<Handle>,
    think_times: ThinkTimes,
    /// When something is published into which room (broadcast).
    publishes: Due<u32>,
    publish_every_ns: u64,
    /// When which connection is closed (churn).
    lives: Due<Handle>,
    lifetime: Duration,
    /// Connections to open in the place of closed ones (churn): moment and destination.
    pub replacements: VecDeque<(u64, u16)>,
    /// Of the states in [`TIMED`].
    timeouts: [Timeouts; 3],
    /// The open command under way.
    pub opening: Option<Opening>,
    /// The shrink command under way.
    pub ramp_down: Option<RampDown>,
    /// The hold under way.
    pub hold: Option<Hold>,
    /// The probe under way.
    pub probe: Option<Probe>,
    /// Moments at which nothing of the load is said: those of the last probe.
    silence: Range<u64>,
    /// Moment of the next status.
    pub status_ns: u64,
}

impl Scheduler {
    /// Nothing is due but a status, now.
    pub fn new(config: &WorkerConfig, mut random: fastrand::Rng, now: u64) -> Self {
        Self {
            ticks: Ticks::new(random.u64(..)),
            random,
            messages: Due::default(),
            think_times: ThinkTimes::new(config.message_every, config.message_spread),
            publishes: Due::default(),
            publish_every_ns: nanoseconds(config.publish_every),
            lives: Due::default(),
            lifetime: config.lifetime,
            replacements: VecDeque::new(),
            timeouts: [config.connect_timeout, config.handshake_timeout, CLOSE_WAIT].map(Timeouts::new),
            opening: None,
            ramp_down: None,
            hold: None,
            probe: None,
            silence: 0..0,
            status_ns: now,
        }
    }

    /// The next tick at which something is due.
    pub fn next_moment(&mut self, table: &ConnectionTable) -> u64 {
        let mut next = self.status_ns;
        for (timeouts, state) in self.timeouts.iter_mut().zip(TIMED) {
            let first = timeouts.first(|handle| table.is_in(handle, state));
            next = next.min(first.map_or(u64::MAX, |(moment, _)| moment));
        }
        let next = [
            self.messages.first().map(|(moment, _)| moment),
            self.lives.first().map(|(moment, _)| moment),
            self.publishes.first().map(|(moment, _)| moment),
            self.opening.as_ref().and_then(Opening::next_moment),
            self.ramp_down.as_ref().and_then(RampDown::next_moment),
            self.replacements.front().map(|(moment, _)| *moment),
            self.hold.as_ref().map(|hold| hold.to_ns),
            self.probe.as_ref().map(Probe::next_moment),
        ]
        .into_iter()
        .flatten()
        .fold(next, u64::min);
        self.ticks.next(next)
    }

    /// Whether a command is under way.
    pub fn is_busy(&self) -> bool {
        self.opening.is_some() || self.hold.is_some() || self.probe.is_some() || self.ramp_down.is_some()
    }

    /// Begins an open command whose connects come at random moments.
    pub fn begin_storm(&mut self, count: u32, jitter: Duration, start_ns: u64) {
        self.opening = Some(Opening::storm(count, nanoseconds(jitter), start_ns, &mut self.random));
    }

    /// Takes a connect that is due by a tick.
    pub fn take_connect(&mut self, tick: u64) -> Option<Connect> {
        if let Some(intended) = self.opening.as_mut().and_then(|opening| opening.take(tick)) {
            return Some(Connect::Asked(intended));
        }
        self.replacements.pop_front().map(|(moment, destination)| Connect::Replacement(moment, destination))
    }

    /// A connection of the open command under way is open, or has failed.
    pub fn settle(&mut self) {
        if let Some(opening) = &mut self.opening {
            opening.settle();
        }
    }

    /// A connection is open: it will say something at a random moment, and then after each think time.
    pub fn add_messages(&mut self, handle: Handle, now: u64) {
        self.messages.push(now.saturating_add(self.think_times.draw_first(&mut self.random)), handle);
    }

    /// A connection that was [`Turn::Blocked`] says something again at that moment.
    pub fn resume_messages(&mut self, handle: Handle, due: u64) {
        self.messages.push(due, handle);
    }

    /// When the message is due that follows on one.
    pub fn message_after(&mut self, due: u64) -> u64 {
        due.saturating_add(self.think_times.draw(&mut self.random))
    }

    /// The next message that is due by a tick; where one was, the connection's next one is drawn.
    #[inline]
    pub fn next_message(&mut self, tick: u64, table: &ConnectionTable) -> Turn<Handle> {
        let Some((due, handle)) = self.messages.first().filter(|(due, _)| *due <= tick) else { return Turn::Later };
        let Some(waits) = table.waits(handle) else {
            self.messages.pop();
            return Turn::Skipped;
        };
        let silent = self.is_silent(self.ticks.next(due));
        if waits && !silent {
            self.messages.pop();
            return Turn::Blocked(due, handle);
        }
        let next = self.message_after(due);
        self.messages.postpone(next);
        if silent { Turn::Skipped } else { Turn::Now(due, handle) }
    }

    /// A moment for the first publish into a new room.
    pub fn first_publish(&mut self, now: u64) -> u64 {
        now.saturating_add(self.random.u64(0..self.publish_every_ns))
    }

    /// A room is new.
    pub fn add_publishes(&mut self, room: u32, first_ns: u64) {
        self.publishes.push(first_ns, room);
    }

    /// The next publish that is due by a tick, and its room.
    pub fn next_publish(&mut self, tick: u64) -> Turn<u32> {
        let Some((due, room)) = self.publishes.first().filter(|(due, _)| *due <= tick) else { return Turn::Later };
        self.publishes.postpone(due.saturating_add(self.publish_every_ns));
        if self.is_silent(self.ticks.next(due)) { Turn::Skipped } else { Turn::Now(due, room) }
    }

    /// Whether a moment is one of a probe, so that nothing of the load is said then.
    #[inline]
    pub fn is_silent(&self, moment_ns: u64) -> bool {
        self.silence.contains(&moment_ns)
    }

    /// A connection is open, for a random time (churn).
    pub fn add_life(&mut self, handle: Handle, now: u64) {
        let lifetime_ns = self.lifetime.as_nanos() as f64 * -(1.0 - self.random.f64()).ln();
        self.lives.push(now.saturating_add(lifetime_ns as u64), handle);
    }

    /// Takes a connection whose life is over by a tick, and the moment at which it was.
    pub fn take_expired(&mut self, tick: u64) -> Option<(u64, Handle)> {
        self.lives.first().filter(|(due, _)| *due <= tick)?;
        self.lives.pop()
    }

    /// A connection enters a state that must end in time.
    pub fn begin_timeout(&mut self, state: State, now: u64, handle: Handle) {
        if let Some(index) = TIMED.iter().position(|timed| *timed == state) {
            self.timeouts[index].begin(now, handle);
        }
    }

    /// A connection that has been in a state for too long, and the state.
    pub fn timed_out(&mut self, now: u64, table: &ConnectionTable) -> Option<(State, Handle)> {
        for (timeouts, state) in self.timeouts.iter_mut().zip(TIMED) {
            let first = timeouts.first(|handle| table.is_in(handle, state));
            if let Some((_, handle)) = first.filter(|(deadline, _)| *deadline <= now) {
                return Some((state, handle));
            }
        }
        None
    }

    /// Begins a hold.
    pub fn begin_hold(&mut self, now: u64, length: Duration) {
        self.hold = Some(Hold::new(now, nanoseconds(length)));
    }

    /// Begins a probe: the load falls silent.
    pub fn begin_probe(&mut self, now: u64, within: Duration, asks: Vec<Whom>, awaited: VecDeque<Whom>) {
        self.silence = now..u64::MAX;
        self.probe = Some(Probe::new(now, nanoseconds(within), asks, awaited));
    }

    /// Takes whom the probe is to ask by a tick, and the intended moment.
    pub fn take_probe(&mut self, tick: u64) -> Option<(u64, Whom)> {
        self.probe.as_mut()?.take(tick)
    }

    /// Ends the probe: the load goes on where its schedule is by now. True: the probe had asked all.
    pub fn end_probe(&mut self, now: u64) -> bool {
        self.silence.end = now;
        self.probe.take().is_some_and(|probe| !probe.was_stopped())
    }

    /// Whether something of the load was due before it fell silent and is not said, because the loop is behind.
    pub fn is_behind(&self) -> bool {
        let before = |due: u64| self.ticks.next(due) < self.silence.start;
        self.messages.first().is_some_and(|(due, _)| before(due))
            || self.publishes.first().is_some_and(|(due, _)| before(due))
    }

    /// Takes a message that was due before the load fell silent and is not said.
    pub fn take_unsaid(&mut self) -> Option<(u64, Handle)> {
        self.messages.first().filter(|(due, _)| self.ticks.next(*due) < self.silence.start)?;
        self.messages.pop()
    }

    /// Takes a publish that was due before the load fell silent and is not said; the room's next one is drawn.
    pub fn take_unsaid_publish(&mut self) -> Option<(u64, u32)> {
        let first = self.publishes.first().filter(|(due, _)| self.ticks.next(*due) < self.silence.start)?;
        self.publishes.postpone(first.0.saturating_add(self.publish_every_ns));
        Some(first)
    }
}

#[cfg(test)]
mod tests;
