//! The accept queue overflowed, and nothing else explains why it was not emptied: it is too short for this burst.

use super::rule::{Candidate, Proof, Rule, near};
use crate::context::TrialContext;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric};

pub(super) const RULE: Rule = Rule { cause: Cause::AcceptQueue, consequences: &[Cause::SynQueue], judge };

/// Cores below which an instance would have had the time to accept.
const IDLE: f64 = 0.5;

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let slow = trial.slowness();
    let overflows = trial.server_rise(Metric::ListenOverflows)?;
    if slow < 0.2 {
        return None;
    }
    let component = overflows.component;
    // A short queue is empty again a moment after the burst. One that stays full is not too short: the server does not
    // empty it, and where it has the time to, it waits for something.
    let stands = trial.queue_stands(component, overflows.onset_ms);
    let idle = trial.cores(component, overflows.onset_ms, trial.to).is_some_and(|cores| cores < IDLE);
    if stands && idle {
        return None;
    }
    let queue = trial.highest(component, Metric::ListenQueue);
    let backlog = trial.highest(component, Metric::ListenBacklog);
    // The counter is that of the network namespace, and other servers in it overflow too. A queue that is longer than all
    // that was asked for did not.
    if backlog.is_some_and(|backlog| trial.failed.is_some_and(|step| backlog >= step.issued as f64)) {
        return None;
    }
    // The kernel keeps one more than the backlog before it drops.
    let full = queue.zip(backlog).is_some_and(|(queue, backlog)| near(queue, backlog + 1.0));
    let mut evidence = trial.all_evidence(
        component,
        &[Metric::ListenOverflows, Metric::ListenDrops, Metric::ListenQueue, Metric::ListenBacklog],
    );
    evidence.extend(trial.evidence(Component::Generator, Metric::SynRetransmits));
    let length = backlog.map_or(String::new(), |backlog| format!(" of {}", format::whole(backlog)));
    Some(Candidate {
        sentence: format!(
            "At {} the accept queue{length} overflowed: connects came faster than the server accepted them, and {}.",
            format::connections(trial.held_at_failure()),
            trial.symptom_words()
        ),
        fix: "raise the backlog of listen() and net.core.somaxconn, accept faster, or open more slowly".into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: full && !stands,
            timely: trial.at_first_failure(overflows.onset_ms),
            explains: slow,
            onset_ms: Some(overflows.onset_ms),
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    fn burst() -> Script {
        // B3: 3000 at 20,000/s with a backlog of 128: all held, mean 1769 ms, overflows 10,051.
        script()
            .load(3000, 3000)
            .rate(20_000.0)
            .fail(Fail::late(4_500_000))
            .set(Component::Instance(0), Metric::ListenBacklog, |_| Some(128.0))
            .set(Component::Instance(0), Metric::ListenQueue, |m| {
                Some(if (0.0..0.5).contains(&m.since_failed_s) { 129.0 } else { 0.0 })
            })
    }

    #[test]
    fn an_overflow_without_another_cause_is_the_queue() {
        let verdict = burst().set(Component::Instance(0), Metric::ListenOverflows, rising(10_051.0)).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::AcceptQueue, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("accept queue of 128 overflowed"), "{}", verdict.sentence);
    }

    #[test]
    fn a_queue_that_stays_full_is_not_too_short() {
        let stays = |cores: f64| {
            let fail = Fail::slope(700).error(FailedAt::Connect, "timeout", 300);
            script()
                .load(1000, 1000)
                .fail(fail)
                .set(Component::Instance(0), Metric::ListenBacklog, |_| Some(128.0))
                .set(Component::Instance(0), Metric::ListenQueue, |m| Some(if m.failing { 129.0 } else { 0.0 }))
                .set(Component::Instance(0), Metric::ListenOverflows, rising(10_051.0))
                .set(Component::Instance(0), Metric::CpuUsage, move |m| Some(m.t_ms * 1e3 * cores))
                .set(Component::Instance(0), Metric::BusiestThread, move |_| Some(cores))
        };
        // It has the time to accept: it waits for something. A busy one may be short of anything.
        assert_eq!(cause(stays(0.05)), Cause::ServerWaits);
        assert_eq!((stays(0.7).verdict().cause, stays(0.7).verdict().confidence), (Cause::AcceptQueue, 0.60));
    }

    #[test]
    fn a_queue_with_room_for_all_that_was_asked_for_is_not_what_overflowed() {
        let other = |backlog: f64| {
            burst().set(Component::Instance(0), Metric::ListenOverflows, rising(10_051.0)).set(
                Component::Instance(0),
                Metric::ListenBacklog,
                move |_| Some(backlog),
            )
        };
        assert_eq!(cause(other(2048.0)), Cause::AcceptQueue);
        assert_ne!(cause(other(4096.0)), Cause::AcceptQueue);
    }

    #[test]
    fn a_queue_that_never_overflowed_is_not() {
        assert_ne!(
            cause(burst().set(Component::Instance(0), Metric::ListenOverflows, |_| Some(7.0))),
            Cause::AcceptQueue
        );
    }
}
