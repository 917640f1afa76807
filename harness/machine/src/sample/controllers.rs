//! What a component's own cgroup tells, on version 1, version 2 and hybrid.
//!
//! Sources: `Documentation/admin-guide/cgroup-v1/{cpuacct,memory,pids}.rst`, `Documentation/scheduler/sched-bwc.rst`,
//! `Documentation/admin-guide/cgroup-v2.rst`, `Documentation/accounting/psi.rst`.

use std::path::PathBuf;

use super::context::{Context, Kept};
use super::pressure;
use super::row::Row;
use crate::cgroup::Cgroup;
use crate::environment::parse::{first_number, keyed};
use wsceiling_model::record::Metric;

/// A file of a cgroup: the folder that has it, its name, and its numbers.
type Source = (Folder, &'static str, &'static [Number]);
type Folder = fn(&Cgroup) -> Option<&PathBuf>;
/// A number of a file: which metric it is, where it stands in the file, and how the record names its source.
type Number = (Metric, Part, &'static str);

/// Where a number stands in a file.
#[derive(Debug, Clone, Copy)]
enum Part {
    First,
    Key(&'static str),
    /// Nanoseconds, told in microseconds.
    FirstNanos,
    KeyNanos(&'static str),
    /// Percent of the last 10 s, of a line of a pressure file.
    Pressure(&'static str),
    /// Before Linux 5.18 only the parts of the kernel's memory are told.
    KernelParts,
}
use Part::{First, FirstNanos, KernelParts, Key, KeyNanos, Pressure};

const CPU: Folder = |cgroup| cgroup.cpu.as_ref();
const CPUACCT: Folder = |cgroup| cgroup.cpuacct.as_ref();
const MEMORY: Folder = |cgroup| cgroup.memory.as_ref();
const PIDS: Folder = |cgroup| cgroup.pids.as_ref();
const PRESSURE: Folder = |cgroup| cgroup.pressure.as_ref();

const V1: &[Source] = &[
    (CPUACCT, "cpuacct.usage", &[(Metric::CpuUsage, FirstNanos, "cgroup1 cpuacct.usage")]),
    (
        CPU,
        "cpu.stat",
        &[
            (Metric::CpuPeriods, Key("nr_periods"), "cgroup1 cpu.stat nr_periods"),
            (Metric::CpuThrottledPeriods, Key("nr_throttled"), "cgroup1 cpu.stat nr_throttled"),
            (Metric::CpuThrottled, KeyNanos("throttled_time"), "cgroup1 cpu.stat throttled_time"),
        ],
    ),
    (MEMORY, "memory.usage_in_bytes", &[(Metric::MemoryCurrent, First, "cgroup1 memory.usage_in_bytes")]),
    (
        MEMORY,
        "memory.stat",
        // `total_` includes the groups below, as the usage does.
        &[
            (Metric::MemoryAnon, Key("total_rss"), "cgroup1 memory.stat total_rss"),
            (Metric::MemoryFile, Key("total_cache"), "cgroup1 memory.stat total_cache"),
            (Metric::MajorFaults, Key("total_pgmajfault"), "cgroup1 memory.stat total_pgmajfault"),
        ],
    ),
    (MEMORY, "memory.kmem.usage_in_bytes", &[(Metric::MemoryKernel, First, "cgroup1 memory.kmem.usage_in_bytes")]),
    (
        MEMORY,
        "memory.kmem.tcp.usage_in_bytes",
        &[(Metric::MemorySock, First, "cgroup1 memory.kmem.tcp.usage_in_bytes")],
    ),
    (MEMORY, "memory.oom_control", &[(Metric::OomKills, Key("oom_kill"), "cgroup1 memory.oom_control oom_kill")]),
    (MEMORY, "memory.failcnt", &[(Metric::MemoryLimitHits, First, "cgroup1 memory.failcnt")]),
    (MEMORY, "memory.max_usage_in_bytes", &[(Metric::MemoryPeak, First, "cgroup1 memory.max_usage_in_bytes")]),
];

const V2: &[Source] = &[
    (
        CPU,
        "cpu.stat",
        &[
            (Metric::CpuUsage, Key("usage_usec"), "cgroup2 cpu.stat usage_usec"),
            (Metric::CpuPeriods, Key("nr_periods"), "cgroup2 cpu.stat nr_periods"),
            (Metric::CpuThrottledPeriods, Key("nr_throttled"), "cgroup2 cpu.stat nr_throttled"),
            (Metric::CpuThrottled, Key("throttled_usec"), "cgroup2 cpu.stat throttled_usec"),
        ],
    ),
    (MEMORY, "memory.current", &[(Metric::MemoryCurrent, First, "cgroup2 memory.current")]),
    (MEMORY, "memory.stat", MEMORY_STAT_V2),
    (
        MEMORY,
        "memory.events",
        &[
            (Metric::OomKills, Key("oom_kill"), "cgroup2 memory.events oom_kill"),
            (Metric::MemoryHighEvents, Key("high"), "cgroup2 memory.events high"),
            (Metric::MemoryLimitHits, Key("max"), "cgroup2 memory.events max"),
        ],
    ),
    (MEMORY, "memory.peak", &[(Metric::MemoryPeak, First, "cgroup2 memory.peak")]),
];

const MEMORY_STAT_V2: &[Number] = &[
    (Metric::MemoryAnon, Key("anon"), "cgroup2 memory.stat anon"),
    (Metric::MemoryFile, Key("file"), "cgroup2 memory.stat file"),
    (Metric::MemorySock, Key("sock"), "cgroup2 memory.stat sock"),
    (Metric::MajorFaults, Key("pgmajfault"), "cgroup2 memory.stat pgmajfault"),
    (Metric::MemoryKernel, Key("kernel"), "cgroup2 memory.stat kernel"),
    (Metric::MemoryKernel, KernelParts, "cgroup2 memory.stat slab + kernel_stack + pagetables + percpu"),
];

/// The same on both versions.
const BOTH: &[Source] = &[
    (PIDS, "pids.current", &[(Metric::Pids, First, "cgroup pids.current")]),
    (PIDS, "pids.events", &[(Metric::PidsMaxEvents, Key("max"), "cgroup pids.events max")]),
    (PRESSURE, "cpu.pressure", &[(Metric::PsiCpuSome, Pressure("some"), "cgroup2 cpu.pressure some avg10")]),
    (PRESSURE, "memory.pressure", &[(Metric::PsiMemoryFull, Pressure("full"), "cgroup2 memory.pressure full avg10")]),
];

/// The files of a cgroup that could be read when it was first seen.
pub(super) struct Controllers {
    files: Vec<(Kept, &'static [Number])>,
    /// Folder whose `cgroup.procs` lists the processes.
    procs: Option<PathBuf>,
    /// Those of more cgroups of the same component.
    more: Vec<Controllers>,
}

impl Controllers {
    pub(super) fn new(context: &mut Context, cgroup: &Cgroup) -> Self {
        let mut files = Vec::new();
        for (folder, name, numbers) in (if cgroup.version == 2 { V2 } else { V1 }).iter().chain(BOTH) {
            let Some(folder) = folder(cgroup) else { continue };
            let mut kept = Kept::new(folder.join(name));
            if context.read(&mut kept).is_some() {
                files.push((kept, *numbers));
            }
        }
        let folders = [&cgroup.pids, &cgroup.memory, &cgroup.cpu, &cgroup.pressure];
        let procs = folders.into_iter().flatten().next().map(|folder| folder.join("cgroup.procs"));
        Self { files, procs, more: Vec::new() }
    }

    /// Adds more cgroups of the same component.
    pub(super) fn with(mut self, context: &mut Context, more: &[Cgroup]) -> Self {
        self.more = more.iter().map(|cgroup| Self::new(context, cgroup)).collect();
        self
    }

    /// Whether a number comes from here.
    pub(super) fn has(&self, metric: Metric) -> bool {
        self.files.iter().any(|(_, numbers)| numbers.iter().any(|(known, ..)| *known == metric))
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
        for (kept, numbers) in &mut self.files {
            if let Some(text) = context.read(kept) {
                report(numbers, text, row);
            }
        }
    }
}

fn report(numbers: &[Number], text: &[u8], row: &mut Row) {
    for (metric, part, source) in numbers {
        if let Some(value) = part.read(text) {
            row.set(*metric, value, source);
        }
    }
}

impl Part {
    fn read(self, text: &[u8]) -> Option<f64> {
        let number = match self {
            First => first_number(text),
            Key(key) => keyed(text, key),
            FirstNanos => first_number(text).map(|ns| ns / 1000),
            KeyNanos(key) => keyed(text, key).map(|ns| ns / 1000),
            Pressure(who) => return pressure::avg10(text, who),
            KernelParts if keyed(text, "kernel").is_some() => None,
            KernelParts => {
                // `percpu` and `pagetables` are not told by all of those kernels.
                let parts = ["slab", "kernel_stack", "pagetables", "percpu"].map(|key| keyed(text, key));
                parts[0].map(|_| parts.into_iter().flatten().fold(0, u64::saturating_add))
            }
        };
        number.map(|number| number as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report_all(text: &[u8], row: &mut Row) {
        for (_, _, numbers) in [V1, V2, BOTH].concat() {
            report(numbers, text, row);
        }
    }

    #[test]
    fn older_kernels_tell_only_the_parts_of_kernel_memory() {
        let mut row = Row::new();
        report(MEMORY_STAT_V2, b"anon 10\nslab 100\nkernel_stack 20\npagetables 3\nsock 4\n", &mut row);
        assert!(row.take().contains(&(Metric::MemoryKernel, 123.0)));
        assert!(row.sources()["memory_kernel_bytes"].contains("slab"));
        report(MEMORY_STAT_V2, b"anon 10\nkernel 7\nslab 100\n", &mut row);
        assert!(row.take().contains(&(Metric::MemoryKernel, 7.0)));
        report(MEMORY_STAT_V2, b"anon 10\n", &mut row);
        assert_eq!(row.take(), [(Metric::MemoryAnon, 10.0)]);
    }

    proptest! {
        #[test]
        fn garbage_gives_no_number_and_never_panics(text in "[a-z_ \n]{0,200}") {
            let mut row = Row::new();
            report_all(text.as_bytes(), &mut row);
            prop_assert_eq!(row.take(), []);
        }

        #[test]
        fn bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            report_all(&text, &mut Row::new());
        }
    }
}
