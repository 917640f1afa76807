//! `null`: a server that upgrades and discards.

use anyhow::Result;

use super::DONE;
use wsceiling_generator::null;

pub(super) fn run() -> Result<u8> {
    null::run()?;
    Ok(DONE)
}
