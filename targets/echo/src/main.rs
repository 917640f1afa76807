//! `echo`: the simplest careful WebSocket server. It sends text and binary messages back unchanged and does nothing else.
//! Other targets are compared with it, so it does what a careful author would do and no more: small buffers, a long accept
//! queue, one plain task per connection.

mod connection;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use target_common::address::Address;
use target_common::listen::{self, Accepted, Listener};
use target_common::runtime;
use target_common::units::parse_size;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::connection::Connection;

/// Time that connections get to answer the close frame of a shutdown. The process is gone within 2 s of the signal.
const DRAIN_WITHIN: Duration = Duration::from_millis(1500);

/// WebSocket server that sends every message back.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Options {
    /// Address to listen on, or `unix:PATH`; port 0 takes a free one, and the line on stdout says which
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "IP:PORT")]
    address: Address,

    /// Threads that serve connections: 1 is a single-threaded runtime, 0 is one per core that the process may use
    /// (CPU quota and affinity included)
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,

    /// Read buffer of one connection, allocated as soon as it is open.
    ///
    /// This is the largest part of what a connection costs. The library's default is 128 KiB: quick for one connection
    /// that streams, but 10,000 idle ones then hold 1.3 GB. With 4 KiB a message of up to 4 KiB is still read in one
    /// system call and the buffer grows for longer ones.
    #[arg(long, default_value = "4KiB", value_name = "SIZE", value_parser = parse_size)]
    read_buffer: usize,

    /// Length of the accept queue; the kernel takes the smaller of this and net.core.somaxconn
    #[arg(long, default_value_t = 4096, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    backlog: i32,

    /// Largest message; a longer one closes the connection with 1009
    #[arg(long, default_value = "1MiB", value_name = "SIZE", value_parser = parse_size)]
    max_message: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = runtime::build(options.threads).and_then(|runtime| {
        let outcome = runtime.block_on(serve(options));
        // Connections that did not answer the close frame in time are dropped here.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Listens until SIGTERM or SIGINT, then closes every connection with 1001 and waits for them a bounded time.
async fn serve(options: Options) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = listen::bind(&options.address, options.backlog, None)
        .map_err(|error| std::io::Error::new(error.kind(), format!("cannot listen on {}: {error}", options.address)))?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on {}", listener.address()?)?;
    stdout.flush()?;

    let (drain, draining) = watch::channel(false);
    // Every connection holds a clone of `alive`; once all are gone, `ended` reads as closed.
    let (alive, mut ended) = mpsc::channel::<()>(1);
    let connection = Connection::new(options.read_buffer, options.max_message);
    let accepting = tokio::spawn(accept(listener, connection, draining, alive));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    accepting.abort();
    drain.send_replace(true);
    if tokio::time::timeout(DRAIN_WITHIN, ended.recv()).await.is_err() {
        eprintln!("some connections did not answer the close frame within {DRAIN_WITHIN:?}; they are dropped");
    }
    Ok(())
}

/// Starts a task for every connection; ends only by being aborted, which also closes the listener.
async fn accept(listener: Listener, connection: Connection, draining: watch::Receiver<bool>, alive: mpsc::Sender<()>) {
    let mut refused = listen::Backoff::default();
    loop {
        match listener.accept().await {
            // Two calls, so that a task is no larger than its kind of stream needs.
            Ok(Accepted::Tcp(stream)) => spawn(connection, stream, draining.clone(), alive.clone()),
            Ok(Accepted::Unix(stream)) => spawn(connection, stream, draining.clone(), alive.clone()),
            Err(error) => refused.pause(&error).await,
        }
    }
}

fn spawn(
    connection: Connection,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    draining: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    tokio::spawn(async move {
        connection.serve(stream, draining).await;
        drop(alive);
    });
}
