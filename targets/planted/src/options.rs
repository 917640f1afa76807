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

    /// CPU burnt for each upgrade and message under one mutex of the whole process; with a thread for each connection
    #[arg(long, default_value_t = 0, value_name = "US")]
    pub lock_work: u32,

    /// Places of a pool; each message takes one for as long as `--reply-pause` says. 0: no pool
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub pool: usize,

    /// Every so often the thread that runs this stands still, in microseconds; 0: never
    #[arg(long, default_value = "0", value_name = "US", value_parser = micros)]
    pub stall_every: Duration,

    /// How long it stands still, without CPU
    #[arg(long, default_value = "0", value_name = "US", value_parser = micros)]
    pub stall: Duration,

    /// Memory written to in full at the start, in bytes
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    pub ballast: usize,

    /// Memory written to in full for each connection, in bytes
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    pub state: usize,

    /// Memory kept of each message and never given back, in bytes: a history without an end
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    pub keep: usize,

    /// Memory that piles up each second, in bytes: a leak
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    pub leak: usize,

    /// Close a connection that sent nothing for this long, in microseconds; 0: never
    #[arg(long, default_value = "0", value_name = "US", value_parser = micros)]
    pub idle: Duration,

    /// Close a connection this long after it opened, in microseconds; 0: never
    #[arg(long, default_value = "0", value_name = "US", value_parser = micros)]
    pub lifetime: Duration,

    /// Each lifetime is longer or shorter by up to this share
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub jitter: u32,

    /// Most processes and threads of the user that it runs as, where this is not root: RLIMIT_NPROC. 0: as it is
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub nproc: u64,

    /// Connections let in a second; 0: no limit
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub rate: u32,

    /// What the server does with a connection above the rate
    #[arg(long, value_enum, default_value_t)]
    pub at_rate: AtRate,

    /// Close this share of the connections before their upgrade, at random
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub refuse: u32,

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

    /// Say this in the log at the start, as if it had happened; may be given again
    #[arg(long, value_enum, value_name = "SIGN")]
    pub say: Vec<Sign>,

    /// A helper process that ends after this long, in microseconds, and is started again; 0: none
    #[arg(long, default_value = "0", value_name = "US", value_parser = micros)]
    pub helper: Duration,

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
    /// Accepts it and never answers.
    Silent,
    /// Upgrades it and closes at once with code 1013, "try again later".
    Later,
}

/// What the server does with a connection above the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AtRate {
    /// Answers with HTTP 429.
    #[default]
    TooMany,
    /// Answers with HTTP 503.
    Refuse,
    /// Closes it.
    Close,
}

/// A line of a log that names a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sign {
    /// No descriptors.
    Descriptors,
    /// No memory.
    Heap,
    /// No thread.
    Thread,
    /// No port.
    Ports,
    /// nginx at its cap.
    WorkerConnections,
}

impl Sign {
    /// The line.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Descriptors => "accept: Too many open files (EMFILE), retrying",
            Self::Heap => "last run ended with: FATAL ERROR: Reached heap limit, JavaScript heap out of memory",
            Self::Thread => "worker pool: can't start new thread: Resource temporarily unavailable",
            Self::Ports => "metrics: connect: Cannot assign requested address",
            Self::WorkerConnections => "upstream said: worker_connections are not enough",
        }
    }
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
    /// Every second connection gets nothing any more, old and new ones: one of two workers stands still. Not with
    /// `--thread-per-connection`.
    Half,
}

fn micros(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_micros).map_err(|_| "must be a whole number of microseconds".to_owned())
}
