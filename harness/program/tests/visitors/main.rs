//! `visitors`: the command over loopback, and real browsers.
//!
//! Tests with browsers start one each, take up to a minute, and are ignored where nobody asks for them:
//! `cargo test -p wsceiling --test visitors -- --ignored --test-threads 1`. Without the browser they say so and pass.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod browser;
mod browsers;
mod command;
mod generator;
mod run;
mod target;
