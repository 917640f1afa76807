//! What stopped a trial, with the evidence.
//!
//! `judge` asks every rule of `rules/` whether it fires on the facts of a trial, drops those that are consequences
//! of another one that fired, and takes the surest of the rest. `docs/limits.md` describes each cause under the name
//! that the rule has here. A verdict is a pure function of the record.

use std::fmt::Write as _;

use crate::context::TrialContext;
use crate::headroom;
use crate::pattern::FailurePattern;
use crate::remote;
use crate::rules::{self, Candidate, Rule};
use crate::verdict::{Evidence, Link, Verdict, confidence};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Outcome, log_patterns};

/// Judges a trial: `None` where nothing was driven, so that there is nothing to judge.
pub(crate) fn judge(trial: &TrialContext<'_>) -> Option<Verdict> {
    if trial.record.outcome == Outcome::Ok {
        return Some(reached(trial));
    }
    if let Some(candidate) = (rules::FIRST.judge)(trial) {
        // The server is not judged by what a client could not ask of it.
        return Some(verdict(trial, rules::FIRST.cause, candidate, None));
    }
    let mut verdict = judge_server(trial)?;
    quote_log(trial, &mut verdict);
    remote::add(trial, &mut verdict);
    headroom::add(trial, &mut verdict);
    Some(verdict)
}

/// Where no counter decides, what a log said at that moment is where a person looks first. It proves nothing.
fn quote_log(trial: &TrialContext<'_>, verdict: &mut Verdict) {
    if verdict.confidence > confidence::SYMPTOM || verdict.evidence.iter().any(Evidence::is_log) {
        return;
    }
    let Some((component, line)) = trial.log_line(&log_patterns::all().collect::<Vec<_>>()) else { return };
    let _ = write!(verdict.sentence, " Meanwhile the log of {component} said: `{line}`.");
    verdict.evidence.push(Evidence::log_line(component, line));
}

/// Judges what is not the client's.
fn judge_server(trial: &TrialContext<'_>) -> Option<Verdict> {
    trial.failed?;
    if trial.record.outcome == Outcome::Invalid {
        return None;
    }
    let mut fired: Vec<(&Rule, Candidate)> =
        rules::rules().filter_map(|rule| Some((rule, ask(rule, trial)?))).collect();
    fired.sort_by(|(_, a), (_, b)| {
        let sure = b.proof.confidence().total_cmp(&a.proof.confidence());
        sure.then_with(|| earlier(a, b))
    });
    let explained = |rule: &Rule, candidate: &Candidate| {
        fired.iter().any(|(root, by)| root.consequences.contains(&rule.cause) && explains(by, rule.cause, candidate))
    };
    let roots: Vec<bool> = fired.iter().map(|(rule, candidate)| !explained(rule, candidate)).collect();
    let (roots, followed): (Vec<_>, Vec<_>) = fired.into_iter().zip(roots).partition(|(_, root)| *root);
    let mut roots = roots.into_iter().map(|(fired, _)| fired);
    let Some((rule, mut first)) = roots.next() else {
        let left = |rule: &&Rule| Some(verdict(trial, rule.cause, ask(rule, trial)?, None));
        return Some(rules::LAST.iter().find_map(left).unwrap_or_else(|| unknown(trial)));
    };
    let chain = chain(rule, followed.into_iter().map(|(fired, _)| fired));
    if !chain.is_empty() {
        let named: Vec<String> = chain.iter().map(|link| link.cause.to_string()).collect();
        let _ = write!(first.sentence, " What else was seen follows from it: {}.", named.join(", then "));
    }
    let next = roots.find(|(other, _)| !rule.consequences.contains(&other.cause)).map(|(rule, second)| {
        let both = first.proof.onset_ms.zip(second.proof.onset_ms).is_some_and(|(a, b)| (a - b).abs() <= 1000.0);
        if both && second.proof.confidence() >= confidence::MOVED {
            let _ = write!(
                first.sentence,
                " At the same moment `{}` was met: raising one may only meet the other.",
                rule.cause
            );
        }
        (rule.cause, second.proof.confidence())
    });
    Some(Verdict { chain, ..verdict(trial, rule.cause, first, next) })
}

/// Causes that say what happened to a server, and not why: sure as they may be, they can follow from anything.
const HAPPENINGS: [Cause; 9] = [
    Cause::Crash,
    Cause::PathDied,
    Cause::Hang,
    Cause::AcceptQueue,
    Cause::SynQueue,
    Cause::ApplicationCap,
    Cause::MemoryPressure,
    Cause::ServerWaits,
    Cause::Lifetime,
];

