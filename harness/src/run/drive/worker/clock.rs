//! Time: `CLOCK_MONOTONIC`, which all workers share, and an alarm that wakes the loop at a moment of it.

use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId as Clock, clock_gettime};

/// Nanoseconds in a second.
pub const SECOND_NS: u64 = 1_000_000_000;

/// Now, in nanoseconds of `CLOCK_MONOTONIC`.
#[inline]
pub fn now_ns() -> u64 {
    clock_gettime(Clock::CLOCK_MONOTONIC).map_or(0, |now| now.tv_sec() as u64 * SECOND_NS + now.tv_nsec() as u64)
}

/// Wakes the loop. A timer descriptor, because `epoll_wait` knows whole milliseconds only and messages are due every few
/// microseconds.
#[derive(Debug)]
pub struct Alarm {
    timer: TimerFd,
    /// Moment that it is set to; [`u64::MAX`]: none.
    set_ns: u64,
}

impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> nix::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self { timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?, set_ns: u64::MAX })
    }

    /// The descriptor that becomes readable at the moment. Need not be read where readiness is edge-triggered.
    pub fn descriptor(&self) -> RawFd {
        self.timer.as_fd().as_raw_fd()
    }

    /// Wakes the loop at `moment_ns`, or a little earlier where that saves the system call.
    pub fn set(&mut self, moment_ns: u64, now_ns: u64) -> nix::Result<()> {
        if now_ns < self.set_ns && self.set_ns <= moment_ns {
            return Ok(());
        }
        let moment = TimeSpec::from_duration(Duration::from_nanos(moment_ns));
        self.timer.set(Expiration::OneShot(moment), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        self.set_ns = moment_ns;
        Ok(())
    }
}
