//! The cgroup may have no more processes and threads: a server with a thread for each connection stops here.

use super::rule::{Candidate, Proof, Rule, near};
use crate::context::{TrialContext, is_timeout};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Metric};

pub(super) const RULE: Rule = Rule {
    cause: Cause::PidsLimit,
    consequences: &[Cause::Crash, Cause::ApplicationCap, Cause::AcceptQueue, Cause::Hang],
    judge,
};

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let refused = trial.server_rise(Metric::PidsMaxEvents)?;
    let component = refused.component;
    let most = trial.highest(component, Metric::Pids);
    let limit = trial.size.and_then(|size| size.pids).map(|pids| pids as f64);
    let may = limit.map_or(String::new(), |limit| format!(" of {}", format::whole(limit)));
    let at_limit = most.zip(limit).is_some_and(|(most, limit)| near(most, limit));
    Some(Candidate {
        sentence: format!(
            "At {} {component} was at its limit{may} processes and threads; {} more were refused.",
            format::connections(trial.held_at_failure()),
            format::whole(refused.by)
        ),
        fix: "raise the limit (`pids` of the size, TasksMax, docker --pids-limit), or serve many connections a thread"
            .into(),
        evidence: trial.all_evidence(component, &[Metric::PidsMaxEvents, Metric::Pids]),
        proof: Proof {
            moved: true,
            arithmetic: at_limit || near(refused.by, trial.failed_count()),
            timely: trial.at_first_failure(refused.onset_ms),
            explains: trial.share(|error| error.reason.is_broken() || is_timeout(error)),
            onset_ms: Some(refused.onset_ms),
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    fn threaded() -> Script {
        // N1: pids limit 300, 298 held, 255 RST and 47 EOF, pids.events max 302.
        let fail = Fail::plateau(298).error(FailedAt::Handshake, "reset", 255).error(FailedAt::Handshake, "eof", 47);
        script().load(600, 600).size(|size| size.pids = Some(300)).fail(fail)
    }

    #[test]
    fn refused_forks_that_equal_the_failures_are_sure() {
        let verdict = threaded()
            .set(Component::Instance(0), Metric::PidsMaxEvents, rising(302.0))
            .set(Component::Instance(0), Metric::Pids, |m| Some(2.0 + m.open))
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PidsLimit, 0.85));
        assert!(verdict.sentence.contains("302 more were refused"), "{}", verdict.sentence);
    }

    #[test]
    fn without_a_refused_fork_it_is_not() {
        assert_ne!(
            cause(threaded().set(Component::Instance(0), Metric::PidsMaxEvents, |_| Some(0.0))),
            Cause::PidsLimit
        );
    }
}
