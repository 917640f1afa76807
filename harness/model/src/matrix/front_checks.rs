//! Fronts against the cells that have them: what a kind cannot do in a runtime or a scenario.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostics::Diagnostic;
use super::expand::Draft;
use super::read::{Sink, Wire};
use super::{Front, FrontKind, Runtime, Scenario};

/// Every described front, and the built-in ones that a cell has.
pub(super) fn used(wire: &Wire, drafts: &[Draft]) -> BTreeMap<String, Front> {
    let mut fronts: BTreeMap<String, Front> =
        wire.fronts.iter().map(|(name, described)| (name.clone(), described.front.clone())).collect();
    for name in drafts.iter().filter_map(|draft| draft.cell.front.as_ref()) {
        if let (false, Some(front)) = (fronts.contains_key(name), Front::built_in(name)) {
            fronts.insert(name.clone(), front);
        }
    }
    fronts
}

/// Reports cells whose front could never run, once a front.
pub(super) fn check(wire: &Wire, fronts: &BTreeMap<String, Front>, drafts: &[Draft], sink: &Sink) {
    let mut told = BTreeSet::new();
    for draft in drafts {
        let cell = &draft.cell;
        let Some(front) = cell.front.as_ref().and_then(|name| fronts.get(name)) else { continue };
        let described = wire.fronts.get(&front.name);
        let Some((what, place, fix)) = impossible(front, cell.runtime, cell.instances, cell.scenario) else {
            continue;
        };
        if !told.insert((&front.name, what)) {
            continue;
        }
        let key = described.and_then(|described| match place {
            FaultAt::Ports => described.ports.clone(),
            FaultAt::Sources => described.sources.clone(),
            FaultAt::Cell => None,
        });
        let fault = Diagnostic::new(format!("front `{}` {what}", front.name));
        let fault = match key {
            Some(key) => fault.at(key).context(draft.front.clone(), format!("`{}` needs it so", cell.id)),
            None => fault.at(draft.front.clone()).label(format!("`{}` cannot run", cell.id)),
        };
        let other = draft.leave_out(&conditions(front, cell.runtime, cell.scenario, place));
        sink.fault(fault.hint(format!("{fix}, or {other}")));
    }
}

#[derive(Clone, Copy)]
enum FaultAt {
    Ports,
    Sources,
    Cell,
}

/// What a front cannot do, where that is asked for, and what to do about it.
fn impossible(
    front: &Front,
    runtime: Runtime,
    instances: u32,
    scenario: Scenario,
) -> Option<(&'static str, FaultAt, &'static str)> {
    if front.kind == FrontKind::DockerPublish && runtime == Runtime::Bare {
        return Some((
            "publishes ports of containers and cannot stand before `bare` processes",
            FaultAt::Cell,
            RUNTIME,
        ));
    }
    if front.kind == FrontKind::Nginx && front.ports.is_some() && runtime == Runtime::Bare {
        let fix = "use a haproxy or relay front, or runtime \"docker\"";
        return Some(("cannot have `ports`: nginx takes the machine's range when it runs `bare`", FaultAt::Ports, fix));
    }
    if front.sources > 1 && runtime == Runtime::Docker {
        let fix = "use runtime \"bare\", where 127.0.0.0/8 has any number of them";
        return Some(("cannot have several `sources` in `docker`: a container has one address", FaultAt::Sources, fix));
    }
    let splits = instances > 1;
    if scenario == Scenario::Broadcast && splits {
        let fix = "use one instance";
        return Some((
            "spreads the members of a room over several instances, which do not know of each other",
            FaultAt::Cell,
            fix,
        ));
    }
    None
}

const RUNTIME: &str = "use runtime \"docker\"";

fn conditions(front: &Front, runtime: Runtime, scenario: Scenario, place: FaultAt) -> String {
    match place {
        FaultAt::Cell if scenario == Scenario::Broadcast && front.kind != FrontKind::DockerPublish => {
            format!("front = \"{}\" and scenario = \"broadcast\"", front.name)
        }
        _ => format!("front = \"{}\" and runtime = \"{runtime}\"", front.name),
    }
}
