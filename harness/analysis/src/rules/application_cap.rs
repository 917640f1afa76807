//! The server, or a provider before it, refuses at a number of its own choosing. Only ever suspected: no counter within
//! sight proves it.

use super::rule::{Candidate, Proof, Rule};
use crate::context::{Admissions, TrialContext, is_timeout};
use crate::pattern::FailurePattern;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, FailedAt, FailureTally, Metric};

/// Share of the failures that must be refusals.
const REFUSED: f64 = 0.8;
/// Cores an instance may use, once it lets nobody in, and still have been free to.
const IDLE: f64 = 0.5;

pub(super) const RULE: Rule = Rule {
    cause: Cause::ApplicationCap,
    consequences: &[Cause::AcceptQueue, Cause::SynQueue, Cause::ServerWaits],
    judge,
};

/// How the server keeps further connections out.
#[derive(Clone, Copy, PartialEq)]
enum How {
    /// It closes them, or answers with a status.
    Refuses,
    /// It takes none out of its accept queue any more.
    StopsAccepting,
    /// It accepts them and says nothing.
    NeverAnswers,
    /// It upgrades them and closes them at once.
    ClosesNewest,
}

impl How {
    const fn words(self) -> &'static str {
        match self {
            Self::Refuses => "refused every further connection",
            Self::StopsAccepting => "stopped accepting",
            Self::ClosesNewest => "closed every further connection as soon as it was open",
            Self::NeverAnswers => "accepted further connections and never answered one of them",
        }
    }
}

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let step = trial.failed?;
    let newest = trial.closes_newest();
    if !newest && trial.pattern != FailurePattern::Plateau || trial.ended() {
        return None;
    }
    // A number that is full lets nobody in any more.
    if !newest && trial.keeps_letting_in() {
        return None;
    }
    let answered = trial.share(|error| error.at == FailedAt::Handshake && error.reason.http_status().is_some());
    let refused = trial.share(|error| {
        matches!(error.at, FailedAt::Handshake | FailedAt::Connect)
            && (error.reason.is_broken() || error.reason.http_status().is_some())
    });
    let holds = step.open > 0 && step.held as f64 >= 0.9 * step.open as f64;
    let how = if newest { Some(How::ClosesNewest) } else { how(trial, refused) };
    let how = how.filter(|_| holds)?;
    let open = step.open;
    // Where the platform documents this very number, its own cap is the better guess.
    let documented = trial.distance.as_ref().is_some_and(|it| it.number(open as f64, trial.cell.instances).is_some());
    let round = open.is_multiple_of(50) || open.is_power_of_two();
    let number = if round { ", a round number" } else { "" };
    let seen = if trial.instances().any(|instance| !trial.series.get(instance, Metric::CpuUsage).is_empty()) {
        "while it was idle and no limit of the kernel was met"
    } else {
        "and nothing of it was sampled that would say why"
    };
    Some(Candidate {
        sentence: format!(
            "At {}{number}, the server {} {seen} ({}): a limit in its own configuration or in what stands before it is \
             suspected.",
            format::connections(open as f64),
            how.words(),
            trial.symptom_words()
        ),
        fix: "look for a maximum of connections in the configuration of the server, of a proxy and of the provider"
            .into(),
        evidence: {
            let mut all = trial.failures_evidence();
            let metrics = [Metric::CpuUsage, Metric::ListenQueue, Metric::ListenOverflows, Metric::Descriptors];
            all.extend(trial.instances().flat_map(|instance| trial.all_evidence(instance, &metrics)));
            all.extend(trial.admissions().iter().filter(|last| last.asked_again()).map(Admissions::evidence));
            all
        },
        proof: Proof {
            // A status is the server's own word for it; a reset or a stall may mean anything.
            moved: (answered >= REFUSED || newest && trial.closes_newest_again()) && !documented,
            arithmetic: false,
            timely: true,
            explains: if newest { trial.share(lost) } else { refused.max(trial.share(is_timeout)) },
            onset_ms: trial.first_failure_ms,
        },
    })
}

fn lost(error: &FailureTally) -> bool {
    error.at == FailedAt::Open
}

fn how(trial: &TrialContext<'_>, refused: f64) -> Option<How> {
    let instances = f64::from(trial.cell.instances.max(1));
    // What it did before, to start and to open what it let in, says nothing.
    let from = trial.first_failure_ms.unwrap_or(trial.from);
    let used: Vec<f64> = trial.instances().filter_map(|instance| trial.cores(instance, from, trial.to)).collect();
    if used.iter().sum::<f64>() >= IDLE * instances {
        return None;
    }
    if refused >= REFUSED {
        return Some(How::Refuses);
    }
    if trial.share(is_timeout) < REFUSED || trial.goes_on() == Some(true) {
        return None;
    }
    if queue_stands(trial) {
        return Some(How::StopsAccepting);
    }
    // It takes them out of its queue at once, so it is not slow; a sample may meet one on its way.
    let waits = trial.share(|error| error.at == FailedAt::Handshake && is_timeout(error)) >= REFUSED;
    let empty = |instance: Component| {
        let from = trial.first_failure_ms? + 500.0;
        let points = trial.series.between(instance, Metric::ListenQueue, from, trial.failed?.opened_ms);
        let empty = points.iter().filter(|(_, waiting)| *waiting == 0.0).count();
        Some(!points.is_empty() && 4 * empty >= 3 * points.len())
    };
    let told = trial.goes_on().is_some();
    (waits && told && trial.instances().all(|instance| empty(instance) == Some(true))).then_some(How::NeverAnswers)
}

