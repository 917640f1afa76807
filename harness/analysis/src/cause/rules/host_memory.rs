//! The machine itself ran out of memory and the kernel killed an instance that was below its own limit.

use super::{Candidate, Facts, Proof, Rule, memory_limit, words};
use wsceiling_model::record::{Component, Metric};

/// Share of the machine's memory below which what is left counts as none.
const NONE_LEFT_BYTES: f64 = 256.0 * 1024.0 * 1024.0;

pub(super) const RULE: Rule = Rule {
    cause: "host-memory",
    consequences: &[
        "crash",
        "path-died",
        "cpu-quota",
        "single-thread",
        "cpu-saturated",
        "application-cap",
        "accept-queue",
        "syn-queue",
        "hang",
        "memory-pressure",
    ],
    judge,
};

fn judge(facts: &Facts<'_>) -> Option<Candidate> {
    let kill = facts.rise(Component::Host, Metric::HostOomKills)?;
    let (instance, exit) = facts.exits().find(|(_, exit)| exit.signal == Some(9) && exit.oom_killed != Some(true))?;
    let component = Component::Instance(instance.index);
    let most = facts.most(component, Metric::MemoryCurrent).map(|(_, value)| value);
    let limit = memory_limit::limit(facts, component);
    if most.zip(limit).is_some_and(|(most, limit)| most >= 0.9 * limit) {
        return None;
    }
    let left = facts.tracks.between(Component::Host, Metric::HostMemoryAvailable, facts.from, facts.to);
    let least = left.iter().map(|(_, value)| *value).min_by(f64::total_cmp);
    let mut evidence = facts.exit_evidence();
    evidence.extend(facts.all_evidence(Component::Host, &[Metric::HostOomKills, Metric::HostMemoryAvailable]));
    evidence.extend(facts.evidence(component, Metric::MemoryCurrent));
    let had = least.map_or(String::new(), |least| format!(" ({} were left)", words::bytes(least)));
    Some(Candidate {
        sentence: format!(
            "At {} the machine had no memory left{had} and the kernel killed {component}, which was below its own limit.",
            words::connections(facts.peak())
        ),
        fix: "give the machine more memory, or each instance a limit that fits into it together with the others".into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: least.is_some_and(|least| least < NONE_LEFT_BYTES),
            timely: facts.at_first_failure(exit.t_ms),
            explains: 1.0,
            onset_ms: Some(kill.onset_ms.min(exit.t_ms)),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fail, Judged as _, Script, cause, script};
    use wsceiling_model::record::{Component, FailedAt, Metric};

    fn killed() -> Script {
        let fail = Fail::collapse(1300).error(FailedAt::Open, "eof", 1300);
        script().good(1000).fail(fail).exit(|exit| exit.signal = Some(9))
    }

    #[test]
    fn a_kill_that_the_machine_counted_is_the_machines_memory() {
        let host = killed()
            .set(Component::Host, Metric::HostOomKills, |m| Some(if m.since_trouble_s >= 0.0 { 4.0 } else { 3.0 }))
            .set(Component::Host, Metric::HostMemoryAvailable, |m| Some(if m.failing { 5e7 } else { 9e9 }));
        let verdict = host.verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("host-memory", 0.85));
    }

    #[test]
    fn a_kill_that_nobody_counted_is_a_crash() {
        assert_eq!(cause(killed()), "crash");
    }
}
