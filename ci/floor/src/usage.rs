//! CPU and memory of this process.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};

/// A reading.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// CPU time since the start in seconds.
    pub cpu_s: f64,
    /// Anonymous memory in bytes (`RssAnon` of `/proc/self/status`).
    pub memory_bytes: u64,
}

/// Reads both.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn read() -> io::Result<Usage> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.split_whitespace().next()?.parse().ok());
    let kib: u64 = kib.ok_or_else(|| io::Error::other("/proc/self/status has no RssAnon"))?;
    Ok(Usage { cpu_s: time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9, memory_bytes: kib * 1024 })
}

/// Raises the soft descriptor limit of this process to the hard one.
///
/// # Errors
/// When the limit can be neither read nor set.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}
