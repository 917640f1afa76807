//! An instance ended by itself.

use super::rule::{Candidate, Proof, Rule, near};
use crate::context::{TrialContext, describe_exit};
use crate::verdict::{Evidence, EvidenceName};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Event, EventKind, FailedAt, Metric};

/// Longest time from the first loss until a server elsewhere has numbers again.
const BACK_WITHIN_MS: f64 = 10_000.0;

pub(super) const RULE: Rule = Rule {
    cause: Cause::Crash,
    consequences: &[
        Cause::PathDied,
        Cause::ApplicationCap,
        Cause::CpuQuota,
        Cause::SingleThread,
        Cause::CpuSaturated,
        Cause::AcceptQueue,
        Cause::SynQueue,
        Cause::Hang,
    ],
    judge,
};

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    instance(trial).or_else(|| process(trial)).or_else(|| elsewhere(trial))
}

fn instance(trial: &TrialContext<'_>) -> Option<Candidate> {
    let ends: Vec<_> = trial.exits().collect();
    let (instance, exit) = *ends.iter().min_by(|(_, a), (_, b)| a.t_ms.total_cmp(&b.t_ms))?;
    let component = Component::Instance(instance.index);
    let lost = trial.lost();
    let of = trial.peak() * ends.len() as f64 / f64::from(trial.cell.instances.max(1));
    let mut evidence = trial.exit_evidence();
    evidence.extend(instance.log_tail.last().map(|line| Evidence {
        component,
        name: EvidenceName::LogLine,
        before: None,
        after: Some(line.clone()),
        source: "log of the instance, last line".into(),
    }));
    evidence.extend(trial.failures_evidence());
    Some(Candidate {
        sentence: format!(
            "At {} {component} ended by itself: {}. Its connections were lost with it.",
            format::connections(trial.peak()),
            describe_exit(exit)
        ),
        fix: "read the log of the instance; the record keeps it under logs/".into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: near(lost, of),
            timely: trial.at_first_failure(exit.t_ms),
            explains: 1.0,
            onset_ms: Some(exit.t_ms),
        },
    })
}

/// A process of an instance that goes on: a supervisor starts another one, or other workers stay. Their exit code is known
/// to their parent only.
fn process(trial: &TrialContext<'_>) -> Option<Candidate> {
    let ended = trial.server_rise(Metric::ProcessesEnded).filter(|rise| trial.at_first_failure(rise.onset_ms))?;
    let component = ended.component;
    let lost = trial.lost();
    let explains = trial.share(|error| error.at == FailedAt::Open || error.reason.is_broken());
    // Workers also come and go without harm.
    if lost == 0.0 || explains < 0.5 {
        return None;
    }
    let mut evidence: Vec<Evidence> = trial.all_evidence(component, &[Metric::ProcessesEnded]);
    evidence.extend(trial.failures_evidence());
    Some(Candidate {
        sentence: format!(
            "At {} a process of {component} ended by itself, and {} were lost with it; the instance went on.",
            format::connections(trial.peak()),
            format::connections(lost)
        ),
        fix: "read the log of the instance, which the record keeps under logs/, and that of what starts it again"
            .into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: near(lost, trial.peak() * trial.share_of(component)),
            timely: true,
            explains,
            onset_ms: Some(ended.onset_ms),
        },
    })
}

