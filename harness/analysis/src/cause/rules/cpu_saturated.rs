//! All cores that the instances may use are busy.

use super::single_thread::all_cores_used;
use super::{Candidate, Facts, Proof, Rule, stretch, words};
use wsceiling_model::record::{Component, Metric};

/// Share of the machine's CPU time below which nothing is idle.
const IDLE: f64 = 0.05;
/// Share of the time in which some task waited for a core.
const PRESSURE: f64 = 50.0;
/// Share of the busy time that must be the instances' own for them to be what fills the machine.
const OWN: f64 = 0.5;

/// Share of the time in which a task of an instance waited for a core, from which it wanted more than it got.
const WAITED: f64 = 0.10;

pub(super) const RULE: Rule =
    Rule { cause: "cpu-saturated", consequences: &["accept-queue", "syn-queue", "hang"], judge };

fn judge(facts: &Facts<'_>) -> Option<Candidate> {
    let step = facts.failed?;
    let slow = facts.slowness();
    if slow < 0.2 {
        return None;
    }
    let (from, to) = busy(facts).or_else(|| {
        let pressed = facts.most(Component::Host, Metric::PsiCpuSome).filter(|(_, share)| *share > PRESSURE);
        let own = all_cores_used(facts, step.started_ms, step.ended_ms);
        (pressed.is_some() || own).then_some((step.started_ms, step.ended_ms))
    })?;
    let gain = |metric| {
        let at = |t| facts.tracks.near(Component::Host, metric, t).map(|(_, value)| value);
        Some(at(to)? - at(from)?)
    };
    let span_us = (to - from) * 1e3;
    let total = gain(Metric::HostBusy).map(|busy| busy / span_us);
    let server: f64 = facts.instances().filter_map(|instance| facts.cores(instance, from, to)).sum();
    let client = facts.cores(Component::Generator, from, to);
    let steal = gain(Metric::HostSteal).zip(total).map(|(steal, total)| steal / span_us / total.max(1e-9));
    let own = total.is_some_and(|total| server >= OWN * total) || all_cores_used(facts, from, to);
    if !own && !waits(facts, server, total) {
        return None;
    }
    let mut who = vec![format!("the instances used {} cores", words::short(server))];
    who.extend(client.map(|client| format!("the generator {}", words::short(client))));
    let others = total.map(|total| total - server - client.unwrap_or(0.0)).filter(|others| *others >= 0.1);
    who.extend(others.map(|others| format!("other programs {}", words::short(others))));
    who.extend(
        steal.filter(|steal| *steal > 0.05).map(|steal| format!("the hypervisor took {}", words::percent(steal))),
    );
    let mut evidence = facts
        .all_evidence(Component::Host, &[Metric::HostIdle, Metric::HostBusy, Metric::HostSteal, Metric::PsiCpuSome]);
    evidence.extend(facts.instances().filter_map(|instance| facts.evidence(instance, Metric::CpuUsage)));
    evidence.extend(facts.evidence(Component::Generator, Metric::CpuUsage));
    let first = facts.first_failure_ms.unwrap_or(to);
    Some(Candidate {
        sentence: format!(
            "At {} no core was left ({}): {}.",
            words::connections(facts.held_at_failure()),
            who.join(", "),
            facts.symptom_words()
        ),
        fix: "give the server more cores, or spend less CPU on each upgrade and message".into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: own,
            timely: from <= first + 1000.0 + facts.beat_ms() && to >= first - 1000.0 - facts.beat_ms(),
            explains: slow,
            onset_ms: Some(from),
        },
    })
}

/// Whether the instances wanted more CPU than they got. On a machine that others fill, one that has little to do gets all
/// it wants, and its slowness has another cause.
fn waits(facts: &Facts<'_>, server: f64, total: Option<f64>) -> bool {
    match waited(facts) {
        Some(share) => share >= WAITED,
        None => total.is_some_and(|total| server >= 0.2 * total),
    }
}

