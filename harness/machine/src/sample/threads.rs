//! The busiest thread of a component.
//!
//! A thread-per-connection server has thousands of threads, so a tick looks at a bounded number of them: the busiest
//! known ones, and the others in turn. With up to [`EXAMINED_MAX`] threads that is all of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::context::{Context, Kept};
use super::row::Row;
use crate::environment::parse::{first_number, number, words};
use wsceiling_model::record::Metric;

/// Threads of a component that are read at one tick.
const EXAMINED_MAX: usize = 64;
/// Of those, the ones that were busiest before; their descriptors are kept.
const HOT_MAX: usize = 24;
/// Threads of a component that are remembered.
const KNOWN_MAX: usize = 16 << 10;
/// A shorter interval than this says little: the kernel adds a running thread's time at its timer tick.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(20);

const SCHEDSTAT: &str = "/proc/PID/task/TID/schedstat";
const WAITED: &str = "/proc/PID/task/TID/schedstat field 2";
const STAT: &str = "/proc/PID/task/TID/stat";

/// Process and thread number.
type Id = (u32, u32);

struct Thread {
    file: Kept,
    seen: Option<(Instant, Times)>,
    ratio: f64,
}

/// What a thread has used and waited for since it began, nanoseconds.
#[derive(Clone, Copy)]
struct Times {
    cpu_ns: u64,
    /// On a run queue; only `schedstat` tells it.
    wait_ns: Option<u64>,
}

/// Threads of a component.
pub(super) struct Threads {
    known: BTreeMap<Id, Thread>,
    /// Where the round over the threads that are not hot goes on.
    next: Id,
    /// Whether `schedstat` is there; its nanoseconds are cheaper and finer than the clock ticks of `stat`.
    schedstat: bool,
}

impl Threads {
    pub(super) fn new() -> Self {
        Self { known: BTreeMap::new(), next: (0, 0), schedstat: true }
    }

    /// Takes over the threads that are there now.
    pub(super) fn list(&mut self, context: &mut Context, pids: impl Iterator<Item = u32>) {
        let mut found: BTreeMap<Id, Thread> = BTreeMap::new();
        for pid in pids {
            for tid in context.kernel.numbered(format!("/proc/{pid}/task")).into_iter().take(KNOWN_MAX - found.len()) {
                let known = self.known.remove(&(pid, tid)).filter(|thread| !thread.file.is_gone());
                found.insert((pid, tid), known.unwrap_or_else(|| self.thread((pid, tid))));
            }
        }
        self.known = found;
    }

    /// As many of them as one tick looks at, the busiest ones first.
    pub(super) fn some(&self) -> impl Iterator<Item = Id> {
        let (hot, others) = self.choose();
        hot.into_iter().chain(others)
    }