/// Whether what fired explains another cause away that may follow from it: it is at least as sure; or its counter moved,
/// and the other one only says what happened, or began no earlier. A guess explains nothing that is surer.
fn explains(by: &Candidate, cause: Cause, other: &Candidate) -> bool {
    let earlier = match (by.proof.onset_ms, other.proof.onset_ms) {
        (Some(by), Some(other)) => by <= other + 1000.0,
        _ => false,
    };
    by.proof.confidence() >= other.proof.confidence()
        || by.proof.confidence() >= confidence::MOVED && (HAPPENINGS.contains(&cause) || earlier)
}

/// What followed from a root: what follows from another one of them behind it, and else in the order in which it began.
fn chain<'a>(root: &Rule, followed: impl Iterator<Item = (&'a Rule, Candidate)>) -> Vec<Link> {
    let follows: Vec<_> = followed.filter(|(rule, _)| root.consequences.contains(&rule.cause)).collect();
    let behind = |cause: Cause| follows.iter().filter(|(other, _)| other.consequences.contains(&cause)).count();
    let mut links: Vec<(usize, Link)> = follows
        .iter()
        .map(|(rule, candidate)| (behind(rule.cause), Link { cause: rule.cause, onset_ms: candidate.proof.onset_ms }))
        .collect();
    links.sort_by(|(behind_a, a), (behind_b, b)| {
        let began = |link: &Link| link.onset_ms.unwrap_or(f64::MAX);
        behind_a.cmp(behind_b).then_with(|| began(a).total_cmp(&began(b)))
    });
    links.into_iter().map(|(_, link)| link).collect()
}

/// The verdict that one rule alone would give, for a cause that was not the first.
pub(crate) fn judge_as(trial: &TrialContext<'_>, cause: Cause) -> Option<Verdict> {
    let mut verdict = verdict(trial, cause, ask(rules::rule(cause)?, trial)?, None);
    remote::add(trial, &mut verdict);
    Some(verdict)
}

/// Asks a rule, and takes back what cannot be known from a distance.
fn ask(rule: &Rule, trial: &TrialContext<'_>) -> Option<Candidate> {
    let mut candidate = (rule.judge)(trial)?;
    remote::weaken(trial, rule.cause, &mut candidate);
    Some(candidate)
}

/// Of two roots the one whose counter moved earlier, unless both moved within a second.
fn earlier(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    match (a.proof.onset_ms, b.proof.onset_ms) {
        (Some(a), Some(b)) if (a - b).abs() > 1000.0 => a.total_cmp(&b),
        _ => std::cmp::Ordering::Equal,
    }
}

fn verdict(trial: &TrialContext<'_>, cause: Cause, found: Candidate, runner_up: Option<(Cause, f64)>) -> Verdict {
    Verdict {
        pattern: trial.pattern,
        cause,
        sentence: found.sentence,
        fix: Some(found.fix),
        confidence: found.proof.confidence(),
        evidence: found.evidence,
        onset_ms: found.proof.onset_ms.or(trial.first_failure_ms),
        runner_up,
        chain: Vec::new(),
        seen: trial.seen_words(),
    }
}

fn reached(trial: &TrialContext<'_>) -> Verdict {
    let held = trial.record.ceiling.map_or(0, |bracket| bracket.last_good);
    let sentence = format!(
        "No ceiling found: all of {} were held, so it is at least that many.",
        format::connections(held as f64)
    );
    Verdict {
        pattern: FailurePattern::Reached,
        cause: Cause::None,
        sentence,
        fix: None,
        confidence: confidence::MATCHED,
        evidence: Vec::new(),
        onset_ms: None,
        runner_up: None,
        chain: Vec::new(),
        seen: None,
    }
}

