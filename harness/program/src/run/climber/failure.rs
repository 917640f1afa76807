//! A trial that did not come up, and the row that says why.

use crate::run::trial::{launch_row, row};
use crate::run::verify::VerifyError;
use wsceiling_launch::LaunchError;
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{Outcome, TrialRecord};

/// Why instances or generator did not come up.
pub enum StartFailure {
    /// The instances were not launched.
    Launch(LaunchError),
    /// An instance did not listen, ended, or answered wrongly.
    Verify(u32, VerifyError, Vec<String>),
    /// The front did not listen, ended, or passed on wrongly.
    Front(VerifyError, Vec<String>),
    /// The generator did not start.
    Generator(anyhow::Error),
}

impl StartFailure {
    /// The row that says why the trial did not run.
    pub fn into_row(self, trial: &TrialId) -> TrialRecord {
        match self {
            Self::Launch(error) => launch_row(trial, &error),
            Self::Generator(error) => row(trial, Outcome::Invalid, Some(format!("{error:#}")), None),
            Self::Front(error, log_tail) => verify_row(trial, "the front", &error, &log_tail),
            Self::Verify(index, error, log_tail) => verify_row(trial, &format!("instance {index}"), &error, &log_tail),
        }
    }
}

fn verify_row(trial: &TrialId, who: &str, error: &VerifyError, log_tail: &[String]) -> TrialRecord {
    let outcome = match error {
        VerifyError::Wrong { .. } => Outcome::FailedVerification,
        _ => Outcome::FailedToStart,
    };
    let hint = if log_tail.is_empty() {
        "it wrote nothing to its output; run its command by hand".to_owned()
    } else {
        format!("its last lines: {}", log_tail.join(" | "))
    };
    row(trial, outcome, Some(format!("{who}: {error}")), Some(hint))
}