    /// Number of threads known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn sample(&mut self, context: &mut Context, row: &mut Row) {
        if self.schedstat && !self.known.is_empty() && !self.has_schedstat(context) {
            self.schedstat = false;
            let ids: Vec<Id> = self.known.keys().copied().collect();
            self.known = ids.into_iter().map(|id| (id, self.thread(id))).collect();
        }
        let (hot, others) = self.choose();
        if let Some((pid, tid)) = others.last() {
            self.next = (*pid, tid.saturating_add(1));
        }
        let mut busiest: Option<f64> = None;
        let mut longest: Option<f64> = None;
        for id in hot.iter().chain(&others) {
            let Some(thread) = self.known.get_mut(id) else { continue };
            let Some(times) = context.read(&mut thread.file).and_then(|text| times(text, self.schedstat)) else {
                continue;
            };
            // `stat` counts in clock ticks, and the context knows how long one is.
            let tick_ns = if self.schedstat { 1 } else { context.clock_tick_us * 1000 };
            let times = Times { cpu_ns: times.cpu_ns.saturating_mul(tick_ns), ..times };
            if let Some((then, before)) = thread.seen {
                let elapsed = context.now.saturating_duration_since(then);
                if elapsed < SHORTEST_INTERVAL {
                    continue;
                }
                let share = |now: u64, before: u64| now.saturating_sub(before) as f64 / elapsed.as_nanos() as f64;
                thread.ratio = share(times.cpu_ns, before.cpu_ns);
                busiest = Some(busiest.unwrap_or(0.0).max(thread.ratio));
                if let Some((now, before)) = times.wait_ns.zip(before.wait_ns) {
                    longest = Some(longest.unwrap_or(0.0).max(share(now, before)));
                }
            }
            thread.seen = Some((context.now, times));
        }
        // A round of thousands of files would take every descriptor that may be kept.
        if self.known.len() > EXAMINED_MAX {
            for id in others {
                if let Some(thread) = self.known.get_mut(&id).filter(|thread| !thread.file.is_gone()) {
                    thread.file = Kept::new(path(id, self.schedstat));
                }
            }
        }
        if let Some(ratio) = busiest {
            row.set(Metric::BusiestThread, ratio, if self.schedstat { SCHEDSTAT } else { STAT });
        }
        if let Some(ratio) = longest {
            row.set(Metric::ThreadWait, ratio, WAITED);
        }
    }

    /// The busiest threads, and the next ones of the round over the rest.
    fn choose(&self) -> (Vec<Id>, Vec<Id>) {
        if self.known.len() <= EXAMINED_MAX {
            return (self.known.keys().copied().collect(), Vec::new());
        }
        let mut by_ratio: Vec<(Id, f64)> = self.known.iter().map(|(id, thread)| (*id, thread.ratio)).collect();
        by_ratio.select_nth_unstable_by(HOT_MAX, |a, b| b.1.total_cmp(&a.1));
        by_ratio.truncate(HOT_MAX);
        let hot: Vec<Id> = by_ratio.into_iter().map(|(id, _)| id).collect();
        let round = self.known.range(self.next..).chain(self.known.range(..self.next)).map(|(id, _)| *id);
        let others: Vec<Id> = round.filter(|id| !hot.contains(id)).take(EXAMINED_MAX - HOT_MAX).collect();
        (hot, others)
    }

    /// Looks at a few threads, since any one of them may have ended.
    fn has_schedstat(&self, context: &Context) -> bool {
        let mut few = self.known.keys().take(4);
        few.any(|id| context.kernel.exists(path(*id, true))) || !self.known.keys().any(|id| exists(context, *id))
    }

    fn thread(&self, id: Id) -> Thread {
        Thread { file: Kept::new(path(id, self.schedstat)), seen: None, ratio: 0.0 }
    }
}

fn exists(context: &Context, id: Id) -> bool {
    context.kernel.exists(path(id, false))
}

fn path((pid, tid): Id, schedstat: bool) -> String {
    format!("/proc/{pid}/task/{tid}/{}", if schedstat { "schedstat" } else { "stat" })
}

/// Nanoseconds of `schedstat` (`Documentation/scheduler/sched-stats.rst`), or clock ticks of `stat`.
fn times(text: &[u8], schedstat: bool) -> Option<Times> {
    if !schedstat {
        return stat(text).map(|stat| Times { cpu_ns: stat.ticks, wait_ns: None });
    }
    let mut fields = words(text);
    let cpu_ns = first_number(fields.next()?)?;
    Some(Times { cpu_ns, wait_ns: fields.next().and_then(number) })
}

/// What is used of `/proc/PID/stat` (`man 5 proc_pid_stat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// `R`, `S`, `D`, `T`, `t`, `Z`, ...
    pub(super) state: u8,
    /// User and system time, in clock ticks.
    pub(super) ticks: u64,
    /// Threads of the process.
    pub(super) threads: u64,
}

