//! Another program that keeps one core busy while limits are injected.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Never idle, and ends when the program that started it is gone.
const BUSY: &str = "while kill -0 $PPID 2>/dev/null; do i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; done";

/// The program; dropping it ends it.
#[derive(Debug)]
pub(super) struct Noise(Child);

/// Starts it.
pub(super) fn start() -> Result<Noise> {
    let mut command = Command::new("sh");
    let silent = command.args(["-c", BUSY]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.spawn().map(Noise).context("failed to start the program that makes noise")
}

impl Drop for Noise {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