/// Connections wait in the accept queue of an instance up to the end and none is taken out: nobody accepts any more.
fn queue_stands(trial: &TrialContext<'_>) -> bool {
    let stands = |instance: Component| {
        let from = trial.first_failure_ms? + 500.0;
        let points = trial.series.between(instance, Metric::ListenQueue, from, trial.failed?.opened_ms);
        let (first, last) = (points.first()?.1, points.last()?.1);
        // A client that gives up leaves its connection in the queue, so it never gets shorter by itself.
        Some(points.len() >= 2 && first > 0.0 && last >= first)
    };
    trial.instances().any(|instance| stands(instance) == Some(true))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    #[test]
    fn the_three_forms_of_a_cap_are_suspected() {
        // A1: application cap 500: 204 RST and 296 EOF, or 500 times 503, or 129 and 371 timeouts.
        let close = Fail::plateau(500).error(FailedAt::Handshake, "reset", 204).error(FailedAt::Handshake, "eof", 296);
        let verdict = script().load(1000, 1000).fail(close).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ApplicationCap, 0.30), "{verdict:?}");
        assert!(verdict.sentence.contains("At 500 connections, a round number"), "{}", verdict.sentence);

        let polite = Fail::plateau(500).error(FailedAt::Handshake, "http 503", 500);
        let verdict = script().load(1000, 1000).fail(polite).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ApplicationCap, 0.60));

        let stop =
            Fail::plateau(500).error(FailedAt::Handshake, "timeout", 129).error(FailedAt::Connect, "timeout", 371);
        let verdict = script()
            .load(1000, 1000)
            .fail(stop)
            .set(Component::Instance(0), Metric::ListenQueue, |m| {
                Some(if m.since_trouble_s > 0.0 { 129.0 } else { 0.0 })
            })
            .set(Component::Instance(0), Metric::ListenBacklog, |_| Some(128.0))
            .set(Component::Instance(0), Metric::ListenOverflows, rising(2000.0))
            .verdict();
        assert_eq!((verdict.cause, verdict.runner_up), (Cause::ApplicationCap, None));
        assert!(verdict.sentence.contains("stopped accepting"), "{}", verdict.sentence);
    }

    #[test]
    fn who_accepts_and_never_answers_from_a_number_on_has_a_cap_too() {
        let silent = |waiting: f64, after: u64| {
            let silent = Fail::plateau(800).error(FailedAt::Handshake, "timeout", 200).opened_after(after);
            script().load(500, 1000).good(500).fail(silent).set(
                Component::Instance(0),
                Metric::ListenQueue,
                move |_| Some(waiting),
            )
        };
        let verdict = silent(0.0, 0).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ApplicationCap, 0.30), "{verdict:?}");
        assert!(verdict.sentence.contains("never answered one of them"), "{}", verdict.sentence);
        assert_ne!(cause(silent(0.0, 90)), Cause::ApplicationCap);
    }

    #[test]
    fn what_it_does_for_those_that_it_let_in_is_no_sign_that_it_has_no_time_for_others() {
        // 405 with a message a second each, and 19 % of a core for them; one sample met a connection in the queue.
        let silent = Fail::plateau(405).error(FailedAt::Handshake, "timeout", 395);
        let verdict = script()
            .load(800, 800)
            .rate(300.0)
            .fail(silent)
            .set(Component::Instance(0), Metric::CpuUsage, |m| Some(m.t_ms * 190.0))
            .set(Component::Instance(0), Metric::ListenQueue, |m| {
                Some(f64::from((0.5..0.8).contains(&m.since_trouble_s)))
            })
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ApplicationCap, 0.30), "{verdict:?}");
    }

    #[test]
    fn who_closes_the_newest_at_once_and_keeps_the_older_ones_has_a_cap_too() {
        let closes = || script().load(200, 1000).good_up_to(600).fail(Fail::closes_newest(700, "close 1013"));
        let verdict = closes().verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ApplicationCap, 0.30), "{verdict:?}");
        assert!(verdict.sentence.contains("closed every further connection"), "{}", verdict.sentence);
        // Older connections that go too are closed for their age.
        let old = script().load(1500, 5000).rate(500.0).fail(Fail::lifetime(2.0, "close 1013"));
        assert_eq!(cause(old), Cause::Lifetime);
    }

    #[test]
    fn a_queue_that_nobody_empties_need_not_be_full() {
        // 50 connections stand in a queue of 64 and wait until they give up.
        let stop = |standing: fn(f64) -> f64| {
            let stop = Fail::plateau(350).error(FailedAt::Handshake, "timeout", 50);
            script()
                .load(400, 800)
                .fail(stop)
                .set(Component::Instance(0), Metric::ListenQueue, move |m| Some(standing(m.since_trouble_s)))
                .set(Component::Instance(0), Metric::ListenBacklog, |_| Some(64.0))
        };
        assert_eq!(cause(stop(|since_s| if since_s > 0.0 { 50.0 } else { 0.0 })), Cause::ApplicationCap);
        assert_ne!(cause(stop(|since_s| (50.0 - 10.0 * since_s).clamp(0.0, 50.0))), Cause::ApplicationCap);
    }

    #[test]
    fn a_busy_server_is_not_accused_of_a_cap() {
        let fail = Fail::plateau(500).error(FailedAt::Handshake, "reset", 500);
        let busy = script()
            .load(1000, 1000)
            .fail(fail)
            .set(Component::Instance(0), Metric::CpuUsage, |m| Some(m.t_ms * 900.0));
        assert_eq!(cause(busy), Cause::Unknown);
    }
}
