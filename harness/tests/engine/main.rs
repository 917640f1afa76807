//! The worker's engine against servers in this process: a correct one, the app's protocol, and hostile ones.

mod driver;
mod hostile;
mod scenarios;
mod server;
mod sources;
