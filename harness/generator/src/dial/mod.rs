//! Workers that dial the coordinator: nothing can be attached to a task on another node of a swarm, so it calls back.
//!
//! ```text
//! coordinator                                  worker --dial HOST:PORT --toward SERVER, token in its environment
//! Door::open ... Door::admit <---- Hello ----- dial::call
//!     WorkerLine             <---- the lines of `ipc`, both ways, until one of them closes
//! ```
//!
//! The door is open for a limited time, on one address, for an expected number of workers. Each says who it is in a first
//! line of bounded length, with the [`Token`] of this very launch; each slot is let in once. Everybody else is sent away
//! without a word, and counted. Nothing is encrypted: it is meant for the private network that the nodes share.

mod caller;
mod door;
mod hello;
#[cfg(test)]
mod tests;

pub use caller::{Call, TOKEN_VARIABLE, call};
pub use door::{DialError, Door};
pub use hello::{Hello, Token};

use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};

/// Idle time in seconds after which a silent line is asked for, time between two questions, and how many of them may stay
/// unanswered (tcp(7)): a node that vanished is known after 10 seconds.
const KEEPALIVE: (u32, u32, u32) = (4, 2, 3);
/// Longest time in milliseconds that what was sent may stay unacknowledged.
const UNACKNOWLEDGED_MS: u32 = 10_000;

/// Makes a line notice that its other end has vanished, and send small messages at once. What the kernel does not have is
/// done without: the line works either way.
fn prepare(line: &impl AsFd) {
    let (idle, interval, count) = KEEPALIVE;
    let _ = setsockopt(line, sockopt::KeepAlive, &true);
    let _ = setsockopt(line, sockopt::TcpKeepIdle, &idle);
    let _ = setsockopt(line, sockopt::TcpKeepInterval, &interval);
    let _ = setsockopt(line, sockopt::TcpKeepCount, &count);
    let _ = setsockopt(line, sockopt::TcpUserTimeout, &UNACKNOWLEDGED_MS);
    let _ = setsockopt(line, sockopt::TcpNoDelay, &true);
}

/// The id of this boot of the kernel (random(4)): who has the same one shares its clocks. `None`: it cannot be read.
fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}
