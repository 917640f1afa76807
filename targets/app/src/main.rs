//! `app`: a full WebSocket application. Token at the upgrade, rooms with presence and history, rate limits, idle
//! timeout, slow readers, health and metrics, clean shutdown. `targets/PROTOCOL.md` is what it speaks.
//!
//! One connection's way through the modules: [`listen`] accepts it, [`http`] reads its request, [`upgrade`] decides on
//! it, [`session`] serves it. A session parses with [`protocol`], asks [`limit`] whether it may, and meets other
//! sessions in [`rooms`], which write into its [`outbox`]. [`metrics`] counts.

mod address;
mod http;
mod limit;
mod listen;
mod metrics;
mod options;
mod outbox;
mod protocol;
mod rooms;
mod server;
mod session;
mod units;
mod upgrade;
mod work;

use std::process::ExitCode;

use clap::Parser;

use crate::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = runtime(options.threads).and_then(|runtime| {
        let outcome = runtime.block_on(server::serve(options));
        // Connections that did not end in time are dropped here.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("app: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A runtime with `threads` workers; see [`Options::threads`].
fn runtime(threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        n => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(n);
            builder
        }
    };
    builder.enable_all().build()
}
