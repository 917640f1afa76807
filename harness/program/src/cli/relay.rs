//! `relay`: a front of a cell, a process of its own.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use clap::Args;

use super::FAILED;
use wsceiling_relay::Options;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// What to connect to; given several times, in turn
    #[arg(long, required = true)]
    to: Vec<SocketAddr>,
    /// Address to connect from; given several times, in turn
    #[arg(long)]
    source: Vec<IpAddr>,
    /// First and last source port: 40000-40199
    #[arg(long, value_parser = range)]
    ports: Option<(u16, u16)>,
    /// Length of the accept queue
    #[arg(long, default_value_t = 4096)]
    backlog: u32,
    /// Name in the log
    #[arg(long, default_value = "relay")]
    name: String,
}

pub(super) fn run(arguments: Arguments) -> Result<u8> {
    let Arguments { listen, to, source, ports, backlog, name } = arguments;
    wsceiling_relay::run(Options { name, listen, to, sources: source, ports, backlog })
        .with_context(|| format!("failed to relay from {listen}"))?;
    Ok(FAILED)
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let range = text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    range.filter(|(first, last)| first <= last).ok_or_else(|| "write it as FIRST-LAST".to_owned())
}
