//! The processes of a component: CPU and memory where no cgroup tells them, descriptors, states.
//!
//! Source: `Documentation/filesystems/proc.rst`. Resident memory is approximate on Linux 6.2 to 6.15, where `statm` sums
//! per-CPU counters without folding them (up to 64 pages a CPU); a cgroup is exact.

use std::time::{Duration, Instant};

use super::context::{Context, Kept};
use super::controllers::Controllers;
use super::row::Row;
use super::threads::{Stat, Threads, stat};
use super::user_tasks::UserTasks;
use super::waits::Waits;
use crate::environment::parse::{first_number, limit, number, words};
use wsceiling_model::record::Metric;

/// Processes of a component that are looked at; a server that forks per connection is counted by its cgroup alone.
const PROCESSES_MAX: usize = 64;
/// Threads whose children are asked for: a process starts others from few of its threads.
const PARENT_THREADS_MAX: usize = 16;
/// Time between two searches for new processes, and between two counts of descriptors the slow way.
const SEARCH_EVERY: Duration = Duration::from_secs(1);
/// Time between two readings of a descriptor limit, which the process itself or `prlimit` may change.
const LIMIT_EVERY: Duration = Duration::from_secs(5);

struct Process {
    pid: u32,
    stat: Kept,
    statm: Kept,
    descriptors: Kept,
    counted: Option<(Instant, u64)>,
    limit: Option<(Instant, Option<u64>)>,
    cpu_us: u64,
    alive: bool,
}

/// Processes of one component.
pub(super) struct Processes {
    given: Vec<u32>,
    known: Vec<Process>,
    threads: Threads,
    waits: Waits,
    user_tasks: UserTasks,
    searched: Option<Instant>,
    /// CPU time of processes that have ended, so that the total never falls.
    ended_cpu_us: u64,
    /// Processes that were alive once and are no more.
    ended: u64,
}

impl Processes {
    pub(super) fn new(given: &[u32]) -> Self {
        let given = given.iter().copied().filter(|pid| *pid != 0).collect();
        Self {
            given,
            known: Vec::new(),
            threads: Threads::new(),
            waits: Waits::default(),
            user_tasks: UserTasks::default(),
            searched: None,
            ended_cpu_us: 0,
            ended: 0,
        }
    }

    /// A process that is alive, for what is read by process number; the given ones first.
    pub(super) fn first_alive(&self) -> Option<u32> {
        let alive = |pid: &&u32| self.known.iter().any(|process| process.pid == **pid && process.alive);
        let any = || self.known.iter().find(|process| process.alive).map(|process| process.pid);
        self.given.iter().find(alive).copied().or_else(any)
    }

    pub(super) fn sample(&mut self, context: &mut Context, cgroup: Option<&Controllers>, row: &mut Row) {
        // Listing thousands of threads takes milliseconds, so it waits one for each of them.
        let every = SEARCH_EVERY.max(Duration::from_millis(self.threads.len() as u64));
        if is_due(self.searched, every, context.now) {
            self.search(context, cgroup);
            self.searched = Some(context.now);
        }
        let told = |metric| cgroup.is_some_and(|cgroup| cgroup.has(metric));
        self.read_states(context, told, row);
        if !told(Metric::MemoryCurrent) {
            self.read_memory(context, row);
        }
        self.read_descriptors(context, row);
        self.threads.sample(context, row);
        self.waits.sample(context, self.threads.some(), row);
        if let Some(pid) = self.first_alive() {
            self.user_tasks.sample(context, pid, row);
        }
    }

    /// Finds new processes and threads and forgets the ended ones.
    fn search(&mut self, context: &mut Context, cgroup: Option<&Controllers>) {
        let mut pids = cgroup.map(|cgroup| cgroup.processes(context)).unwrap_or_default();
        if pids.is_empty() {
            pids = descendants(context, &self.given);
        }
        pids.sort_by_key(|pid| !self.given.contains(pid));
        pids.truncate(PROCESSES_MAX);
        // Who ended since the last sample is no longer listed, and was not seen to end yet.
        for process in self.known.iter_mut().filter(|process| !pids.contains(&process.pid)) {
            let lived = process.alive;
            process.look(context);
            self.ended += u64::from(lived && !process.alive);
        }
        self.retire(|process| process.alive && pids.contains(&process.pid));
        for pid in pids {
            let is_new = !self.known.iter().any(|process| process.pid == pid);
            if is_new && context.kernel.exists(format!("/proc/{pid}")) {
                self.known.push(Process::new(pid));
            }
        }
        let pids: Vec<u32> = self.known.iter().map(|process| process.pid).collect();
        self.threads.list(context, pids.into_iter());
    }

