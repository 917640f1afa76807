//! `matrix FILE`: the main job.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{DONE, FAILED, Format, STOPPED, load_matrix, make_plan, runtime};
use crate::record::Outcome;
use crate::run::{self, Done, Request, progress::Progress};

/// Longest time between Ctrl-C and the end of the process.
const LAST_MOMENT: Duration = Duration::from_millis(4500);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The matrix file
    file: PathBuf,
    /// Run this cell only; may be given again, `*` stands for any characters
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// Continue a run that was stopped
    #[arg(long, value_name = "RUN")]
    resume: Option<PathBuf>,
    /// A skipped cell is a failure
    #[arg(long)]
    strict: bool,
    /// Folder that the run folder is made in
    #[arg(long, value_name = "DIR", default_value = "reports")]
    reports: PathBuf,
    /// Form of the verdicts on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: Arguments) -> Result<u8> {
    let matrix = match load_matrix(&arguments.file) {
        Ok(matrix) => matrix,
        Err(code) => return Ok(code),
    };
    let plan = match make_plan(&matrix, &arguments.only) {
        Ok(plan) => plan,
        Err(code) => return Ok(code),
    };
    let request =
        Request { matrix, matrix_path: arguments.file, plan, reports: arguments.reports, resume: arguments.resume };
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let progress = Progress::stderr();
        let cancel = on_signals(&progress)?;
        let done = run::run(request, &progress, cancel).await;
        progress.finish();
        done
    })?;
    let code = exit_code(&done, arguments.strict);
    super::report::render(&done.folder, arguments.format)?;
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

/// Turns true at the first SIGINT, SIGTERM or SIGHUP; a second one, or a clean-up that hangs, ends the process.
pub(super) fn on_signals(progress: &Progress) -> Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for signals")?;
    let mut hangup = signal(SignalKind::hangup()).context("failed to listen for signals")?;
    let stopping = progress.handle();
    tokio::spawn(async move {
        let mut any = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        };
        any().await;
        stopping.note("stopping: ending the trial, then rendering what was done");
        sender.send_replace(true);
        tokio::select! {
            () = any() => {}
            () = tokio::time::sleep(LAST_MOMENT) => {}
        }
        eprintln!("ended at once; `wsceiling clean` removes what may be left");
        std::process::exit(i32::from(STOPPED));
    });
    Ok(receiver)
}
