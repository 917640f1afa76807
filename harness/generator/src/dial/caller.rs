//! The worker's end: it dials, says who it is, and serves.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::hello::Hello;
use super::{boot_id, prepare};
use crate::addresses::local_address;
use crate::ipc::PROTOCOL_VERSION;
use crate::worker;

/// Environment variable of the token: unlike an argument, other users of the node cannot read it.
pub const TOKEN_VARIABLE: &str = "WSCEILING_TOKEN";
/// Longest time of one connect.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a network that is not up yet is waited for.
const REACHED_WITHIN: Duration = Duration::from_secs(20);
/// Time between two attempts.
const AGAIN: Duration = Duration::from_millis(100);

/// Whom to dial, and as whom.
#[derive(Debug, Clone)]
pub struct Call {
    /// The coordinator.
    pub coordinator: SocketAddr,
    /// The token's text.
    pub token: String,
    /// Number of this worker, from 1.
    pub slot: u32,
    /// Name of its node.
    pub node: String,
    /// The servers: the route to each says which address connections to it come from.
    pub toward: Vec<SocketAddr>,
}

/// Dials the coordinator and serves it until it says so or is gone.
///
/// # Errors
/// When it cannot be reached, and what [`worker::serve`] returns.
pub fn call(call: &Call) -> Result<()> {
    let mut line = reach(call.coordinator)?;
    prepare(&line);
    let mut addresses: Vec<IpAddr> = call.toward.iter().filter_map(|server| local_address(*server)).collect();
    addresses.sort();
    addresses.dedup();
    let hello = Hello {
        version: PROTOCOL_VERSION,
        token: call.token.clone(),
        slot: call.slot,
        node: call.node.clone(),
        boot: boot_id(),
        addresses,
    };
    let mut text = serde_json::to_vec(&hello).context("write the first line")?;
    text.push(b'\n');
    line.write_all(&text).context("say who this worker is")?;
    let input = line.try_clone().context("share the line to the coordinator")?;
    worker::serve(input, line)
}

/// Connects; a network that comes up together with this worker may need a moment.
fn reach(coordinator: SocketAddr) -> Result<TcpStream> {
    let begun = Instant::now();
    loop {
        match TcpStream::connect_timeout(&coordinator, CONNECT) {
            Ok(line) => return Ok(line),
            Err(error) if begun.elapsed() > REACHED_WITHIN => {
                return Err(error).with_context(|| format!("dial the coordinator at {coordinator}"));
            }
            Err(_) => std::thread::sleep(AGAIN),
        }
    }
}
