//! The harness's own relay as a front, and as the balancer behind one.

use super::proxy::{HopSettings, Proxy};
use wsceiling_model::matrix::{Front, FrontKind};

/// Source addresses of a balancer: a hop that is not to be the limit needs more than one.
const BALANCER_SOURCES: u32 = 8;

/// The relay.
pub struct Relay;

impl Proxy for Relay {
    fn program(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    fn config(&self, _: &HopSettings<'_>) -> Option<String> {
        None
    }

    fn args(&self, settings: &HopSettings<'_>) -> Vec<String> {
        let mut args = vec!["relay".to_owned(), "--name".to_owned(), settings.kind.to_string()];
        let mut add = |name: &str, value: String| args.extend([name.to_owned(), value]);
        add("--listen", settings.listen.to_string());
        settings.upstreams.iter().for_each(|upstream| add("--to", upstream.to_string()));
        settings.sources.iter().for_each(|source| add("--source", source.to_string()));
        if let Some((first, last)) = settings.ports {
            add("--ports", format!("{first}-{last}"));
        }
        if let Some(backlog) = settings.front.backlog {
            add("--backlog", backlog.to_string());
        }
        args
    }
}

/// The hop that spreads over the instances behind one address. Nothing limits it but the machine.
pub fn balancer(front: &Front) -> Front {
    Front { sources: BALANCER_SOURCES, ..Front::new(&front.name, FrontKind::Relay) }
}