    fn retire(&mut self, keep: impl Fn(&Process) -> bool) {
        for ended in self.known.iter().filter(|process| !keep(process)) {
            self.ended_cpu_us += ended.cpu_us;
            // Its number may soon be somebody else's.
            self.given.retain(|pid| *pid != ended.pid);
        }
        self.known.retain(keep);
    }

    /// CPU and threads unless they are `told` elsewhere, and who is stopped. A process whose `stat` cannot be read any more has ended.
    fn read_states(&mut self, context: &mut Context, told: impl Fn(Metric) -> bool, row: &mut Row) {
        let (mut threads, mut stopped, mut alive) = (0, 0, 0);
        for process in &mut self.known {
            let lived = process.alive;
            let read = process.look(context);
            self.ended += u64::from(lived && !process.alive);
            let Some(stat) = read else { continue };
            process.cpu_us = process.cpu_us.max(stat.ticks.saturating_mul(context.clock_tick_us));
            alive += u64::from(process.alive);
            threads += if process.alive { stat.threads } else { 0 };
            stopped += u64::from(matches!(stat.state, b'D' | b'T' | b't'));
        }
        if alive == 0 {
            return;
        }
        row.count(Metric::ProcessesEnded, Some(self.ended), "/proc/PID/stat is gone or a zombie");
        row.count(Metric::StoppedProcesses, Some(stopped), "/proc/PID/stat state");
        if !told(Metric::Pids) {
            row.count(Metric::Pids, Some(threads), "/proc/PID/stat num_threads");
        }
        if !told(Metric::CpuUsage) {
            let sum = self.known.iter().map(|process| process.cpu_us).sum::<u64>() + self.ended_cpu_us;
            row.count(Metric::CpuUsage, Some(sum), "/proc/PID/stat utime + stime");
        }
    }

    fn read_memory(&mut self, context: &mut Context, row: &mut Row) {
        let mut sum: Option<(u64, u64)> = None;
        for process in self.known.iter_mut().filter(|process| process.alive) {
            if let Some((resident, shared)) = context.read(&mut process.statm).and_then(statm) {
                let (residents, shares) = sum.unwrap_or_default();
                sum = Some((residents.saturating_add(resident), shares.saturating_add(shared)));
            }
        }
        let Some((resident, shared)) = sum else { return };
        let bytes = |pages: u64| Some(pages.saturating_mul(context.page_bytes));
        row.count(Metric::MemoryCurrent, bytes(resident), "/proc/PID/statm resident");
        row.count(Metric::MemoryAnon, bytes(resident.saturating_sub(shared)), "/proc/PID/statm resident - shared");
        row.count(Metric::MemoryFile, bytes(shared), "/proc/PID/statm shared");
    }

    fn read_descriptors(&mut self, context: &mut Context, row: &mut Row) {
        let mut fullest: Option<(u64, Option<u64>)> = None;
        for process in self.known.iter_mut().filter(|process| process.alive) {
            let limit = process.descriptor_limit(context);
            // None at all is a process on its way to being a zombie, which closes them first.
            if let Some(count) = process.count_descriptors(context).filter(|count| *count > 0)
                && fullest.is_none_or(|(most, _)| count > most)
            {
                fullest = Some((count, limit));
            }
        }
        let Some((count, limit)) = fullest else { return };
        let size = context.descriptor_folders_have_sizes;
        row.count(Metric::Descriptors, Some(count), if size { "/proc/PID/fd st_size" } else { "/proc/PID/fd entries" });
        row.count(Metric::DescriptorLimit, limit, "/proc/PID/limits Max open files");
    }
}

impl Process {
    fn new(pid: u32) -> Self {
        let file = |name: &str| Kept::new(format!("/proc/{pid}/{name}"));
        let (stat, statm, descriptors) = (file("stat"), file("statm"), file("fd"));
        Self { pid, stat, statm, descriptors, counted: None, limit: None, cpu_us: 0, alive: true }
    }

