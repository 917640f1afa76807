//! Many threads share one core's worth of CPU although there are more cores: they take turns with something that only one of
//! them may have, an interpreter's lock or a global mutex.

use super::intervals;
use super::rule::{Candidate, Proof, Rule};
use crate::context::TrialContext;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric};

/// Cores that the threads use together. Handing the lock over costs a little of the one core, or adds a little to it.
const ONE_CORE: std::ops::RangeInclusive<f64> = 0.75..=1.35;
/// The same where it is surely one core.
const MATCHES: std::ops::RangeInclusive<f64> = 0.90..=1.20;
/// Largest share that one thread may have in the work: what one does alone is `single-thread`.
const ALONE: f64 = 0.75;
/// Share of all cores that must be idle, or share of the time that an instance may have waited for a core.
const IDLE: f64 = 0.20;
const WAITED: f64 = 0.10;
/// A quota below this many cores is a reason of its own for one core's worth.
const QUOTA: f64 = 1.5;
/// How long it must last: this, or half of a shorter step, but never less than a second.
const LASTS_MS: f64 = 5000.0;

pub(super) const RULE: Rule = Rule {
    cause: Cause::GlobalLock,
    consequences: &[Cause::AcceptQueue, Cause::SynQueue, Cause::Hang, Cause::ServerWaits, Cause::ApplicationCap],
    judge,
};

/// When an instance used one core's worth, and how.
struct Turns {
    component: Component,
    from: f64,
    to: f64,
    cores: f64,
    busiest: f64,
}

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let step = trial.failed?;
    let slow = trial.slowness();
    if slow < 0.2 || trial.size.and_then(|size| size.cpus).is_some_and(|cpus| cpus < QUOTA) {
        return None;
    }
    let longest = |a: &Turns, b: &Turns| (a.to - a.from).total_cmp(&(b.to - b.from));
    let found = trial.instances().filter_map(|instance| turns(trial, instance)).max_by(longest)?;
    let Turns { component, from, to, cores, busiest } = found;
    let needed = LASTS_MS.min((step.ended_ms - step.started_ms) / 2.0).max(1000.0);
    let idle = trial.idle_share(from, to)?;
    let room = idle >= IDLE || trial.waited_for_a_core().is_some_and(|waited| waited <= WAITED);
    if to - from < needed || !room || trial.all_cores_used(from, to) {
        return None;
    }
    let threads = trial.highest(component, Metric::Pids);
    let in_lock = trial.highest(component, Metric::ThreadsInLock).filter(|threads| *threads > 0.0);
    let metrics = [
        Metric::CpuUsage,
        Metric::BusiestThread,
        Metric::Pids,
        Metric::ThreadsInLock,
        Metric::ThreadWait,
        Metric::ListenQueue,
    ];
    let mut evidence = trial.all_evidence(component, &metrics);
    evidence.extend(trial.all_evidence(Component::Host, &[Metric::HostIdle, Metric::HostBusy]));
    let many = threads.map_or(String::new(), |threads| format!("{} ", format::whole(threads)));
    Some(Candidate {
        sentence: format!(
            "At {} the {many}threads of {component} used {} cores together for {}, the busiest {} of one, while {} of the \
             machine was idle: they take turns, so more cores do not help it; {}.",
            format::connections(trial.held_at_failure()),
            format::number(cores),
            format::micros((to - from) * 1e3),
            format::percent(busiest),
            format::percent(idle),
            trial.symptom_words()
        ),
        fix: "start more processes or instances (each has a lock of its own), or a runtime without one lock for all \
              threads"
            .into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: MATCHES.contains(&cores) && in_lock.is_some(),
            timely: trial.lasts_into_failures(from, to),
            explains: slow,
            onset_ms: Some(from),
        },
    })
}

/// The longest time in which an instance used about one core, and no thread of it did so alone.
fn turns(trial: &TrialContext<'_>, instance: Component) -> Option<Turns> {
    let end = trial.beyond;
    // CPU in microseconds per millisecond between two samples: thousandths of cores.
    let rates = intervals::rates(trial.series.between(instance, Metric::CpuUsage, trial.from, end));
    let cores: Vec<(f64, f64)> = rates.into_iter().map(|(t, rate)| (t, rate / 1e3)).collect();
    let smooth = intervals::smooth(&cores, 5);
    let (from, to) = intervals::longest(&smooth, |cores| ONE_CORE.contains(&cores))?;
    let used = trial.cores(instance, from, to)?;
    let busiest: Vec<f64> =
        trial.series.between(instance, Metric::BusiestThread, from, to).iter().map(|(_, share)| *share).collect();
    if busiest.is_empty() {
        return None;
    }
    let busiest = busiest.iter().sum::<f64>() / busiest.len() as f64;
    let shared = busiest <= ALONE * used && ONE_CORE.contains(&used);
    shared.then_some(Turns { component: instance, from, to, cores: used, busiest })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    const SERVER: Component = Component::Instance(0);

    /// A threaded server: `cores` over many threads, of which the busiest has `busiest`; the queue overflows.
    fn threads(cores: f64, busiest: f64, idle: f64) -> Script {
        let fail =
            Fail::slope(1400).error(FailedAt::Handshake, "timeout", 400).error(FailedAt::Connect, "timeout", 200);
        script()
            .load(2000, 2000)
            .rate(500.0)
            .fail(fail)
            .set(SERVER, Metric::CpuUsage, move |m| Some(m.since_failed_s.max(0.0) * 1e6 * cores))
            .set(SERVER, Metric::BusiestThread, move |_| Some(busiest))
            .set(SERVER, Metric::Pids, |m| Some(2.0 + m.open))
            .set(SERVER, Metric::ThreadsInLock, |_| Some(7.0))
            .set(SERVER, Metric::ListenOverflows, rising(5000.0))
            .set(Component::Host, Metric::HostIdle, move |m| Some(m.t_ms * 2000.0 * idle))
            .set(Component::Host, Metric::HostBusy, move |m| Some(m.t_ms * 2000.0 * (1.0 - idle)))
    }

    #[test]
    fn one_core_over_many_threads_is_a_lock_and_the_full_queue_its_consequence() {
        let verdict = threads(1.0, 0.2, 0.4).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::GlobalLock, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("used 1.00 cores together"), "{}", verdict.sentence);
        assert_eq!(verdict.chain.iter().map(|link| link.cause).collect::<Vec<_>>(), [Cause::AcceptQueue]);
    }

    #[test]
    fn one_busy_thread_more_cores_or_a_full_machine_are_not() {
        assert_eq!(cause(threads(1.0, 0.98, 0.4)), Cause::SingleThread);
        assert_ne!(cause(threads(1.8, 0.5, 0.4)), Cause::GlobalLock);
        assert_ne!(cause(threads(1.0, 0.2, 0.02).set(SERVER, Metric::ThreadWait, |_| Some(0.5))), Cause::GlobalLock);
    }

    #[test]
    fn one_core_of_quota_is_the_quota() {
        assert_ne!(cause(threads(1.0, 0.2, 0.4).size(|size| size.cpus = Some(1.0))), Cause::GlobalLock);
    }
}
