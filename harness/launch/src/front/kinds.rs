//! The kinds of proxies: a line for each.

use wsceiling_model::matrix::FrontKind;

use super::haproxy::Haproxy;
use super::nginx::Nginx;
use super::proxy::Proxy;
use super::relay::Relay;

/// What a kind does; `None`: it is no program of ours, but the engine's.
pub fn proxy(kind: FrontKind) -> Option<&'static dyn Proxy> {
    match kind {
        FrontKind::Nginx => Some(&Nginx),
        FrontKind::Haproxy => Some(&Haproxy),
        FrontKind::Relay => Some(&Relay),
        FrontKind::DockerPublish => None,
    }
}
