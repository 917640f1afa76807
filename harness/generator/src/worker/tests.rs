//! A configuration for the tests of the parts.

use crate::ipc::WorkerConfig;

/// Echo with messages of 64 bytes every 10 s, and timeouts of 10 s.
pub fn config() -> WorkerConfig {
    WorkerConfig::new(Vec::new())
}
