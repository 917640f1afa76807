//! Fronts: the proxy of a cell comes up after its instances and ends before them.
//!
//! A front has one hop, the proxy, or two: behind it a balancer, where the proxy is to connect to one address. However a
//! hop runs it ends in a [`LaunchedHop`], so that verification, driving and sampling do not know how.
//!
//! Another kind of front is a variant of [`FrontKind`] and a file here that implements `proxy::Proxy`, with its line in
//! `proxy_of`: program, configuration, arguments, counters, lines of its log.
//! `prepare` finds and packs programs, `start` starts one hop, `launch` all of them; `published` is the engine's
//! userland proxy, which is no program of ours.

mod haproxy;
mod hop;
mod launch;
mod log_patterns;
mod nginx;
mod prepare;
mod proxy;
mod published;
mod relay;
mod start;
#[cfg(test)]
mod tests;

pub use hop::{Fronts, LaunchedHop};
pub use log_patterns::KnownLines;

use proxy::Proxy;
use wsceiling_model::matrix::FrontKind;

/// What a kind does; `None`: it is no program of ours, but the engine's.
fn proxy_of(kind: FrontKind) -> Option<&'static dyn Proxy> {
    match kind {
        FrontKind::Nginx => Some(&nginx::Nginx),
        FrontKind::Haproxy => Some(&haproxy::Haproxy),
        FrontKind::Relay => Some(&relay::Relay),
        FrontKind::DockerPublish => None,
    }
}
