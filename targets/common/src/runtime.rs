//! The tokio runtime of a target.

use std::io;
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

/// Runs a target to its end on a runtime with `threads` workers. 1: single-threaded. 0: one worker per core that the
/// process may use (CPU quota and affinity included). What it fails with is said after its name.
pub fn run(name: &str, threads: usize, target: impl Future<Output = io::Result<()>>) -> ExitCode {
    let outcome = build(threads).and_then(|runtime| {
        let outcome = runtime.block_on(target);
        // Connections that did not end in time are dropped here.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build(threads: usize) -> io::Result<Runtime> {
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        n => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(n);
            builder
        }
    };
    builder.enable_all().build()
}
