//! All cores that the instances may use are busy.

use super::intervals;
use super::rule::{Candidate, Proof, Rule};
use crate::context::TrialContext;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric, StepRecord};

/// Share of the machine's CPU time below which nothing is idle.
const IDLE: f64 = 0.05;
/// Share of the machine's CPU time from which it is not full, whatever its pressure says.
const SPARE: f64 = 0.15;
/// Share of the time in which some task waited for a core.
const PRESSURE: f64 = 50.0;
/// Share of the busy time that must be the instances' own for them to be what fills the machine.
const OWN: f64 = 0.5;

/// Share of the time in which a task of an instance waited for a core, from which it wanted more than it got.
const WAITED: f64 = 0.10;

pub(super) const RULE: Rule =
    Rule { cause: Cause::CpuSaturated, consequences: &[Cause::AcceptQueue, Cause::SynQueue, Cause::Hang], judge };

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let step = trial.failed?;
    let slow = trial.slowness();
    if slow < 0.2 {
        return None;
    }
    let (from, to) = busy(trial).or_else(|| {
        // The pressure is an average over ten seconds: what came before the trial is in it.
        let pressed = trial.most(Component::Host, Metric::PsiCpuSome).is_some_and(|(_, share)| share > PRESSURE)
            && !is_idle(trial, step);
        let own = trial.all_cores_used(step.started_ms, step.ended_ms);
        (pressed || own).then_some((step.started_ms, step.ended_ms))
    })?;
    let gain = |metric| {
        let at = |t| trial.series.near(Component::Host, metric, t).map(|(_, value)| value);
        Some(at(to)? - at(from)?)
    };
    let span_us = (to - from) * 1e3;
    let total = gain(Metric::HostBusy).map(|busy| busy / span_us);
    let server: f64 = trial.instances().filter_map(|instance| trial.cores(instance, from, to)).sum();
    let client = trial.cores(Component::Generator, from, to);
    let steal = gain(Metric::HostSteal).zip(total).map(|(steal, total)| steal / span_us / total.max(1e-9));
    let own = total.is_some_and(|total| server >= OWN * total) || trial.all_cores_used(from, to);
    if !own && !waits(trial, server, total) {
        return None;
    }
    let mut who = vec![format!("the instances used {} cores", format::number(server))];
    who.extend(client.map(|client| format!("the generator {}", format::number(client))));
    let others = total.map(|total| total - server - client.unwrap_or(0.0)).filter(|others| *others >= 0.1);
    who.extend(others.map(|others| format!("other programs {}", format::number(others))));
    who.extend(
        steal.filter(|steal| *steal > 0.05).map(|steal| format!("the hypervisor took {}", format::percent(steal))),
    );
    let mut evidence = trial
        .all_evidence(Component::Host, &[Metric::HostIdle, Metric::HostBusy, Metric::HostSteal, Metric::PsiCpuSome]);
    evidence.extend(trial.instances().filter_map(|instance| trial.evidence(instance, Metric::CpuUsage)));
    evidence.extend(trial.evidence(Component::Generator, Metric::CpuUsage));
    Some(Candidate {
        sentence: format!(
            "At {} no core was left ({}): {}.",
            format::connections(trial.held_at_failure()),
            who.join(", "),
            trial.symptom_words()
        ),
        fix: "give the server more cores, or spend less CPU on each upgrade and message".into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: own,
            timely: trial.lasts_into_failures(from, to),
            explains: slow,
            onset_ms: Some(from),
        },
    })
}

/// Whether the instances wanted more CPU than they got. On a machine that others fill, one that has little to do gets all
/// it wants, and its slowness has another cause. So has that of one that answers all whom it let in.
fn waits(trial: &TrialContext<'_>, server: f64, total: Option<f64>) -> bool {
    if trial.slow_to_newcomers_only() {
        return false;
    }
    match trial.waited_for_a_core() {
        Some(share) => share >= WAITED,
        None => total.is_some_and(|total| server >= 0.2 * total),
    }
}

