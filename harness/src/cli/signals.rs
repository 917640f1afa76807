//! Stopping on request: Ctrl-C and its relatives.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::STOPPED;

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
        note();
        sender.send_replace(true);
        let _ = tokio::time::timeout(patience, any()).await;
        eprintln!("{last_words}");
        std::process::exit(i32::from(STOPPED));
    });
    Ok(receiver)
}
