//! The worker's engine against servers in this process: a correct one, the app's protocol, and hostile ones.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod driver;
mod hostile;
mod latency;
mod scenarios;
mod server;
mod sources;
mod stages;
mod stopped;
