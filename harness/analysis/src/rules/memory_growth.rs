//! Memory grew while no connection was added, and ran out. It would have run out with fewer connections too, only later: the
//! number at which it did is no ceiling.

use super::rule::{Candidate, Proof, Rule};
use super::{host_memory, memory_limit, memory_pressure, runtime_heap};
use crate::context::TrialContext;
use crate::growth::{Growth, growth, growth_in};
use crate::verdict::{Evidence, EvidenceName};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component};

/// Part of all growth that must be with time or messages: less only brings the limit of memory a little nearer.
const SHARE: f64 = 0.3;

pub(super) const RULE: Rule = Rule {
    cause: Cause::MemoryGrowth,
    consequences: &[
        Cause::MemoryLimit,
        Cause::HostMemory,
        Cause::RuntimeHeap,
        Cause::MemoryPressure,
        Cause::Crash,
        Cause::PathDied,
        Cause::CpuQuota,
        Cause::CpuSaturated,
        Cause::SingleThread,
        Cause::ApplicationCap,
        Cause::AcceptQueue,
        Cause::SynQueue,
        Cause::Hang,
        Cause::Lifetime,
    ],
    judge,
};

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    // What ran out is told by the rule that would have been right without the growth.
    let ran_out = [&memory_limit::RULE, &host_memory::RULE, &runtime_heap::RULE, &memory_pressure::RULE];
    let (out_of, found) = ran_out.into_iter().find_map(|rule| Some((rule.cause, (rule.judge)(trial)?)))?;
    let fitted = growth(trial.record, trial.series);
    let growth = fitted.or_else(|| first_step_growth(trial)).filter(|growth| growth.share >= SHARE)?;
    let mut evidence = vec![Evidence {
        component: trial.instances().next().unwrap_or(Component::Instance(0)),
        name: EvidenceName::Growth,
        before: None,
        after: Some(growth.to_string()),
        source: "memory in holds and probes, in which connections stay as many".into(),
    }];
    evidence.extend(found.evidence);
    Some(Candidate {
        sentence: format!(
            "At {} memory ran out (`{out_of}`), but it grew by {growth} while no connection was added, which was {} of \
             all its growth: no number of connections is safe, it only takes longer.",
            format::connections(trial.held_at_failure()),
            format::percent(growth.share)
        ),
        fix: "look for what the server keeps of messages, or piles up with time: a history without an end, a cache, a \
              leak"
            .into(),
        evidence,
        proof: Proof { arithmetic: fitted.is_some() && found.proof.arithmetic, ..found.proof },
    })
}

/// Where no step passed there is no hold to look at but that of the step that failed.
fn first_step_growth(trial: &TrialContext<'_>) -> Option<Growth> {
    let step = trial.failed.filter(|_| trial.record.steps.iter().all(|step| !step.passed))?;
    growth_in(step, trial.first_failure_ms?, trial.series)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    const SERVER: Component = Component::Instance(0);

    /// Killed at 64 MiB with 1,800 connections, after steps held for five seconds each.
    fn killed(memory: fn(f64, f64) -> f64) -> Script {
        let fail = Fail::collapse(1800).error(FailedAt::Open, "eof", 1800).error(FailedAt::Handshake, "reset", 50);
        let mut script = script().load(300, 4000).size(|size| size.memory_bytes = Some(64 << 20));
        script.load.hold = std::time::Duration::from_secs(5);
        script
            .good_up_to(1500)
            .fail(fail)
            .exit(|exit| (exit.signal, exit.oom_killed) = (Some(9), Some(true)))
            .set(SERVER, Metric::MemoryCurrent, move |m| Some(memory(m.open, m.t_ms / 1e3)))
            .set(SERVER, Metric::MemoryFile, |_| Some(0.0))
    }

    #[test]
    fn memory_that_grows_while_connections_stay_as_many_has_no_safe_number() {
        // 1 MiB a second against 9 KiB a connection.
        let verdict = killed(|open, seconds| 9e3 * open + 1.4e6 * seconds).verdict();
        assert_eq!(verdict.cause, Cause::MemoryGrowth, "{verdict:?}");
        assert!(verdict.sentence.contains("no number of connections is safe"), "{}", verdict.sentence);
        assert_eq!(verdict.chain[0].cause, Cause::MemoryLimit);
    }

    #[test]
    fn where_no_step_passed_the_hold_of_the_first_one_tells_it_less_surely() {
        let first = |memory: fn(f64, f64) -> f64| {
            let mut script = killed(memory).load(1800, 4000).good_up_to(0);
            script.load.hold = std::time::Duration::from_secs(5);
            script.verdict()
        };
        let verdict = first(|open, seconds| 5e3 * open + 14e6 * seconds);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::MemoryGrowth, 0.60), "{verdict:?}");
        assert_eq!(first(|open, _| 36_670.0 * open).cause, Cause::MemoryLimit);
    }

    #[test]
    fn memory_of_connections_alone_is_the_limit() {
        assert_eq!(cause(killed(|open, _| 36_670.0 * open)), Cause::MemoryLimit);
        // A little growth beside them brings the limit a little nearer, and no more.
        assert_eq!(cause(killed(|open, seconds| 35_000.0 * open + 5e4 * seconds)), Cause::MemoryLimit);
    }
}
