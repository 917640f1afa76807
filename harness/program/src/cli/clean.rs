//! `clean`: remove what a killed run left behind.

use anyhow::Result;
use clap::Args;

use super::{DONE, FAILED, runtime};
use wsceiling_launch as launch;

#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> Result<u8> {
    let cleaned = runtime()?.block_on(launch::clean());
    for name in &cleaned.removed {
        println!("removed {name}");
    }
    for name in &cleaned.left {
        println!("left {name}: its run is still alive, or cannot be seen from here");
    }
    for fault in &cleaned.faults {
        eprintln!("error: {fault}");
    }
    if let Some(reason) = &cleaned.engine {
        println!("containers were not looked for: {reason}");
    }
    if cleaned.removed.is_empty() && cleaned.faults.is_empty() {
        println!("nothing to remove");
    }
    Ok(if cleaned.faults.is_empty() { DONE } else { FAILED })
}
