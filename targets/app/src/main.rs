//! `app`: a full WebSocket application. Token at the upgrade, rooms with presence and history, rate limits, idle
//! timeout, slow readers, health and metrics, clean shutdown. `targets/PROTOCOL.md` is what it speaks.
//!
//! One connection's way through the modules: [`serve`](target_common::serve) accepts it, [`http`] reads its request, [`upgrade`] decides on
//! it, [`session`] serves it. A session parses with [`protocol`], asks [`limit`] whether it may, and meets other
//! sessions in [`rooms`], which write into its [`outbox`]. [`metrics`] counts.

mod http;
mod limit;
mod metrics;
mod options;
mod outbox;
mod protocol;
mod rooms;
mod server;
mod session;
mod upgrade;

use std::process::ExitCode;

use clap::Parser;
use target_common::runtime;

use crate::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    runtime::run("app", options.threads, server::serve(options))
}