/// The name in parentheses may hold anything, so the fields are counted behind the last closing one.
pub(super) fn stat(text: &[u8]) -> Option<Stat> {
    let behind = text.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = words(&text[behind..]);
    let state = *fields.next()?.first()?;
    let user = number(fields.nth(10)?)?;
    let system = number(fields.next()?)?;
    let threads = number(fields.nth(4)?)?;
    Some(Stat { state, ticks: user.checked_add(system)?, threads })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::tree::Tree;

    const LINE: &[u8] = b"20 (a b) c) S 1 20 20 0 -1 4194560 100 0 0 0 5 7 0 0 20 0 3 0 900 1 2 3";

    #[test]
    fn a_name_may_hold_spaces_and_parentheses() {
        assert_eq!(stat(LINE), Some(Stat { state: b'S', ticks: 12, threads: 3 }));
        assert_eq!(stat(b"20 (a) S 1 20"), None);
    }

    fn sampled(threads: &mut Threads, context: &mut Context) -> Option<f64> {
        let mut row = Row::new();
        threads.sample(context, &mut row);
        row.take().first().map(|(_, value)| *value)
    }

    #[test]
    fn the_ratio_is_time_used_over_time_passed() {
        let tree = Tree::new();
        tree.write("/proc/1/task/1/schedstat", "1000000000 0 1");
        tree.write("/proc/1/task/2/schedstat", "5000000000 0 1");
        let mut context = Context::new(tree.kernel());
        let mut threads = Threads::new();
        threads.list(&mut context, [1].into_iter());
        assert_eq!(sampled(&mut threads, &mut context), None);
        tree.write("/proc/1/task/1/schedstat", "1500000000 0 1");
        tree.write("/proc/1/task/2/schedstat", "5100000000 0 1");
        context.now += Duration::from_secs(1);
        assert_eq!(sampled(&mut threads, &mut context), Some(0.5));
        tree.write("/proc/1/task/2/schedstat", "5100000000 250000000 1");
        context.now += Duration::from_secs(1);
        let mut row = Row::new();
        threads.sample(&mut context, &mut row);
        assert_eq!(row.take()[1], (Metric::ThreadWait, 0.25));
        tree.remove("/proc/1/task/1");
        threads.list(&mut context, [1].into_iter());
        context.now += Duration::from_secs(1);
        assert_eq!(sampled(&mut threads, &mut context), Some(0.0));
    }

    #[test]
    fn without_schedstat_ticks_are_counted() {
        let tree = Tree::new();
        tree.write("/proc/1/task/1/stat", LINE);
        let mut context = Context::new(tree.kernel());
        let mut threads = Threads::new();
        threads.list(&mut context, [1].into_iter());
        assert_eq!(sampled(&mut threads, &mut context), None);
        tree.write("/proc/1/task/1/stat", String::from_utf8_lossy(LINE).replace(" 5 7 ", " 30 32 "));
        context.now += Duration::from_secs(1);
        let ratio = 50.0 * context.clock_tick_us as f64 / 1e6;
        assert_eq!(sampled(&mut threads, &mut context), Some(ratio));
    }

    #[test]
    fn of_many_threads_each_has_its_turn_and_the_busy_one_stays() {
        let tree = Tree::new();
        let write = |tid: u32, ns: u64| tree.write(&format!("/proc/1/task/{tid}/schedstat"), format!("{ns} 0 1"));
        (1..=300).for_each(|tid| write(tid, 0));
        let mut context = Context::new(tree.kernel());
        let mut threads = Threads::new();
        threads.list(&mut context, [1].into_iter());
        assert_eq!(threads.known.len(), 300);
        let mut seen = Vec::new();
        for second in 1..=20 {
            write(277, second * 900_000_000);
            context.now += Duration::from_secs(1);
            seen.push(sampled(&mut threads, &mut context));
        }
        assert!(seen[16..].iter().all(|ratio| ratio.is_some_and(|ratio| (0.89..0.91).contains(&ratio))), "{seen:?}");
    }

    proptest! {
        #[test]
        fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (stat(&text), times(&text, true).map(|times| times.cpu_ns));
        }
    }
}
