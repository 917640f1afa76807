//! Connections are closed from outside after a fixed time: open settles at rate x lifetime.

use super::{Candidate, Evidence, Facts, Proof, Rule, Shape, words};
use wsceiling_model::record::{Component, FailedAt, Metric};

/// Share of the losses that the opening, moved by the lifetime, must give.
const LITTLE: f64 = 0.10;

pub(super) const RULE: Rule =
    Rule { cause: "lifetime-limit", consequences: &["path-died", "application-cap", "hang"], judge };

fn judge(facts: &Facts<'_>) -> Option<Candidate> {
    let step = facts.failed?;
    let steady = matches!(facts.shape, Shape::Churn | Shape::Collapse | Shape::Sawtooth | Shape::Plateau);
    if step.lost == 0 || !steady || facts.exits().next().is_some() {
        return None;
    }
    // What fails before it is open has another cause.
    let explains = facts.share(|error| error.at == FailedAt::Open);
    if explains < 0.8 {
        return None;
    }
    let (first_lost, opened_first) = (first_lost_ms(facts)?, opened_first_ms(facts)?);
    let lifetime_ms = first_lost - opened_first;
    let arithmetic = follows(facts, opened_first, lifetime_ms);
    if facts.shape != Shape::Churn && !arithmetic {
        return None;
    }
    let lost = step.errors.iter().filter(|error| error.at == FailedAt::Open);
    let how: Vec<String> = lost.map(|error| error.reason.to_string()).collect();
    let life = words::micros(lifetime_ms * 1e3);
    let sentence = if arithmetic {
        format!(
            "Connections were closed from outside about {life} after they opened ({}), and none failed to open: at {} a \
             second that leaves about {}.",
            how.join(", "),
            words::count(step.requested_per_s),
            words::connections(facts.held_at_failure()),
        )
    } else {
        format!(
            "{} open connections were closed from outside ({}), and none failed to open.",
            words::count(step.lost as f64),
            how.join(", ")
        )
    };
    Some(Candidate {
        sentence,
        fix:
            "send pings or messages more often than the idle timeout, or raise the timeout of the server or the proxy \
              before it"
                .into(),
        evidence: evidence(facts),
        // Without the arithmetic it is losses and no more: a server that drops slow readers looks like that too.
        proof: Proof { moved: arithmetic, arithmetic, timely: true, explains, onset_ms: Some(first_lost) },
    })
}

/// How long connections live before they are closed from outside: from the first opening to the first loss.
pub(crate) fn lifetime_ms(facts: &Facts<'_>) -> Option<f64> {
    Some(first_lost_ms(facts)? - opened_first_ms(facts)?)
}

fn first_lost_ms(facts: &Facts<'_>) -> Option<f64> {
    let lost = facts.failed?.errors.iter().filter(|error| error.at == FailedAt::Open);
    lost.map(|error| error.first_ms as f64).min_by(f64::total_cmp)
}

fn opened_first_ms(facts: &Facts<'_>) -> Option<f64> {
    let launch = facts.failed?.launch;
    Some(facts.record.steps.iter().find(|other| other.launch == launch)?.started_ms)
}

/// Whether what was lost by each moment is what had been opened one lifetime before it.
fn follows(facts: &Facts<'_>, opened_first: f64, lifetime_ms: f64) -> bool {
    let lost = |t| facts.tracks.at(Component::Generator, Metric::Lost, t);
    let opened = |t: f64| Some(facts.tracks.at(Component::Generator, Metric::Open, t)? + lost(t)?);
    let begin = opened_first + lifetime_ms;
    // Halfway and at the end: a collapse loses all at once, a lifetime in the order in which they opened.
    let sampled = facts.tracks.get(Component::Generator, Metric::Lost).last().map_or(facts.to, |(t, _)| *t);
    let end = facts.to.min(facts.failed.map_or(facts.to, |step| step.ended_ms)).min(sampled);
    let quiet = lost(begin - 250.0).unwrap_or(0.0);
    let gone_at_once =
        opened(begin).is_some_and(|all| lost(begin + 500.0).is_some_and(|gone| gone - quiet > 0.9 * all));
    let life_s = lifetime_ms / 1e3;
    let same = |t: f64| {
        let (Some(gone), Some(before)) = (lost(t), opened(t - lifetime_ms)) else { return false };
        before > 0.0 && (gone - quiet - before).abs() <= LITTLE * before.max(gone)
    };
    life_s > 0.0 && end > begin && !gone_at_once && same(f64::midpoint(begin, end)) && same(end)
}

fn evidence(facts: &Facts<'_>) -> Vec<Evidence> {
    let mut all = facts.failures_evidence();
    all.extend(facts.all_evidence(Component::Generator, &[Metric::Lost, Metric::Open]));
    all
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fail, Judged as _, cause, script};
    use wsceiling_model::record::FailedAt;

    #[test]
    fn a_timeout_of_three_seconds_holds_rate_times_three() {
        // I1: 500 a second, each closed after 3 s, none failed.
        let verdict = script().load(1500, 5000).rate(500.0).fail(Fail::lifetime(2.0, "eof")).verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("lifetime-limit", 0.85), "{}", verdict.sentence);
        assert!(verdict.sentence.contains("2.00 s after they opened"), "{}", verdict.sentence);
    }

    #[test]
    fn a_short_lifetime_is_a_churn_though_all_that_are_open_are_lost_within_two_seconds() {
        let verdict = script().load(1000, 1000).rate(200.0).fail(Fail::lifetime(2.0, "eof")).verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("lifetime-limit", 0.85), "{}", verdict.sentence);
        assert_eq!(verdict.shape, crate::cause::Shape::Churn);
    }

    #[test]
    fn all_at_once_is_not_a_lifetime() {
        let fail = Fail::collapse(1300).error(FailedAt::Open, "eof", 1300);
        assert_ne!(cause(script().good(1000).fail(fail)), "lifetime-limit");
    }
}
