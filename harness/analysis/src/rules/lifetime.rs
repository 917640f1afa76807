//! Connections are closed from outside at a certain age, all at one or each at its own: open settles at rate x lifetime.

use super::rule::{Candidate, Proof, Rule};
use super::timeout::Timeout;
use crate::context::TrialContext;
use crate::pattern::FailurePattern;
use crate::verdict::Evidence;
use wsceiling_model::format;
use wsceiling_model::record::{AgeCounts, Cause, Component, FailedAt, Metric};

/// Share of the losses that the opening, moved by the lifetime, must give.
const LITTLE: f64 = 0.10;
/// Lost connections below which their ages tell nothing.
const FEW: u64 = 20;
/// The youngest age at which some are lost, as a share of the oldest: a time with up to 60 % more or less.
const SPREAD: f64 = 0.25;
/// Share of the connections that must be gone by the oldest age that was seen.
const MOST: f64 = 0.5;

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
    let exact = timeout.is_some() || follows(trial, opened_first, lifetime_ms);
    let ages = by_age(trial).filter(|_| !exact);
    let arithmetic = exact || ages.is_some();
    // Who closes only the newest does so for their number. Steps that open at one rate lose in each what the step before
    // opened, so the arithmetic fits by chance.
    if trial.closes_newest() || !arithmetic && trial.pattern != FailurePattern::Churn {
        return None;
    }
    let lost = step.errors.iter().filter(|error| error.at == FailedAt::Open);
    let how: Vec<String> = lost.map(|error| error.reason.to_string()).collect();
    let time = |ms: f64| format::micros(ms * 1e3);
    let life = match ages {
        Some((least, most)) => format!("{} to {}", time(least), time(most)),
        None => format!("about {}", time(lifetime_ms)),
    };
    let sentence = if let Some(timeout) = timeout {
        let documented = timeout.documented(trial.distance.as_ref()).map_or(String::new(), |row| format!(" {row}."));
        format!(
            "{} ({}), and none failed to open.{documented}",
            timeout.sentence().trim_end_matches('.'),
            how.join(", ")
        )
    } else if arithmetic {
        format!(
            "Connections were closed from outside {life} after they opened ({}), and none failed to open: at {} a \
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

/// Ages below and above which few of the lost ones were, in milliseconds, if the ages tell that each connection has its
/// time: the losses of each moment follow from the openings and from how many live how long.
fn by_age(trial: &TrialContext<'_>) -> Option<(f64, f64)> {
    let step = trial.failed?;
    let (lost, open) = (&step.lost_ages.iter().map(|lost| &lost.age.counts).sum::<AgeCounts>(), &step.open_ages);
    let (least, most) = (f64::from(lost.quantile(0.05)?), f64::from(lost.quantile(0.95)?));
    let gone = gone_by_age(lost, open);
    let (_, in_the_end) = *gone.last()?;
    // Any age does for who is dropped at random; where only some are closed at that age, age is not why.
    if lost.count() < FEW || least < SPREAD * most || in_the_end < MOST {
        return None;
    }
    let counted = |t: f64| trial.series.at(Component::Generator, Metric::Lost, t);
    let opened = |t: f64| Some(trial.series.at(Component::Generator, Metric::Open, t)? + counted(t)?);
    let before = counted(step.started_ms).unwrap_or(0.0);
    let predicted = |t: f64| {
        let mut already = 0.0;
        let each = gone.iter().map(|(age_ms, share)| {
            let more = share - std::mem::replace(&mut already, *share);
            more * opened(t - age_ms).unwrap_or(0.0)
        });
        each.sum::<f64>()
    };
    let sampled = trial.series.get(Component::Generator, Metric::Lost).last()?.0;
    let (from, to) = (trial.first_lost_ms()?, step.ended_ms.min(sampled));
    let same = |t: f64| {
        let (predicted, seen) = (predicted(t), counted(t).unwrap_or(0.0) - before);
        (predicted - seen).abs() <= LITTLE * predicted.max(seen)
    };
    (to > from && same(f64::midpoint(from, to)) && same(to)).then_some((least, most))
}

/// The share of the connections that are gone by an age, for each age at which some were lost, from what was lost and from
/// what has lived so long so far (Kaplan and Meier, *Nonparametric Estimation from Incomplete Observations*, 1958).
fn gone_by_age(lost: &AgeCounts, open: &AgeCounts) -> Vec<(f64, f64)> {
    let mut left = 1.0;
    let each = lost.middles().map(|(age_ms, count)| {
        let of =
            |ages: &AgeCounts| ages.middles().filter(|(age, _)| *age >= age_ms).map(|(_, count)| count).sum::<u64>();
        left *= 1.0 - count as f64 / (of(lost) + of(open)) as f64;
        (age_ms, 1.0 - left)
    });
    each.collect()
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
        assert!(verdict.sentence.contains("1.98 s after they opened"), "{}", verdict.sentence);
    }

    #[test]
    fn a_short_lifetime_is_a_churn_though_all_that_are_open_are_lost_within_two_seconds() {
        let verdict = script().load(1000, 1000).rate(200.0).fail(Fail::lifetime(2.0, "eof")).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Lifetime, 0.85), "{}", verdict.sentence);
        assert_eq!(verdict.pattern, FailurePattern::Churn);
    }

    #[test]
    fn lifetimes_of_which_none_is_like_the_other_are_told_by_the_age_at_which_each_ended() {
        for jitter in [0.2, 0.5] {
            let script = || script().load(600, 600).rate(300.0);
            let verdict = script().fail(Fail::lifetimes(2.0, jitter, "eof")).verdict();
            assert_eq!((verdict.cause, verdict.confidence), (Cause::Lifetime, 0.85), "{}", verdict.sentence);
            assert!(verdict.sentence.contains(" s after they opened"), "{}", verdict.sentence);
        }
    }

    #[test]
    fn who_is_lost_at_any_age_has_no_lifetime() {
        // From just after the opening to six seconds: dropped at random.
        let verdict = script().load(600, 600).rate(300.0).fail(Fail::lifetimes(3.0, 0.95, "eof")).verdict();
        assert_eq!(verdict.confidence.to_bits(), 0.30_f64.to_bits(), "{}", verdict.sentence);
    }

    #[test]
    fn all_at_once_is_not_a_lifetime() {
        let fail = Fail::collapse(1300).error(FailedAt::Open, "eof", 1300);
        assert_ne!(cause(script().good(1000).fail(fail)), Cause::Lifetime);
    }
}
