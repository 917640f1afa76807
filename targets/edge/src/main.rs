//! `edge`: stands for the edge of a platform, where the platform itself cannot be had. It passes WebSocket connections on to
//! its upstreams, and it has the limits that platforms document: see [`options::Options`].
//!
//! Parts: [`edge`] decides what becomes of a request, [`answer`] has the words of its own answers, [`pass`] moves the bytes,
//! [`frames`] knows where a message ends, [`platform`] has what platforms document.

mod answer;
mod edge;
mod frames;
mod head;
mod options;
mod pass;
mod platform;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use target_common::runtime;
use target_common::serve::{self, Listening};

use crate::edge::Edge;
use crate::options::Options;

/// Time that connections get to end in a shutdown. The process is gone within 2 s of the signal.
const DRAIN_WITHIN: Duration = Duration::from_millis(1500);

fn main() -> ExitCode {
    let options = Options::parse();
    runtime::run("edge", options.threads, serve(options))
}

async fn serve(options: Options) -> io::Result<()> {
    let upstreams: Vec<String> = options.upstream.iter().map(ToString::to_string).collect();
    eprintln!("edge: to {}; {}", upstreams.join(", "), options.limits().describe());
    let listening = Listening { address: options.listen.clone(), backlog: options.backlog, send_buffer: None };
    serve::serve(&listening, DRAIN_WITHIN, Edge::new(&options)).await?;
    Ok(())
}
