//! `load` as a user runs it: the program against servers in this process, good and bad ones, with and without TLS.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod command;
mod endings;
mod messages;
mod outcomes;
mod places;
mod secure;
#[expect(dead_code, reason = "the engine's tests need more of it")]
#[path = "../engine/server.rs"]
mod server;
mod several;
mod stopping;
mod tls_server;
mod tool;
