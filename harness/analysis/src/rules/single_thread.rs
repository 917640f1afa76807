//! One thread of an instance has a core to itself while the machine has cores to spare; or it would have one, were the
//! machine not full with what others do.

use super::cpu_quota::quota;
use super::intervals;
use super::rule::{Candidate, Proof, Rule};
use crate::context::TrialContext;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric};

/// Share of a core that counts as all of it.
const WHOLE: f64 = 0.95;
/// The same for the mean of five samples.
const NEARLY_WHOLE: f64 = 0.9;
/// Share of a core that a thread without a core to itself must have had, and what its instance may have used beside it.
const LEAST: f64 = 0.25;
const ALONE: f64 = 1.15;
/// Share of all cores that must be idle, unless the thread never waited for one: others then took none of its core.
const IDLE: f64 = 0.20;
/// Share of the time that a thread may wait for a core and still have had one whenever it wanted it.
const UNCONTENDED: f64 = 0.02;
/// How long it must last: this, or half of a shorter step, but never less than a second.
const LASTS_MS: f64 = 5000.0;

/// From this quota on, CPUs, a second thread gets something of note.
const SECOND: f64 = 1.2;
const SPREAD: &str = "spread the work over threads (SO_REUSEPORT, a runtime with workers), or start more instances";

pub(super) const RULE: Rule =
    Rule { cause: Cause::SingleThread, consequences: &[Cause::AcceptQueue, Cause::SynQueue, Cause::Hang], judge };

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    if trial.slowness() < 0.2 {
        return None;
    }
    alone(trial).or_else(|| crowded(trial))
}

/// A thread with a core to itself.
fn alone(trial: &TrialContext<'_>) -> Option<Candidate> {
    let step = trial.failed?;
    let slow = trial.slowness();
    let pinned = |instance: Component| {
        let points = trial.series.between(instance, Metric::BusiestThread, trial.from, trial.beyond);
        // A runtime may move its work to another thread within a sample, which then sees half of it in each.
        let smooth = intervals::smooth(points, 5);
        let whole = intervals::longest(points, |share| share >= WHOLE).into_iter();
        let nearly = intervals::longest(&smooth, |share| share >= NEARLY_WHOLE);
        let longer = whole.chain(nearly).max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)))?;
        Some((instance, longer.0, longer.1))
    };
    let (component, from, to) =
        trial.instances().filter_map(pinned).max_by(|a, b| (a.2 - a.1).total_cmp(&(b.2 - b.1)))?;
    let needed = LASTS_MS.min((step.ended_ms - step.started_ms) / 2.0).max(1000.0);
    let idle = trial.idle_share(from, to)?;
    let throttled = trial.risen(component, Metric::CpuThrottledPeriods);
    let periods = trial.risen(component, Metric::CpuPeriods);
    let cores = trial.cores(component, from, to);
    let to_itself = had_a_core_to_itself(trial, component, from, to) && cores.is_some_and(|cores| cores <= ALONE);
    if to - from < needed || idle < IDLE && !to_itself || throttled > 0.2 * periods || trial.all_cores_used(from, to) {
        return None;
    }
    let mut evidence = trial.all_evidence(component, &[Metric::BusiestThread, Metric::CpuUsage, Metric::ListenQueue]);
    evidence.extend(trial.all_evidence(Component::Host, &[Metric::HostIdle, Metric::HostBusy]));
    let meanwhile = if idle >= IDLE {
        format!("while {} of the machine was idle", format::percent(idle))
    } else {
        "and never waited for one".to_owned()
    };
    // One thread, and little beside it: what the whole instance used is about one core.
    Some(Candidate {
        sentence: format!(
            "At {} one thread of {component} used a whole core for {} {meanwhile}: {}.",
            format::connections(trial.held_at_failure()),
            format::micros((to - from) * 1e3),
            trial.symptom_words()
        ),
        fix: if quota(trial, component).is_some_and(|quota| quota < SECOND) {
            format!("give it more than one CPU and {SPREAD}: with its quota of one a second thread gets nothing")
        } else {
            SPREAD.into()
        },
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: cores.is_some_and(|cores| cores >= WHOLE),
            timely: trial.lasts_into_failures(from, to),
            explains: slow,
            onset_ms: Some(from),
        },
    })
}

/// Whether no thread of an instance waited for a core, as the kernel counts it.
fn had_a_core_to_itself(trial: &TrialContext<'_>, instance: Component, from: f64, to: f64) -> bool {
    let waits = trial.series.between(instance, Metric::ThreadWait, from, to);
    let mean = waits.iter().map(|(_, share)| share).sum::<f64>() / waits.len() as f64;
    !waits.is_empty() && mean <= UNCONTENDED
}

