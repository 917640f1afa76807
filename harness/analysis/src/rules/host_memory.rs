//! The machine itself ran out of memory and the kernel killed an instance that was below its own limit.

use super::memory_limit;
use super::rule::{Candidate, Proof, Rule};
use crate::context::TrialContext;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric};

/// Share of the machine's memory below which what is left counts as none.
const NONE_LEFT_BYTES: f64 = 256.0 * 1024.0 * 1024.0;

pub(super) const RULE: Rule = Rule {
    cause: Cause::HostMemory,
    consequences: &[
        Cause::Crash,
        Cause::PathDied,
        Cause::CpuQuota,
        Cause::SingleThread,
        Cause::CpuSaturated,
        Cause::ApplicationCap,
        Cause::AcceptQueue,
        Cause::SynQueue,
        Cause::Hang,
        Cause::MemoryPressure,
    ],
    judge,
};

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let kill = trial.rise(Component::Host, Metric::HostOomKills)?;
    let (instance, exit) = trial.exits().find(|(_, exit)| exit.signal == Some(9) && exit.oom_killed != Some(true))?;
    let component = Component::Instance(instance.index);
    let most = trial.highest(component, Metric::MemoryCurrent);
    let limit = memory_limit::limit(trial, component);
    if most.zip(limit).is_some_and(|(most, limit)| most >= 0.9 * limit) {
        return None;
    }
    let left = trial.series.between(Component::Host, Metric::HostMemoryAvailable, trial.from, trial.to);
    let least = left.iter().map(|(_, value)| *value).min_by(f64::total_cmp);
    let mut evidence = trial.exit_evidence();
    evidence.extend(trial.all_evidence(Component::Host, &[Metric::HostOomKills, Metric::HostMemoryAvailable]));
    evidence.extend(trial.evidence(component, Metric::MemoryCurrent));
    let had = least.map_or(String::new(), |least| format!(" ({} were left)", format::bytes(least)));
    Some(Candidate {
        sentence: format!(
            "At {} the machine had no memory left{had} and the kernel killed {component}, which was below its own limit.",
            format::connections(trial.peak())
        ),
        fix: "give the machine more memory, or each instance a limit that fits into it together with the others".into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: least.is_some_and(|least| least < NONE_LEFT_BYTES),
            timely: trial.at_first_failure(exit.t_ms),
            explains: 1.0,
            onset_ms: Some(kill.onset_ms.min(exit.t_ms)),
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

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
        assert_eq!((verdict.cause, verdict.confidence), (Cause::HostMemory, 0.85));
    }

    #[test]
    fn a_kill_that_nobody_counted_is_a_crash() {
        assert_eq!(cause(killed()), Cause::Crash);
    }
}