/// A server that the harness did not start began anew while its connections were lost: what ends an instance is seen by who
/// started it, and here only its numbers tell.
fn elsewhere(trial: &TrialContext<'_>) -> Option<Candidate> {
    let first = trial.first_failure_ms?;
    let lost = trial.lost();
    let explains = trial.share(|error| error.at == FailedAt::Open || error.reason.is_broken());
    if lost == 0.0 || explains < 0.5 {
        return None;
    }
    // Its numbers are read a moment later, once it listens again.
    let near_failure = |event: &&Event| (-trial.tick_ms()..=BACK_WITHIN_MS).contains(&(event.t_ms - first));
    let restarts = trial.record.events.iter().filter(|event| matches!(event.what, EventKind::Restarted { .. }));
    let began = restarts.filter(near_failure).find_map(|event| Some((event, event.component?)));
    let (event, component) = began.filter(|(_, component)| matches!(component, Component::Instance(_)))?;
    let mut evidence = vec![Evidence {
        component,
        name: EvidenceName::Exit,
        before: Some("running".into()),
        after: Some(event.what.to_string()),
        source: format!("{} after the first failure", format::micros((event.t_ms - first).max(0.0) * 1e3)),
    }];
    evidence.extend(trial.failures_evidence());
    Some(Candidate {
        sentence: format!(
            "At {} {component} began anew, and {} were lost with it: it ended, and something started it again.",
            format::connections(trial.peak()),
            format::connections(lost)
        ),
        fix: "read the log of the server and of what starts it again, and look for a kill for memory on its machine"
            .into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: near(lost, trial.peak() * trial.share_of(component)),
            timely: true,
            explains,
            onset_ms: Some(first),
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, cause, remote, rising, script};
    use wsceiling_model::record::{Cause, Component, EventKind, FailedAt, Metric, RestartSign};

    const SERVER: Component = Component::Instance(0);

    #[test]
    fn an_end_by_itself_is_a_crash() {
        let fail =
            Fail::collapse(1213).error(FailedAt::Open, "eof", 1213).error(FailedAt::Connect, "errno ECONNREFUSED", 200);
        let verdict = script().good(1000).fail(fail).exit(|exit| exit.signal = Some(11)).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Crash, 0.85));
        assert!(verdict.sentence.contains("signal 11 (SIGSEGV)"), "{}", verdict.sentence);
    }

    #[test]
    fn a_process_that_is_started_again_ended_all_the_same() {
        let fail = || Fail::collapse(1213).error(FailedAt::Open, "eof", 1213);
        let ended = |ended: f64| script().good(1000).fail(fail()).set(SERVER, Metric::ProcessesEnded, rising(ended));
        let verdict = ended(1.0).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Crash, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("the instance went on"), "{}", verdict.sentence);
        assert_eq!(cause(ended(0.0)), Cause::PathDied);
        // A kill for memory is told by its own counter.
        assert_eq!(cause(ended(1.0).set(SERVER, Metric::OomKills, rising(1.0))), Cause::MemoryLimit);
    }

    #[test]
    fn a_worker_that_is_replaced_without_harm_is_no_crash() {
        let fail = Fail::plateau(1200).error(FailedAt::Handshake, "http 503", 300);
        assert_eq!(
            cause(script().good(1000).fail(fail).set(SERVER, Metric::ProcessesEnded, rising(1.0))),
            Cause::ApplicationCap
        );
    }

    #[test]
    fn a_server_elsewhere_whose_numbers_began_anew_ended() {
        let fail = || Fail::collapse(1213).error(FailedAt::Open, "eof", 1213);
        let what =
            || EventKind::Restarted { sign: RestartSign::StartTime, source: "prometheus http://h/metrics".into() };
        let again = |after_ms| remote("render").good(1000).fail(fail()).event(after_ms, SERVER, what());
        let verdict = again(1500.0).verdict();
        assert_eq!(verdict.cause, Cause::Crash, "{verdict:?}");
        assert!(verdict.sentence.contains("began anew"), "{}", verdict.sentence);
        assert_ne!(cause(again(-5000.0)), Cause::Crash, "it was back long before");
        // A counter that goes back without a loss is a fault of who counts.
        let cap = Fail::plateau(1200).error(FailedAt::Handshake, "http 503", 300);
        assert_ne!(cause(remote("render").good(1000).fail(cap).event(100.0, SERVER, what())), Cause::Crash);
    }

    #[test]
    fn an_end_that_was_asked_for_is_not() {
        let fail = Fail::collapse(1213).error(FailedAt::Open, "eof", 1213);
        let asked = script().good(1000).fail(fail).exit(|exit| (exit.signal, exit.requested) = (Some(15), true));
        assert_ne!(cause(asked), Cause::Crash);
    }
}
