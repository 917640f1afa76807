//! Which experiment of a run comes next.

use super::findings::Findings;
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{Experiment, TrialRecord};

/// The next experiment of a run, and its trial: the first cell, in the order of the matrix, that waits for one, has all of
/// its trials, and has had fewer experiments than `max`.
pub fn next_experiment(findings: &Findings, trials: &[TrialRecord], max: u32) -> Option<(TrialId, Experiment)> {
    let done = |cell: &str| {
        let recorded = |trial: &TrialId| trials.iter().any(|record| record.trial == *trial);
        findings.header.plan.iter().filter(|trial| trial.cell == cell).all(recorded)
    };
    findings.cells.iter().find_map(|cell| {
        let tried = cell.confirmations.tried.len() as u32;
        let experiment = cell.confirmations.next.clone().filter(|_| tried < max && done(&cell.cell.id))?;
        Some((TrialId::confirm(&cell.cell.id, tried + 1), experiment))
    })
}
