//! An instance lives, keeps its connections, and does nothing; or a part of it does: one of its processes or threads.

use super::rule::{Candidate, Proof, Rule};
use crate::context::{TrialContext, is_timeout};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric, StepRecord};

/// Cores below which an instance does nothing.
const NOTHING: f64 = 0.005;
/// Who was answered after some time may be answered again after as long; the clients must have waited so many times that.
const LONGER: f64 = 2.0;

/// The same where only a part stands still: who answers all in turn, and late, leaves nobody waiting for so much longer.
const FAR_LONGER: f64 = 10.0;

/// Cores that an instance may use of which only a part stands still: who is busy is slow.
const BUSY: f64 = 0.5;
/// Share of the connections without an answer from which they are a part of it.
const PART: f64 = 0.02;

pub(super) const RULE: Rule = Rule {
    cause: Cause::Hang,
    consequences: &[Cause::AcceptQueue, Cause::SynQueue, Cause::ApplicationCap, Cause::ServerWaits],
    judge,
};

const METRICS: [Metric; 5] =
    [Metric::CpuUsage, Metric::ListenQueue, Metric::ListenBacklog, Metric::ListenOverflows, Metric::Descriptors];

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let step = trial.failed?;
    if trial.ended() || step.lost as f64 > 0.1 * trial.peak() {
        return None;
    }
    // Once the trouble began, and no longer than the harness kept asking.
    let from = trial.first_failure_ms.unwrap_or(step.opened_ms).max(step.started_ms);
    let slowest_us = trial.record.steps.iter().filter_map(|step| step.slowest_reply_us).max();
    if slowest_us.is_some_and(|slowest| (step.ended_ms - from) * 1e3 < LONGER * slowest as f64) {
        return None;
    }
    whole(trial, step, from).or_else(|| part(trial, step, from))
}

/// An instance that does nothing at all.
fn whole(trial: &TrialContext<'_>, step: &StepRecord, from: f64) -> Option<Candidate> {
    let still = |instance: &Component| trial.cores(*instance, from, step.ended_ms).is_some_and(|cores| cores < NOTHING);
    let component = trial.instances().find(still)?;
    let share = trial.share_of(component);
    let unanswered = unanswered(step);
    let silent = unanswered >= 0.8 * share;
    let never_accepted = step.open == 0 && trial.share(is_timeout) >= 0.8;
    if !silent && !never_accepted {
        return None;
    }
    let what = if never_accepted {
        "accepted no connection".to_owned()
    } else {
        format!("left {} of the open connections without an answer", format::percent(unanswered))
    };
    Some(Candidate {
        sentence: format!(
            "At {} {component} stood still: it was alive, used no CPU and {what}.",
            format::connections(step.open as f64)
        ),
        fix: "look for a deadlock, a blocked event loop, a stopped process or a listener that nobody accepts from"
            .into(),
        evidence: trial.all_evidence(component, &METRICS),
        proof: Proof {
            moved: true,
            arithmetic: never_accepted || (unanswered - share).abs() <= 0.03,
            timely: true,
            explains: if step.errors.is_empty() { 1.0 } else { trial.share(is_timeout) },
            onset_ms: trial.first_failure_ms.or(Some(step.started_ms)),
        },
    })
}

/// Connections get no answer at all that were answered at once before, though no core is busy. Where it is some of them, one
/// of the processes or threads of an instance stands still; where it is all, the instance does something, but not that.
fn part(trial: &TrialContext<'_>, step: &StepRecord, from: f64) -> Option<Candidate> {
    let without = unanswered(step);
    let free = |instance| trial.cores(instance, from, step.ended_ms).is_some_and(|cores| cores < BUSY);
    let before = step.slowest_reply_us?;
    let since = (step.ended_ms - from) * 1e3;
    let waited = step.reply.max_us.max(step.probe.max_us).map_or(since, |longest| longest as f64);
    if waited < FAR_LONGER * before as f64 {
        return None;
    }
    let others = format::micros(before as f64);
    let how = if without < 1.0 - PART && step.messages_answered > 0 {
        format!(
            "a part of the server stood still: {} of the open connections got no answer any more, while the others were \
             answered within {others}",
            format::percent(without)
        )
    } else if without >= 1.0 - PART && step.messages_answered == 0 && trial.goes_on() != Some(true) {
        format!("the server answered nobody any more, though it had answered within {others} before")
    } else {
        return None;
    };
    if without < PART || !trial.instances().all(free) {
        return None;
    }
    let failures = trial.failures_evidence();
    let instances = trial.instances().flat_map(|instance| trial.all_evidence(instance, &METRICS));
    Some(Candidate {
        sentence: format!("At {} {how}, and no core was busy.", format::connections(step.open as f64)),
        fix: "look for a process, a thread or a worker of it that is blocked, stopped or waits for a lock for ever"
            .into(),
        evidence: failures.into_iter().chain(instances).collect(),
        proof: Proof {
            moved: true,
            // Which part it is was not seen.
            arithmetic: false,
            timely: true,
            explains: if step.errors.is_empty() { 1.0 } else { trial.share(is_timeout) },
            onset_ms: trial.first_failure_ms.or(Some(step.started_ms)),
        },
    })
}

