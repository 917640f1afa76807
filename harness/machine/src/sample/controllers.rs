//! What a component's own cgroup tells, on version 1, version 2 and hybrid.
//!
//! Sources: `Documentation/admin-guide/cgroup-v1/{cpuacct,memory,pids}.rst`, `Documentation/scheduler/sched-bwc.rst`,
//! `Documentation/admin-guide/cgroup-v2.rst`, `Documentation/accounting/psi.rst`.

use std::path::{Path, PathBuf};

use super::context::{Context, Kept};
use super::pressure;
use super::row::Row;
use crate::cgroup::Cgroup;
use crate::environment::parse::{first_number, keyed};
use wsceiling_model::record::Metric;

type Report = fn(&[u8], &mut Row);

/// The files of a cgroup that could be read when it was first seen.
pub(super) struct Controllers {
    files: Vec<(Kept, Report)>,
    /// Folder whose `cgroup.procs` lists the processes.
    procs: Option<PathBuf>,
    has_cpu: bool,
    has_memory: bool,
    has_pids: bool,
    /// Those of more cgroups of the same component.
    more: Vec<Controllers>,
}

impl Controllers {
    pub(super) fn new(context: &mut Context, cgroup: &Cgroup) -> Self {
        let mut new = Self {
            files: Vec::new(),
            procs: None,
            has_cpu: false,
            has_memory: false,
            has_pids: false,
            more: Vec::new(),
        };
        if cgroup.version == 2 {
            new.has_cpu = new.add(context, cgroup.cpu.as_deref(), "cpu.stat", cpu_v2);
            new.has_memory = new.add(context, cgroup.memory.as_deref(), "memory.current", memory_current_v2);
            new.add(context, cgroup.memory.as_deref(), "memory.stat", memory_stat_v2);
            new.add(context, cgroup.memory.as_deref(), "memory.events", memory_events_v2);
            new.add(context, cgroup.memory.as_deref(), "memory.peak", memory_peak_v2);
        } else {
            new.has_cpu = new.add(context, cgroup.cpuacct.as_deref(), "cpuacct.usage", cpu_usage_v1);
            new.add(context, cgroup.cpu.as_deref(), "cpu.stat", cpu_v1);
            let memory = cgroup.memory.as_deref();
            new.has_memory = new.add(context, memory, "memory.usage_in_bytes", memory_usage_v1);
            new.add(context, memory, "memory.stat", memory_stat_v1);
            new.add(context, memory, "memory.kmem.usage_in_bytes", memory_kernel_v1);
            new.add(context, memory, "memory.kmem.tcp.usage_in_bytes", memory_sock_v1);
            new.add(context, memory, "memory.oom_control", oom_control_v1);
            new.add(context, memory, "memory.failcnt", memory_failcnt_v1);
            new.add(context, memory, "memory.max_usage_in_bytes", memory_peak_v1);
        }
        new.has_pids = new.add(context, cgroup.pids.as_deref(), "pids.current", pids);
        new.add(context, cgroup.pids.as_deref(), "pids.events", pids_events);
        new.add(context, cgroup.pressure.as_deref(), "cpu.pressure", cpu_pressure);
        new.add(context, cgroup.pressure.as_deref(), "memory.pressure", memory_pressure);
        let folders = [&cgroup.pids, &cgroup.memory, &cgroup.cpu, &cgroup.pressure];
        new.procs = folders.into_iter().flatten().next().map(|folder| folder.join("cgroup.procs"));
        new
    }

    /// Adds more cgroups of the same component.
    pub(super) fn with(mut self, context: &mut Context, more: &[Cgroup]) -> Self {
        self.more = more.iter().map(|cgroup| Self::new(context, cgroup)).collect();
        self
    }

    /// CPU time comes from here.
    pub(super) fn has_cpu(&self) -> bool {
        self.has_cpu
    }

    /// Memory comes from here.
    pub(super) fn has_memory(&self) -> bool {
        self.has_memory
    }

    /// The number of processes and threads comes from here.
    pub(super) fn has_pids(&self) -> bool {
        self.has_pids
    }

