//! What is made of the number of an experiment, of several experiments, and which comes next.

use super::super::{Candidates, update, waiting};
use super::*;
use wsceiling_model::record::Reason;

#[test]
fn a_ceiling_that_moves_as_predicted_confirms() {
    let (finding, sentence) = after(&descriptors(), 1493.0, Cause::ServerDescriptors);
    assert_eq!(sentence, "ceiling moved 993 -> 1,493, predicted 1,493: confirmed");
    assert_eq!(finding, Finding::Confirmed);
    assert_eq!(after(&descriptors(), 1350.0, Cause::ServerDescriptors).0, Finding::Confirmed, "within 10 %");
}

#[test]
fn a_ceiling_that_stands_rejects() {
    let (finding, sentence) = after(&descriptors(), 995.0, Cause::ApplicationCap);
    assert_eq!(sentence, "ceiling did not move 993 -> 995, predicted 1,493: rejected");
    assert_eq!(finding, Finding::Rejected);
    assert_eq!(after(&descriptors(), 400.0, Cause::ServerDescriptors).0, Finding::Rejected, "it fell");
}

#[test]
fn what_is_met_on_the_way_leaves_it_open() {
    let (finding, sentence) = after(&descriptors(), 1200.0, Cause::MemoryLimit);
    assert_eq!(finding, Finding::Inconclusive);
    assert!(sentence.ends_with("predicted 1,493, where memory-limit stopped it first: inconclusive"), "{sentence}");
    assert_eq!(
        after(&descriptors(), 1200.0, Cause::ServerDescriptors).0,
        Finding::Inconclusive,
        "moved, but not so far"
    );
    assert_eq!(after(&descriptors(), 1790.0, Cause::None).0, Finding::Inconclusive, "moved too far");
}

#[test]
fn a_trial_that_is_no_measurement_says_nothing() {
    let mut record = TrialRecord::unmeasured(TrialId::confirm("c", 1), Outcome::FailedToStart);
    record.reason = Some(Reason::words("it did not listen", None));
    let (finding, sentence) = judge(&descriptors(), &record, None, None);
    assert_eq!(finding, Finding::Inconclusive);
    assert_eq!(sentence, "the trial was failed to start: it did not listen: inconclusive");
    assert_eq!(after(&descriptors(), 1493.0, Cause::ClientLimited).0, Finding::Inconclusive, "the client stopped it");
}

#[test]
fn a_client_that_runs_out_later_is_what_was_predicted_of_it() {
    let own = experiment(Cause::ClientLimited, Measure::Connections, Tolerance::Exact, (500.0, 1000.0));
    let record = TrialRecord::unmeasured(TrialId::confirm("c", 1), Outcome::Invalid);
    let (finding, _) = judge(&own, &record, Some(&verdict(Cause::ClientLimited, 0.85)), Some(1000.0));
    assert_eq!(finding, Finding::Confirmed);
}

#[test]
fn where_no_move_is_predicted_none_can_be_judged() {
    let still = experiment(Cause::CpuQuota, Measure::Answered, Tolerance::Half, (0.0, 0.0));
    assert_eq!(after(&still, 66.0, Cause::CpuQuota).0, Finding::Inconclusive);
}

#[test]
fn where_not_even_the_first_step_passed_nothing_is_rejected() {
    let fewer = experiment(Cause::CpuQuota, Measure::Passed, Tolerance::Exact, (0.0, 200.0));
    let (finding, sentence) = after(&fewer, 0.0, Cause::CpuQuota);
    assert_eq!(finding, Finding::Inconclusive);
    assert_eq!(
        sentence,
        "largest step that passed did not move 0 -> 0, predicted 200, as the first step was too much: inconclusive"
    );
    let stands = experiment(Cause::CpuQuota, Measure::Passed, Tolerance::Exact, (400.0, 600.0));
    assert_eq!(after(&stands, 400.0, Cause::CpuQuota).0, Finding::Rejected);
}

#[test]
fn rates_need_half_of_the_move_and_overflows_must_go() {
    let rate = experiment(Cause::CpuQuota, Measure::Opened, Tolerance::Half, (60.0, 120.0));
    let of = |number: f64| after(&rate, number, Cause::CpuQuota).0;
    assert_eq!([of(95.0), of(80.0), of(65.0)], [Finding::Confirmed, Finding::Inconclusive, Finding::Rejected]);
    let overflows = experiment(Cause::AcceptQueue, Measure::Overflows, Tolerance::Exact, (310.0, 0.0));
    assert_eq!(after(&overflows, 3.0, Cause::AcceptQueue).0, Finding::Confirmed);
    assert_eq!(after(&overflows, 300.0, Cause::AcceptQueue).0, Finding::Rejected);
}