/// Largest share of the time in which an instance, or one of its threads, waited for a core.
pub(super) fn waited(facts: &Facts<'_>) -> Option<f64> {
    let pressure = |instance| facts.most(instance, Metric::PsiCpuSome).map(|(_, percent)| percent / 100.0);
    // One sample may be a hiccup: what most of them have counts.
    let thread = |instance| {
        let track = facts.tracks.between(instance, Metric::ThreadWait, facts.from, facts.failed?.ended_ms);
        let mut shares: Vec<f64> = track.iter().map(|(_, share)| *share).collect();
        shares.sort_by(f64::total_cmp);
        shares.get(shares.len() / 2).copied()
    };
    let all = facts
        .instances()
        .filter_map(|instance| pressure(instance).into_iter().chain(thread(instance)).reduce(f64::max));
    all.reduce(f64::max)
}

/// The longest stretch without an idle core, of at least a second.
fn busy(facts: &Facts<'_>) -> Option<(f64, f64)> {
    let track = |metric| stretch::rates(facts.tracks.between(Component::Host, metric, facts.from, facts.to));
    let (idle, busy) = (track(Metric::HostIdle), track(Metric::HostBusy));
    let share: Vec<(f64, f64)> = idle
        .iter()
        .filter_map(|(t, idle)| {
            let (_, busy) = busy.iter().find(|(moment, _)| moment.total_cmp(t).is_eq())?;
            Some((*t, idle / (idle + busy).max(1e-9)))
        })
        .collect();
    stretch::longest(&share, |idle| idle < IDLE).filter(|(from, to)| to - from >= 750.0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fail, Judged as _, Script, cause, script};
    use wsceiling_model::record::{Component, Metric};

    fn slow(idle: f64, server: f64) -> Script {
        script()
            .good(1000)
            .fail(Fail::late(900_000))
            .set(Component::Host, Metric::HostIdle, move |m| {
                Some(m.since_failed_s.min(0.0) * 2e6 * 0.7 + 1e9 + m.since_failed_s.max(0.0) * 2e6 * idle)
            })
            .set(Component::Host, Metric::HostBusy, move |m| {
                Some(m.since_failed_s.min(0.0) * 2e6 * 0.3 + 1e9 + m.since_failed_s.max(0.0) * 2e6 * (1.0 - idle))
            })
            .set(Component::Instance(0), Metric::CpuUsage, move |m| Some(m.since_failed_s.max(0.0) * 1e6 * server))
    }

    #[test]
    fn a_machine_that_the_server_fills_is_sure() {
        let verdict = slow(0.01, 1.4).verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("cpu-saturated", 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("the instances used 1.40 cores"), "{}", verdict.sentence);
        assert!(verdict.sentence.contains("99th percentile of replies rose to 894 ms"), "{}", verdict.sentence);
    }

    #[test]
    fn a_machine_that_others_fill_is_less_sure() {
        let waits = |share| slow(0.01, 0.3).set(Component::Instance(0), Metric::PsiCpuSome, move |_| Some(share));
        let verdict = waits(40.0).verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("cpu-saturated", 0.60));
        assert!(verdict.sentence.contains("other programs 1.66"), "{}", verdict.sentence);
        // It gets all that it wants, so its slowness has another cause.
        assert_ne!(cause(waits(1.0)), "cpu-saturated");
        assert_ne!(cause(slow(0.01, 0.02)), "cpu-saturated");
        // Where a cgroup has no pressure file, the run queue tells it.
        let queued = |share| slow(0.01, 0.3).set(Component::Instance(0), Metric::ThreadWait, move |_| Some(share));
        assert_eq!(cause(queued(0.6)), "cpu-saturated");
        assert_ne!(cause(queued(0.02)), "cpu-saturated");
    }

    #[test]
    fn an_idle_machine_is_not() {
        assert_eq!(cause(slow(0.4, 1.0)), "unknown");
    }
}