    /// Processes of the cgroup, in the reader's own numbers (0: not visible to it).
    pub(super) fn processes(&self, context: &mut Context) -> Vec<u32> {
        let Some(path) = &self.procs else { return Vec::new() };
        let text = context.read_once(path).unwrap_or_default();
        let pids = text.split(|byte| *byte == b'\n').filter_map(first_number);
        let mut pids: Vec<u32> = pids.filter_map(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0).collect();
        for more in &self.more {
            pids.extend(more.processes(context));
        }
        pids
    }

    pub(super) fn sample(&mut self, context: &mut Context, row: &mut Row) {
        if !self.more.is_empty() {
            let mut sum = Row::new();
            self.sample_own(context, &mut sum);
            for more in &mut self.more {
                let mut part = Row::new();
                more.sample_own(context, &mut part);
                sum.add(&mut part);
            }
            row.append(&mut sum);
            return;
        }
        self.sample_own(context, row);
    }

    fn sample_own(&mut self, context: &mut Context, row: &mut Row) {
        for (kept, report) in &mut self.files {
            if let Some(text) = context.read(kept) {
                report(text, row);
            }
        }
    }

    fn add(&mut self, context: &mut Context, folder: Option<&Path>, name: &str, report: Report) -> bool {
        let Some(folder) = folder else { return false };
        let mut kept = Kept::new(folder.join(name));
        let readable = context.read(&mut kept).is_some();
        if readable {
            self.files.push((kept, report));
        }
        readable
    }
}

fn cpu_usage_v1(text: &[u8], row: &mut Row) {
    row.count(Metric::CpuUsage, first_number(text).map(|ns| ns / 1000), "cgroup1 cpuacct.usage");
}

fn cpu_v1(text: &[u8], row: &mut Row) {
    row.count(Metric::CpuPeriods, keyed(text, "nr_periods"), "cgroup1 cpu.stat nr_periods");
    row.count(Metric::CpuThrottledPeriods, keyed(text, "nr_throttled"), "cgroup1 cpu.stat nr_throttled");
    let throttled_us = keyed(text, "throttled_time").map(|ns| ns / 1000);
    row.count(Metric::CpuThrottled, throttled_us, "cgroup1 cpu.stat throttled_time");
}

fn cpu_v2(text: &[u8], row: &mut Row) {
    row.count(Metric::CpuUsage, keyed(text, "usage_usec"), "cgroup2 cpu.stat usage_usec");
    row.count(Metric::CpuPeriods, keyed(text, "nr_periods"), "cgroup2 cpu.stat nr_periods");
    row.count(Metric::CpuThrottledPeriods, keyed(text, "nr_throttled"), "cgroup2 cpu.stat nr_throttled");
    row.count(Metric::CpuThrottled, keyed(text, "throttled_usec"), "cgroup2 cpu.stat throttled_usec");
}

fn memory_usage_v1(text: &[u8], row: &mut Row) {
    row.count(Metric::MemoryCurrent, first_number(text), "cgroup1 memory.usage_in_bytes");
}

fn memory_peak_v1(text: &[u8], row: &mut Row) {
    row.count(Metric::MemoryPeak, first_number(text), "cgroup1 memory.max_usage_in_bytes");
}

/// `total_` includes the groups below, as the usage does.
fn memory_stat_v1(text: &[u8], row: &mut Row) {
    row.count(Metric::MemoryAnon, keyed(text, "total_rss"), "cgroup1 memory.stat total_rss");
    row.count(Metric::MemoryFile, keyed(text, "total_cache"), "cgroup1 memory.stat total_cache");
    row.count(Metric::MajorFaults, keyed(text, "total_pgmajfault"), "cgroup1 memory.stat total_pgmajfault");
}

fn memory_kernel_v1(text: &[u8], row: &mut Row) {
    row.count(Metric::MemoryKernel, first_number(text), "cgroup1 memory.kmem.usage_in_bytes");
}

fn memory_sock_v1(text: &[u8], row: &mut Row) {
    row.count(Metric::MemorySock, first_number(text), "cgroup1 memory.kmem.tcp.usage_in_bytes");
}

fn memory_failcnt_v1(text: &[u8], row: &mut Row) {
    row.count(Metric::MemoryLimitHits, first_number(text), "cgroup1 memory.failcnt");
}

fn oom_control_v1(text: &[u8], row: &mut Row) {
    row.count(Metric::OomKills, keyed(text, "oom_kill"), "cgroup1 memory.oom_control oom_kill");
}

