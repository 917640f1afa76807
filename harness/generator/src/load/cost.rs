//! What the generator itself costs: CPU and memory of its workers, from `/proc`.

use std::time::{Duration, Instant};

use crate::ipc::Usage;

/// Shortest time that a share of a core is computed over.
const INTERVAL: Duration = Duration::from_millis(500);

/// Connections from which on their memory can be told.
const TELLING: u64 = 500;

/// Readings of the workers.
#[derive(Debug)]
pub struct Cost {
    workers: Vec<Worker>,
    started: Instant,
    /// Largest share of a core that one worker used over an interval.
    busiest: Option<f64>,
    /// Memory over that of the start, and the connections that were open then, at the most of them.
    memory: Option<(u64, u64)>,
    /// Largest memory of all workers.
    peak_bytes: Option<u64>,
    interval_started: Instant,
    ended: Option<Instant>,
    /// What the workers say themselves, where they run on other machines.
    told: Option<Told>,
}

/// What workers on other machines say that they use.
#[derive(Debug, Default)]
struct Told {
    first: Option<Usage>,
    last: Option<Usage>,
}

#[derive(Debug)]
struct Worker {
    pid: u32,
    first_cpu_ns: Option<u64>,
    interval_cpu_ns: Option<u64>,
    last_cpu_ns: Option<u64>,
    first_bytes: Option<u64>,
}

impl Cost {
    /// Begins, with workers that have no connection yet.
    pub fn begin(pids: &[u32]) -> Self {
        let workers = pids.iter().map(|pid| {
            let cpu_ns = cpu_ns(*pid);
            Worker {
                pid: *pid,
                first_cpu_ns: cpu_ns,
                interval_cpu_ns: cpu_ns,
                last_cpu_ns: cpu_ns,
                first_bytes: memory_bytes(*pid),
            }
        });
        let now = Instant::now();
        Self {
            workers: workers.collect(),
            started: now,
            busiest: None,
            memory: None,
            peak_bytes: None,
            interval_started: now,
            ended: None,
            told: None,
        }
    }

    /// Begins, with workers on other machines.
    pub fn begin_told() -> Self {
        Self { told: Some(Told::default()), ..Self::begin(&[]) }
    }

    /// Takes what the workers say that they use, where nothing else tells.
    pub fn hear(&mut self, usage: Option<Usage>, open: u64) {
        let (Some(told), Some(usage)) = (&mut self.told, usage) else { return };
        let first = told.first.get_or_insert(usage);
        if let Some(ratio) = usage.core_ratio {
            self.busiest = Some(self.busiest.map_or(ratio, |busiest| busiest.max(ratio)));
        }
        if let (Some(bytes), Some(first)) = (usage.memory_bytes, first.memory_bytes) {
            self.peak_bytes = Some(self.peak_bytes.map_or(bytes, |peak| peak.max(bytes)));
            if open > 0 && self.memory.is_none_or(|(_, most)| open >= most) {
                self.memory = Some((bytes.saturating_sub(first), open));
            }
        }
        told.last = Some(usage);
    }

    /// Reads the workers, unless that was done a moment ago.
    pub fn sample(&mut self, open: u64) {
        let now = Instant::now();
        if now.duration_since(self.interval_started) >= INTERVAL {
            self.read(open, now);
        }
    }

    /// The last reading, before the workers end.
    pub fn end(&mut self, open: u64) {
        let now = Instant::now();
        self.read(open, now);
        self.ended = Some(now);
    }

    fn read(&mut self, open: u64, now: Instant) {
        let passed_ns = now.duration_since(self.interval_started).as_nanos() as f64;
        let whole = passed_ns >= INTERVAL.as_nanos() as f64;
        for worker in &mut self.workers {
            let Some(cpu_ns) = cpu_ns(worker.pid) else { continue };
            worker.last_cpu_ns = Some(cpu_ns);
            if whole && let Some(before) = worker.interval_cpu_ns.replace(cpu_ns) {
                let share = cpu_ns.saturating_sub(before) as f64 / passed_ns;
                self.busiest = Some(self.busiest.map_or(share, |busiest| busiest.max(share)));
            }
        }
        if whole {
            self.interval_started = now;
        }
        if self.told.is_some() {
            return;
        }
        let memory: Option<Vec<u64>> = self.workers.iter().map(|worker| memory_bytes(worker.pid)).collect();
        let first: Option<u64> = self.workers.iter().map(|worker| worker.first_bytes).sum();
        if let (Some(memory), Some(first)) = (memory, first) {
            let bytes: u64 = memory.iter().sum();
            self.peak_bytes = Some(self.peak_bytes.map_or(bytes, |peak| peak.max(bytes)));
            if open > 0 && self.memory.is_none_or(|(_, most)| open >= most) {
                self.memory = Some((bytes.saturating_sub(first), open));
            }
        }
    }