    /// Looks whether it is alive. What is read of it, if it can be.
    fn look(&mut self, context: &mut Context) -> Option<Stat> {
        let read = context.read(&mut self.stat).and_then(stat);
        self.alive = read.as_ref().map_or(!self.stat.is_gone(), |stat| !matches!(stat.state, b'Z' | b'X'));
        read
    }

    /// Counting the slow way takes a microsecond for two descriptors, so the last count is told until the next is due.
    fn count_descriptors(&mut self, context: &mut Context) -> Option<u64> {
        if context.descriptor_folders_have_sizes {
            return context.size(&mut self.descriptors);
        }
        if let Some((when, count)) = self.counted
            && !is_due(Some(when), SEARCH_EVERY, context.now)
        {
            return Some(count);
        }
        let count = std::fs::read_dir(context.kernel.path(format!("/proc/{}/fd", self.pid))).ok()?.count() as u64;
        self.counted = Some((context.now, count));
        Some(count)
    }

    fn descriptor_limit(&mut self, context: &mut Context) -> Option<u64> {
        if is_due(self.limit.map(|(when, _)| when), LIMIT_EVERY, context.now) {
            let text = context.read_once(format!("/proc/{}/limits", self.pid));
            let soft = text.and_then(|text| limit(text, "Max open files")).and_then(|(soft, _)| soft);
            self.limit = Some((context.now, soft));
        }
        self.limit.and_then(|(_, soft)| soft)
    }
}

/// Whether something last done at a moment is due again.
pub(super) fn is_due(last: Option<Instant>, every: Duration, now: Instant) -> bool {
    // Half a tick of tolerance, or a tick that comes a millisecond early would wait for the next one.
    last.is_none_or(|last| now.saturating_duration_since(last) + Duration::from_millis(50) >= every)
}

/// The given processes and everything they started that still has them as ancestors.
fn descendants(context: &mut Context, given: &[u32]) -> Vec<u32> {
    let mut found = given.to_vec();
    let mut next = 0;
    while next < found.len() && found.len() < PROCESSES_MAX {
        let pid = found[next];
        next += 1;
        for tid in context.kernel.numbered(format!("/proc/{pid}/task")).into_iter().take(PARENT_THREADS_MAX) {
            let text = context.read_once(format!("/proc/{pid}/task/{tid}/children")).unwrap_or_default();
            let children = words(text).filter_map(number).filter_map(|pid| u32::try_from(pid).ok());
            let new: Vec<u32> = children.filter(|pid| !found.contains(pid)).collect();
            found.extend(new);
        }
    }
    found
}

