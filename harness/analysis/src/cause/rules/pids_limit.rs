//! The cgroup may have no more processes and threads: a server with a thread for each connection stops here.

use super::{Candidate, Facts, Proof, Rule, facts, near, words};
use wsceiling_model::record::Metric;

pub(super) const RULE: Rule =
    Rule { cause: "pids-limit", consequences: &["crash", "application-cap", "accept-queue", "hang"], judge };

fn judge(facts: &Facts<'_>) -> Option<Candidate> {
    let refused = facts.server_rise(Metric::PidsMaxEvents)?;
    let component = refused.component;
    let most = facts.most(component, Metric::Pids).map(|(_, value)| value);
    let limit = facts.size.and_then(|size| size.pids).map(|pids| pids as f64);
    let may = limit.map_or(String::new(), |limit| format!(" of {}", words::count(limit)));
    let at_limit = most.zip(limit).is_some_and(|(most, limit)| near(most, limit));
    Some(Candidate {
        sentence: format!(
            "At {} {component} was at its limit{may} processes and threads; {} more were refused.",
            words::connections(facts.held_at_failure()),
            words::count(refused.by)
        ),
        fix: "raise the limit (`pids` of the size, TasksMax, docker --pids-limit), or serve many connections a thread"
            .into(),
        evidence: facts.all_evidence(component, &[Metric::PidsMaxEvents, Metric::Pids]),
        proof: Proof {
            moved: true,
            arithmetic: at_limit || near(refused.by, facts.failed_count()),
            timely: facts.at_first_failure(refused.onset_ms),
            explains: facts.share(|error| facts::is_broken(error) || facts::is_timeout(error)),
            onset_ms: Some(refused.onset_ms),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Component, FailedAt, Metric};

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
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("pids-limit", 0.85));
        assert!(verdict.sentence.contains("302 more were refused"), "{}", verdict.sentence);
    }

    #[test]
    fn without_a_refused_fork_it_is_not() {
        assert_ne!(cause(threaded().set(Component::Instance(0), Metric::PidsMaxEvents, |_| Some(0.0))), "pids-limit");
    }
}
