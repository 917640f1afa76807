//! The scheduler: what is due when. It knows moments and names of connections, and neither sockets nor messages; whoever
//! asks it does what is due.

mod due;
mod hold;
mod opening;
mod ramp_down;
mod think_time;

use std::collections::VecDeque;
use std::time::Duration;

use super::clock::Ticks;
use super::table::{ConnectionTable, Handle, State};
use crate::ipc::WorkerConfig;
pub use due::nanoseconds;
use due::{Due, Timeouts};
pub use hold::Hold;
pub use opening::Opening;
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
    /// One was due and is left out: its connection is not open, or the hold is quiet.
    Skipped,
    /// One is due, intended for that moment.
    Now(u64, T),
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
        ]
        .into_iter()
        .flatten()
        .fold(next, u64::min);
        self.ticks.next(next)
    }

    /// Whether a command is under way.
    pub fn is_busy(&self) -> bool {
        self.opening.is_some() || self.hold.is_some() || self.ramp_down.is_some()
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

    /// A connection is open: it will say something once its think time is over.
    pub fn add_messages(&mut self, handle: Handle, now: u64) {
        self.messages.push(now.saturating_add(self.think_times.draw(&mut self.random)), handle);
    }

    /// The next message that is due by a tick; where one was, the connection's next one is drawn.
    #[inline]
    pub fn next_message(&mut self, tick: u64, table: &ConnectionTable) -> Turn<Handle> {
        let Some((due, handle)) = self.messages.first().filter(|(due, _)| *due <= tick) else { return Turn::Later };
        if !table.is_in(handle, State::Open) {
            self.messages.pop();
            return Turn::Skipped;
        }
        self.messages.postpone(due.saturating_add(self.think_times.draw(&mut self.random)));
        if self.is_quiet(due) { Turn::Skipped } else { Turn::Now(due, handle) }
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
        if self.is_quiet(due) { Turn::Skipped } else { Turn::Now(due, room) }
    }

    fn is_quiet(&self, moment_ns: u64) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.is_quiet(moment_ns))
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

    /// Begins a hold. Where a message of each connection would not fall into it, they are spread evenly over its first
    /// part; in broadcast that goes for the publishes of each of `rooms`.
    pub fn begin_hold(&mut self, now: u64, length: Duration, rooms: Option<u32>, table: &ConnectionTable) -> Hold {
        let every_ns = if rooms.is_some() { self.publish_every_ns } else { self.think_times.mean_ns };
        let hold = Hold::new(now, nanoseconds(length), every_ns);
        let talking_ns = (hold.quiet_ns - now) as f64;
        let at = |index: usize, of: u64| now + (talking_ns * index as f64 / of as f64) as u64;
        match rooms {
            Some(rooms) if hold.spread => {
                self.publishes.replace((0..rooms).map(|room| (at(room as usize, u64::from(rooms)), room)));
            }
            None if hold.spread => {
                let open = table.open();
                let handles = table.in_state(State::Open).enumerate();
                self.messages.replace(handles.map(|(index, (handle, _))| (at(index, open), handle)));
            }
            None if self.think_times.is_random() => {
                self.messages.bring_forward(hold.quiet_ns, || self.random.u64(now..hold.quiet_ns.max(now + 1)));
            }
            _ => {}
        }
        self.hold = Some(hold);
        hold
    }

    /// Messages of open connections that were due before a moment and not said, because the loop is behind.
    pub fn unsaid_messages(&self, moment_ns: u64, table: &ConnectionTable) -> u64 {
        self.messages.before(moment_ns).filter(|handle| table.is_in(*handle, State::Open)).count() as u64
    }

    /// Rooms into which something was to be published before a moment.
    pub fn unsaid_publishes(&self, moment_ns: u64) -> impl Iterator<Item = u32> {
        self.publishes.before(moment_ns)
    }
}

#[cfg(test)]
mod tests;
