//! An instance ended by itself.

use super::{Candidate, Evidence, Facts, Proof, Rule, near, words};
use wsceiling_model::record::{Component, Exit, FailedAt, FailureTally, Metric};

pub(super) const RULE: Rule = Rule {
    cause: "crash",
    consequences: &[
        "path-died",
        "application-cap",
        "cpu-quota",
        "single-thread",
        "cpu-saturated",
        "accept-queue",
        "syn-queue",
        "hang",
    ],
    judge,
};

fn judge(facts: &Facts<'_>) -> Option<Candidate> {
    instance(facts).or_else(|| process(facts))
}

fn instance(facts: &Facts<'_>) -> Option<Candidate> {
    let ends: Vec<_> = facts.exits().collect();
    let (instance, exit) = *ends.iter().min_by(|(_, a), (_, b)| a.t_ms.total_cmp(&b.t_ms))?;
    let component = Component::Instance(instance.index);
    let lost = lost(facts);
    let of = facts.peak() * ends.len() as f64 / f64::from(facts.cell.instances.max(1));
    let mut evidence = facts.exit_evidence();
    evidence.extend(instance.log_tail.last().map(|line| Evidence {
        component,
        name: "log".into(),
        before: None,
        after: Some(line.clone()),
        source: "log of the instance, last line".into(),
    }));
    evidence.extend(facts.failures_evidence());
    Some(Candidate {
        sentence: format!(
            "At {} {component} ended by itself: {}. Its connections were lost with it.",
            words::connections(facts.peak()),
            how(exit)
        ),
        fix: "read the log of the instance; the record keeps it under logs/".into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: near(lost, of),
            timely: facts.at_first_failure(exit.t_ms),
            explains: 1.0,
            onset_ms: Some(exit.t_ms),
        },
    })
}

/// A process of an instance that goes on: a supervisor starts another one, or other workers stay. Their exit code is known
/// to their parent only.
fn process(facts: &Facts<'_>) -> Option<Candidate> {
    let ended = facts.server_rise(Metric::ProcessesEnded).filter(|rise| facts.at_first_failure(rise.onset_ms))?;
    let component = ended.component;
    let lost = lost(facts);
    let explains = facts.share(|error| error.at == FailedAt::Open || super::facts::is_broken(error));
    // Workers also come and go without harm.
    if lost == 0.0 || explains < 0.5 {
        return None;
    }
    let mut evidence: Vec<Evidence> = facts.all_evidence(component, &[Metric::ProcessesEnded]);
    evidence.extend(facts.failures_evidence());
    Some(Candidate {
        sentence: format!(
            "At {} a process of {component} ended by itself, and {} were lost with it; the instance went on.",
            words::connections(facts.peak()),
            words::connections(lost)
        ),
        fix: "read the log of the instance, which the record keeps under logs/, and that of what starts it again"
            .into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: near(lost, facts.peak() * facts.share_of(component)),
            timely: true,
            explains,
            onset_ms: Some(ended.onset_ms),
        },
    })
}

/// Open connections that were lost.
fn lost(facts: &Facts<'_>) -> f64 {
    let open = |error: &&FailureTally| error.at == FailedAt::Open;
    facts.failures().iter().filter(open).map(|error| error.count as f64).sum()
}

/// `exit code 1`, `signal 11 (SIGSEGV)`.
pub(super) fn how(exit: &Exit) -> String {
    match (exit.code, exit.signal) {
        (_, Some(signal)) => {
            let name = match signal {
                4 => " (SIGILL)",
                6 => " (SIGABRT)",
                7 => " (SIGBUS)",
                9 => " (SIGKILL)",
                11 => " (SIGSEGV)",
                15 => " (SIGTERM)",
                _ => "",
            };
            format!("signal {signal}{name}")
        }
        (Some(code), None) => format!("exit code {code}"),
        (None, None) => "no exit code is known".into(),
    }
}

impl Facts<'_> {
    /// Ends of instances as evidence.
    pub(in crate::cause) fn exit_evidence(&self) -> Vec<Evidence> {
        let each = self.exits().map(|(instance, exit)| Evidence {
            component: Component::Instance(instance.index),
            name: "exit".into(),
            before: Some("running".into()),
            after: Some(match exit.oom_killed {
                Some(true) => format!("{}, killed for memory", how(exit)),
                _ => how(exit),
            }),
            source: if instance.container.is_some() { "state of the container".into() } else { "wait status".into() },
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fail, Judged as _, cause, rising, script};
    use wsceiling_model::record::{Component, FailedAt, Metric};

    const SERVER: Component = Component::Instance(0);

    #[test]
    fn an_end_by_itself_is_a_crash() {
        let fail =
            Fail::collapse(1213).error(FailedAt::Open, "eof", 1213).error(FailedAt::Connect, "errno ECONNREFUSED", 200);
        let verdict = script().good(1000).fail(fail).exit(|exit| exit.signal = Some(11)).verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("crash", 0.85));
        assert!(verdict.sentence.contains("signal 11 (SIGSEGV)"), "{}", verdict.sentence);
    }

    #[test]
    fn a_process_that_is_started_again_ended_all_the_same() {
        let fail = || Fail::collapse(1213).error(FailedAt::Open, "eof", 1213);
        let ended = |ended: f64| script().good(1000).fail(fail()).set(SERVER, Metric::ProcessesEnded, rising(ended));
        let verdict = ended(1.0).verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("crash", 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("the instance went on"), "{}", verdict.sentence);
        assert_eq!(cause(ended(0.0)), "path-died");
        // A kill for memory is told by its own counter.
        assert_eq!(cause(ended(1.0).set(SERVER, Metric::OomKills, rising(1.0))), "memory-limit");
    }

    #[test]
    fn a_worker_that_is_replaced_without_harm_is_no_crash() {
        let fail = Fail::plateau(1200).error(FailedAt::Handshake, "http 503", 300);
        assert_eq!(
            cause(script().good(1000).fail(fail).set(SERVER, Metric::ProcessesEnded, rising(1.0))),
            "application-cap"
        );
    }

    #[test]
    fn an_end_that_was_asked_for_is_not() {
        let fail = Fail::collapse(1213).error(FailedAt::Open, "eof", 1213);
        let asked = script().good(1000).fail(fail).exit(|exit| (exit.signal, exit.requested) = (Some(15), true));
        assert_ne!(cause(asked), "crash");
    }
}
