//! `load URL`: the generator alone against any server.

mod arguments;
mod check;

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{DONE, FAILED, Format, STOPPED, USAGE, runtime};
use crate::load::outcome::Ended;
use crate::load::progress::Progress;
use crate::load::{self, text};

pub(super) use arguments::Arguments;

pub(super) fn run(arguments: Arguments) -> Result<u8> {
    let (quiet, format) = (arguments.quiet, arguments.format);
    let options = match arguments.into_options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(USAGE);
        }
    };
    let progress = Arc::new(Progress::stderr(quiet));
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let interrupt = on_signals(Arc::clone(&progress))?;
        load::run(&options, &progress, interrupt).await
    });
    progress.finish();
    let outcome = outcome?;
    match format {
        Format::Text => print!("{}", text::render(&outcome)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&outcome)?),
    }
    Ok(match outcome.ended {
        Ended::Interrupted => STOPPED,
        _ if outcome.passed => DONE,
        _ => FAILED,
    })
}

/// Turns true at the first SIGINT, SIGTERM or SIGHUP; a second one ends the process.
fn on_signals(progress: Arc<Progress>) -> Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let listen = |kind| signal(kind).context("failed to listen for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::spawn(async move {
        let mut any = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        };
        any().await;
        progress.note("stopping: the summary of what was done follows");
        sender.send_replace(true);
        any().await;
        eprintln!("ended at once");
        std::process::exit(i32::from(STOPPED));
    });
    Ok(receiver)
}