/// Resident and shared pages.
fn statm(text: &[u8]) -> Option<(u64, u64)> {
    let mut fields = words(text).skip(1);
    Some((first_number(fields.next()?)?, first_number(fields.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tree::Tree;

    fn process(tree: &Tree, pid: u32, ticks: u64, state: char) {
        let line = format!("{pid} (p) {state} 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 2 0 900 1 2 3");
        tree.write(&format!("/proc/{pid}/stat"), line);
        tree.write(&format!("/proc/{pid}/statm"), "5000 100 40 1 0 30 0");
        tree.write(&format!("/proc/{pid}/limits"), "Max open files   1024   20000   files\n");
        tree.write(&format!("/proc/{pid}/fd/0"), "");
        tree.write(&format!("/proc/{pid}/task/{pid}/children"), "");
    }

    fn get(row: &mut Row, metric: Metric) -> Option<f64> {
        row.take().into_iter().find(|(name, _)| *name == metric).map(|(_, value)| value)
    }

    #[test]
    fn children_count_and_the_fullest_descriptor_table_is_told() {
        let tree = Tree::new();
        (10..13).for_each(|pid| process(&tree, pid, 100, 'S'));
        tree.write("/proc/10/task/10/children", "11 ");
        tree.write("/proc/11/task/11/children", "12 0");
        (1..5).for_each(|fd| tree.write(&format!("/proc/12/fd/{fd}"), ""));
        tree.write("/proc/12/limits", "Max open files   256   20000   files\n");
        let mut context = Context::new(tree.kernel());
        let mut row = Row::new();
        Processes::new(&[10]).sample(&mut context, None, &mut row);
        let values = row.take();
        let page = context.page_bytes as f64;
        for expected in [
            (Metric::CpuUsage, 300.0 * context.clock_tick_us as f64),
            (Metric::MemoryCurrent, 300.0 * page),
            (Metric::MemoryAnon, 180.0 * page),
            (Metric::Pids, 6.0),
            (Metric::Descriptors, 5.0),
            (Metric::DescriptorLimit, 256.0),
            (Metric::StoppedProcesses, 0.0),
        ] {
            assert!(values.contains(&expected), "{expected:?} in {values:?}");
        }
    }

    #[test]
    fn a_process_that_ends_while_it_is_read_has_no_number_of_descriptors() {
        let tree = Tree::new();
        process(&tree, 10, 100, 'S');
        // What /proc shows from the moment that its descriptors are closed until it is a zombie.
        tree.remove("/proc/10/fd/0");
        let mut context = Context::new(tree.kernel());
        let mut row = Row::new();
        Processes::new(&[10]).sample(&mut context, None, &mut row);
        assert_eq!(get(&mut row, Metric::Descriptors), None);
    }

    #[test]
    fn cpu_time_of_an_ended_process_stays_in_the_total() {
        let tree = Tree::new();
        process(&tree, 10, 100, 'S');
        process(&tree, 11, 50, 'R');
        let mut context = Context::new(tree.kernel());
        let mut processes = Processes::new(&[10, 11]);
        let mut row = Row::new();
        processes.sample(&mut context, None, &mut row);
        assert_eq!(get(&mut row, Metric::CpuUsage), Some(150.0 * context.clock_tick_us as f64));
        // The captured file vanishes with the process; a kept descriptor of the kernel would fail in the same way.
        tree.remove("/proc/11");
        processes.known[1].stat = Kept::new("/proc/11/stat");
        process(&tree, 10, 130, 'S');
        for _ in 0..3 {
            context.now += Duration::from_secs(1);
            processes.sample(&mut context, None, &mut row);
            let values = row.take();
            assert!(values.contains(&(Metric::CpuUsage, 180.0 * context.clock_tick_us as f64)), "{values:?}");
            assert!(values.contains(&(Metric::ProcessesEnded, 1.0)), "counted once: {values:?}");
        }
        assert_eq!(processes.known.len(), 1);
        assert_eq!(processes.first_alive(), Some(10));
    }

    #[test]
    fn a_process_that_ended_just_before_the_next_search_is_counted_too() {
        let tree = Tree::new();
        process(&tree, 10, 100, 'S');
        process(&tree, 11, 50, 'R');
        let mut context = Context::new(tree.kernel());
        let mut processes = Processes::new(&[10, 11]);
        let mut row = Row::new();
        processes.sample(&mut context, None, &mut row);
        // One that was found, and that the next search finds no more.
        processes.given = vec![10];
        tree.remove("/proc/11");
        processes.known[1].stat = Kept::new("/proc/11/stat");
        context.now += Duration::from_secs(1);
        processes.sample(&mut context, None, &mut row);
        assert_eq!(get(&mut row, Metric::ProcessesEnded), Some(1.0));
    }

    #[test]
    fn a_stopped_process_is_told_and_a_dead_component_has_no_numbers() {
        let tree = Tree::new();
        process(&tree, 10, 1, 'T');
        let mut context = Context::new(tree.kernel());
        let mut row = Row::new();
        Processes::new(&[10]).sample(&mut context, None, &mut row);
        assert_eq!(get(&mut row, Metric::StoppedProcesses), Some(1.0));
        process(&tree, 10, 1, 'Z');
        Processes::new(&[10]).sample(&mut context, None, &mut row);
        assert_eq!(row.take(), []);
        Processes::new(&[77, 0]).sample(&mut context, None, &mut row);
        assert_eq!(row.take(), []);
    }

    #[test]
    fn a_short_statm_is_no_number() {
        assert_eq!(statm(b"1 2 3 4"), Some((2, 3)));
        assert_eq!(statm(b"1 2"), None);
        assert_eq!(statm(b"1 x 3"), None);
    }
}
