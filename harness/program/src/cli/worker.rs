//! `worker`: a process of the generator.

use anyhow::Result;

use super::DONE;
use wsceiling_generator::worker;

pub(super) fn run() -> Result<u8> {
    worker::run(std::io::stdin(), std::io::stdout())?;
    Ok(DONE)
}
