//! What stopped a trial, with the evidence.
//!
//! `judge` asks every rule of `rules/` whether it fires on the facts of a trial, drops those that are consequences
//! of another one that fired, and takes the surest of the rest. `docs/limits.md` describes each cause under the name
//! that the rule has here. A verdict is a pure function of the record.

mod demand;
mod facts;
mod proof;
mod rules;
#[cfg(test)]
pub(super) use rules::testing;
mod symptoms;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

pub(crate) use facts::Facts;
use proof::Candidate;
pub(crate) use proof::{CONFIRMED, REJECTED};
use rules::RULES;
pub(crate) use rules::lifetime_ms;

use super::words;
use wsceiling_model::record::{Component, Outcome};

/// What stopped a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How the connections went.
    pub shape: Shape,
    /// Short, stable name of the cause: `memory-limit`, `cpu-quota`, `client-limited`, `none`, `unknown`, ...
    pub cause: String,
    /// The sentence for a person.
    pub sentence: String,
    /// What to do about it.
    pub fix: Option<String>,
    /// 0.30 symptom only, 0.60 its counter moved, 0.85 arithmetic and onset match, 0.97 confirmed by an intervention.
    pub confidence: f64,
    /// Counters that prove it.
    pub evidence: Vec<Evidence>,
    /// Moment of the cause, milliseconds since the trial's start.
    pub onset_ms: Option<f64>,
    /// The next best cause and its confidence.
    pub runner_up: Option<(String, f64)>,
}

/// How the connections of a trial went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// All that was asked for was held.
    Reached,
    /// As many close as open, without failures.
    Churn,
    /// Open stays level while attempts fail.
    Plateau,
    /// Open still rises, far slower than asked.
    Slope,
    /// At least half of the open connections are lost within 2 s.
    Collapse,
    /// A collapse, then a rise.
    Sawtooth,
}

/// A counter that speaks for a cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Whose.
    pub component: Component,
    /// Name of the counter or fact.
    pub name: String,
    /// Before and after, as text with units; `None`: not read at that moment.
    pub before: Option<String>,
    /// See [`Self::before`].
    pub after: Option<String>,
    /// Where it was read.
    pub source: String,
}

/// Judges a trial: `None` where nothing was driven, so that there is nothing to judge.
pub(crate) fn judge(facts: &Facts<'_>) -> Option<Verdict> {
    if facts.record.outcome == Outcome::Ok {
        return Some(reached(facts));
    }
    let client = rules::CLIENT_LIMITED;
    if let Some(candidate) = (client.judge)(facts) {
        // The server is not judged by what a client could not ask of it.
        return Some(verdict(facts, client.cause, candidate, None));
    }
    let mut verdict = judge_server(facts)?;
    demand::add(facts, &mut verdict);
    Some(verdict)
}

/// Judges what is not the client's.
fn judge_server(facts: &Facts<'_>) -> Option<Verdict> {
    facts.failed?;
    if facts.record.outcome == Outcome::Invalid {
        return None;
    }
    let mut fired: Vec<(usize, Candidate)> =
        RULES.iter().enumerate().filter_map(|(order, rule)| Some((order, (rule.judge)(facts)?))).collect();
    let dropped: Vec<&str> = fired.iter().flat_map(|(order, _)| RULES[*order].consequences.iter().copied()).collect();
    fired.retain(|(order, _)| !dropped.contains(&RULES[*order].cause));
    fired.sort_by(|(order_a, a), (order_b, b)| {
        let sure = b.proof.confidence().total_cmp(&a.proof.confidence());
        sure.then_with(|| earlier(a, b)).then(order_a.cmp(order_b))
    });
    let mut fired = fired.into_iter();
    let Some((order, mut first)) = fired.next() else {
        let left = |rule: &rules::Rule| Some(verdict(facts, rule.cause, (rule.judge)(facts)?, None));
        return Some(rules::LAST.iter().find_map(left).unwrap_or_else(|| unknown(facts)));
    };
    let next = fired.next().map(|(order, second)| {
        let both = first.proof.onset_ms.zip(second.proof.onset_ms).is_some_and(|(a, b)| (a - b).abs() <= 1000.0);
        if both && second.proof.confidence() >= proof::MOVED {
            let _ = write!(
                first.sentence,
                " At the same moment `{}` was met: raising one may only meet the other.",
                RULES[order].cause
            );
        }
        (RULES[order].cause.to_owned(), second.proof.confidence())
    });
    Some(verdict(facts, RULES[order].cause, first, next))
}