/// An honest answer: what was seen, and that nothing explains it.
fn unknown(trial: &TrialContext<'_>) -> Verdict {
    let seen = trial.symptom_words();
    let sentence = format!(
        "Stopped at {}: {seen}. No counter that was read explains it.",
        format::connections(trial.held_at_failure())
    );
    let mut evidence = trial.failures_evidence();
    evidence.extend(trial.overview_evidence());
    Verdict {
        pattern: trial.pattern,
        cause: Cause::Unknown,
        sentence,
        fix: None,
        confidence: confidence::SYMPTOM,
        evidence,
        onset_ms: trial.first_failure_ms,
        runner_up: None,
        chain: Vec::new(),
        seen: trial.seen_words(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fail, Judged as _, rising, script};
    use wsceiling_model::record::{Component, FailedAt, Metric};

    const SERVER: Component = Component::Instance(0);

    #[test]
    fn a_trial_that_reached_its_load_has_no_cause() {
        let verdict = script().good_up_to(2000).verdict();
        assert_eq!((verdict.cause, verdict.pattern, verdict.confidence), (Cause::None, FailurePattern::Reached, 0.85));
        assert!(verdict.sentence.contains("2,000 connections"), "{}", verdict.sentence);
    }

    #[test]
    fn what_nothing_explains_is_unknown_with_its_failures_as_evidence() {
        let fail = Fail::plateau(1213).error(FailedAt::Handshake, "wrong accept key", 287);
        let verdict = script().good(1000).fail(fail).verdict();
        assert_eq!((verdict.cause, verdict.confidence, &verdict.fix), (Cause::Unknown, 0.30, &None));
        assert_eq!(verdict.evidence[0].after.as_deref(), Some("287"));
        assert!(verdict.sentence.contains("287 handshake wrong accept key"), "{}", verdict.sentence);
    }

    #[test]
    fn two_roots_at_one_moment_are_both_named() {
        let fail = Fail::plateau(298).error(FailedAt::Handshake, "reset", 302);
        let verdict = script()
            .load(600, 600)
            .fail(fail)
            .set(SERVER, Metric::PidsMaxEvents, rising(302.0))
            .set(SERVER, Metric::AbortOnMemory, rising(90.0))
            .verdict();
        assert_eq!(verdict.cause, Cause::PidsLimit);
        assert_eq!(verdict.runner_up, Some((Cause::TcpMemory, 0.60)));
        assert!(verdict.sentence.contains("`tcp-memory` was met"), "{}", verdict.sentence);
    }

    #[test]
    fn what_the_log_said_meanwhile_is_quoted_where_nothing_is_proved() {
        let fail = || Fail::plateau(215).error(FailedAt::Handshake, "eof", 185);
        let line = "RuntimeError: can't start new thread";
        let verdict = script().load(200, 400).good(200).fail(fail()).log(line).verdict();
        assert_eq!(verdict.confidence.to_bits(), 0.30_f64.to_bits());
        assert!(verdict.sentence.contains(line), "{}", verdict.sentence);
        assert!(verdict.evidence.iter().any(Evidence::is_log));
    }

    #[test]
    fn a_guess_explains_nothing_that_is_surer() {
        let candidate = |moved, onset_ms| Candidate {
            sentence: String::new(),
            fix: String::new(),
            evidence: Vec::new(),
            proof: rules::Proof { moved, arithmetic: false, timely: true, explains: 1.0, onset_ms },
        };
        let (guess, moved) = (candidate(false, Some(0.0)), candidate(true, Some(0.0)));
        assert!(!explains(&guess, Cause::AcceptQueue, &moved));
        assert!(explains(&moved, Cause::AcceptQueue, &guess) && explains(&guess, Cause::Hang, &guess));
        let sure = |onset_ms| Candidate {
            proof: rules::Proof { arithmetic: true, onset_ms, ..moved.proof.clone() },
            ..moved.clone()
        };
        // A full core that came before the full table did not come of it; an end did, whenever it was seen.
        assert!(explains(&moved, Cause::SingleThread, &sure(Some(500.0))));
        assert!(!explains(&moved, Cause::SingleThread, &sure(Some(-5000.0))));
        assert!(explains(&moved, Cause::Crash, &sure(Some(-5000.0))));
    }

    #[test]
    fn losses_of_a_slow_server_are_its_slowness_and_not_a_lifetime() {
        // The app drops slow readers while its quota is used up.
        let fail = Fail::late(900_000).held(0.9).error(FailedAt::Open, "close 1008", 40);
        let verdict = script()
            .size(|size| size.cpus = Some(0.5))
            .good(1000)
            .fail(fail)
            .set(SERVER, Metric::CpuPeriods, |m| Some(m.since_failed_s.max(0.0) * 10.0))
            .set(SERVER, Metric::CpuThrottledPeriods, |m| Some(m.since_failed_s.max(0.0) * 9.0))
            .set(SERVER, Metric::CpuUsage, |m| Some(m.since_failed_s.max(0.0) * 0.5e6))
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::CpuQuota, 0.85), "{verdict:?}");
    }

    #[test]
    fn a_counter_of_the_whole_machine_that_did_not_move_accuses_nobody() {
        // Overflows, retransmissions and kills from before the trial stand in the counters and mean nothing.
        let fail = Fail::plateau(1200).error(FailedAt::Handshake, "wrong accept key", 300);
        let verdict = script()
            .good(1000)
            .fail(fail)
            .set(SERVER, Metric::ListenOverflows, |_| Some(5000.0))
            .set(SERVER, Metric::PidsMaxEvents, |_| Some(12.0))
            .set(SERVER, Metric::AbortOnMemory, |_| Some(3.0))
            .set(Component::Host, Metric::HostOomKills, |_| Some(8.0))
            .verdict();
        assert_eq!(verdict.cause, Cause::Unknown);
    }
}
