//! `floor`: the least that opening, holding and using WebSocket connections can cost in one process.
//!
//! One loop over `epoll`, no WebSocket library, 8 bytes a connection, a handshake and a message that never change. It makes
//! the same system calls as a worker of `wsceiling` and checks the same things, so what a worker costs beyond it is the
//! worker's own. It is not a load generator: it only talks to servers on IPv4 loopback that answer in one piece.
//!
//! - `wire`: the fixed bytes; `socket`: the system calls; `pace`: time; `usage`: CPU and memory of this process;
//! - `floor`: the loop.

mod floor;
mod pace;
mod socket;
mod usage;
mod wire;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use floor::{Floor, Opened, Talk};

/// Opens WebSocket connections on schedule, holds them, and prints what that cost as one JSON object.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Options {
    /// Server; several get the connections in turn
    #[arg(required = true, value_name = "IP:PORT")]
    addresses: Vec<SocketAddrV4>,

    /// Connections to open
    #[arg(short = 'n', long, default_value_t = 1000, value_name = "N")]
    connections: u32,

    /// Connects per second
    #[arg(short, long, default_value_t = 4000.0, value_name = "N", value_parser = positive)]
    rate: f64,

    /// Seconds to hold them
    #[arg(long, default_value_t = 2.0, value_name = "S", value_parser = positive)]
    hold: f64,

    /// Messages per second of the hold, over all connections; or `max`: each connection sends as soon as it is answered
    #[arg(short, long, default_value = "0", value_name = "N", value_parser = talk)]
    messages: Talk,

    /// First source address; each takes 64,512 connections to every server
    #[arg(long, default_value = "127.250.0.1", value_name = "IP")]
    source: Ipv4Addr,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("must be a number above 0".to_owned()),
    }
}

fn talk(text: &str) -> Result<Talk, String> {
    match text {
        "max" => Ok(Talk::Max),
        "0" => Ok(Talk::Silent),
        _ => positive(text).map(Talk::PerSecond).map_err(|_| "must be a number, or `max`".to_owned()),
    }
}

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(failed) => ExitCode::from(u8::from(failed > 0)),
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints; returns how many connections failed.
fn measure(options: &Options) -> std::io::Result<u32> {
    usage::raise_descriptor_limit()?;
    let mut floor = Floor::new(&options.addresses, options.source)?;
    let before = usage::read()?;
    let Opened { seconds } = floor.open(options.connections, options.rate)?;
    let opened = usage::read()?;
    let held = floor.hold(Duration::from_secs_f64(options.hold), options.messages)?;
    let after = usage::read()?;
    println!(
        "{{\"opened\":{},\"failed\":{},\"open_s\":{seconds:.6},\"open_cpu_s\":{:.6},\"memory_bytes\":{},\
         \"hold_s\":{:.6},\"hold_cpu_s\":{:.6},\"due\":{},\"sent\":{},\"answered\":{}}}",
        floor.opened(),
        floor.failed(),
        opened.cpu_s - before.cpu_s,
        after.memory_bytes.saturating_sub(before.memory_bytes),
        options.hold,
        after.cpu_s - opened.cpu_s,
        held.due,
        held.sent,
        held.answered,
    );
    Ok(floor.failed())
}
