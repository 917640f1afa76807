//! From a run folder to findings and to the next experiment: the only place where files meet the analysis.

use std::path::Path;

use anyhow::Result;
use wsceiling_analysis::{Analysis, Findings};
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::Experiment;
use wsceiling_runfolder::{RecordError, Run};

/// Analyses a run. Reads `samples.csv` once and holds the samples of one trial at a time.
///
/// # Errors
/// When the folder is no run folder or its files are damaged.
pub fn findings(run: &Run) -> Result<Findings, RecordError> {
    let mut analysis = Analysis::new(&run.header, &run.trials);
    run.samples(|trial, samples| analysis.samples(trial, samples))?;
    Ok(analysis.finish())
}

/// The experiment that a run folder asks for next, at most `max` of them a cell; `None`: no more.
///
/// # Errors
/// As for [`findings`].
pub fn next_experiment(folder: &Path, max: u32) -> Result<Option<(TrialId, Experiment)>> {
    if max == 0 {
        return Ok(None);
    }
    let run = Run::open(folder)?;
    Ok(wsceiling_analysis::next_experiment(&findings(&run)?, &run.trials, max))
}
