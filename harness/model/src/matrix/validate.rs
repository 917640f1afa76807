//! Validation: names that point elsewhere are resolved, cells are expanded and checked, and the matrix is made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Spanned;

use super::diagnostics::Diagnostic;
use super::expand::{self, Draft};
use super::read::{Axes, Axis, DescribedTarget, Exclude, Include, NO_FRONT, Sink, Span, Wire};
use super::{
    Cell, FrontKind, Matrix, ProcessSpec, Runtime, Scenario, front_checks, names, remote_checks, swarm_checks, warn,
};
use crate::platforms::{Catalogue, PriceRecord};

/// Most trials of a run: at one second each they would take more than a day.
const MOST_TRIALS: usize = 100_000;

/// What to do about a target on a unix-domain socket that has to be reached over a network.
const USE_ADDRESS: &str = "use `{address}` instead of `{socket}`, or";

/// Makes the matrix; what it returns is only usable if `sink` has no fault.
pub(super) fn matrix(wire: Wire, text: &str, path: &Path, catalogue: &Catalogue, sink: &Sink) -> Matrix {
    let known = resolve(&wire, sink);
    let drafts = expand::cells(&wire, known && wire.rules_complete, sink);
    check_cells(&drafts, &wire.targets, sink);
    remote_checks::check(&wire, &drafts, sink);
    let used = front_checks::used(&wire, &drafts);
    front_checks::check(&wire, &used, &drafts, sink);
    swarm_checks::check(&wire, &used, &drafts, sink);
    let cells: Vec<Cell> = drafts.into_iter().map(|draft| draft.cell).collect();
    check_trials(&wire, cells.len(), sink);
    if sink.faults() == 0 {
        warn::all(&wire, &cells, catalogue.today(), sink);
    }
    let prices = prices(&wire);
    Matrix {
        run: wire.run,
        load: wire.load,
        targets: wire.targets.into_iter().map(|(name, described)| (name, described.target)).collect(),
        sizes: wire.sizes.into_iter().map(|(name, described)| (name, described.size)).collect(),
        prices,
        today: catalogue.today().map(str::to_owned),
        fronts: used,
        cells,
        text: text.to_owned(),
        folder: path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned(),
    }
}

/// The rows that sizes are named by, each once.
fn prices(wire: &Wire) -> Vec<PriceRecord> {
    let mut rows: Vec<PriceRecord> = Vec::new();
    for row in wire.sizes.values().filter_map(|described| described.plan.as_ref()).map(Spanned::get_ref) {
        if !rows.contains(row) {
            rows.push(row.clone());
        }
    }
    rows
}

/// Reports every target and size that is mentioned but not described; true: there is none.
pub(super) fn resolve(wire: &Wire, sink: &Sink) -> bool {
    let before = sink.faults();
    if wire.targets.is_empty() && sink.faults() == 0 {
        let fault = Diagnostic::new("no target is described: nothing could be measured").absence();
        sink.fault(fault.hint("add a table like `[targets.echo.process]` with `cargo = \"echo\"`"));
    }
    if wire.include.is_empty() && !wire.axes_given {
        let fault = Diagnostic::new("no `[axes]`: no cell would be measured").absence();
        sink.fault(fault.hint("add `[axes]` with `target = [...]`, the names of the targets to measure"));
    }
    if let Some(axes) = wire.axes.as_ref().filter(|axes| axes.target_missing) {
        let fault =
            Diagnostic::new("`[axes]` has no `target`").at(axes.span.clone()).label("the one axis that is needed");
        let all = wire.targets.keys().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        sink.fault(fault.absence().hint(format!("add `target = [{all}]`")));
    }
    let targets: Vec<&str> = wire.targets.keys().map(String::as_str).collect();
    for name in mentioned(wire, |axes| axes.target.as_ref(), |it| it.target.as_ref(), |it| it.target.as_ref()) {
        known("target", "targets", name, &targets, sink);
    }
    let sizes: Vec<&str> = wire.sizes.keys().map(String::as_str).collect();
    let named_by_fronts = wire.fronts.values().filter_map(|front| front.size.as_ref());
    let places = || wire.targets.values().filter_map(|described| described.places.as_ref());
    let named_by_targets = places().filter_map(|places| places.size.as_ref());
    let named = mentioned(wire, |axes| axes.size.as_ref(), |it| it.size.as_ref(), |it| it.size.as_ref());
    for name in named.into_iter().chain(named_by_fronts).chain(named_by_targets) {
        known("size", "sizes", name, &sizes, sink);
    }
    for name in places().filter_map(|places| places.front_of.as_ref()) {
        known("target", "targets", name, &targets, sink);
    }
    let built_in = FrontKind::ALL.iter().map(|kind| kind.name());
    let fronts: Vec<&str> =
        [NO_FRONT].into_iter().chain(built_in).chain(wire.fronts.keys().map(String::as_str)).collect();
    for name in mentioned(wire, |axes| axes.front.as_ref(), |it| it.front.as_ref(), |it| it.front.as_ref()) {
        known("front", "fronts", name, &fronts, sink);
    }
    sink.faults() == before
}

