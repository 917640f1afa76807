//! `wsceiling`: how many WebSocket connections a server holds, what each one costs, and what stops it there.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    wsceiling::cli::Cli::parse().run()
}
