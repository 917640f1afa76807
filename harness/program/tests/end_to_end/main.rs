//! The whole way, as a user goes it: the program against real servers, and against servers that lie, hang and die.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is not there")]

mod confirm;
mod fronts;
mod loads;
mod outcomes;
mod scenarios;
mod slow_engine;
mod stopping;
mod support;
mod swarm;
