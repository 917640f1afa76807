//! The line to a worker: where it comes from, what is read from it, and what its end means.

use std::net::IpAddr;

use anyhow::{Context as _, Error, Result, anyhow};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;

use super::{END, Worker, monotonic_ns};
use crate::ipc::{Command, Report};

/// Longest report in bytes: a window with all of its histograms is under a megabyte.
const REPORT_BYTES: u64 = 16 << 20;

/// The line to a worker that somebody else started: in a container, or on another host.
pub struct WorkerLine {
    /// Its process id on this host; `None`: it is not one of its processes.
    pub pid: Option<u32>,
    /// The addresses that it connects from.
    pub addresses: Vec<IpAddr>,
    /// Where it runs; `None`: on this host.
    pub node: Option<Node>,
    /// Its standard input.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
}

/// Where a worker that dialled runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name of the machine.
    pub name: String,
    /// Whether it has the coordinator's own clock: it runs on the same kernel.
    pub same_clock: bool,
}

/// A worker on a node left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("worker {worker} on node {node} left, and its {connections} connections with it: {why}")]
pub struct WorkerLost {
    /// Its index.
    pub worker: u32,
    /// Name of its node.
    pub node: String,
    /// Connections that went with it, as it had last said.
    pub connections: u64,
    /// How that was seen.
    pub why: String,
}

/// What comes from a worker.
pub(super) enum Received {
    /// A report, and when it arrived.
    Report(Report, u64),
    /// It ended, for this reason.
    Ended(String),
}

impl Worker {
    /// The error that its end is.
    pub(super) async fn lost(&mut self, why: String) -> Error {
        // Its last status may be older than the end of its last opening.
        let connections = std::mem::take(&mut self.status.open).max(std::mem::take(&mut self.open));
        self.status.held = 0;
        if let Some(node) = &self.node {
            return WorkerLost { worker: self.index as u32, node: node.name.clone(), connections, why }.into();
        }
        let how = match &mut self.child {
            Some(child) => tokio::time::timeout(END, child.wait()).await.ok().and_then(Result::ok),
            None => None,
        };
        let how = how.map_or_else(String::new, |status| format!(" ({status})"));
        anyhow!("worker {} ended, and its {connections} connections with it: {why}{how}", self.index)
    }

    pub(super) async fn send(&mut self, command: &Command) -> Result<()> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        let written = match self.commands.write_all(&line).await {
            Ok(()) => self.commands.flush().await,
            failed => failed,
        };
        match written {
            Err(error) if self.node.is_some() => Err(self.lost(format!("it cannot be commanded ({error})")).await),
            written => written.context("failed to command a worker: it is gone"),
        }
    }
}

/// Hands on what a worker reports, until it ends or nobody listens any more.
pub(super) async fn read_reports(
    index: usize,
    output: impl AsyncRead + Unpin,
    reports: mpsc::UnboundedSender<(usize, Received)>,
) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    let why = loop {
        line.clear();
        match (&mut output).take(REPORT_BYTES).read_until(b'\n', &mut line).await {
            Ok(0) => break "it closed its output".to_owned(),
            Ok(length) if length as u64 == REPORT_BYTES && !line.ends_with(b"\n") => {
                break format!("it wrote a line of more than {REPORT_BYTES} bytes");
            }
            Ok(_) => match serde_json::from_slice(&line) {
                Ok(report) => {
                    if reports.send((index, Received::Report(report, monotonic_ns()))).is_err() {
                        return;
                    }
                }
                Err(error) => break format!("it wrote a line that is no report ({error})"),
            },
            Err(error) => break format!("its output cannot be read ({error})"),
        }
    };
    // Nobody listens any more once the generator has been told to quit.
    let _ = reports.send((index, Received::Ended(why)));
}
