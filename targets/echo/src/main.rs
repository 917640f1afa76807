//! `echo`: the simplest careful WebSocket server. It sends text and binary messages back unchanged and does nothing else.
//! Other targets are compared with it, so it does what a careful author would do and no more: small buffers, a long accept
//! queue, one plain task per connection.

mod connection;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use target_common::address::Address;
use target_common::runtime;
use target_common::serve::{self, Listening};
use target_common::units::parse_size;

use crate::connection::Connection;

/// Time that connections get to answer the close frame of a shutdown. The process is gone within 2 s of the signal.
const DRAIN_WITHIN: Duration = Duration::from_millis(1500);

/// WebSocket server that sends every message back.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Options {
    /// Address to listen on, or `unix:PATH`; port 0 takes a free one, and the line on stdout says which
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "IP:PORT")]
    address: Address,

    /// Threads that serve connections: 1 is a single-threaded runtime, 0 is one per core that the process may use
    /// (CPU quota and affinity included)
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,

    /// Read buffer of one connection, allocated as soon as it is open.
    ///
    /// This is the largest part of what a connection costs. The library's default is 128 KiB: quick for one connection
    /// that streams, but 10,000 idle ones then hold 1.3 GB. With 4 KiB a message of up to 4 KiB is still read in one
    /// system call and the buffer grows for longer ones.
    #[arg(long, default_value = "4KiB", value_name = "SIZE", value_parser = parse_size)]
    read_buffer: usize,

    /// Length of the accept queue; the kernel takes the smaller of this and net.core.somaxconn
    #[arg(long, default_value_t = 4096, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    backlog: i32,

    /// Largest message; a longer one closes the connection with 1009
    #[arg(long, default_value = "1MiB", value_name = "SIZE", value_parser = parse_size)]
    max_message: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    runtime::run("echo", options.threads, serve(options))
}

async fn serve(options: Options) -> io::Result<()> {
    let connection = Connection::new(options.read_buffer, options.max_message);
    let listening = Listening { address: options.address, backlog: options.backlog, send_buffer: None };
    if !serve::serve(&listening, DRAIN_WITHIN, connection).await? {
        eprintln!("some connections did not answer the close frame within {DRAIN_WITHIN:?}; they are dropped");
    }
    Ok(())
}
