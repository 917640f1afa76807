//! `worker`: a process of the generator.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use clap::Args;

use super::DONE;
use wsceiling_generator::dial::{self, Call, TOKEN_VARIABLE};
use wsceiling_generator::worker;
use wsceiling_launch::label::{ENV_NODE, ENV_SLOT};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Coordinator to dial, in place of standard input and output
    #[arg(long, value_name = "HOST:PORT")]
    dial: Option<SocketAddr>,
    /// A server that connections will go to; repeatable
    #[arg(long, value_name = "HOST:PORT", requires = "dial")]
    toward: Vec<SocketAddr>,
}

pub(super) fn run(arguments: Arguments) -> Result<u8> {
    match arguments.dial {
        Some(coordinator) => dial::call(&call(coordinator, arguments.toward)?)?,
        None => worker::run(std::io::stdin(), std::io::stdout())?,
    }
    Ok(DONE)
}

/// What the service put into the environment of its task.
fn call(coordinator: SocketAddr, toward: Vec<SocketAddr>) -> Result<Call> {
    let given = |name: &str| std::env::var(name).with_context(|| format!("failed to read {name} in the environment"));
    let slot = given(ENV_SLOT)?;
    let slot =
        slot.parse().with_context(|| format!("failed to read {ENV_SLOT}: `{}` is no number", slot.escape_debug()))?;
    Ok(Call { coordinator, token: given(TOKEN_VARIABLE)?, slot, node: given(ENV_NODE)?, toward })
}
