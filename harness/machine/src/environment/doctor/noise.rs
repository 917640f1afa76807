//! How quiet the machine is: a short spin that notices when it is not running.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::environment::kernel::Kernel;
use crate::environment::parse::{CpuTimes, cpu_times};

/// What a spin of half a second noticed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Noise {
    /// Share of the time in which the spinning thread did not run.
    pub interrupted_ratio: f64,
    /// Longest time it did not run.
    pub longest_us: f64,
    /// Share of all CPU time that the hypervisor gave to others; `None`: not told.
    pub steal_ratio: Option<f64>,
    /// Share of all CPU time that other programs used; `None`: not told.
    pub others_ratio: Option<f64>,
}

const SPIN: Duration = Duration::from_millis(500);
/// A gap below this is a timer interrupt, which every machine has.
const GAP_MIN: Duration = Duration::from_micros(20);
/// Length of a tick of `/proc/stat` on every Linux of today.
const TICK: Duration = Duration::from_millis(10);

impl Noise {
    /// Spins for half a second on one core.
    pub fn measure(kernel: &Kernel) -> Self {
        let times = || kernel.read("/proc/stat").ok().and_then(|text| cpu_times(&text));
        let before = times();
        let (interrupted, longest, elapsed) = spin();
        let after = times();
        let shares = before.zip(after).and_then(|(before, after)| shares(before, after, elapsed));
        Self {
            interrupted_ratio: interrupted.as_secs_f64() / elapsed.as_secs_f64(),
            longest_us: longest.as_secs_f64() * 1e6,
            steal_ratio: shares.map(|(steal, _)| steal),
            others_ratio: shares.map(|(_, others)| others),
        }
    }
}

fn spin() -> (Duration, Duration, Duration) {
    let begin = Instant::now();
    let (mut last, mut interrupted, mut longest) = (begin, Duration::ZERO, Duration::ZERO);
    while last.duration_since(begin) < SPIN {
        let now = Instant::now();
        let gap = now.duration_since(last);
        if gap >= GAP_MIN {
            interrupted += gap;
            longest = longest.max(gap);
        }
        last = now;
    }
    (interrupted, longest, last.duration_since(begin))
}

/// Steal and the work of others, as shares of the time of all CPUs.
fn shares(before: CpuTimes, after: CpuTimes, spun: Duration) -> Option<(f64, f64)> {
    let delta = |part: fn(&CpuTimes) -> u64| part(&after).checked_sub(part(&before));
    let (idle, busy, steal) = (delta(|t| t.idle)?, delta(|t| t.busy)?, delta(|t| t.steal)?);
    let total = (idle + busy + steal) as f64;
    let ours = spun.as_secs_f64() / TICK.as_secs_f64();
    (total > 0.0).then(|| (steal as f64 / total, ((busy as f64 - ours) / total).max(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_spin_is_not_the_work_of_others() {
        let before = CpuTimes { idle: 1000, busy: 100, steal: 0 };
        let after = CpuTimes { idle: 1040, busy: 160, steal: 0 };
        let (steal, others) = shares(before, after, Duration::from_millis(500)).unwrap();
        assert!(steal.abs() < 1e-9);
        assert!((others - 0.1).abs() < 1e-9, "{others}");
        assert_eq!(shares(before, before, SPIN), None);
        assert_eq!(shares(after, before, SPIN), None);
    }

    #[test]
    fn a_spin_is_measured() {
        let noise = Noise::measure(&Kernel::real());
        assert!((0.0..=1.0).contains(&noise.interrupted_ratio), "{noise:?}");
        assert!(noise.steal_ratio.is_some());
    }
}