/// Every mention of a kind of name in axes, excludes and includes.
fn mentioned<'w>(
    wire: &'w Wire,
    on_axis: impl Fn(&'w Axes) -> Option<&'w Axis<String>>,
    in_exclude: impl Fn(&'w Exclude) -> Option<&'w Vec<Spanned<String>>>,
    in_include: impl Fn(&'w Include) -> Option<&'w Spanned<String>>,
) -> Vec<&'w Spanned<String>> {
    let axes = wire.axes.iter().filter_map(on_axis).flat_map(Spanned::get_ref);
    let excludes = wire.exclude.iter().filter_map(in_exclude).flatten();
    let includes = wire.include.iter().filter_map(in_include);
    axes.chain(excludes).chain(includes).collect()
}

fn known(what: &str, table: &str, name: &Spanned<String>, known: &[&str], sink: &Sink) {
    if known.contains(&name.get_ref().as_str()) {
        return;
    }
    let fault = Diagnostic::new(format!("unknown {what} `{}`", name.get_ref())).at(name.span());
    let add = format!("add `[{table}.NAME]`");
    let hint = match (names::nearest(name.get_ref(), known.iter().copied()), known) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => format!("no {what} is described: {add}"),
        (None, _) => {
            format!("described are {}; others need their own `[{table}.NAME]`", names::listed(known.iter().copied()))
        }
    };
    sink.fault(fault.label(format!("no `[{table}.{}]`", name.get_ref())).hint(hint));
}

/// Reports cells that could never run, once a target.
fn check_cells(drafts: &[Draft], targets: &BTreeMap<String, DescribedTarget>, sink: &Sink) {
    let mut told = BTreeSet::new();
    for draft in drafts {
        let Some(DescribedTarget { span: described, target, places }) = targets.get(&draft.cell.target) else {
            continue;
        };
        if places.is_some() {
            continue;
        }
        let (name, id) = (&target.name, &draft.cell.id);
        let mut tell = |kind, what: &str, place: &Span, cell: &str, fix: &str, conditions: &str| {
            if !told.insert((name, kind)) {
                return;
            }
            let fault = Diagnostic::new(format!("target `{name}` {what}")).at(place.clone());
            let fault = fault.label(format!("`{id}` {cell}"));
            let fault = if place == described { fault } else { fault.context(described.clone(), "described here") };
            let leave_out = draft.leave_out(&format!("target = \"{name}\" {conditions}"));
            sink.fault(fault.hint(format!("{fix} {leave_out}")));
        };
        let only_docker = target.process.is_none() && target.docker.is_some();
        if only_docker && draft.cell.runtime == Runtime::Bare {
            let fix = format!("add `[targets.{name}.process]`, use runtime \"docker\", or");
            let what = "has only `docker` and cannot run `bare`";
            tell("bare", what, &draft.runtime, "needs a process", &fix, "and runtime = \"bare\"");
        }
        let packed = target.docker.is_none() && draft.cell.runtime == Runtime::Docker;
        let socket = target.process.as_ref().is_some_and(ProcessSpec::listens_on_socket);
        if packed && socket {
            let what = "listens on a unix-domain socket and cannot run in docker";
            let cell = "is reached over a network";
            tell("socket", what, &draft.runtime, cell, USE_ADDRESS, "and runtime = \"docker\"");
        }
        let fixed = target.process.as_ref().and_then(|process| process.port);
        if let (Some(port), true, Runtime::Bare) = (fixed, draft.cell.instances > 1, draft.cell.runtime) {
            let what = &format!("listens on port {port} whatever it is told, and cannot run several times");
            let cell = "has several instances on this machine";
            let fix = "give it a port of its own by `{port}` in `args` or `env`, or";
            tell("port", what, described, cell, fix, "and instances = 1");
        }
        if socket && draft.cell.front.is_some() {
            let what = "listens on a unix-domain socket and has no address for a front";
            tell("front", what, described, "has a front", USE_ADDRESS, "for the fronts");
        }
        if !target.protocol.has_rooms() && draft.cell.scenario == Scenario::Broadcast {
            let what = &format!("speaks `{}` and has no rooms to `broadcast` into", target.protocol);
            let fix = "if it speaks targets/PROTOCOL.md say `protocol = \"app\"`, else";
            let cell = "needs a target with protocol = \"app\"";
            tell("broadcast", what, &draft.scenario, cell, fix, "and scenario = \"broadcast\"");
        }
    }
}

/// A plan has to fit memory, and a life.
fn check_trials(wire: &Wire, cells: usize, sink: &Sink) {
    let trials = cells.saturating_mul(wire.run.repeats as usize);
    if let (true, Some(span)) = (trials > MOST_TRIALS, wire.spans.get("run.repeats")) {
        let fault = Diagnostic::new(format!("{trials} trials, at most {MOST_TRIALS} are run")).at(span.clone());
        let label = format!("{cells} cells, {} times", wire.run.repeats);
        sink.fault(fault.label(label).hint("lower `repeats`, or split the matrix into several files"));
    }
}