    /// CPU time of all workers in seconds.
    pub fn cpu_s(&self) -> Option<f64> {
        if let Some(Told { first, last }) = &self.told {
            return Some(last.as_ref()?.cpu_us.saturating_sub(first.as_ref()?.cpu_us) as f64 / 1e6);
        }
        let used = |worker: &Worker| Some(worker.last_cpu_ns?.saturating_sub(worker.first_cpu_ns?));
        let all: Option<Vec<u64>> = self.workers.iter().map(used).collect();
        all.filter(|all| !all.is_empty()).map(|all| all.iter().sum::<u64>() as f64 / 1e9)
    }

    /// Cores that all workers used on average.
    pub fn cpu_ratio(&self) -> Option<f64> {
        let passed = self.ended.unwrap_or_else(Instant::now).duration_since(self.started).as_secs_f64();
        self.cpu_s().filter(|_| passed > 0.0).map(|cpu| cpu / passed)
    }

    /// Largest share of a core that one worker used over half a second.
    pub fn busiest_worker_ratio(&self) -> Option<f64> {
        // A run that is shorter than the interval has its mean.
        self.busiest.or_else(|| self.cpu_ratio().filter(|_| self.workers.len() == 1))
    }

    /// Largest memory of all workers in bytes.
    pub fn peak_bytes(&self) -> Option<u64> {
        self.peak_bytes
    }

    /// User memory of one connection in bytes, over that of a worker without any. `None` where there were too few of them
    /// to tell it from the pages that a worker takes and gives back anyway.
    pub fn bytes_per_connection(&self) -> Option<f64> {
        self.memory.filter(|(_, open)| *open >= TELLING).map(|(bytes, open)| bytes as f64 / open as f64)
    }
}

/// CPU time of a process of one thread in nanoseconds: `/proc/PID/schedstat` (`Documentation/scheduler/sched-stats.rst`).
fn cpu_ns(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Anonymous memory of a process in bytes: `RssAnon` of `/proc/PID/status`.
fn memory_bytes(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_cost() {
        let mut cost = Cost::begin(&[std::process::id()]);
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        cost.end(1024);
        assert!(cost.cpu_s().is_some());
        assert!(cost.bytes_per_connection().unwrap() > 1024.0);
        assert!(cost.peak_bytes().unwrap() > 64 << 20);
        drop(block);
    }

    #[test]
    fn workers_elsewhere_have_the_cost_that_they_tell() {
        let mut cost = Cost::begin_told();
        assert_eq!((cost.cpu_s(), cost.peak_bytes(), cost.busiest_worker_ratio()), (None, None, None));
        let usage = |cpu_us, core_ratio, bytes| Some(Usage { cpu_us, core_ratio, memory_bytes: Some(bytes) });
        cost.hear(usage(1_000_000, None, 1_000), 0);
        cost.hear(usage(1_500_000, Some(0.9), 1_000_000), 1_000);
        cost.hear(None, 1_000);
        cost.hear(usage(1_750_000, Some(0.2), 900_000), 900);
        cost.end(900);
        assert_eq!((cost.cpu_s(), cost.peak_bytes()), (Some(0.75), Some(1_000_000)));
        assert_eq!((cost.busiest_worker_ratio(), cost.bytes_per_connection()), (Some(0.9), Some(999.0)));
    }

    #[test]
    fn a_process_that_is_gone_has_no_number() {
        let mut cost = Cost::begin(&[u32::MAX]);
        cost.end(5);
        assert_eq!((cost.cpu_s(), cost.bytes_per_connection(), cost.busiest_worker_ratio()), (None, None, None));
    }
}