/// The verdict that one rule alone would give, for a cause that was not the first.
pub(crate) fn judge_as(facts: &Facts<'_>, cause: &str) -> Option<Verdict> {
    let rule = RULES.iter().find(|rule| rule.cause == cause)?;
    Some(verdict(facts, rule.cause, (rule.judge)(facts)?, None))
}

/// Of two roots the one whose counter moved earlier, unless both moved within a second.
fn earlier(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    match (a.proof.onset_ms, b.proof.onset_ms) {
        (Some(a), Some(b)) if (a - b).abs() > 1000.0 => a.total_cmp(&b),
        _ => std::cmp::Ordering::Equal,
    }
}

fn verdict(facts: &Facts<'_>, cause: &str, found: Candidate, runner_up: Option<(String, f64)>) -> Verdict {
    Verdict {
        shape: facts.shape,
        cause: cause.into(),
        sentence: found.sentence,
        fix: Some(found.fix),
        confidence: found.proof.confidence(),
        evidence: found.evidence,
        onset_ms: found.proof.onset_ms.or(facts.first_failure_ms),
        runner_up,
    }
}

fn reached(facts: &Facts<'_>) -> Verdict {
    let held = facts.record.ceiling.map_or(0, |bracket| bracket.last_good);
    let sentence =
        format!("No ceiling found: all of {} were held, so it is at least that many.", words::connections(held as f64));
    Verdict {
        shape: Shape::Reached,
        cause: "none".into(),
        sentence,
        fix: None,
        confidence: proof::MATCHED,
        evidence: Vec::new(),
        onset_ms: None,
        runner_up: None,
    }
}

/// An honest answer: what was seen, and that nothing explains it.
fn unknown(facts: &Facts<'_>) -> Verdict {
    let seen = facts.symptom_words();
    let sentence = format!(
        "Stopped at {}: {seen}. No counter that was read explains it.",
        words::connections(facts.held_at_failure())
    );
    let mut evidence = facts.failures_evidence();
    evidence.extend(facts.overview_evidence());
    Verdict {
        shape: facts.shape,
        cause: "unknown".into(),
        sentence,
        fix: None,
        confidence: proof::SYMPTOM,
        evidence,
        onset_ms: facts.first_failure_ms,
        runner_up: None,
    }
}

#[cfg(test)]
mod tests {
    use super::rules::testing::{Fail, Judged as _, rising, script};
    use super::*;
    use wsceiling_model::record::{FailedAt, Metric};

    const SERVER: Component = Component::Instance(0);

    #[test]
    fn a_trial_that_reached_its_load_has_no_cause() {
        let verdict = script().good_up_to(2000).verdict();
        assert_eq!((verdict.cause.as_str(), verdict.shape, verdict.confidence), ("none", Shape::Reached, 0.85));
        assert!(verdict.sentence.contains("2,000 connections"), "{}", verdict.sentence);
    }

    #[test]
    fn what_nothing_explains_is_unknown_with_its_failures_as_evidence() {
        let fail = Fail::plateau(1213).error(FailedAt::Handshake, "wrong accept key", 287);
        let verdict = script().good(1000).fail(fail).verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence, &verdict.fix), ("unknown", 0.30, &None));
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
        assert_eq!(verdict.cause, "pids-limit");
        assert_eq!(verdict.runner_up, Some(("tcp-memory".into(), 0.60)));
        assert!(verdict.sentence.contains("`tcp-memory` was met"), "{}", verdict.sentence);
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
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("cpu-quota", 0.85), "{verdict:?}");
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
        assert_eq!(verdict.cause, "unknown");
    }
}
