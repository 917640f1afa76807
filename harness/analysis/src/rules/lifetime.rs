//! Connections are closed from outside after a fixed time: open settles at rate x lifetime.

use super::rule::{Candidate, Proof, Rule};
use super::timeout::Timeout;
use crate::context::TrialContext;
use crate::pattern::FailurePattern;
use crate::verdict::Evidence;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

/// Share of the losses that the opening, moved by the lifetime, must give.
const LITTLE: f64 = 0.10;

pub(super) const RULE: Rule =
    Rule { cause: Cause::Lifetime, consequences: &[Cause::PathDied, Cause::ApplicationCap, Cause::Hang], judge };

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let step = trial.failed?;
    let steady = matches!(
        trial.pattern,
        FailurePattern::Churn | FailurePattern::Collapse | FailurePattern::Sawtooth | FailurePattern::Plateau
    );
    if step.lost == 0 || !steady || trial.ended() {
        return None;
    }
    // What fails before it is open has another cause.
    let explains = trial.share(|error| error.at == FailedAt::Open);
    // What is closed for its size is not closed for its age.
    if explains < 0.8 || trial.too_big() >= 0.8 {
        return None;
    }
    let (first_lost, opened_first) = (trial.first_lost_ms()?, trial.first_opened_ms()?);
    let lifetime_ms = first_lost - opened_first;
    let timeout = Timeout::of_step(trial);
    let arithmetic = follows(trial, opened_first, lifetime_ms) || timeout.is_some();
    // Who closes only the newest does so for their number. Steps that open at one rate lose in each what the step before
    // opened, so the arithmetic fits by chance.
    if trial.closes_newest() || !arithmetic && trial.pattern != FailurePattern::Churn {
        return None;
    }
    let lost = step.errors.iter().filter(|error| error.at == FailedAt::Open);
    let how: Vec<String> = lost.map(|error| error.reason.to_string()).collect();
    let life = format::micros(lifetime_ms * 1e3);
    let sentence = if let Some(timeout) = timeout {
        let documented = timeout.documented(trial.distance.as_ref()).map_or(String::new(), |row| format!(" {row}."));
        format!(
            "{} ({}), and none failed to open.{documented}",
            timeout.sentence().trim_end_matches('.'),
            how.join(", ")
        )
    } else if arithmetic {
        format!(
            "Connections were closed from outside about {life} after they opened ({}), and none failed to open: at {} a \
             second that leaves about {}.",
            how.join(", "),
            format::whole(step.requested_per_s),
            format::connections(trial.held_at_failure()),
        )
    } else {
        format!(
            "{} open connections were closed from outside ({}), and none failed to open.",
            format::whole(step.lost as f64),
            how.join(", ")
        )
    };
    Some(Candidate {
        sentence,
        fix:
            "send pings or messages more often than the idle timeout, or raise the timeout of the server or the proxy \
              before it"
                .into(),
        evidence: evidence(trial),
        // Without the arithmetic it is losses and no more: a server that drops slow readers looks like that too.
        proof: Proof { moved: arithmetic, arithmetic, timely: true, explains, onset_ms: Some(first_lost) },
    })
}

/// Whether what was lost by each moment is what had been opened one lifetime before it.
fn follows(trial: &TrialContext<'_>, opened_first: f64, lifetime_ms: f64) -> bool {
    let lost = |t| trial.series.at(Component::Generator, Metric::Lost, t);
    let opened = |t: f64| Some(trial.series.at(Component::Generator, Metric::Open, t)? + lost(t)?);
    let begin = opened_first + lifetime_ms;
    // Halfway and at the end: a collapse loses all at once, a lifetime in the order in which they opened.
    let sampled = trial.series.get(Component::Generator, Metric::Lost).last().map_or(trial.to, |(t, _)| *t);
    let end = trial.to.min(trial.failed.map_or(trial.to, |step| step.ended_ms)).min(sampled);
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

fn evidence(trial: &TrialContext<'_>) -> Vec<Evidence> {
    let mut all = trial.failures_evidence();
    all.extend(trial.ages_evidence());
    all.extend(trial.all_evidence(Component::Generator, &[Metric::Lost, Metric::Open]));
    all
}

#[cfg(test)]
mod tests {
    use crate::pattern::FailurePattern;
    use crate::testing::{Fail, Judged as _, cause, script};
    use wsceiling_model::record::{Cause, FailedAt};

    #[test]
    fn a_timeout_of_three_seconds_holds_rate_times_three() {
        // I1: 500 a second, each closed after 3 s, none failed.
        let verdict = script().load(1500, 5000).rate(500.0).fail(Fail::lifetime(2.0, "eof")).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Lifetime, 0.85), "{}", verdict.sentence);
        assert!(verdict.sentence.contains("2.00 s after they opened"), "{}", verdict.sentence);
    }

    #[test]
    fn a_short_lifetime_is_a_churn_though_all_that_are_open_are_lost_within_two_seconds() {
        let verdict = script().load(1000, 1000).rate(200.0).fail(Fail::lifetime(2.0, "eof")).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Lifetime, 0.85), "{}", verdict.sentence);
        assert_eq!(verdict.pattern, FailurePattern::Churn);
    }

    #[test]
    fn all_at_once_is_not_a_lifetime() {
        let fail = Fail::collapse(1300).error(FailedAt::Open, "eof", 1300);
        assert_ne!(cause(script().good(1000).fail(fail)), Cause::Lifetime);
    }
}