/// A thread that always runs or waits for a core, and does all the work of its instance: with a core to itself it would
/// be the limit all the same, only later.
fn crowded(trial: &TrialContext<'_>) -> Option<Candidate> {
    let step = trial.failed?;
    let wants = |instance: Component| {
        let points = |metric| trial.series.between(instance, metric, trial.from, step.ended_ms);
        let waits = |t| trial.series.at(instance, Metric::ThreadWait, t);
        let runs = points(Metric::BusiestThread);
        let wanted: Vec<(f64, f64)> = runs.iter().filter_map(|(t, runs)| Some((*t, runs + waits(*t)?))).collect();
        intervals::longest(&wanted, |share| share >= WHOLE).map(|(from, to)| (instance, from, to))
    };
    let (component, from, to) =
        trial.instances().filter_map(wants).max_by(|a, b| (a.2 - a.1).total_cmp(&(b.2 - b.1)))?;
    let runs: Vec<f64> =
        trial.series.between(component, Metric::BusiestThread, from, to).iter().map(|(_, share)| *share).collect();
    let thread = runs.iter().sum::<f64>() / runs.len() as f64;
    let cores = trial.cores(component, from, to)?;
    let needed = LASTS_MS.min((step.ended_ms - step.started_ms) / 2.0).max(1000.0);
    if to - from < needed || thread < LEAST || cores > ALONE * thread {
        return None;
    }
    let metrics = [Metric::BusiestThread, Metric::ThreadWait, Metric::CpuUsage, Metric::ListenQueue];
    let mut evidence = trial.all_evidence(component, &metrics);
    evidence.extend(trial.all_evidence(Component::Host, &[Metric::HostIdle, Metric::HostBusy]));
    Some(Candidate {
        sentence: format!(
            "At {} one thread of {component} did all its work and used or waited for a core for {}, of which it got {}: {}.",
            format::connections(trial.held_at_failure()),
            format::micros((to - from) * 1e3),
            format::percent(thread),
            trial.symptom_words()
        ),
        fix: "spread the work over threads (SO_REUSEPORT, a runtime with workers), or start more instances, and give \
              them cores of their own"
            .into(),
        evidence,
        proof: Proof {
            moved: true,
            // How much one thread would do with a core to itself was not seen.
            arithmetic: false,
            timely: trial.lasts_into_failures(from, to),
            explains: trial.slowness(),
            onset_ms: Some(from),
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    const SERVER: Component = Component::Instance(0);

    fn pinned(idle: f64) -> Script {
        // T1: one thread at 98 %, host idle 42 %, 7124 of 8000 at 2000/s.
        let fail =
            Fail::slope(7124).error(FailedAt::Handshake, "timeout", 615).error(FailedAt::Connect, "timeout", 261);
        script()
            .load(8000, 8000)
            .rate(2000.0)
            .fail(fail)
            .set(SERVER, Metric::BusiestThread, |m| Some(if m.failing { 0.98 } else { 0.1 }))
            .set(SERVER, Metric::CpuUsage, |m| Some(m.since_failed_s.max(0.0) * 0.99e6))
            .set(Component::Host, Metric::HostIdle, move |m| Some(m.t_ms * 2000.0 * idle))
            .set(Component::Host, Metric::HostBusy, move |m| Some(m.t_ms * 2000.0 * (1.0 - idle)))
    }

    #[test]
    fn a_full_thread_on_an_idle_machine_is_sure() {
        let verdict = pinned(0.42).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SingleThread, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("42 % of the machine was idle"), "{}", verdict.sentence);
        assert!(verdict.fix.unwrap().starts_with("spread the work"));
        let one = pinned(0.42).size(|size| size.cpus = Some(1.0)).verdict();
        assert!(one.fix.unwrap().starts_with("give it more than one CPU and spread"));
    }

    #[test]
    fn a_full_machine_is_not_one_thread() {
        assert_eq!(cause(pinned(0.02)), Cause::CpuSaturated);
    }

    #[test]
    fn a_thread_that_never_waits_for_a_core_is_the_limit_however_full_the_machine_is() {
        let waits = |share: f64| pinned(0.12).set(SERVER, Metric::ThreadWait, move |_| Some(share)).verdict();
        let verdict = waits(0.004);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SingleThread, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("and never waited for one"), "{}", verdict.sentence);
        assert!(waits(0.1).confidence < 0.85);
        // Others work beside it.
        let two = pinned(0.12)
            .set(SERVER, Metric::ThreadWait, |_| Some(0.004))
            .set(SERVER, Metric::CpuUsage, |m| Some(m.since_failed_s.max(0.0) * 1.7e6));
        assert_ne!(cause(two), Cause::SingleThread);
    }

    #[test]
    fn a_thread_that_waits_for_its_core_on_a_machine_that_others_fill_is_still_the_limit() {
        let crowded = |cores: f64, waits: f64| {
            pinned(0.02)
                .set(SERVER, Metric::BusiestThread, |m| Some(if m.failing { 0.55 } else { 0.1 }))
                .set(SERVER, Metric::ThreadWait, move |m| Some(if m.failing { waits } else { 0.0 }))
                .set(SERVER, Metric::CpuUsage, move |m| Some(m.since_failed_s.max(0.0) * 1e6 * cores))
        };
        let verdict = crowded(0.57, 0.42).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SingleThread, 0.60), "{verdict:?}");
        assert!(verdict.sentence.contains("`cpu-saturated` was met"), "{}", verdict.sentence);
        // Other threads of it work as well: it is the machine.
        assert_eq!(cause(crowded(1.1, 0.42)), Cause::CpuSaturated);
        // It could have had more.
        assert_ne!(cause(crowded(0.57, 0.2)), Cause::SingleThread);
    }

    #[test]
    fn one_core_given_and_used_is_not_one_thread() {
        assert_eq!(cause(pinned(0.42).generator(|g| g.server_cpus = vec![1])), Cause::CpuSaturated);
    }
}
