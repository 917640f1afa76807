//! Stopping on request: Ctrl-C and its relatives.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::STOPPED;
use crate::run::progress::{Progress, ProgressEvent};

/// Longest time between Ctrl-C and the end of a process that runs trials.
const LAST_MOMENT: Duration = Duration::from_millis(4500);

/// A second signal so soon is the first one again: `timeout` sends it to the process and then to its group.
const SAME_MOMENT: Duration = Duration::from_millis(300);

/// [`on_signals`] for what runs trials: the one that runs is ended, and what was done is rendered.
pub(super) fn stops_of_a_run(progress: &Progress) -> Result<watch::Receiver<bool>> {
    let progress = progress.clone();
    let note = move || progress.tell(ProgressEvent::Stopping);
    on_signals(note, LAST_MOMENT, "ended at once; `wsceiling clean` removes what may be left")
}

/// Turns true at the first SIGINT, SIGTERM or SIGHUP, after calling `note`. A second one, or `patience` without an end,
/// ends the process with `last_words`.
pub(super) fn on_signals(
    note: impl FnOnce() + Send + 'static,
    patience: Duration,
    last_words: &'static str,
) -> Result<watch::Receiver<bool>> {
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
        let first = Instant::now();
        note();
        sender.send_replace(true);
        let again = async {
            any().await;
            while first.elapsed() < SAME_MOMENT {
                any().await;
            }
        };
        let _ = tokio::time::timeout(patience, again).await;
        eprintln!("{last_words}");
        std::process::exit(i32::from(STOPPED));
    });
    Ok(receiver)
}
