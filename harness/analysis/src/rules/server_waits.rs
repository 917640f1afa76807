//! The server is slow and idle at once: it waits for something that is not a resource of the machine.

use super::rule::{Candidate, Proof, Rule};
use crate::context::{TrialContext, is_timeout};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric};

/// Share of a core that an instance and its busiest thread may use and still have time to do more.
const FREE: f64 = 0.5;
/// Share of the machine that must be idle, where it is not known how long the instances waited for a core.
const IDLE: f64 = 0.2;
/// Share of the time that an instance may have waited for a core and still have had all that it wanted.
const WAITED: f64 = 0.05;
/// Share of the time in which its busiest thread may have run or waited for a core and still have had most of it left.
const WANTED: f64 = 0.25;
/// Share of the enforcement periods that may have run out.
const THROTTLED: f64 = 0.05;
/// Connections in the accept queue of an instance that had the time to accept them.
const QUEUED: f64 = 2.0;

pub(super) const RULE: Rule =
    Rule { cause: Cause::ServerWaits, consequences: &[Cause::AcceptQueue, Cause::SynQueue], judge };

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let step = trial.failed?;
    let slow = trial.slowness();
    let idle = trial.idle_share(step.started_ms, step.ended_ms)?;
    // A machine that others fill is no excuse for who got all that it wanted.
    let gets_all = trial.waited_for_a_core().map_or(idle >= IDLE, |share| share <= WAITED)
        || trial.wanted_a_core().is_some_and(|share| share <= WANTED);
    // Who lets nobody in any more is not slow but full, or stands still.
    if slow < 0.5 || !gets_all || trial.ended() || trial.goes_on() == Some(false) && !drained(trial) {
        return None;
    }
    // A queue that was full for a moment, and cost some connects a retransmission or more, is no waiting of the server.
    let burst = |instance: Component| {
        let dropped = [Metric::ListenOverflows, Metric::ReqQFullDrops].map(|metric| trial.rise(instance, metric));
        let from = dropped.into_iter().flatten().map(|rise| rise.onset_ms).min_by(f64::total_cmp);
        from.is_some_and(|from| !trial.queue_stands(instance, from))
    };
    if trial.instances().any(burst) {
        return None;
    }
    let free = |instance: Component| {
        let thread = trial.series.between(instance, Metric::BusiestThread, trial.from, step.ended_ms);
        let busy = thread.iter().filter(|(_, share)| *share >= FREE).count();
        let out = trial.risen(instance, Metric::CpuThrottledPeriods);
        let periods = trial.risen(instance, Metric::CpuPeriods);
        let cores = trial.cores(instance, trial.from, step.ended_ms)?;
        Some(cores < FREE && 4 * busy <= thread.len() && out <= THROTTLED * periods)
    };
    if !trial.instances().all(|instance| free(instance) == Some(true)) {
        return None;
    }
    let cores = trial.server_cores()?;
    let free = if idle >= IDLE {
        format!("{} of the machine was idle", format::percent(idle))
    } else {
        "hardly waited for one".to_owned()
    };
    // Answers that come late, and connections that wait in its queue, are its own; a connect that times out may have other
    // reasons.
    let answers = trial.share(is_timeout) == 0.0 && step.messages_answered > 0;
    let waiting = |instance| trial.highest(instance, Metric::ListenQueue);
    let queues = trial.instances().any(|instance| waiting(instance).is_some_and(|waiting| waiting >= QUEUED));
    let late = trial.goes_on() == Some(true);
    let metrics = [
        Metric::CpuUsage,
        Metric::BusiestThread,
        Metric::ThreadWait,
        Metric::ThreadsInLock,
        Metric::ThreadsInSleep,
        Metric::ThreadsInRead,
        Metric::ListenQueue,
    ];
    let mut evidence: Vec<_> = trial.instances().flat_map(|instance| trial.all_evidence(instance, &metrics)).collect();
    evidence.extend(trial.all_evidence(Component::Host, &[Metric::HostIdle, Metric::HostBusy]));
    Some(Candidate {
        sentence: format!(
            "At {} the server was slow although it used {} of a core and {}: {}. It waits for something else: {}.",
            format::connections(trial.held_at_failure()),
            format::percent(cores),
            free,
            trial.symptom_words(),
            waits_for(trial)
        ),
        fix: "look at what its handler waits for: a lock, a pool with few places, another service, a sleep".into(),
        evidence,
        proof: Proof {
            moved: answers || queues || late,
            arithmetic: false,
            timely: true,
            explains: slow,
            onset_ms: trial.first_failure_ms.or(Some(step.started_ms)),
        },
    })
}

/// Whether connections stood in an accept queue and were taken out in the end: by who stood still for a while.
fn drained(trial: &TrialContext<'_>) -> bool {
    let Some(step) = trial.failed else { return false };
    trial.instances().any(|instance| {
        let stood = trial.highest(instance, Metric::ListenQueue).is_some_and(|waiting| waiting >= QUEUED);
        let last = trial.series.near(instance, Metric::ListenQueue, step.ended_ms).map(|(_, waiting)| waiting);
        stood && last == Some(0.0)
    })
}

