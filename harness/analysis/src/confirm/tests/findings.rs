//! What is made of the number of an experiment, of several experiments, and which comes next.

use super::super::{Candidates, settle, waiting};
use super::*;
use wsceiling_model::record::Reason;

#[test]
fn a_ceiling_that_moves_as_predicted_confirms() {
    let (finding, sentence) = after(&descriptors(), 1493.0, "server-descriptors");
    assert_eq!(sentence, "ceiling moved 993 -> 1,493, predicted 1,493: confirmed");
    assert_eq!(finding, Finding::Confirmed);
    assert_eq!(after(&descriptors(), 1350.0, "server-descriptors").0, Finding::Confirmed, "within 10 %");
}

#[test]
fn a_ceiling_that_stands_rejects() {
    let (finding, sentence) = after(&descriptors(), 995.0, "application-cap");
    assert_eq!(sentence, "ceiling did not move 993 -> 995, predicted 1,493: rejected");
    assert_eq!(finding, Finding::Rejected);
    assert_eq!(after(&descriptors(), 400.0, "server-descriptors").0, Finding::Rejected, "it fell");
}

#[test]
fn what_is_met_on_the_way_leaves_it_open() {
    let (finding, sentence) = after(&descriptors(), 1200.0, "memory-limit");
    assert_eq!(finding, Finding::Inconclusive);
    assert!(sentence.ends_with("predicted 1,493, where memory-limit stopped it first: inconclusive"), "{sentence}");
    assert_eq!(after(&descriptors(), 1200.0, "server-descriptors").0, Finding::Inconclusive, "moved, but not so far");
    assert_eq!(after(&descriptors(), 1790.0, "none").0, Finding::Inconclusive, "moved too far");
}

#[test]
fn a_trial_that_is_no_measurement_says_nothing() {
    let mut record = TrialRecord::unmeasured(TrialId::confirm("c", 1), Outcome::FailedToStart);
    record.reason = Some(Reason::words("it did not listen", None));
    let (finding, sentence) = judge(&descriptors(), &record, None, None);
    assert_eq!(finding, Finding::Inconclusive);
    assert_eq!(sentence, "the trial was failed to start: it did not listen: inconclusive");
    assert_eq!(after(&descriptors(), 1493.0, "client-limited").0, Finding::Inconclusive, "the client stopped it");
}

#[test]
fn a_client_that_runs_out_later_is_what_was_predicted_of_it() {
    let own = experiment("client-limited", Measure::Connections, Tolerance::Exact, (500.0, 1000.0));
    let record = TrialRecord::unmeasured(TrialId::confirm("c", 1), Outcome::Invalid);
    let (finding, _) = judge(&own, &record, Some(&verdict("client-limited", 0.85)), Some(1000.0));
    assert_eq!(finding, Finding::Confirmed);
}

#[test]
fn where_no_move_is_predicted_none_can_be_judged() {
    let still = experiment("cpu-quota", Measure::Answered, Tolerance::Half, (0.0, 0.0));
    assert_eq!(after(&still, 66.0, "cpu-quota").0, Finding::Inconclusive);
}

#[test]
fn rates_need_half_of_the_move_and_overflows_must_go() {
    let rate = experiment("cpu-quota", Measure::Opened, Tolerance::Half, (60.0, 120.0));
    let of = |number: f64| after(&rate, number, "cpu-quota").0;
    assert_eq!([of(95.0), of(80.0), of(65.0)], [Finding::Confirmed, Finding::Inconclusive, Finding::Rejected]);
    let overflows = experiment("accept-queue", Measure::Overflows, Tolerance::Exact, (310.0, 0.0));
    assert_eq!(after(&overflows, 3.0, "accept-queue").0, Finding::Confirmed);
    assert_eq!(after(&overflows, 300.0, "accept-queue").0, Finding::Rejected);
}