fn memory_current_v2(text: &[u8], row: &mut Row) {
    row.count(Metric::MemoryCurrent, first_number(text), "cgroup2 memory.current");
}

fn memory_peak_v2(text: &[u8], row: &mut Row) {
    row.count(Metric::MemoryPeak, first_number(text), "cgroup2 memory.peak");
}

fn memory_stat_v2(text: &[u8], row: &mut Row) {
    row.count(Metric::MemoryAnon, keyed(text, "anon"), "cgroup2 memory.stat anon");
    row.count(Metric::MemoryFile, keyed(text, "file"), "cgroup2 memory.stat file");
    row.count(Metric::MemorySock, keyed(text, "sock"), "cgroup2 memory.stat sock");
    row.count(Metric::MajorFaults, keyed(text, "pgmajfault"), "cgroup2 memory.stat pgmajfault");
    if let Some(kernel) = keyed(text, "kernel") {
        row.count(Metric::MemoryKernel, Some(kernel), "cgroup2 memory.stat kernel");
        return;
    }
    // Before Linux 5.18 only the parts are told, and `percpu` and `pagetables` not by all of those.
    let parts = ["slab", "kernel_stack", "pagetables", "percpu"].map(|key| keyed(text, key));
    let sum = parts[0].map(|_| parts.into_iter().flatten().fold(0, u64::saturating_add));
    row.count(Metric::MemoryKernel, sum, "cgroup2 memory.stat slab + kernel_stack + pagetables + percpu");
}

fn memory_events_v2(text: &[u8], row: &mut Row) {
    row.count(Metric::OomKills, keyed(text, "oom_kill"), "cgroup2 memory.events oom_kill");
    row.count(Metric::MemoryHighEvents, keyed(text, "high"), "cgroup2 memory.events high");
    row.count(Metric::MemoryLimitHits, keyed(text, "max"), "cgroup2 memory.events max");
}

fn pids(text: &[u8], row: &mut Row) {
    row.count(Metric::Pids, first_number(text), "cgroup pids.current");
}

fn pids_events(text: &[u8], row: &mut Row) {
    row.count(Metric::PidsMaxEvents, keyed(text, "max"), "cgroup pids.events max");
}

fn cpu_pressure(text: &[u8], row: &mut Row) {
    if let Some(percent) = pressure::avg10(text, "some") {
        row.set(Metric::PsiCpuSome, percent, "cgroup2 cpu.pressure some avg10");
    }
}

fn memory_pressure(text: &[u8], row: &mut Row) {
    if let Some(percent) = pressure::avg10(text, "full") {
        row.set(Metric::PsiMemoryFull, percent, "cgroup2 memory.pressure full avg10");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Report; 17] = [
        cpu_usage_v1,
        cpu_v1,
        cpu_v2,
        memory_usage_v1,
        memory_peak_v1,
        memory_stat_v1,
        memory_kernel_v1,
        memory_sock_v1,
        oom_control_v1,
        memory_current_v2,
        memory_peak_v2,
        memory_stat_v2,
        memory_events_v2,
        pids,
        pids_events,
        cpu_pressure,
        memory_pressure,
    ];

    #[test]
    fn older_kernels_tell_only_the_parts_of_kernel_memory() {
        let mut row = Row::new();
        memory_stat_v2(b"anon 10\nslab 100\nkernel_stack 20\npagetables 3\nsock 4\n", &mut row);
        assert!(row.take().contains(&(Metric::MemoryKernel, 123.0)));
        assert!(row.sources()["memory_kernel_bytes"].contains("slab"));
        memory_stat_v2(b"anon 10\nkernel 7\nslab 100\n", &mut row);
        assert!(row.take().contains(&(Metric::MemoryKernel, 7.0)));
        memory_stat_v2(b"anon 10\n", &mut row);
        assert_eq!(row.take(), [(Metric::MemoryAnon, 10.0)]);
    }

    proptest! {
        #[test]
        fn garbage_gives_no_number_and_never_panics(text in "[a-z_ \n]{0,200}") {
            let mut row = Row::new();
            for report in ALL {
                report(text.as_bytes(), &mut row);
            }
            prop_assert_eq!(row.take(), []);
        }

        #[test]
        fn bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut row = Row::new();
            for report in ALL {
                report(&text, &mut row);
            }
        }
    }
}
