//! The command line: one knob for each limit. Without any, it is a plain echo server.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// An echo server that meets a limit on purpose.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one, and the line on stdout says which
    #[arg(long, default_value = "127.0.0.1:9003", value_name = "IP:PORT")]
    pub address: SocketAddr,

    /// Threads that serve connections: 1 is a single-threaded runtime, 0 is one per core
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub threads: usize,

    /// A thread for each connection instead of a task
    #[arg(long)]
    pub thread_per_connection: bool,

    /// What a failed accept does
    #[arg(long, value_enum, default_value_t)]
    pub on_accept_error: OnAcceptError,

    /// Length of the accept queue
    #[arg(long, default_value_t = 4096, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub backlog: i32,

    /// Pause after each accepted connection: an accept loop that does something else in between
    #[arg(long, default_value = "0", value_name = "US", value_parser = micros)]
    pub accept_pause: Duration,

    /// CPU burnt for each connection in the accept loop, by one thread
    #[arg(long, default_value_t = 0, value_name = "US")]
    pub accept_work: u32,

    /// CPU burnt for each upgrade in its own task, by all threads
    #[arg(long, default_value_t = 0, value_name = "US")]
    pub work: u32,

    /// CPU burnt for each message in its own task
    #[arg(long, default_value_t = 0, value_name = "US")]
    pub message_work: u32,

    /// Pause before each reply, without CPU: a handler that waits for something else
    #[arg(long, default_value = "0", value_name = "US", value_parser = micros)]
    pub reply_pause: Duration,

    /// The same, but one reply after another over all connections: a lock held while waiting
    #[arg(long, default_value = "0", value_name = "US", value_parser = micros)]
    pub serial_pause: Duration,

    /// Memory written to in full for each connection, in bytes
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    pub state: usize,

    /// Close a connection that sent nothing for this long, in microseconds; 0: never
    #[arg(long, default_value = "0", value_name = "US", value_parser = micros)]
    pub idle: Duration,

    /// Close a connection this long after it opened, in microseconds; 0: never
    #[arg(long, default_value = "0", value_name = "US", value_parser = micros)]
    pub lifetime: Duration,

    /// Most connections; 0: no cap
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub cap: usize,

    /// What the server does with a connection above the cap
    #[arg(long, value_enum, default_value_t)]
    pub at_cap: AtCap,

    /// Number of open connections at which it fails; 0: never
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub fail_at: usize,

    /// How it fails
    #[arg(long, value_enum, default_value_t)]
    pub fail: Failure,

    /// Serve in a child process, and start another one when it ends: what a supervisor or a restart policy does
    #[arg(long)]
    pub supervise: bool,
}

/// What a failed accept does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OnAcceptError {
    /// Waits a little and tries again.
    #[default]
    Wait,
    /// Tries again at once.
    Spin,
    /// Ends the process.
    Exit,
}

/// What the server does with a connection above the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AtCap {
    /// Closes it.
    #[default]
    Close,
    /// Answers with HTTP 503.
    Refuse,
    /// Accepts nothing until one has left.
    Stop,
}

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Failure {
    /// Exits with code 3.
    #[default]
    Exit,
    /// Aborts: SIGABRT.
    Abort,
    /// Dies of SIGSEGV.
    Segv,
    /// Stops as if by SIGSTOP.
    Freeze,
    /// Every thread waits for ever.
    Deadlock,
}

fn micros(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_micros).map_err(|_| "must be a whole number of microseconds".to_owned())
}
