//! What distinguishes one kind of proxy from another.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use wsceiling_model::matrix::Front;
use wsceiling_model::record::HopKind;

use super::log_patterns::LogPattern;

/// A kind of proxy. Everything else about a front is the same for all kinds.
pub trait Proxy: Sync {
    /// The program, and what to do where it is not on PATH; `None`: the harness itself.
    fn program(&self) -> Option<(&'static str, &'static str)>;

    /// The argument with which the program says its version.
    fn version_argument(&self) -> &'static str {
        "-v"
    }

    /// The configuration file; `None`: it has none.
    fn config(&self, settings: &HopSettings<'_>) -> Option<String>;

    /// The arguments.
    fn args(&self, settings: &HopSettings<'_>) -> Vec<String>;

    /// Whether it answers at [`HopSettings::stats`], in the words that the sampler's `haproxy` reader knows.
    fn has_stats(&self) -> bool {
        false
    }

    /// Lines of its log that say why connections fail, beside those that all proxies have in common.
    fn log_patterns(&self) -> &'static [LogPattern] {
        &[]
    }
}

/// What the configuration and the arguments of a hop are made of.
#[derive(Debug, Clone)]
pub struct HopSettings<'a> {
    /// What it calls itself in its log.
    pub kind: HopKind,
    pub front: &'a Front,
    pub listen: SocketAddr,
    pub upstreams: &'a [SocketAddr],
    pub sources: &'a [IpAddr],
    /// Source ports that the program itself has to keep to; `None`: the kernel's range.
    pub ports: Option<(u16, u16)>,
    /// Path of its configuration.
    pub config: &'a str,
    /// Where the program may write.
    pub scratch: &'a Path,
    /// Where it answers questions for its counters.
    pub stats: Option<SocketAddr>,
    /// User that nginx's workers have to stay, where the harness is root.
    pub user: Option<&'a str>,
}