/// Share of the open connections that were not answered.
fn unanswered(step: &StepRecord) -> f64 {
    if step.open > 0 { 1.0 - step.held as f64 / step.open as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, instances, rising, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    const SERVER: Component = Component::Instance(0);

    fn stopped() -> Script {
        // Z1: SIGSTOP: 871 stay open and unanswered, 512 handshake and 617 connect timeouts, Recv-Q full.
        let fail = Fail::plateau(871).held(0.0).error(FailedAt::Handshake, "timeout", 512).error(
            FailedAt::Connect,
            "timeout",
            617,
        );
        script().load(2000, 2000).fail(fail).set(SERVER, Metric::ListenOverflows, rising(900.0))
    }

    #[test]
    fn a_stopped_server_hangs_and_its_full_queue_follows() {
        let verdict = stopped().set(SERVER, Metric::CpuUsage, |m| Some(5000.0 + 100.0 * m.opened)).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Hang, 0.85), "{verdict:?}");
        assert_eq!(verdict.runner_up, None);
    }

    #[test]
    fn a_server_that_answers_late_does_not_hang_though_nobody_was_answered_in_the_hold() {
        let late = |slowest_us: u64| {
            let fail = Fail::plateau(133).held(0.0).unanswered().slowest_reply_us(slowest_us);
            script().load(133, 800).fail(fail).set(SERVER, Metric::CpuUsage, |m| Some(5000.0 + 100.0 * m.opened))
        };
        // It keeps each message for 1.5 s, of a hold of 2 s.
        assert_ne!(cause(late(1_554_000)), Cause::Hang);
        assert_eq!(cause(late(2000)), Cause::Hang);
    }

    #[test]
    fn an_instance_that_stands_still_is_found_though_it_has_fewer_connections_than_the_other() {
        // Two in turn, one of which stopped at 120: 320 open, 200 held, 80 in its queue.
        let fail = Fail::plateau(320).held(200.0 / 320.0).error(FailedAt::Handshake, "timeout", 80);
        let verdict = instances(2)
            .load(200, 400)
            .good(200)
            .fail(fail.slowest_reply_us(1792).spread(&[120, 200]))
            .set(SERVER, Metric::CpuUsage, |m| Some(150_000.0_f64.min(m.t_ms * 100.0)))
            .set(Component::Instance(1), Metric::CpuUsage, |m| Some(m.t_ms * 70.0))
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Hang, 0.85), "{verdict:?}");
    }

    #[test]
    fn a_process_that_stands_still_among_others_leaves_its_connections_without_an_answer() {
        // Two workers on one port, one of which stopped at 100: 303 open, 203 held, the others answered within 2 ms.
        let part = |slowest_us, cores: f64| {
            let fail = Fail::plateau(303).held(203.0 / 303.0).error(FailedAt::Handshake, "timeout", 97);
            let fail = fail.slowest_reply_us(slowest_us).reply_p99(2_478_079).opened_after(60);
            let script = script().load(200, 400).good(200).fail(fail);
            script.set(SERVER, Metric::CpuUsage, move |m| Some(m.t_ms * 1e3 * cores)).verdict()
        };
        let verdict = part(1963, 0.07);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Hang, 0.60), "{verdict:?}");
        assert!(verdict.sentence.contains("33 % of the open"), "{}", verdict.sentence);
        // Who is slow, or busy, does not stand still.
        assert_ne!(part(400_000, 0.07).cause, Cause::Hang);
        assert_ne!(part(1963, 0.9).cause, Cause::Hang);
    }

    #[test]
    fn a_server_that_answers_nobody_any_more_hangs_although_it_uses_some_cpu() {
        // A loop around select() that fails above 1,024 descriptors: 1,019 open, none answered, 4 % of a core.
        let fail = Fail::plateau(1019).held(0.0).unanswered().slowest_reply_us(3310);
        let fail = fail.error(FailedAt::Handshake, "timeout", 181);
        let verdict = script()
            .load(300, 1200)
            .good_up_to(900)
            .fail(fail)
            .set(SERVER, Metric::CpuUsage, |m| Some(m.t_ms * 40.0))
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Hang, 0.60), "{verdict:?}");
    }

    #[test]
    fn a_listener_that_nobody_accepts_from_hangs() {
        // B1: never accepts: 129 handshake and 371 connect timeouts.
        let fail = Fail::plateau(0).error(FailedAt::Handshake, "timeout", 129).error(FailedAt::Connect, "timeout", 371);
        let verdict = script().load(500, 500).fail(fail).set(SERVER, Metric::CpuUsage, |_| Some(5000.0)).verdict();
        assert_eq!(verdict.cause, Cause::Hang);
        assert!(verdict.sentence.contains("accepted no connection"), "{}", verdict.sentence);
    }

    #[test]
    fn a_server_that_works_does_not_hang() {
        assert_ne!(cause(stopped().set(SERVER, Metric::CpuUsage, |m| Some(m.t_ms * 300.0))), Cause::Hang);
    }
}
