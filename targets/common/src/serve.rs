//! The life of a target: it listens, serves every connection in a task of its own, and closes them all when it is asked to
//! end.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::address::Address;
use crate::listen::{Accepted, Backoff, Listener, bind};

/// What a target does with its connections.
pub trait Handler: Clone + Send + 'static {
    /// Serves one connection until it ends, for whatever reason; errors of one connection concern nobody else. Once
    /// `draining` is true, the connection is to be closed.
    fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        draining: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send;
}

/// Where a target listens, and how: see [`bind`].
#[derive(Debug, Clone)]
pub struct Listening {
    /// Where.
    pub address: Address,
    /// Length of the accept queue.
    pub backlog: i32,
    /// Bytes of each connection's send buffer; None leaves it to the kernel.
    pub send_buffer: Option<usize>,
}

/// Listens until SIGTERM or SIGINT, then lets every connection close within `drain`. Returns whether all of them did.
///
/// # Errors
/// It cannot listen.
pub async fn serve(listening: &Listening, drain_within: Duration, handler: impl Handler) -> io::Result<bool> {
    let mut end = EndSignals::new()?;
    let Listening { address, backlog, send_buffer } = listening;
    let listener = bind(address, *backlog, *send_buffer)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    announce(listener.address()?)?;
    let (drain, draining) = watch::channel(false);
    // Every connection holds a clone of `alive`; once all are gone, `ended` reads as closed.
    let (alive, mut ended) = mpsc::channel::<()>(1);
    let accepting = tokio::spawn(accept(listener, handler, draining, alive));
    end.wait().await;
    accepting.abort();
    drain.send_replace(true);
    Ok(tokio::time::timeout(drain_within, ended.recv()).await.is_ok())
}

/// Tells on standard output where it listens.
///
/// # Errors
/// Nobody takes the line.
pub fn announce(address: impl Display) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {address}")?;
    stdout.flush()
}

/// The signals that ask a target to end.
#[derive(Debug)]
pub struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    /// From here on SIGTERM and SIGINT are caught.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Starts a task for every connection; ends only by being aborted, which also closes the listener.
async fn accept(listener: Listener, handler: impl Handler, draining: watch::Receiver<bool>, alive: mpsc::Sender<()>) {
    let mut backoff = Backoff::default();
    loop {
        match listener.accept().await {
            // Two calls, so that a task is no larger than its kind of stream needs.
            Ok(Accepted::Tcp(stream)) => spawn(handler.clone(), stream, draining.clone(), alive.clone()),
            Ok(Accepted::Unix(stream)) => spawn(handler.clone(), stream, draining.clone(), alive.clone()),
            Err(error) => backoff.pause(&error).await,
        }
    }
}

fn spawn(
    handler: impl Handler,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    draining: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    tokio::spawn(async move {
        handler.serve(stream, draining).await;
        drop(alive);
    });
}
