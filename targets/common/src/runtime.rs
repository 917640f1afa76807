//! The tokio runtime of a target.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// A runtime with `threads` workers. 1: single-threaded. 0: one worker per core that the process may use (CPU quota and
/// affinity included).
///
/// # Errors
/// The system gives no event queue or no thread.
pub fn build(threads: usize) -> io::Result<Runtime> {
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
