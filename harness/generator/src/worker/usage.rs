//! What the worker uses itself, for a coordinator that cannot look: it may be on another machine.

use nix::sys::resource::{UsageWho, getrusage};

use crate::ipc::Usage;

/// Reads what this process uses.
#[derive(Debug, Default)]
pub struct UsageMeter {
    /// Moment and CPU time of the reading before.
    last: Option<(u64, u64)>,
}

impl UsageMeter {
    /// What it uses at `now_ns`; `None`: the kernel does not say.
    pub fn read(&mut self, now_ns: u64) -> Option<Usage> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let micros = [usage.user_time(), usage.system_time()].map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
        let cpu_us = micros.iter().sum::<i64>().unsigned_abs();
        let core_ratio = self.last.replace((now_ns, cpu_us)).and_then(|(then_ns, before_us)| {
            let passed_ns = now_ns.saturating_sub(then_ns);
            (passed_ns > 0).then(|| cpu_us.saturating_sub(before_us) as f64 * 1e3 / passed_ns as f64)
        });
        Some(Usage { cpu_us, core_ratio, memory_bytes: memory_bytes() })
    }
}

/// Anonymous memory of this process in bytes.
fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_between_two_readings_is_a_share_of_a_core() {
        let mut meter = UsageMeter::default();
        let first = meter.read(1_000_000_000).unwrap();
        assert_eq!(first.core_ratio, None);
        assert!(first.memory_bytes.unwrap() > 0);
        while getrusage(UsageWho::RUSAGE_SELF).unwrap().user_time().tv_usec() == 0 {
            std::hint::black_box((0..100_000).sum::<u64>());
        }
        meter.last = Some((1_000_000_000, 0));
        let second = meter.read(2_000_000_000).unwrap();
        assert!(second.cpu_us >= first.cpu_us && second.cpu_us > 0);
        assert!((second.core_ratio.unwrap() - second.cpu_us as f64 / 1e6).abs() < 1e-9);
    }

    #[test]
    fn usages_add_up_and_the_busiest_worker_is_kept() {
        let one = Usage { cpu_us: 10, core_ratio: Some(0.2), memory_bytes: Some(100) };
        let other = Usage { cpu_us: 5, core_ratio: Some(0.7), memory_bytes: Some(50) };
        assert_eq!(one.and(other), Usage { cpu_us: 15, core_ratio: Some(0.7), memory_bytes: Some(150) });
        let unread = Usage { cpu_us: 5, core_ratio: None, memory_bytes: None };
        assert_eq!(one.and(unread), Usage { cpu_us: 15, core_ratio: Some(0.2), memory_bytes: None });
    }
}
