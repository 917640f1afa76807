//! Processes and threads of the user that a component runs as, against the most that this user may have (RLIMIT_NPROC,
//! `man 2 setrlimit`). The kernel counts them for the user, wherever they run, and shows the count nowhere: it is summed
//! over `/proc`. Root, and who may exceed resource limits, is exempt, so there is nothing to tell for them.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use super::context::Context;
use super::processes::is_due;
use super::row::Row;
use super::threads::stat;
use crate::environment::parse::limit;
use wsceiling_model::record::Metric;

/// Time between two counts, each of which looks at every process of the machine.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// A count that takes longer than this waits a hundred times as long for the next.
const SHARE: u32 = 100;
/// Limits above this are never met by one user's tasks before the machine's own (`kernel.pid_max` on 64 bit).
const NEVER_MET: u64 = 4 << 20;

/// The user's tasks.
#[derive(Default)]
pub(super) struct UserTasks {
    counted: Option<Instant>,
    every: Duration,
}

impl UserTasks {
    /// Counts the tasks of the user that the process runs as, where it is time to.
    pub(super) fn sample(&mut self, context: &mut Context, pid: u32, row: &mut Row) {
        if !is_due(self.counted, self.every.max(COUNT_EVERY), context.now) {
            return;
        }
        self.counted = Some(context.now);
        let Some(user) = user(context, pid).filter(|user| *user != 0) else { return };
        let text = context.read_once(format!("/proc/{pid}/limits"));
        let most = text.and_then(|text| limit(text, "Max processes")).and_then(|(soft, _)| soft);
        let Some(most) = most.filter(|most| *most < NEVER_MET) else { return };
        let begun = Instant::now();
        let mut tasks = 0;
        for pid in context.kernel.numbered("/proc") {
            if self::user(context, pid) == Some(user) {
                let text = context.read_once(format!("/proc/{pid}/stat"));
                tasks += text.and_then(stat).map_or(0, |stat| stat.threads);
            }
        }
        self.every = begun.elapsed() * SHARE;
        row.count(Metric::UserTasks, Some(tasks), "/proc/*/stat num_threads of the same user");
        row.count(Metric::UserTasksLimit, Some(most), "/proc/PID/limits Max processes");
    }
}

/// The user that a process runs as: its folder belongs to the effective user.
fn user(context: &Context, pid: u32) -> Option<u32> {
    std::fs::metadata(context.kernel.path(format!("/proc/{pid}"))).ok().map(|facts| facts.uid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tree::Tree;

    #[test]
    fn tasks_are_those_of_the_user_and_root_has_no_limit() {
        let tree = Tree::new();
        for pid in [10, 11] {
            tree.write(&format!("/proc/{pid}/stat"), format!("{pid} (p) S 1 1 1 0 -1 0 0 0 0 0 1 0 0 0 20 0 7 0 9"));
            tree.write(&format!("/proc/{pid}/limits"), "Max processes   300   400   processes\n");
        }
        let mut context = Context::new(tree.kernel());
        let mut row = Row::new();
        let mut tasks = UserTasks::default();
        tasks.sample(&mut context, 10, &mut row);
        let values = row.take();
        if nix::unistd::geteuid().is_root() {
            assert_eq!(values, []);
        } else {
            assert_eq!(values, [(Metric::UserTasks, 14.0), (Metric::UserTasksLimit, 300.0)]);
        }
        tree.write("/proc/10/limits", "Max processes   unlimited   unlimited   processes\n");
        context.now += Duration::from_secs(2);
        tasks.sample(&mut context, 10, &mut row);
        assert_eq!(row.take(), []);
    }
}
