//! What the threads of a component wait in: the kernel function that each sleeps in (`/proc/PID/task/TID/wchan`,
//! `Documentation/filesystems/proc.rst`), told as a few kinds. It is the one thing outside a server that tells a lock
//! from a sleep and from a slow database.

use std::time::{Duration, Instant};

use super::context::Context;
use super::processes::is_due;
use super::row::Row;
use wsceiling_model::record::Metric;

/// Time between two looks: each thread is a file to open.
const LOOK_EVERY: Duration = Duration::from_secs(1);

const WCHAN: &str = "/proc/PID/task/TID/wchan";

/// What a thread waits for, by the beginnings of the names of kernel functions (Linux 4.18 to 6.18).
const KINDS: [(Metric, &[&str]); 4] = [
    // For another thread: a mutex, a condition, the lock of an interpreter.
    (Metric::ThreadsInLock, &["futex_"]),
    (Metric::ThreadsInSleep, &["hrtimer_nanosleep", "do_nanosleep", "common_nsleep"]),
    // For the answer of somebody else, over a socket or a pipe.
    (
        Metric::ThreadsInRead,
        &[
            "sk_wait_data",
            "wait_woken",
            "__skb_wait",
            "unix_stream",
            "unix_wait",
            "pipe_",
            "anon_pipe",
            "inet_stream",
            "tcp_",
        ],
    ),
    // For anything to do at all.
    (
        Metric::ThreadsIdle,
        &[
            "ep_poll",
            "do_epoll",
            "do_select",
            "do_poll",
            "poll_schedule",
            "do_sys_poll",
            "inet_csk_accept",
            "io_cqring",
            "do_sigtimedwait",
            "do_wait",
        ],
    ),
];

/// When a component's threads were looked at last.
#[derive(Default)]
pub(super) struct Waits {
    looked: Option<Instant>,
}

impl Waits {
    /// Looks at the given threads, where it is time to.
    pub(super) fn sample(&mut self, context: &mut Context, threads: impl Iterator<Item = (u32, u32)>, row: &mut Row) {
        if !is_due(self.looked, LOOK_EVERY, context.now) {
            return;
        }
        self.looked = Some(context.now);
        let mut counts: Option<[u64; KINDS.len()]> = None;
        for (pid, tid) in threads {
            let Some(text) = context.read_once(format!("/proc/{pid}/task/{tid}/wchan")) else { continue };
            // Kernels that do not tell it say 0 for every thread, as do running threads of those that do.
            let counts = counts.get_or_insert_default();
            if let Some(kind) = kind(text) {
                counts[kind] += 1;
            }
        }
        for ((metric, _), count) in KINDS.iter().zip(counts.into_iter().flatten()) {
            row.count(*metric, Some(count), WCHAN);
        }
    }
}

fn kind(wchan: &[u8]) -> Option<usize> {
    let name = wchan.strip_prefix(b"__").filter(|rest| !rest.starts_with(b"skb")).unwrap_or(wchan);
    KINDS.iter().position(|(_, starts)| starts.iter().any(|start| name.starts_with(start.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tree::Tree;

    #[test]
    fn a_kernel_function_says_what_a_thread_waits_for() {
        let of = |name: &str| kind(name.as_bytes()).map(|at| KINDS[at].0);
        for (name, metric) in [
            ("futex_wait_queue", Metric::ThreadsInLock),
            ("futex_do_wait", Metric::ThreadsInLock),
            ("hrtimer_nanosleep", Metric::ThreadsInSleep),
            ("__skb_wait_for_more_packets", Metric::ThreadsInRead),
            ("wait_woken", Metric::ThreadsInRead),
            ("ep_poll", Metric::ThreadsIdle),
            ("__futex_wait", Metric::ThreadsInLock),
        ] {
            assert_eq!(of(name), Some(metric), "{name}");
        }
        for name in ["0", "", "folio_wait_bit", "\u{fffd}"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn threads_are_counted_by_what_they_wait_for_once_a_second() {
        let tree = Tree::new();
        for (tid, name) in [(1, "ep_poll"), (2, "futex_wait_queue"), (3, "futex_wait_queue"), (4, "0")] {
            tree.write(&format!("/proc/1/task/{tid}/wchan"), name);
        }
        let mut context = Context::new(tree.kernel());
        let mut waits = Waits::default();
        let mut look = |context: &mut Context| {
            let mut row = Row::new();
            waits.sample(context, (1..6).map(|tid| (1, tid)), &mut row);
            row.take()
        };
        let values = look(&mut context);
        for expected in [(Metric::ThreadsInLock, 2.0), (Metric::ThreadsIdle, 1.0), (Metric::ThreadsInSleep, 0.0)] {
            assert!(values.contains(&expected), "{expected:?} in {values:?}");
        }
        context.now += Duration::from_millis(100);
        assert_eq!(look(&mut context), []);
        context.now += Duration::from_secs(1);
        assert_eq!(look(&mut context).len(), KINDS.len());
    }

    #[test]
    fn where_no_thread_can_be_asked_there_is_no_number() {
        let tree = Tree::new();
        let mut row = Row::new();
        Waits::default().sample(&mut Context::new(tree.kernel()), [(1, 1)].into_iter(), &mut row);
        assert_eq!(row.take(), []);
    }
}
