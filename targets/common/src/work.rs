//! CPU that is burnt on purpose, to model a heavier handler.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// A fixed amount of computation that takes the configured time on this machine when nothing disturbs it.
///
/// It counts rounds, not elapsed time: a throttled or preempted handler must still do all of its work.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    rounds: u64,
}

/// Rounds of one calibration; about 50 us.
const CALIBRATION: u64 = 50_000;

impl Work {
    /// Work of about `microseconds` of CPU. The quickest of several short calibrations counts, because noise can only slow
    /// one down.
    pub fn new(microseconds: u32) -> Self {
        if microseconds == 0 {
            return Self { rounds: 0 };
        }
        let quickest = (0..20).map(|_| timed(CALIBRATION)).min().unwrap_or_default().max(Duration::from_nanos(1));
        let per_microsecond = CALIBRATION as f64 / (quickest.as_secs_f64() * 1e6);
        Self { rounds: (f64::from(microseconds) * per_microsecond).ceil() as u64 }
    }

    /// Does the work.
    pub fn burn(self) {
        if self.rounds > 0 {
            black_box(mix(self.rounds));
        }
    }
}

fn timed(rounds: u64) -> Duration {
    let start = Instant::now();
    black_box(mix(black_box(rounds)));
    start.elapsed()
}

/// Multiplications that depend on each other, so that neither the compiler nor the processor can skip any.
fn mix(rounds: u64) -> u64 {
    (0..rounds).fold(0x9e37_79b9_7f4a_7c15, |hash: u64, round| (hash ^ round).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_work_is_no_rounds_and_more_time_is_more_rounds() {
        assert_eq!(Work::new(0).rounds, 0);
        assert!(Work::new(1).rounds > 0);
        assert!(Work::new(1000).rounds > Work::new(10).rounds);
        Work::new(10).burn();
    }
}
