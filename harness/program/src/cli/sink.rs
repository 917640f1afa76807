//! `sink`: a server that upgrades and discards.

use anyhow::Result;

use super::DONE;
use wsceiling_generator::sink;

pub(super) fn run() -> Result<u8> {
    sink::run()?;
    Ok(DONE)
}