#[test]
fn the_same_number_again_is_suspected_and_never_confirmed() {
    let cap = experiment("application-cap", Measure::Connections, Tolerance::Same, (500.0, 500.0));
    let (finding, sentence) = after(&cap, 502.0, "application-cap");
    assert_eq!(sentence, "stopped at 500, then at 502, the same number again: suspected only");
    assert_eq!(finding, Finding::Suspected);
    assert_eq!(after(&cap, 520.0, "application-cap").0, Finding::Rejected);
}

fn with_runner_up() -> Verdict {
    Verdict { runner_up: Some(("application-cap".into(), 0.6)), ..verdict("server-descriptors", 0.85) }
}

#[test]
fn a_verdict_rises_falls_or_gives_way() {
    let fd = |finding| tried("server-descriptors", Knob::Nofile, finding);
    let settled = settle(with_runner_up(), None, &[fd(Finding::Confirmed)]);
    assert_eq!((settled.cause.as_str(), settled.confidence), ("server-descriptors", 0.97));
    let settled = settle(with_runner_up(), None, &[fd(Finding::Inconclusive)]);
    assert_eq!(settled.confidence.to_bits(), 0.85_f64.to_bits());
    let settled = settle(with_runner_up(), Some(verdict("application-cap", 0.6)), &[fd(Finding::Rejected)]);
    assert_eq!((settled.cause.as_str(), settled.confidence), ("application-cap", 0.6));
    assert_eq!(settled.runner_up, Some(("server-descriptors".into(), 0.2)));
    let settled = settle(verdict("server-descriptors", 0.85), None, &[fd(Finding::Rejected)]);
    assert_eq!((settled.cause.as_str(), settled.confidence), ("server-descriptors", 0.2));
}

#[test]
fn the_runner_up_comes_after_the_cause_was_rejected_and_only_then() {
    let one = |suspect: &str| vec![Experiment { suspect: suspect.into(), ..descriptors() }];
    let (first, second) = (one("server-descriptors"), one("application-cap"));
    let candidates = Candidates { first: vec![&first], second: vec![&second] };
    let next = |findings: &[Finding]| {
        let tried: Vec<_> = findings.iter().map(|it| tried("server-descriptors", Knob::Nofile, *it)).collect();
        waiting(&with_runner_up(), &candidates, &tried).map(|next| next.suspect)
    };
    assert_eq!(next(&[]).as_deref(), Some("server-descriptors"));
    assert_eq!(next(&[Finding::Confirmed]), None);
    assert_eq!(next(&[Finding::Inconclusive]), None);
    assert_eq!(next(&[Finding::Rejected]).as_deref(), Some("application-cap"));
}

#[test]
fn the_number_before_is_the_median_of_the_trials() {
    let one = |before: f64| vec![Experiment { before, ..descriptors() }];
    let trials = [one(980.0), one(1010.0), one(993.0)];
    let candidates = Candidates { first: trials.iter().map(Vec::as_slice).collect(), second: Vec::new() };
    let next = waiting(&verdict("server-descriptors", 0.85), &candidates, &[]).unwrap();
    assert_eq!(next.before.to_bits(), 993.0_f64.to_bits());
}

#[test]
fn a_cap_is_met_three_times_in_all() {
    let cap = vec![Experiment {
        suspect: "application-cap".into(),
        change: Change { knob: Knob::Again, from: 1.0, to: 1.0 },
        ..descriptors()
    }];
    let one = Candidates { first: vec![&cap], second: Vec::new() };
    let again = |times: usize| vec![tried("application-cap", Knob::Again, Finding::Suspected); times];
    let waits = |candidates: &Candidates<'_>, times| {
        waiting(&verdict("application-cap", 0.3), candidates, &again(times)).is_some()
    };
    assert!(waits(&one, 0) && waits(&one, 1) && !waits(&one, 2));
    assert!(!waits(&Candidates { first: vec![&cap, &cap, &cap], second: Vec::new() }, 0));
}
