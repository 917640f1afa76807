//! `load URL`: the generator as a tool of its own, against any WebSocket server.
//!
//! ```text
//! url + options + gates -> preflight -> drive -> gather -> outcome -> judge -> text or JSON
//! ```
//!
//! Each of these imports only what stands before it (`outcome` is what `gather` fills in):
//!
//! - [`url`], [`options`], [`gate`]: what the user asks for, checked once;
//! - `preflight` (with `resolve`, `probe` and `stream`): which addresses take connections, and what the server answers;
//! - `drive` (with `reach`, `close` and `cost`, shown by [`progress`]): the run, stage by stage, and its end;
//! - [`keep`]: in place of stages, as many connections as somebody wants at each moment;
//! - [`server`]: what whoever starts the load has read of the server meanwhile;
//! - [`outcome`], filled by `gather` with `hints`; then `judge` and `verdict`. Nothing that failed is left out of it;
//! - [`text`]: the outcome for a person.

mod close;
mod cost;
pub mod drive;
pub mod gate;
mod gather;
mod hints;
mod judge;
pub mod keep;
pub mod options;
pub mod outcome;
mod preflight;
mod probe;
pub mod progress;
pub mod reach;
pub mod resolve;
pub mod server;
mod stream;
pub mod text;
pub use wsceiling_model::url;
mod verdict;

use std::time::{Instant, SystemTime};

use anyhow::Result;
use tokio::sync::watch;

use drive::{Ended, Run};
use options::Options;
use outcome::Outcome;
use preflight::Preflight;
use progress::Progress;
use reach::Elsewhere;

/// Runs the load. Turning `interrupt` true ends it early, with an outcome of what was done.
///
/// # Errors
/// When the host name cannot be resolved, or the workers do not start.
pub async fn run(options: &Options, progress: &Progress, interrupt: watch::Receiver<bool>) -> Result<Outcome> {
    run_at(options, progress, interrupt, None).await
}

/// The same with workers that somebody starts on other machines.
///
/// # Errors
/// As [`run`], and when those workers cannot reach the server.
pub async fn run_at(
    options: &Options,
    progress: &Progress,
    mut interrupt: watch::Receiver<bool>,
    elsewhere: Option<&mut dyn Elsewhere>,
) -> Result<Outcome> {
    let wall = SystemTime::now();
    let started = Instant::now();
    for warning in &options.warnings {
        progress.note(&format!("warning: {warning}"));
    }
    let preflight = tokio::select! {
        preflight = preflight::preflight(options, progress) => Some(preflight?),
        _ = interrupt.wait_for(|stop| *stop) => None,
    };
    let (preflight, run) = match preflight {
        Some(preflight) => {
            let run = drive::run(options, &preflight, progress, interrupt, elsewhere).await?;
            progress.finish();
            (preflight, run)
        }
        None => (Preflight::default(), Run { ended: Ended::Interrupted, ..Run::default() }),
    };
    let mut outcome = gather::outcome(options, &preflight, run, wall, started.elapsed())?;
    outcome.gates = options.gates.iter().map(|gate| judge::judge(gate, &outcome)).collect();
    let ended_well = matches!(outcome.ended, Ended::Complete | Ended::MaxDuration);
    outcome.passed = ended_well && outcome.gates.iter().all(|judged| judged.passed);
    outcome.own.statement = verdict::own_statement(&outcome);
    outcome.verdict = verdict::verdict(&outcome);
    Ok(outcome)
}
