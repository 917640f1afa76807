//! The kernel killed an instance at the memory limit of its cgroup.

use super::{Candidate, Facts, Proof, Rule, near, words};
use crate::record::{Component, Metric};

pub(super) const RULE: Rule = Rule {
    cause: "memory-limit",
    consequences: &[
        "crash",
        "path-died",
        "memory-pressure",
        "cpu-quota",
        "cpu-saturated",
        "single-thread",
        "application-cap",
        "accept-queue",
        "syn-queue",
        "hang",
        "lifetime-limit",
    ],
    judge,
};

fn judge(facts: &Facts<'_>) -> Option<Candidate> {
    let killed = facts.exits().find(|(_, exit)| exit.oom_killed == Some(true) || killed_near_limit(facts, exit.signal));
    let counter = facts.server_rise(Metric::OomKills);
    let component = match (killed, counter) {
        (Some((instance, _)), _) => Component::Instance(instance.index),
        (None, Some(rise)) => rise.component,
        (None, None) => return None,
    };
    let onset_ms = counter.map(|rise| rise.onset_ms).into_iter().chain(killed.map(|(_, exit)| exit.t_ms));
    let onset_ms = onset_ms.min_by(f64::total_cmp);
    let limit = limit(facts, component);
    let growth = growth(facts, component);
    let peak = facts.peak() * facts.share_of(component);
    let arithmetic = limit.zip(growth).is_some_and(|(limit, growth)| growth.reaches(limit, peak));
    let mut words = Vec::new();
    words.extend(limit.map(|limit| format!("{} limit", words::bytes(limit))));
    words.extend(growth.map(|growth| format!("{} per connection", words::bytes(growth.per_connection))));
    let detail = if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) };
    let sentence = format!(
        "At {} the kernel killed {component}{detail}; its connections were lost at once.",
        words::connections(facts.peak())
    );
    let metrics = [Metric::OomKills, Metric::MemoryCurrent, Metric::MemoryAnon, Metric::MemoryKernel];
    let mut evidence = facts.exit_evidence();
    evidence.extend(facts.all_evidence(component, &metrics));
    evidence.extend(facts.evidence(Component::Host, Metric::HostOomKills));
    Some(Candidate {
        sentence,
        fix: "raise the memory limit above memory per connection x connections, or make a connection cheaper (buffers)"
            .into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic,
            timely: onset_ms.is_some_and(|t| facts.at_first_failure(t)),
            explains: 1.0,
            onset_ms,
        },
    })
}

/// SIGKILL from nobody we know of, while the machine counted an OOM kill and the instance was at its limit. An engine
/// sometimes reports such an end without its flag.
fn killed_near_limit(facts: &Facts<'_>, signal: Option<i32>) -> bool {
    signal == Some(9)
        && facts.rise(Component::Host, Metric::HostOomKills).is_some()
        && facts.instances().any(|instance| {
            let most = facts.most(instance, Metric::MemoryCurrent).map(|(_, value)| value);
            most.zip(limit(facts, instance)).is_some_and(|(most, limit)| most >= 0.9 * limit)
        })
}

/// Memory limit of an instance: the one that was applied, else the size's.
pub(super) fn limit(facts: &Facts<'_>, component: Component) -> Option<f64> {
    let launch = facts.failed?.launch;
    let own = |instance: &&crate::record::InstanceRecord| {
        instance.launch == launch && Component::Instance(instance.index) == component
    };
    let limits = facts.record.instances.iter().find(own).map_or(&[][..], |instance| &instance.limits);
    let applied = limits.iter().find(|limit| limit.name == "memory_bytes");
    match applied {
        Some(limit) => limit.enforced_by.is_some().then_some(limit.value),
        None => facts.size?.memory_bytes.map(|bytes| bytes as f64),
    }
}

/// How memory grew with the connections of an instance, up to its last sample.
#[derive(Clone, Copy)]
struct Growth {
    per_connection: f64,
    last_bytes: f64,
    last_open: f64,
}

impl Growth {
    /// Whether memory meets the limit where the connections were lost. The last sample is up to a beat old, so it is
    /// carried on along the growth.
    fn reaches(self, limit: f64, peak: f64) -> bool {
        let at_peak = self.last_bytes + self.per_connection * (peak - self.last_open);
        near(at_peak, limit) || near(self.last_bytes, limit)
    }
}

fn growth(facts: &Facts<'_>, component: Component) -> Option<Growth> {
    let launch = facts.failed?.launch;
    let begin = facts.record.steps.iter().find(|step| step.launch == launch)?.started_ms;
    let share = facts.share_of(component);
    let open = |t| facts.tracks.near(Component::Generator, Metric::Open, t).map(|(_, open)| open * share);
    let first = facts.tracks.near(component, Metric::MemoryCurrent, begin)?;
    let last = facts.most(component, Metric::MemoryCurrent)?;
    let (open_first, open_last) = (open(first.0)?, open(last.0)?);
    (open_last > open_first && last.1 > first.1).then(|| Growth {
        per_connection: (last.1 - first.1) / (open_last - open_first),
        last_bytes: last.1,
        last_open: open_last,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fail, cause, script};
    use crate::record::{Component, Metric, Stage};

    const MIB: f64 = 1024.0 * 1024.0;

    fn killed() -> super::super::testing::Script {
        // M1: --memory 64m, 36.7 kB a connection, 1830 -> 0.
        let fail = Fail::collapse(1830)
            .error(Stage::Open, "eof", 1830)
            .error(Stage::Handshake, "reset", 47)
            .error(Stage::Connect, "errno ECONNREFUSED", 109)
            .error(Stage::Connect, "timeout", 14);
        script().load(1000, 4000).size(|size| size.memory_bytes = Some(64 << 20)).good(1000).fail(fail)
    }

    #[test]
    fn a_kill_at_the_limit_is_sure() {
        let verdict = killed()
            .exit(|exit| (exit.signal, exit.oom_killed) = (Some(9), Some(true)))
            .set(Component::Instance(0), Metric::MemoryCurrent, |m| Some(36_670.0 * m.open))
            .verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("memory-limit", 0.85));
        assert!(
            verdict.sentence.starts_with("At 1,830 connections the kernel killed instance-0 (64 MiB limit, 35.8 KiB")
        );
        assert!(verdict.evidence.iter().any(|evidence| evidence.name == "exit"));
        assert_eq!(verdict.runner_up, None, "its consequences are dropped");
    }

    #[test]
    fn a_kill_far_below_the_limit_is_less_sure() {
        let verdict = killed()
            .exit(|exit| (exit.signal, exit.oom_killed) = (Some(9), Some(true)))
            .set(Component::Instance(0), Metric::MemoryCurrent, |_| Some(20.0 * MIB))
            .verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("memory-limit", 0.60));
    }

    #[test]
    fn a_crash_below_the_limit_is_not_the_limit() {
        assert_eq!(cause(killed().exit(|exit| exit.signal = Some(11))), "crash");
    }
}
