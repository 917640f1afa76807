//! Every experiment on a simulated trial, and what is made of its number.

mod findings;
mod kinds;

use super::{Confirmation, Finding, judge};
use crate::pattern::FailurePattern;
use crate::testing::{Fail, Judged as _, Script, script};
use crate::verdict::Verdict;
use wsceiling_model::matrix::{Change, Knob};
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{Cause, Experiment, FailedAt, Measure, Outcome, Tolerance, TrialRecord};

/// The experiments for a suspect of a simulated trial.
fn experiments(script: Script, suspect: Cause) -> Vec<Experiment> {
    script.with(|header, trial| super::experiments(header, trial, suspect))
}

/// The first of them.
fn first(script: Script, suspect: Cause) -> Experiment {
    experiments(script, suspect).into_iter().next().unwrap()
}

/// Held 993 of 1,500, and the rest timed out.
fn stalled() -> Script {
    let fail = Fail::plateau(993).error(FailedAt::Handshake, "timeout", 129).error(FailedAt::Connect, "timeout", 378);
    script().load(500, 1500).good(500).fail(fail)
}

fn verdict(cause: Cause, confidence: f64) -> Verdict {
    Verdict {
        pattern: FailurePattern::Plateau,
        cause,
        sentence: format!("it was {cause}"),
        fix: None,
        confidence,
        evidence: Vec::new(),
        onset_ms: None,
        runner_up: None,
        chain: Vec::new(),
        seen: None,
    }
}

fn experiment(suspect: Cause, measure: Measure, tolerance: Tolerance, (before, predicted): (f64, f64)) -> Experiment {
    let change = Change { knob: Knob::Nofile, from: 1000.0, to: 1500.0 };
    let load = script().load;
    Experiment { suspect, change, measure, before, predicted, tolerance, load }
}

/// The experiment of the descriptors: 993 -> 1,493.
fn descriptors() -> Experiment {
    experiment(Cause::ServerDescriptors, Measure::Connections, Tolerance::Exact, (993.0, 1493.0))
}

/// What comes of an experiment whose trial met a ceiling for this cause.
fn after(experiment: &Experiment, number: f64, cause: Cause) -> (Finding, String) {
    let record = TrialRecord::unmeasured(TrialId::confirm("c", 1), Outcome::Ceiling);
    judge(experiment, &record, Some(&verdict(cause, 0.85)), Some(number))
}

/// A confirmation with this finding.
fn tried(suspect: Cause, knob: Knob, finding: Finding) -> Confirmation {
    let mut experiment = descriptors();
    experiment.suspect = suspect;
    experiment.change.knob = knob;
    let record = TrialRecord::unmeasured(TrialId::confirm("c", 1), Outcome::Ceiling);
    Confirmation {
        trial: record.trial.clone(),
        experiment,
        after: Some(1.0),
        finding,
        sentence: String::new(),
        verdict: None,
        record,
    }
}
