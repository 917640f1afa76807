//! The command line, with the reason of each default.

use std::time::Duration;

use clap::Parser;
use target_common::address::Address;
use target_common::units::{parse_duration, parse_size, parse_size_or_zero};

/// A full WebSocket application, as a target for load tests.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Options {
    /// Address to listen on, or `unix:PATH`; port 0 takes a free one, and the line on stdout says which
    #[arg(long, default_value = "127.0.0.1:9002", value_name = "IP:PORT")]
    pub address: Address,

    /// Threads that serve connections: 1 is a single-threaded runtime, 0 is one per core that the process may use
    /// (CPU quota and affinity included)
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub threads: usize,

    /// Read buffer of one connection, allocated as soon as it is open. The library's default is 128 KiB, which is
    /// 1.3 GB for 10,000 idle connections; messages of this protocol are short
    #[arg(long, default_value = "4KiB", value_name = "SIZE", value_parser = parse_size)]
    pub read_buffer: usize,

    /// Kernel send buffer of one connection (the kernel doubles it for its own use). By default it grows to 4 MiB
    /// for a peer that does not read; nobody counts that memory, and it hides slow readers for long
    #[arg(long, default_value = "64KiB", value_name = "SIZE", value_parser = parse_size)]
    pub send_buffer: usize,

    /// Length of the accept queue; the kernel takes the smaller of this and net.core.somaxconn
    #[arg(long, default_value_t = 4096, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub backlog: i32,

    /// Token that an upgrade must carry; empty: the server asks for none
    #[arg(long, default_value = "secret", value_name = "TOKEN")]
    pub token: String,

    /// Most connections; further upgrades are answered with 503. 0: no limit of its own
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub connections: usize,

    /// Messages of history that a room keeps
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub history: usize,

    /// Bytes of history that a room keeps at most: with the room limit, this bounds the memory of all histories
    #[arg(long, default_value = "64KiB", value_name = "SIZE", value_parser = parse_size)]
    pub history_bytes: usize,

    /// Most rooms of the server
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub rooms: usize,

    /// Most rooms that one connection is a member of
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub rooms_per_connection: usize,

    /// Shortest time between two presence messages of one room. A join costs a message to every member, so without
    /// this a room of 100 that fills up costs 5,000 messages
    #[arg(long, default_value = "250ms", value_name = "TIME", value_parser = parse_duration)]
    pub presence_every: Duration,

    /// Close a connection that sent nothing for this long
    #[arg(long, default_value = "120s", value_name = "TIME", value_parser = parse_duration)]
    pub idle: Duration,

    /// Messages per second that a connection may send in the long run
    #[arg(long, default_value_t = 100.0, value_name = "N", value_parser = positive)]
    pub rate: f64,

    /// Messages that a connection may send at once
    #[arg(long, default_value_t = 200.0, value_name = "N", value_parser = positive)]
    pub burst: f64,

    /// Refused messages after which a connection is closed
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub strikes: u32,

    /// Messages that may wait for one connection to read them
    #[arg(long, default_value_t = 128, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub queue: u32,

    /// Largest message a client may send
    #[arg(long, default_value = "16KiB", value_name = "SIZE", value_parser = parse_size)]
    pub max_message: usize,

    /// Microseconds of CPU burnt for each upgrade and each message, on top of the real work: models a heavier handler
    /// (a signature check is about 50, a rendered template 200)
    #[arg(long, default_value_t = 0, value_name = "US", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub work: u32,

    /// Session state of one connection, written to in full when it opens and a little with each message: a real
    /// application knows who is connected (profile, permissions, subscriptions, caches)
    #[arg(long, default_value = "16KiB", value_name = "SIZE", value_parser = parse_size_or_zero)]
    pub state: usize,

    /// Time that connections get to end after SIGTERM
    #[arg(long, default_value = "1500ms", value_name = "TIME", value_parser = parse_duration)]
    pub drain: Duration,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if (1e-3..=1e9).contains(&n) => Ok(n),
        _ => Err("must be a number between 0.001 and 1000000000".to_owned()),
    }
}
