//! Time: what is due now, and a timer that wakes the loop for the next event.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId as Clock, clock_gettime};

/// Events due within this time are due together, as in a worker: at most 2,000 wake-ups a second.
const RESOLUTION_NS: u64 = 500_000;

/// Now, in nanoseconds of `CLOCK_MONOTONIC`.
pub fn now_ns() -> u64 {
    clock_gettime(Clock::CLOCK_MONOTONIC).map_or(0, |now| now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

/// Events at a fixed rate.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    start_ns: u64,
    per_second: f64,
}

impl Pace {
    /// That many a second, from now on.
    pub fn begin(per_second: f64) -> Self {
        Self { start_ns: now_ns(), per_second }
    }

    /// Events that are due by the last tick up to a moment.
    pub fn due(self, now_ns: u64) -> u64 {
        let tick_ns = now_ns - now_ns % RESOLUTION_NS;
        tick_ns.checked_sub(self.start_ns).map_or(0, |passed| (passed as f64 / 1e9 * self.per_second) as u64 + 1)
    }

    /// The tick at which an event, counted from 0, is due.
    pub fn moment(self, event: u64) -> u64 {
        let moment = self.start_ns + (event as f64 / self.per_second * 1e9) as u64;
        moment.next_multiple_of(RESOLUTION_NS)
    }
}

/// Wakes the loop at a moment; `epoll_wait` itself only knows whole milliseconds.
#[derive(Debug)]
pub struct Alarm {
    timer: TimerFd,
    /// Moment that it is set to; 0: none.
    set_ns: u64,
}

impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> nix::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self { timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?, set_ns: 0 })
    }

    /// Wakes the loop at `moment_ns`, or a little earlier if that saves the system call.
    pub fn set(&mut self, moment_ns: u64, now_ns: u64) -> nix::Result<()> {
        if now_ns < self.set_ns && self.set_ns <= moment_ns {
            return Ok(());
        }
        self.set_ns = moment_ns;
        let moment = TimeSpec::from_duration(Duration::from_nanos(moment_ns));
        self.timer.set(Expiration::OneShot(moment), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_from_the_first_moment_on_at_their_rate() {
        let pace = Pace { start_ns: 1_000_000_000, per_second: 1000.0 };
        assert_eq!(
            [999_999_999, 1_000_000_000, 1_500_000_000, 1_500_499_999].map(|now| pace.due(now)),
            [0, 1, 501, 501]
        );
        assert_eq!((pace.moment(0), pace.moment(500)), (1_000_000_000, 1_500_000_000));
    }
}
