//! `matrix FILE`, or `matrix --url URL`: the main job.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::outputs::Outputs;
use super::signals::stops_of_a_run;
use super::source::Source;
use super::{DONE, FAILED, Format, STOPPED, make_plan, runtime};
use crate::folder::next_experiment;
use crate::run::{self, Done, Request, progress::Progress};
use wsceiling_model::record::Outcome;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Run this cell only; may be given again, `*` stands for any characters
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// Continue a run that was stopped
    #[arg(long, value_name = "RUN")]
    resume: Option<PathBuf>,
    /// Test each suspected cause: measure its cell again with one thing changed
    #[arg(long)]
    confirm: bool,
    /// Exit with 1 if a cell is skipped or invalid
    #[arg(long)]
    strict: bool,
    /// Folder that the run folder is made in
    #[arg(long, value_name = "DIR", default_value = "reports")]
    reports: PathBuf,
    /// Format of the verdicts on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    outputs: Outputs,
}

pub(super) fn run(arguments: Arguments) -> Result<u8> {
    let (mut matrix, matrix_path) = match arguments.source.load() {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    matrix.run.confirm |= arguments.confirm;
    let most = matrix.run.experiments();
    let mut next = |folder: &Path| next_experiment(folder, most);
    let plan = match make_plan(&matrix, &arguments.only) {
        Ok(plan) => plan,
        Err(code) => return Ok(code),
    };
    let request = Request { matrix, matrix_path, plan, reports: arguments.reports, resume: arguments.resume };
    let runtime = runtime()?;
    runtime.block_on(arguments.source.reach())?;
    let done = runtime.block_on(async {
        let progress = Progress::stderr();
        let cancel = stops_of_a_run(&progress)?;
        let done = run::run(request, &progress, cancel, &mut next).await;
        progress.finish();
        done
    })?;
    let code = exit_code(&done, arguments.strict);
    super::report::render(&done.folder, arguments.format, &arguments.outputs)?;
    if done.stopped {
        eprintln!("stopped; continue with: --resume {}", done.folder.display());
    }
    Ok(code)
}

/// A broken target is a failure; a skip only where the user is strict; a ceiling never is.
fn exit_code(done: &Done, strict: bool) -> u8 {
    let count = |outcome| done.outcomes.get(&outcome).copied().unwrap_or(0);
    let broken = count(Outcome::FailedToStart) + count(Outcome::FailedVerification) + count(Outcome::TimedOut);
    let skipped = count(Outcome::Skipped);
    if done.stopped {
        STOPPED
    } else if broken > 0 || (strict && skipped + count(Outcome::Invalid) > 0) {
        FAILED
    } else {
        DONE
    }
}
