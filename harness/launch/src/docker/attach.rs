//! The standard streams of containers: a line to each worker of the generator.

use std::io::Write as _;
use std::path::PathBuf;

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::query_parameters::AttachContainerOptionsBuilder;
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::super::{LaunchError, Launched, log};
use super::{Containers, readable};

/// Bytes of a worker's output that may wait for the coordinator.
const WAITING: usize = 1 << 20;

/// The streams of a container.
pub struct Streams {
    /// What sampling knows of the container.
    pub launched: Launched,
    /// Its standard input.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output. What it writes to its standard error goes into its log.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
}

impl Containers {
    /// Attaches to containers that were started with an open standard input, in order.
    pub async fn attach(&self) -> Result<Vec<Streams>, LaunchError> {
        let mut all = Vec::new();
        for launched in self.launched() {
            let id = launched.container.as_deref().unwrap_or_default();
            let options = AttachContainerOptionsBuilder::default().stream(true).stdin(true).stdout(true).stderr(true);
            let attached = self.docker().attach_container(id, Some(options.build())).await;
            let AttachContainerResults { output, input } = attached.map_err(|error| LaunchError::Failed {
                reason: format!("cannot attach to the container of a worker: {}", readable(&error)),
                log_tail: log::tail(&launched.log, 20),
            })?;
            let (reader, writer) = tokio::io::duplex(WAITING);
            tokio::spawn(copy(output, writer, launched.log.clone()));
            all.push(Streams { launched: launched.clone(), input: Box::new(input), output: Box::new(reader) });
        }
        Ok(all)
    }
}

/// Takes the two streams apart until the container ends or nobody listens any more.
async fn copy(
    mut output: impl futures_util::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Unpin,
    mut to: impl AsyncWrite + Unpin,
    log: PathBuf,
) {
    while let Some(Ok(part)) = output.next().await {
        match part {
            LogOutput::StdOut { message } | LogOutput::Console { message } => {
                if to.write_all(&message).await.is_err() {
                    return;
                }
            }
            LogOutput::StdErr { message } => {
                let _ = log::open(&log).and_then(|mut file| file.write_all(&message));
            }
            LogOutput::StdIn { .. } => {}
        }
    }
}