/// What the threads were seen waiting for, where they could be asked; else what it may be.
fn waits_for(trial: &TrialContext<'_>) -> String {
    let most = |metric| trial.instances().filter_map(|instance| trial.highest(instance, metric)).fold(0.0, f64::max);
    let seen = [
        (Metric::ThreadsInLock, "in a lock"),
        (Metric::ThreadsInSleep, "in a sleep"),
        (Metric::ThreadsInRead, "for an answer over a socket or a pipe"),
    ];
    let seen: Vec<String> = seen
        .into_iter()
        .map(|(metric, what)| (most(metric), what))
        .filter(|(threads, _)| *threads > 0.0)
        .map(|(threads, what)| format!("up to {} of its threads waited {what}", format::whole(threads)))
        .collect();
    if seen.is_empty() { "a lock, a pool, a database, a sleep".to_owned() } else { seen.join(", ") }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    const SERVER: Component = Component::Instance(0);

    /// Replies through one lock: late from 600 connections on, at 4 % of a core.
    fn waiting(cores: f64) -> Script {
        script()
            .good(500)
            .fail(Fail::late(900_000))
            .set(SERVER, Metric::CpuUsage, move |m| Some(m.t_ms * 1e3 * cores))
            .set(SERVER, Metric::BusiestThread, move |_| Some(cores))
            .set(Component::Host, Metric::HostIdle, |m| Some(m.t_ms * 1800.0))
            .set(Component::Host, Metric::HostBusy, |m| Some(m.t_ms * 200.0))
    }

    #[test]
    fn late_answers_of_an_idle_server_are_its_own_waiting_and_never_sure() {
        let verdict = waiting(0.04).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ServerWaits, 0.60), "{verdict:?}");
        assert!(verdict.sentence.contains("used 4 % of a core"), "{}", verdict.sentence);
    }

    #[test]
    fn a_machine_that_others_fill_is_no_excuse_for_who_gets_all_that_it_wants() {
        let full = |waited: f64| {
            waiting(0.04)
                .set(Component::Host, Metric::HostIdle, |m| Some(m.t_ms * 20.0))
                .set(Component::Host, Metric::HostBusy, |m| Some(m.t_ms * 1980.0))
                .set(SERVER, Metric::ThreadWait, move |_| Some(waited))
        };
        let verdict = full(0.01).verdict();
        assert_eq!(verdict.cause, Cause::ServerWaits, "{verdict:?}");
        assert!(verdict.sentence.contains("hardly waited for one"), "{}", verdict.sentence);
        // It waited for 6 % of the time and ran for 4 %: nine tenths were its own.
        assert_eq!(cause(full(0.06)), Cause::ServerWaits);
        assert_ne!(cause(full(0.4)), Cause::ServerWaits);
    }

    #[test]
    fn nobody_who_is_answered_in_the_whole_hold_is_slowness_too() {
        // Replies take 1.2 s, the hold lasts 1 s: there is nothing to measure, and that is the news.
        let none = Fail::late(1500).unanswered();
        let verdict = script()
            .good(500)
            .fail(none)
            .set(SERVER, Metric::CpuUsage, |m| Some(m.t_ms * 1e3 * 0.04))
            .set(SERVER, Metric::BusiestThread, |_| Some(0.04))
            .set(SERVER, Metric::ThreadWait, |_| Some(0.0))
            .set(Component::Host, Metric::HostIdle, |m| Some(m.t_ms * 1800.0))
            .set(Component::Host, Metric::HostBusy, |m| Some(m.t_ms * 200.0))
            .verdict();
        assert_eq!(verdict.cause, Cause::ServerWaits, "{verdict:?}");
        assert!(verdict.sentence.contains("no reply came in the whole hold"), "{}", verdict.sentence);
    }

    #[test]
    fn who_stood_still_for_a_while_and_then_emptied_its_queue_waited() {
        let stood = |to_the_end: bool| {
            let fail = Fail::plateau(786).error(FailedAt::Handshake, "timeout", 14);
            script()
                .load(200, 800)
                .good(600)
                .fail(fail)
                .set(SERVER, Metric::BusiestThread, |_| Some(0.05))
                .set(SERVER, Metric::ListenBacklog, |_| Some(128.0))
                .set(SERVER, Metric::ListenQueue, move |m| {
                    Some(if m.since_trouble_s > 0.0 && (to_the_end || m.since_trouble_s < 1.5) { 40.0 } else { 0.0 })
                })
        };
        assert_eq!(cause(stood(false)), Cause::ServerWaits);
        assert_eq!(cause(stood(true)), Cause::ApplicationCap);
    }

    #[test]
    fn a_busy_server_and_one_with_a_counter_do_not_wait() {
        assert_eq!(cause(waiting(0.8)), Cause::Unknown);
        let overflows = waiting(0.04).set(SERVER, Metric::ListenOverflows, rising(900.0)).set(
            SERVER,
            Metric::ListenBacklog,
            |_| Some(64.0),
        );
        assert_eq!(cause(overflows), Cause::AcceptQueue);
        let refused = script().good(500).fail(Fail::plateau(600).error(FailedAt::Handshake, "reset", 100));
        assert_ne!(cause(refused), Cause::ServerWaits);
    }
}
