//! An instance lives, keeps its connections, and does nothing.

use super::rule::{Candidate, Proof, Rule};
use crate::context::{TrialContext, is_timeout};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric};

/// Cores below which an instance does nothing.
const NOTHING: f64 = 0.005;
/// Who was answered after some time may be answered again after as long; the clients must have waited so many times that.
const LONGER: f64 = 2.0;

pub(super) const RULE: Rule =
    Rule { cause: Cause::Hang, consequences: &[Cause::AcceptQueue, Cause::SynQueue, Cause::ApplicationCap], judge };

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
    let still = |instance: &Component| trial.cores(*instance, from, step.ended_ms).is_some_and(|cores| cores < NOTHING);
    let component = trial.instances().find(still)?;
    let share = trial.share_of(component).max(1.0 / f64::from(trial.cell.instances.max(1)));
    let unanswered = if step.open > 0 { 1.0 - step.held as f64 / step.open as f64 } else { 0.0 };
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
        evidence: trial.all_evidence(
            component,
            &[
                Metric::CpuUsage,
                Metric::ListenQueue,
                Metric::ListenBacklog,
                Metric::ListenOverflows,
                Metric::Descriptors,
            ],
        ),
        proof: Proof {
            moved: true,
            arithmetic: never_accepted || (unanswered - share).abs() <= 0.03,
            timely: true,
            explains: if step.errors.is_empty() { 1.0 } else { trial.share(is_timeout) },
            onset_ms: trial.first_failure_ms.or(Some(step.started_ms)),
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, rising, script};
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
