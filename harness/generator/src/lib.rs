//! Opens WebSocket connections, up to millions of them, holds them, and measures what becomes of each.
//!
//! It is a load generator that costs little beside what it measures (some 100 bytes of memory for an idle connection,
//! and about as much CPU as the system calls themselves), that works open loop (what is due at a moment counts from that
//! moment, however late it is sent), and that leaves no failure out.
//!
//! ```text
//!  your program                       worker: a process, one thread
//! +--------------------+  Command    +----------------------------------------+
//! | coordinator        |------------>| loop -- engine -- table                |
//! |   Generator        |    (ipc)    |                |- scheduler            |  WebSocket
//! |     open_to, hold, |<------------|                |- transport (tls) <----|-----------> servers
//! |     probe, ...     |   Report    |                '- protocol (codec)     |
//! +--------------------+             +----------------------------------------+
//!     | Windows: counters and histograms, one a worker
//!     v
//!   step::record -> StepRecord           load::run -> Outcome (a whole tool on top of it)
//! ```
//!
//! - [`coordinator`]: [`Generator`](coordinator::Generator) starts workers, gives each its share and merges what they
//!   report; [`addresses`] gives each its source ports;
//! - [`dial`]: how workers on other machines come to their coordinator;
//! - [`worker`]: the process that holds the connections; [`ipc`] is what the two say to each other;
//! - [`codec`]: the client's side of RFC 6455 without sockets; [`tls`] the same for TLS;
//! - [`step`], [`histogram`]: from the workers' windows to a record;
//! - [`load`]: the generator as a tool, from a URL to a verdict;
//! - [`probe_client`], [`sink`]: a careful client for single connections, and a server that answers nothing.
//!
//! # Example
//!
//! The coordinator starts the running program again with the argument `worker` for each worker, so `main` begins with
//! that case. `examples/hold_connections.rs` is a longer one.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use wsceiling_generator::coordinator::{Generator, Watching};
//! use wsceiling_generator::ipc::WorkerConfig;
//! use wsceiling_generator::worker;
//!
//! fn main() -> anyhow::Result<()> {
//!     if std::env::args().nth(1).as_deref() == Some("worker") {
//!         return worker::run(std::io::stdin(), std::io::stdout());
//!     }
//!     tokio::runtime::Runtime::new()?.block_on(async {
//!         let config = WorkerConfig::new(vec!["127.0.0.1:9001".parse()?]);
//!         let mut generator = Generator::configure(vec![config]).await?;
//!         // 1,000 connections, 500 a second; then 10 s of the load, and at most 2 s to ask who did not say anything in it.
//!         generator.open_to(1000, 500.0, &mut |_| Watching::GoOn).await?;
//!         generator.hold(Duration::from_secs(10), &mut |_| Watching::GoOn).await?;
//!         let windows = generator.probe(Duration::from_secs(2), &mut |_| Watching::GoOn).await?;
//!         let held: u64 = windows.workers.iter().flat_map(|window| &window.held).sum();
//!         println!("{held} connections are open and were answered");
//!         generator.quit().await;
//!         Ok(())
//!     })
//! }
//! ```

pub mod addresses;
mod ages;
pub mod client;
pub mod codec;
pub mod coordinator;
pub mod dial;
pub mod failure_stop;
pub mod histogram;
pub mod ipc;
pub mod load;
pub mod probe_client;
pub mod sink;
pub mod step;
mod template;
pub mod tls;
mod used_ports;
pub mod worker;
