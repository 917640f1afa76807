//! Remote targets against their cells and the load: what does not apply to a server that somebody else runs, and what may
//! not be asked of it.

use std::collections::BTreeSet;

use super::diagnostics::Diagnostic;
use super::expand::Draft;
use super::read::{RemotePlaces, Sink, Span, Wire};
use super::remote::{RemoteTarget, fastest};
use super::units::format_rate;
use super::{Runtime, Scenario, Target};
use crate::format;

/// Reports axes that do not apply, once a target and axis, and loads above what a target allows.
pub(super) fn check(wire: &Wire, drafts: &[Draft], sink: &Sink) {
    let mut told = BTreeSet::new();
    for draft in drafts {
        let Some(described) = wire.targets.get(&draft.cell.target) else { continue };
        let Target { name, remote, .. } = &described.target;
        let misfit = match remote {
            Some(remote) => misfit(draft, remote),
            None => (draft.cell.runtime == Runtime::Remote).then(|| no_url(draft, name)),
        };
        let Some(Misfit { axis, what, place, hint }) = misfit else { continue };
        if !told.insert((name, axis)) {
            continue;
        }
        let fault = Diagnostic::new(format!("target `{name}` {what}")).at(place.clone());
        let fault = fault.label(format!("`{}` cannot run", draft.cell.id));
        let fault =
            if *place == described.span { fault } else { fault.context(described.span.clone(), "described here") };
        sink.fault(fault.hint(hint));
    }
    let used = |name: &str| drafts.iter().any(|draft| draft.cell.target == name);
    for (name, described) in wire.targets.iter().filter(|(name, _)| used(name)) {
        if let (Some(remote), Some(places)) = (&described.target.remote, &described.places) {
            let churns = drafts.iter().any(|it| it.cell.target == *name && it.cell.scenario == Scenario::Churn);
            check_load(wire, name, remote, places, churns, sink);
            check_front_of(name, remote, places, sink);
        }
    }
}

/// An axis whose value a target cannot have.
struct Misfit<'a> {
    axis: &'static str,
    what: String,
    place: &'a Span,
    hint: String,
}

fn misfit<'a>(draft: &'a Draft, remote: &RemoteTarget) -> Option<Misfit<'a>> {
    let cell = &draft.cell;
    let target = &cell.target;
    let leave_out = |conditions: String| draft.leave_out(&format!("target = \"{target}\" and {conditions}"));
    if cell.runtime != Runtime::Remote {
        let what = format!("is somebody else's server and cannot run `{}`", cell.runtime);
        let hint = format!(
            "add \"remote\" to `runtime`, and {}; without the axis each target has its own",
            leave_out(format!("runtime = \"{}\"", cell.runtime))
        );
        return Some(Misfit { axis: "runtime", what, place: &draft.runtime, hint });
    }
    if let Some(front) = &cell.front {
        let what = "is somebody else's server: the harness puts no front before it".to_owned();
        let hint = format!(
            "measure the public address as a target of its own, with `front_of`, and {}",
            leave_out(format!("front = \"{front}\""))
        );
        return Some(Misfit { axis: "front", what, place: &draft.front, hint });
    }
    if cell.instances != remote.instances {
        let what = format!("has {} behind its URL, not {}", instances(remote.instances), cell.instances);
        let hint = format!(
            "say `instances = {}` in its table, or {}",
            cell.instances,
            leave_out(format!("instances = {}", cell.instances))
        );
        return Some(Misfit { axis: "instances", what, place: &draft.instances, hint });
    }
    if let Some(size) = cell.size.as_ref().filter(|size| Some(*size) != remote.size.as_ref()) {
        let what = match &remote.size {
            Some(own) => format!("has the size `{own}`, which the harness cannot change to `{size}`"),
            None => format!("has the size that it has: the harness cannot make it `{size}`"),
        };
        let hint =
            format!("say `size = \"{size}\"` in its table if it is so, or {}", leave_out(format!("size = \"{size}\"")));
        return Some(Misfit { axis: "size", what, place: &draft.size, hint });
    }
    if cell.scenario == Scenario::Broadcast && remote.instances > 1 {
        let what = "spreads the members of a room over several instances, which may not know of each other".to_owned();
        let hint = leave_out("scenario = \"broadcast\"".to_owned());
        return Some(Misfit { axis: "scenario", what, place: &draft.scenario, hint });
    }
    None
}

fn no_url<'a>(draft: &'a Draft, name: &str) -> Misfit<'a> {
    let leave_out = draft.leave_out(&format!("target = \"{name}\" and runtime = \"remote\""));
    Misfit {
        axis: "runtime",
        what: "has no `url` and cannot be `remote`".to_owned(),
        place: &draft.runtime,
        hint: format!("add `url = \"wss://...\"` to `[targets.{name}]` if it runs elsewhere, or {leave_out}"),
    }
}

fn instances(count: u32) -> String {
    if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") }
}

/// The load asks for no more than the target allows.
fn check_load(wire: &Wire, name: &str, remote: &RemoteTarget, places: &RemotePlaces, churns: bool, sink: &Sink) {
    let load = &wire.load;
    let rate = fastest(load);
    let tell = |key: &str, cap: &str, asked: String, allowed: String, raise: String| {
        let place = wire.spans.get(&format!("load.{key}"));
        let fault = Diagnostic::new(format!("the load asks for {asked}, and target `{name}` allows {allowed}"));
        let fault = match place {
            Some(place) => fault.at(place.clone()).context(places.url.clone(), "the target"),
            None => fault.at(places.url.clone()).label(format!("`load.{key}` has its default")),
        };
        sink.fault(fault.hint(format!("lower `load.{key}`, or say `{cap} = {raise}` in `[targets.{name}]`")));
    };
    if rate > remote.max_rate {
        let allowed = format_rate(remote.max_rate);
        if rate.is_finite() {
            let asked = format_rate(rate);
            tell("rate", "max_rate", format!("connects at {asked}"), allowed, format!("\"{asked}\""));
        } else {
            tell(
                "stage",
                "max_rate",
                "all connects at once, in a storm without `jitter`".to_owned(),
                allowed,
                "\"...\"".to_owned(),
            );
        }
    }
    let replaced = f64::from(load.max) / load.churn.lifetime.as_secs_f64();
    if churns && replaced > remote.max_rate {
        let (asked, allowed) = (format_rate(replaced.ceil()), format_rate(remote.max_rate));
        tell(
            "churn",
            "max_rate",
            format!("connects at {asked} in the scenario `churn`"),
            allowed,
            format!("\"{asked}\""),
        );
    }
    if load.max > remote.max_connections {
        let (asked, allowed) = (format::count(load.max.into()), format::count(remote.max_connections.into()));
        tell("max", "max_connections", format!("{asked} connections"), allowed, load.max.to_string());
    }
}

fn check_front_of(name: &str, remote: &RemoteTarget, places: &RemotePlaces, sink: &Sink) {
    if let Some(place) = places.front_of.as_ref().filter(|_| remote.front_of.as_deref() == Some(name)) {
        let fault = Diagnostic::new(format!("target `{name}` cannot be its own front")).at(place.span());
        sink.fault(fault.hint("name the target whose server this public address leads to"));
    }
}

#[cfg(test)]
mod tests;
