//! The harness's own relay as a front, and as the balancer behind one.

use super::Setup;
use wsceiling_model::matrix::{Front, FrontKind};

/// Source addresses of a balancer: a hop that is not to be the limit needs more than one.
const BALANCER_SOURCES: u32 = 8;

/// The arguments.
pub(super) fn args(setup: &Setup<'_>, kind: &str) -> Vec<String> {
    let mut args = vec!["relay".to_owned(), "--name".to_owned(), kind.to_owned()];
    let mut add = |name: &str, value: String| args.extend([name.to_owned(), value]);
    add("--listen", setup.listen.to_string());
    setup.upstreams.iter().for_each(|upstream| add("--to", upstream.to_string()));
    setup.sources.iter().for_each(|source| add("--source", source.to_string()));
    if let Some((first, last)) = setup.ports {
        add("--ports", format!("{first}-{last}"));
    }
    if let Some(backlog) = setup.front.backlog {
        add("--backlog", backlog.to_string());
    }
    args
}

/// The stage that spreads over the instances behind one address. Nothing limits it but the machine.
pub(super) fn balancer(front: &Front) -> Front {
    Front { sources: BALANCER_SOURCES, ..Front::new(&front.name, FrontKind::Relay) }
}
