//! The whole way, as a user goes it: the program against real servers, and against servers that lie, hang and die.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is not there")]

mod checks;
mod confirm;
mod edge;
mod first_minutes;
mod fronts;
mod loads;
mod outcomes;
mod prices;
mod remote;
mod scenarios;
#[expect(dead_code, reason = "the engine's tests need more of it")]
#[path = "../engine/server.rs"]
mod server;
mod slow_engine;
mod stopping;
mod support;
mod swarm;
#[path = "../load/tls_server.rs"]
mod tls_server;
