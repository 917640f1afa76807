//! The user that the instance runs as may have no more processes and threads (RLIMIT_NPROC): a limit of the user, wherever
//! the processes run, which no counter of a cgroup shows.

use super::rule::{Candidate, Proof, Rule};
use crate::context::{TrialContext, is_timeout};
use crate::verdict::Evidence;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric, log_patterns};

/// Share of the limit from which it counts as reached: tasks come and go between two counts, a second apart.
const FULL: f64 = 0.97;

pub(super) const RULE: Rule = Rule {
    cause: Cause::UserProcesses,
    consequences: &[
        Cause::Crash,
        Cause::PathDied,
        Cause::ApplicationCap,
        Cause::AcceptQueue,
        Cause::SynQueue,
        Cause::Hang,
        Cause::ServerWaits,
    ],
    judge,
};

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    // What the cgroup refused is the other rule's.
    if trial.server_rise(Metric::PidsMaxEvents).is_some() {
        return None;
    }
    let full = trial.instances().find_map(|instance| full(trial, instance));
    let said = trial.log_line(log_patterns::THREADS).filter(|(component, _)| may_be_full(trial, *component));
    let (component, onset_ms, limit) = match (full, said) {
        (Some((component, onset, limit)), _) => (component, Some(onset), Some(limit)),
        (None, Some((component, _))) => (component, None, None),
        (None, None) => return None,
    };
    let may = limit.map_or(String::new(), |limit| format!(" of {}", format::whole(limit)));
    let mut evidence = trial.all_evidence(component, &[Metric::UserTasks, Metric::UserTasksLimit, Metric::Pids]);
    evidence.extend(said.map(|(component, line)| Evidence::log_line(component, line)));
    evidence.extend(trial.failures_evidence());
    Some(Candidate {
        sentence: format!(
            "At {} the user that {component} runs as was at its limit{may} processes and threads: no thread could be \
             made for another connection.",
            format::connections(trial.held_at_failure())
        ),
        fix:
            "raise the user's limit (`ulimit -u`, LimitNPROC, /etc/security/limits.conf), run the server as a user of \
              its own, or serve many connections a thread"
                .into(),
        evidence,
        proof: Proof {
            moved: full.is_some(),
            // That the server says so when the count is there is what makes it sure: other programs count too.
            arithmetic: said.is_some(),
            timely: onset_ms.is_none_or(|onset| onset <= trial.first_failure_ms.unwrap_or(onset) + 2000.0),
            explains: trial.share(|error| error.reason.is_broken() || is_timeout(error)),
            onset_ms: trial.first_failure_ms.or(onset_ms),
        },
    })
}

/// First moment at which the user had as many tasks as it may, and the limit. The counts of a busy machine are seldom, so the
/// step past the edge is looked at too.
fn full(trial: &TrialContext<'_>, instance: Component) -> Option<(Component, f64, f64)> {
    let counts = trial.series.between(instance, Metric::UserTasks, trial.from, trial.beyond);
    let limit = |t| trial.series.near(instance, Metric::UserTasksLimit, t).map(|(_, limit)| limit);
    counts.iter().find_map(|(t, count)| {
        let limit = limit(*t)?;
        (*count >= FULL * limit).then_some((instance, *t, limit))
    })
}

/// Whether the user can have been at its limit between two counts. Root has none, and is not counted.
fn may_be_full(trial: &TrialContext<'_>, instance: Component) -> bool {
    let counts = trial.series.between(instance, Metric::UserTasks, trial.from, trial.beyond);
    let per_s = trial.failed.map_or(0.0, |step| step.requested_per_s);
    let limit = |t| trial.series.near(instance, Metric::UserTasksLimit, t).map(|(_, limit)| limit);
    counts.iter().any(|(t, count)| limit(*t).is_none_or(|limit| count + per_s >= FULL * limit))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    const SERVER: Component = Component::Instance(0);
    const LINE: &str = "RuntimeError: can't start new thread";

    /// A thread for each connection, and 300 for the user, of which others have 20.
    fn threads(limit: f64) -> Script {
        let fail = Fail::plateau(278).error(FailedAt::Handshake, "eof", 122);
        script()
            .load(200, 400)
            .rate(200.0)
            .good(200)
            .fail(fail)
            .set(SERVER, Metric::UserTasks, |m| Some((22.0 + m.open).min(300.0)))
            .set(SERVER, Metric::UserTasksLimit, move |_| Some(limit))
    }

    #[test]
    fn a_user_with_all_its_tasks_whose_server_says_so_is_sure() {
        let verdict = threads(300.0).log(LINE).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::UserProcesses, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("its limit of 300"), "{}", verdict.sentence);
        let verdict = threads(300.0).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::UserProcesses, 0.60));
    }

    #[test]
    fn a_count_that_is_late_counts() {
        let fail = || Fail::plateau(278).error(FailedAt::Handshake, "eof", 122);
        let late = |after_s: f64| {
            let counted = move |m: &wsceiling_simulate::script::Moment| (m.since_failed_s > after_s).then_some(300.0);
            threads(300.0).fail(fail()).set(SERVER, Metric::UserTasks, counted).log(LINE)
        };
        assert_eq!(cause(late(3.5)), Cause::UserProcesses);
        assert_ne!(cause(late(60.0)), Cause::UserProcesses);
    }

    #[test]
    fn a_line_in_the_log_alone_is_not() {
        assert_ne!(cause(threads(10_000.0).log(LINE)), Cause::UserProcesses);
    }

    #[test]
    fn what_the_cgroup_refused_is_its_own_limit() {
        let refused = threads(300.0).log(LINE).set(SERVER, Metric::PidsMaxEvents, rising(122.0));
        assert_eq!(cause(refused), Cause::PidsLimit);
    }
}
