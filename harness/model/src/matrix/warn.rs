//! Warnings: a valid file whose measurement would disappoint.

use std::time::Duration;

use super::diagnostics::Diagnostic;
use super::read::{Sink, Span, Wire};
use super::units::format_duration;
use super::{Cell, Scenario, WorkersIn, unseen};
use crate::platforms;

/// Fewer repeats give no interval.
const FEWEST_REPEATS: u32 = 3;
/// A container's cgroup folder disappears with it: slower sampling misses its end.
const SLOWEST_SAMPLING: Duration = Duration::from_millis(250);

/// Looks at a matrix that has no faults.
pub(super) fn all(wire: &Wire, cells: &[Cell], today: Option<&str>, sink: &Sink) {
    settings(wire, sink);
    slow_metrics(wire, cells, sink);
    unused(wire, cells, sink);
    ignored(wire, cells, sink);
    if let Some(today) = today {
        old_rows(wire, today, sink);
        unseen::timeouts(wire, cells, today, sink);
    }
}

/// Rows of the catalogue that are old today.
fn old_rows(wire: &Wire, today: &str, sink: &Sink) {
    for described in wire.sizes.values().filter(|described| !described.size.has_own_price()) {
        let Some(row) = &described.plan else { continue };
        if let Some(warning) = row.get_ref().age(today).warning() {
            let what = format!("the price of `{}` was {warning}", row.get_ref().full_name());
            let hint = "import a newer list with `wsceiling prices import FILE`, or write your own `price`";
            sink.warn(Diagnostic::new(what).at(row.span()).hint(hint));
        }
    }
    for described in wire.targets.values() {
        let places = described.places.as_ref().and_then(|places| places.platform.clone());
        let name = described.target.remote.as_ref().and_then(|remote| remote.platform.as_deref());
        let (Some(place), Some(name)) = (places, name) else { continue };
        for warning in platforms::rows([name]).iter().flat_map(|row| row.age_warnings(today)) {
            let hint = "what it documents may be otherwise by now: look it up before you rely on it";
            sink.warn(Diagnostic::new(warning).at(place.clone()).hint(hint));
        }
    }
}

fn settings(wire: &Wire, sink: &Sink) {
    let put = |key: &str, warning: Diagnostic| {
        sink.warn(match wire.spans.get(key) {
            Some(span) => warning.at(span.clone()),
            None => warning,
        });
    };
    if wire.run.repeats < FEWEST_REPEATS {
        let repeats = wire.run.repeats;
        let warning = Diagnostic::new(format!("`repeats = {repeats}` is too few to show how far trials spread"));
        put("run.repeats", warning.hint(format!("{FEWEST_REPEATS} or more give a median and an interval")));
    }
    if wire.run.sample_every > SLOWEST_SAMPLING {
        let warning = Diagnostic::new("samples this far apart can miss the end of a killed container");
        put("run.sample_every", warning.hint("250ms or less keep the last memory and CPU numbers"));
    }
    let load = &wire.load;
    let climb = load.shortest();
    if climb > wire.run.trial_within {
        let (climb, within) = (seconds(climb), format_duration(wire.run.trial_within));
        let (what, hint) = if load.stages.is_empty() {
            ("a climb to `max` takes", "raise `run.trial_within` or `load.rate`, or lower `load.max` or `load.hold`")
        } else {
            ("the stages take", "raise `run.trial_within` or the rates, or shorten the holds")
        };
        let warning = Diagnostic::new(format!("{what} {climb}, but a trial is stopped after {within}"));
        let key = if wire.spans.contains_key("run.trial_within") { "run.trial_within" } else { "load" };
        put(key, warning.hint(hint));
    }
}

/// Metrics that are read too seldom for the holds.
fn slow_metrics(wire: &Wire, cells: &[Cell], sink: &Sink) {
    let holds = wire.load.phases().into_iter().map(|phase| phase.hold);
    let Some(shortest) = holds.min() else { return };
    for (name, described) in &wire.targets {
        let (Some(remote), Some(places)) = (&described.target.remote, &described.places) else { continue };
        let slow = remote.metrics.iter().filter(|source| source.is_too_slow_for(shortest));
        let Some(slowest) = slow.max_by_key(|source| source.every) else { continue };
        if cells.iter().any(|cell| cell.target == *name) {
            let (hold, every) = (format_duration(shortest), format_duration(slowest.every));
            let warning = Diagnostic::new(format!(
                "a hold of {hold} spans fewer than three readings of a source that target `{name}` is read from every {every}"
            ));
            let hint = format!("raise `load.hold` to {} or more, or lower `every`", format_duration(slowest.every * 3));
            sink.warn(warning.at(places.url.clone()).hint(hint));
        }
    }
}

fn seconds(duration: Duration) -> String {
    format_duration(Duration::from_secs(duration.as_secs().max(1)))
}

/// Targets, sizes and fronts that no cell has.
fn unused(wire: &Wire, cells: &[Cell], sink: &Sink) {
    let unused = |what: &str, name: &str, span: &Span, tables: &str| {
        let warning = Diagnostic::new(format!("{what} `{name}` is in no cell")).at(span.clone());
        sink.warn(warning.hint(format!("add it to `axes.{what}`, or remove its {tables}")));
    };
    for (name, described) in &wire.targets {
        if !cells.iter().any(|cell| cell.target == *name) {
            unused("target", name, &described.span, "tables");
        }
    }
    for (name, described) in &wire.sizes {
        let of_front = wire.fronts.values().any(|front| front.front.size.as_ref() == Some(name));
        if !of_front && !cells.iter().any(|cell| cell.size.as_ref() == Some(name)) {
            unused("size", name, &described.span, "table");
        }
    }
    for (name, described) in &wire.fronts {
        if !cells.iter().any(|cell| cell.front.as_ref() == Some(name)) {
            unused("front", name, &described.span, "table");
        }
    }
}

/// Settings that no cell uses.
fn ignored(wire: &Wire, cells: &[Cell], sink: &Sink) {
    let in_docker = wire.load.workers_in == Some(WorkersIn::Docker);
    if let (Some(span), true) = (wire.spans.get("load.workers_in"), in_docker)
        && !cells.iter().any(Cell::is_reached_from_containers)
    {
        let warning = Diagnostic::new(
            "workers run in containers beside instances in containers without a front, and no cell has any",
        );
        sink.warn(warning.at(span.clone()).hint("add \"docker\" to `axes.runtime`, or remove it"));
    }
    if let (Some(span), false) = (wire.spans.get("load.registry"), wire.load.workers_in == Some(WorkersIn::Swarm)) {
        let warning =
            Diagnostic::new("`load.registry` is used by workers in a swarm, and these are not").at(span.clone());
        sink.warn(warning.hint("add `workers_in = \"swarm\"`, or remove it"));
    }
    for (key, scenario) in [("broadcast", Scenario::Broadcast), ("churn", Scenario::Churn)] {
        let Some(span) = wire.spans.get(&format!("load.{key}")) else { continue };
        if !cells.iter().any(|cell| cell.scenario == scenario) {
            let warning = Diagnostic::new(format!("`load.{key}` is used by no cell")).at(span.clone());
            sink.warn(warning.hint(format!("add \"{key}\" to `axes.scenario`, or remove it")));
        }
    }
}
