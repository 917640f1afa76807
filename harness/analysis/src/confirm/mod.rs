//! Confirmation: a suspected cause predicts what one changed thing must do, and a trial with that change shows whether it
//! does.
//!
//! `experiments` says what to change for each cause, `measure` what is compared, `judge` what came of it, `next` which
//! experiment a cell waits for, `update` what all of them make of a verdict. `run` carries the trials out and knows nothing of
//! causes; everything here is a pure function of the record.

mod client;
mod experiment_plan;
mod experiments;
mod front;
mod judge;
mod limits;
mod measure;
mod next;
mod rate;
#[cfg(test)]
mod tests;
mod update;

use serde::Serialize;

pub(super) use experiments::experiments;
pub use experiments::has_experiment;
pub(super) use judge::judge;
pub(super) use measure::measured;
pub(super) use next::{Candidates, waiting};
pub(super) use update::update;

use super::verdict::Verdict;
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{Experiment, TrialRecord};

/// What experiments found about the cause of a cell.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Confirmations {
    /// Experiments that were carried out, in order.
    pub tried: Vec<Confirmation>,
    /// The experiment that would come next.
    pub next: Option<Experiment>,
}

/// What came of one experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confirmation {
    /// Its trial.
    pub trial: TrialId,
    /// What was changed and predicted.
    pub experiment: Experiment,
    /// What was measured, in the unit of [`Experiment::measure`]; `None`: nothing.
    pub after: Option<f64>,
    /// What that says about the suspect.
    pub finding: Finding,
    /// The same for a person.
    pub sentence: String,
    /// What stopped the changed trial.
    pub verdict: Option<Verdict>,
    /// Its line of the record.
    pub record: TrialRecord,
}

/// What an experiment says about the suspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// It did what the suspect predicts.
    Confirmed,
    /// It did not: the suspect is not the cause.
    Rejected,
    /// It says nothing: something else happened first.
    Inconclusive,
    /// It fits the suspect, and its rivals as well: the number came again with nothing changed, or less was asked for.
    Suspected,
}

impl Finding {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Inconclusive => "inconclusive",
            Self::Suspected => "suspected only",
        }
    }
}