#[test]
fn the_same_number_again_is_suspected_and_never_confirmed() {
    let cap = experiment(Cause::ApplicationCap, Measure::Connections, Tolerance::Same, (500.0, 500.0));
    let (finding, sentence) = after(&cap, 502.0, Cause::ApplicationCap);
    assert_eq!(sentence, "stopped at 500, then at 502, the same number again: suspected only");
    assert_eq!(finding, Finding::Suspected);
    assert_eq!(after(&cap, 520.0, Cause::ApplicationCap).0, Finding::Rejected);
}

fn with_runner_up() -> Verdict {
    Verdict { runner_up: Some((Cause::ApplicationCap, 0.6)), ..verdict(Cause::ServerDescriptors, 0.85) }
}

#[test]
fn a_verdict_rises_falls_or_gives_way() {
    let fd = |finding| tried(Cause::ServerDescriptors, Knob::Nofile, finding);
    let updated = update(with_runner_up(), None, &[fd(Finding::Confirmed)]);
    assert_eq!((updated.cause, updated.confidence), (Cause::ServerDescriptors, 0.97));
    let updated = update(with_runner_up(), None, &[fd(Finding::Inconclusive)]);
    assert_eq!(updated.confidence.to_bits(), 0.85_f64.to_bits());
    let other = tried(Cause::ApplicationCap, Knob::Again, Finding::Confirmed);
    let both = [fd(Finding::Inconclusive), other];
    let updated = update(with_runner_up(), Some(verdict(Cause::ApplicationCap, 0.6)), &both);
    assert_eq!((updated.cause, updated.confidence), (Cause::ApplicationCap, 0.97));
    assert_eq!(updated.runner_up, Some((Cause::ServerDescriptors, 0.85)));
    let updated = update(with_runner_up(), Some(verdict(Cause::ApplicationCap, 0.6)), &[fd(Finding::Rejected)]);
    assert_eq!((updated.cause, updated.confidence), (Cause::ApplicationCap, 0.6));
    assert_eq!(updated.runner_up, Some((Cause::ServerDescriptors, 0.2)));
    let updated = update(verdict(Cause::ServerDescriptors, 0.85), None, &[fd(Finding::Rejected)]);
    assert_eq!((updated.cause, updated.confidence), (Cause::ServerDescriptors, 0.2));
}

#[test]
fn the_runner_up_comes_after_the_cause_was_not_confirmed_and_only_then() {
    let one = |suspect| vec![Experiment { suspect, ..descriptors() }];
    let (first, second) = (one(Cause::ServerDescriptors), one(Cause::ApplicationCap));
    let candidates = Candidates { first: vec![&first], second: vec![&second] };
    let next = |findings: &[Finding]| {
        let tried: Vec<_> = findings.iter().map(|it| tried(Cause::ServerDescriptors, Knob::Nofile, *it)).collect();
        waiting(&with_runner_up(), &candidates, &tried).map(|next| next.suspect)
    };
    assert_eq!(next(&[]), Some(Cause::ServerDescriptors));
    assert_eq!(next(&[Finding::Confirmed]), None);
    assert_eq!(next(&[Finding::Inconclusive]), Some(Cause::ApplicationCap));
    assert_eq!(next(&[Finding::Rejected]), Some(Cause::ApplicationCap));
}

#[test]
fn the_number_before_is_the_median_of_the_trials() {
    let one = |before: f64| vec![Experiment { before, ..descriptors() }];
    let trials = [one(980.0), one(1010.0), one(993.0)];
    let candidates = Candidates { first: trials.iter().map(Vec::as_slice).collect(), second: Vec::new() };
    let next = waiting(&verdict(Cause::ServerDescriptors, 0.85), &candidates, &[]).unwrap();
    assert_eq!(next.before.to_bits(), 993.0_f64.to_bits());
}

#[test]
fn a_cap_is_met_three_times_in_all() {
    let cap = vec![Experiment {
        suspect: Cause::ApplicationCap,
        change: Change { knob: Knob::Again, from: 1.0, to: 1.0 },
        ..descriptors()
    }];
    let one = Candidates { first: vec![&cap], second: Vec::new() };
    let again = |times: usize| vec![tried(Cause::ApplicationCap, Knob::Again, Finding::Suspected); times];
    let waits = |candidates: &Candidates<'_>, times| {
        waiting(&verdict(Cause::ApplicationCap, 0.3), candidates, &again(times)).is_some()
    };
    assert!(waits(&one, 0) && waits(&one, 1) && !waits(&one, 2));
    assert!(!waits(&Candidates { first: vec![&cap, &cap, &cap], second: Vec::new() }, 0));
}