/// Whether the machine had CPU to spare in a step, by its own counters; where it has none, it had not.
fn is_idle(trial: &TrialContext<'_>, step: &StepRecord) -> bool {
    let gain = |metric| {
        let at = |t| trial.series.near(Component::Host, metric, t).map(|(_, value)| value);
        Some(at(step.ended_ms)? - at(step.started_ms)?)
    };
    let share = gain(Metric::HostIdle).zip(gain(Metric::HostBusy)).map(|(idle, busy)| idle / (idle + busy).max(1e-9));
    share.is_some_and(|share| share > SPARE)
}

/// The longest interval without an idle core, of at least a second.
fn busy(trial: &TrialContext<'_>) -> Option<(f64, f64)> {
    let points = |metric| intervals::rates(trial.series.between(Component::Host, metric, trial.from, trial.to));
    let (idle, busy) = (points(Metric::HostIdle), points(Metric::HostBusy));
    let share: Vec<(f64, f64)> = idle
        .iter()
        .filter_map(|(t, idle)| {
            let (_, busy) = busy.iter().find(|(moment, _)| moment.total_cmp(t).is_eq())?;
            Some((*t, idle / (idle + busy).max(1e-9)))
        })
        .collect();
    intervals::longest(&share, |idle| idle < IDLE).filter(|(from, to)| to - from >= 750.0)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

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
        assert_eq!((verdict.cause, verdict.confidence), (Cause::CpuSaturated, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("the instances used 1.40 cores"), "{}", verdict.sentence);
        assert!(verdict.sentence.contains("99th percentile of replies rose to 894 ms"), "{}", verdict.sentence);
    }

    #[test]
    fn a_machine_that_others_fill_is_less_sure() {
        let waits = |share| slow(0.01, 0.3).set(Component::Instance(0), Metric::PsiCpuSome, move |_| Some(share));
        let verdict = waits(40.0).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::CpuSaturated, 0.60));
        assert!(verdict.sentence.contains("other programs 1.66"), "{}", verdict.sentence);
        // It gets all that it wants, so its slowness has another cause.
        assert_ne!(cause(waits(1.0)), Cause::CpuSaturated);
        assert_ne!(cause(slow(0.01, 0.02)), Cause::CpuSaturated);
        // Where a cgroup has no pressure file, the run queue tells it.
        let queued = |share| slow(0.01, 0.3).set(Component::Instance(0), Metric::ThreadWait, move |_| Some(share));
        assert_eq!(cause(queued(0.6)), Cause::CpuSaturated);
        assert_ne!(cause(queued(0.02)), Cause::CpuSaturated);
    }

    #[test]
    fn who_answers_all_whom_it_let_in_has_cpu_however_full_the_machine_is() {
        let stops = |fail: Fail| {
            script()
                .good(1000)
                .fail(fail.error(FailedAt::Handshake, "timeout", 1))
                .set(Component::Host, Metric::HostIdle, |m| Some(m.t_ms * 20.0))
                .set(Component::Host, Metric::HostBusy, |m| Some(m.t_ms * 1980.0))
                .set(Component::Instance(0), Metric::PsiCpuSome, |_| Some(40.0))
        };
        assert_ne!(cause(stops(Fail::plateau(1200).reply_p99(50_000))), Cause::CpuSaturated);
        assert_eq!(cause(stops(Fail::plateau(1200).reply_p99(900_000))), Cause::CpuSaturated);
    }

    #[test]
    fn pressure_from_before_the_trial_does_not_fill_a_machine_that_has_a_core_to_spare() {
        let pressed = |idle| slow(idle, 1.4).set(Component::Host, Metric::PsiCpuSome, |_| Some(57.0));
        assert_ne!(cause(pressed(0.5)), Cause::CpuSaturated);
        assert_eq!(cause(pressed(0.08)), Cause::CpuSaturated);
    }

    #[test]
    fn an_idle_machine_is_not() {
        assert_ne!(cause(slow(0.4, 1.0)), Cause::CpuSaturated);
    }
}
