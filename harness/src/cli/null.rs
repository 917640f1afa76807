//! `null`: a server that upgrades and discards.

use anyhow::Result;

use super::DONE;
use crate::run::demand::null;

pub(super) fn run() -> Result<u8> {
    null::run()?;
    Ok(DONE)
}
