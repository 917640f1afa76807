//! Workers in a swarm against the cells that they load: what no task of another node can reach.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostics::Diagnostic;
use super::expand::Draft;
use super::read::{Sink, Wire};
use super::{Front, FrontKind, Runtime, WorkersIn, is_loopback};

/// Whether a remote target is told by an address of loopback.
fn own_loopback(wire: &Wire, draft: &Draft) -> bool {
    let remote = wire.targets.get(&draft.cell.target).and_then(|described| described.target.remote.as_ref());
    remote.is_some_and(|remote| remote.urls.iter().any(is_loopback))
}

/// Reports cells whose servers listen on this host's loopback, which only this host reaches; once a reason.
pub(super) fn check(wire: &Wire, fronts: &BTreeMap<String, Front>, drafts: &[Draft], sink: &Sink) {
    if wire.load.workers_in != Some(WorkersIn::Swarm) {
        return;
    }
    let Some(key) = wire.spans.get("load.workers_in") else { return };
    let mut told = BTreeSet::new();
    for draft in drafts {
        let front = draft.cell.front.as_ref().and_then(|name| fronts.get(name));
        let published = front.filter(|front| front.kind == FrontKind::DockerPublish);
        let (what, place, fix, conditions) = match (draft.cell.runtime, published) {
            (Runtime::Bare, _) => (
                "runs `bare`: it listens on this host's loopback, which tasks of a swarm cannot reach".to_owned(),
                &draft.runtime,
                "use runtime \"docker\", or `workers_in = \"host\"`",
                "runtime = \"bare\"".to_owned(),
            ),
            (Runtime::Docker, Some(front)) => (
                format!(
                    "has the front `{}`: its ports are on this host's loopback, which tasks of a swarm cannot reach",
                    front.name
                ),
                &draft.front,
                "use another front, or `workers_in = \"host\"`",
                format!("front = \"{}\"", front.name),
            ),
            (Runtime::Remote, _) if own_loopback(wire, draft) => (
                format!(
                    "loads `{}`, which is this host's loopback: tasks of a swarm cannot reach it",
                    draft.cell.target
                ),
                &draft.runtime,
                "give its address on the network, or use `workers_in = \"host\"`",
                format!("target = \"{}\"", draft.cell.target),
            ),
            (Runtime::Docker, None) | (Runtime::Remote, _) => continue,
        };
        if !told.insert(conditions.clone()) {
            continue;
        }
        let fault = Diagnostic::new(format!("`{}` {what}", draft.cell.id)).at(place.clone());
        let fault = fault.label("not reached from a swarm").context(key.clone(), "the workers run there");
        sink.fault(fault.hint(format!("{fix}, or {}", draft.leave_out(&conditions))));
    }
}
