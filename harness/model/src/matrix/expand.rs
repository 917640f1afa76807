//! Expansion: the product of the axes, less what is excluded, plus what is included.

use std::collections::BTreeMap;

use toml::Spanned;

use super::diagnostics::Diagnostic;
use super::read::{Axes, Axis, Exclude, Include, NO_FRONT, Sink, Span, Wire};
use super::{Cell, Runtime, Scenario, names};

/// Most cells of a matrix; more is a slip, and would take weeks.
const MOST_CELLS: usize = 10_000;

/// A cell with the places that asked for it.
pub(super) struct Draft {
    pub cell: Cell,
    /// What asked for this runtime: the axis' value, or the target where the default applies.
    pub runtime: Span,
    /// What asked for this number of instances.
    pub instances: Span,
    /// What asked for this front.
    pub front: Span,
    /// What asked for this size.
    pub size: Span,
    /// What asked for this scenario.
    pub scenario: Span,
    /// An `[[include]]` asked for it.
    pub included: bool,
}

impl Draft {
    /// How to be rid of it, where the axes or an include asked for it.
    pub fn leave_out(&self, conditions: &str) -> String {
        if self.included {
            "remove this `[[include]]`".to_owned()
        } else {
            format!("add `[[exclude]]` with {conditions}")
        }
    }
}

impl Cell {
    /// This cell under its id: `<target>-<runtime>-x<instances>[-<front>][-<size>][-<scenario>]`. `none` and `idle` are
    /// left out, so that ids stay the same when their axes are added later.
    fn named(mut self) -> Self {
        self.id = format!("{}-{}-x{}", self.target, self.runtime, self.instances);
        let scenario = (self.scenario != Scenario::Idle).then(|| self.scenario.name());
        for word in self.front.as_deref().into_iter().chain(self.size.as_deref()).chain(scenario) {
            self.id.push('-');
            self.id.push_str(word);
        }
        self
    }
}

/// All cells. `complete`: axes and rules were read without a fault, so a rule that matches nothing is a fault itself.
pub(super) fn cells(wire: &Wire, complete: bool, sink: &Sink) -> Vec<Draft> {
    let product = wire.axes.as_ref().map_or_else(Vec::new, |axes| product(axes, wire, sink));
    if complete && !product.is_empty() {
        wire.exclude.iter().for_each(|rule| check_exclude(rule, &product, sink));
    }
    let any = !product.is_empty();
    let left = product.into_iter().filter(|draft| !wire.exclude.iter().any(|rule| matches(rule, &draft.cell)));
    let mut drafts: Vec<Draft> = left.collect();
    if complete
        && any
        && drafts.is_empty()
        && wire.include.is_empty()
        && let Some(last) = wire.exclude.last()
    {
        let fault = Diagnostic::new("no cell is left to measure").at(last.span.clone());
        sink.fault(fault.label("with this rule every cell is excluded").hint("remove or narrow an `[[exclude]]`"));
    }
    let from_axes = drafts.len();
    let mut places: Vec<Span> = vec![wire.axes.as_ref().map_or(0..0, |axes| axes.span.clone()); from_axes];
    for rule in &wire.include {
        if let Some(draft) = include(rule, wire, sink) {
            drafts.push(draft);
            places.push(rule.span.clone());
        }
    }
    unique(drafts, &places, from_axes, sink)
}

/// What a cell has where no axis says: of a remote target what its own table says.
struct Defaults {
    runtime: Runtime,
    instances: u32,
    size: Option<String>,
}

impl Defaults {
    fn of(target: &str, wire: &Wire) -> Self {
        match wire.targets.get(target).and_then(|described| described.target.remote.as_ref()) {
            Some(remote) => Self { runtime: Runtime::Remote, instances: remote.instances, size: remote.size.clone() },
            None => Self { runtime: Runtime::Bare, instances: 1, size: None },
        }
    }
}

/// Every combination of the axes; an absent axis has its default.
fn product(axes: &Axes, wire: &Wire, sink: &Sink) -> Vec<Draft> {
    let Some(targets) = &axes.target else { return Vec::new() };
    let fronts = fronts(axes.front.as_ref());
    let scenarios = values(axes.scenario.as_ref(), Scenario::Idle);
    let length = |given: Option<usize>| given.unwrap_or(1);
    let lengths = [
        targets.get_ref().len(),
        length(axes.runtime.as_ref().map(|axis| axis.get_ref().len())),
        length(axes.instances.as_ref().map(|axis| axis.get_ref().len())),
        fronts.len(),
        length(axes.size.as_ref().map(|axis| axis.get_ref().len())),
        scenarios.len(),
    ];
    let count = lengths.iter().fold(1_usize, |product, length| product.saturating_mul(*length));
    if count > MOST_CELLS {
        let fault = Diagnostic::new(format!("{count} cells, at most {MOST_CELLS} are measured in one run"));
        let lengths = lengths.map(|length| length.to_string()).join(" x ");
        sink.fault(fault.at(axes.span.clone()).label(lengths).hint("split the matrix into several files"));
        return Vec::new();
    }
    let mut drafts = Vec::with_capacity(count);
    for target in targets.get_ref() {
        let span = |span: &Option<Span>| span.clone().unwrap_or_else(|| target.span());
        let default = Defaults::of(target.get_ref(), wire);
        let runtimes = values(axes.runtime.as_ref(), default.runtime);
        let instances = values(axes.instances.as_ref(), default.instances);
        let sizes = optional(axes.size.as_ref(), default.size);
        for (runtime, runtime_span) in &runtimes {
            for (instances, instances_span) in &instances {
                for (front, front_span) in &fronts {
                    for (size, size_span) in &sizes {
                        for (scenario, scenario_span) in &scenarios {
                            let cell = Cell {
                                id: String::new(),
                                target: target.get_ref().clone(),
                                runtime: *runtime,
                                instances: *instances,
                                front: front.clone(),
                                size: size.clone(),
                                scenario: *scenario,
                            };
                            drafts.push(Draft {
                                cell: cell.named(),
                                runtime: span(runtime_span),
                                instances: span(instances_span),
                                front: span(front_span),
                                size: span(size_span),
                                scenario: span(scenario_span),
                                included: false,
                            });
                        }
                    }
                }
            }
        }
    }
    drafts
}

/// Names of the axis `front`, without the word for none.
fn fronts(axis: Option<&Axis<String>>) -> Vec<(Option<String>, Option<Span>)> {
    let named = |name: &Spanned<String>| (front_name(name.get_ref()), Some(name.span()));
    axis.map_or_else(|| vec![(None, None)], |list| list.get_ref().iter().map(named).collect())
}

fn front_name(name: &str) -> Option<String> {
    (name != NO_FRONT).then(|| name.to_owned())
}

fn values<T: Copy>(axis: Option<&Axis<T>>, default: T) -> Vec<(T, Option<Span>)> {
    match axis {
        Some(list) => list.get_ref().iter().map(|value| (*value.get_ref(), Some(value.span()))).collect(),
        None => vec![(default, None)],
    }
}

fn optional(axis: Option<&Axis<String>>, default: Option<String>) -> Vec<(Option<String>, Option<Span>)> {
    match axis {
        Some(list) => list.get_ref().iter().map(|value| (Some(value.get_ref().clone()), Some(value.span()))).collect(),
        None => vec![(default, None)],
    }
}

/// The keys of an exclude, each with whether it lets a cell match.
fn conditions(rule: &Exclude, cell: &Cell) -> [(&'static str, Option<bool>); 6] {
    fn has<T: PartialEq>(list: Option<&Vec<Spanned<T>>>, value: Option<&T>) -> Option<bool> {
        list.map(|list| list.iter().any(|one| Some(one.get_ref()) == value))
    }
    [
        ("target", has(rule.target.as_ref(), Some(&cell.target))),
        ("runtime", has(rule.runtime.as_ref(), Some(&cell.runtime))),
        ("instances", has(rule.instances.as_ref(), Some(&cell.instances))),
        ("front", has(rule.front.as_ref(), Some(&cell.front.clone().unwrap_or_else(|| NO_FRONT.to_owned())))),
        ("size", has(rule.size.as_ref(), cell.size.as_ref())),
        ("scenario", has(rule.scenario.as_ref(), Some(&cell.scenario))),
    ]
}

/// Every given key matches, and at least one is given.
fn matches(rule: &Exclude, cell: &Cell) -> bool {
    let conditions = conditions(rule, cell);
    conditions.iter().all(|(_, holds)| *holds != Some(false)) && conditions.iter().any(|(_, holds)| holds.is_some())
}

/// A rule without a condition, or one that matches no cell, is a slip.
fn check_exclude(rule: &Exclude, product: &[Draft], sink: &Sink) {
    let Some(first) = product.first() else { return };
    let given: Vec<&str> =
        conditions(rule, &first.cell).into_iter().filter(|(_, holds)| holds.is_some()).map(|(key, _)| key).collect();
    if given.is_empty() {
        let fault = Diagnostic::new("`[[exclude]]` without a condition").at(rule.span.clone());
        sink.fault(fault.label("which cells?").hint("give at least one axis, like `target = \"app\"`"));
        return;
    }
    if product.iter().any(|draft| matches(rule, &draft.cell)) {
        return;
    }
    let never = given.iter().filter(|key| {
        let holds = |draft: &Draft| {
            conditions(rule, &draft.cell).iter().any(|(name, holds)| name == *key && *holds == Some(true))
        };
        !product.iter().any(holds)
    });
    let never: Vec<&str> = never.copied().collect();
    let fault = Diagnostic::new("`[[exclude]]` matches no cell").at(rule.span.clone()).label("nothing to exclude");
    sink.fault(fault.hint(match never.as_slice() {
        [] => format!("no single cell has this {} together", names::listed(given)),
        never => format!(
            "no cell has this {}: compare it with `[axes]`, or remove the rule",
            names::listed(never.iter().copied())
        ),
    }));
}

/// The cell of an include; what is not given has its default.
fn include(rule: &Include, wire: &Wire, sink: &Sink) -> Option<Draft> {
    if rule.target_missing {
        let fault = Diagnostic::new("`[[include]]` has no `target`").at(rule.span.clone());
        sink.fault(fault.label("the one key that is needed").hint("add `target = \"...\"`"));
    }
    let target = rule.target.as_ref().filter(|_| rule.readable)?;
    let span = |span: Option<Span>| span.unwrap_or_else(|| target.span());
    let default = Defaults::of(target.get_ref(), wire);
    let cell = Cell {
        id: String::new(),
        target: target.get_ref().clone(),
        runtime: rule.runtime.as_ref().map_or(default.runtime, |runtime| *runtime.get_ref()),
        instances: rule.instances.as_ref().map_or(default.instances, |instances| *instances.get_ref()),
        front: rule.front.as_ref().and_then(|front| front_name(front.get_ref())),
        size: rule.size.as_ref().map(|size| size.get_ref().clone()).or(default.size),
        scenario: rule.scenario.as_ref().map_or(Scenario::Idle, |scenario| *scenario.get_ref()),
    };
    Some(Draft {
        cell: cell.named(),
        runtime: span(rule.runtime.as_ref().map(Spanned::span)),
        instances: span(rule.instances.as_ref().map(Spanned::span)),
        front: span(rule.front.as_ref().map(Spanned::span)),
        size: span(rule.size.as_ref().map(Spanned::span)),
        scenario: span(rule.scenario.as_ref().map(Spanned::span)),
        included: true,
    })
}

/// Reports cells that are there twice and different cells whose ids are the same; returns each id once.
fn unique(drafts: Vec<Draft>, places: &[Span], from_axes: usize, sink: &Sink) -> Vec<Draft> {
    let mut seen: BTreeMap<String, (Cell, usize)> = BTreeMap::new();
    let mut kept = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.into_iter().enumerate() {
        let id = draft.cell.id.clone();
        let Some((first, first_index)) = seen.get(&id) else {
            seen.insert(id, (draft.cell.clone(), index));
            kept.push(draft);
            continue;
        };
        let fault = if *first == draft.cell {
            let words = if *first_index < from_axes { "the axes have it already" } else { "an include has it already" };
            let fault = Diagnostic::new(format!("cell `{id}` is there twice")).at(places[index].clone());
            fault.label(words).hint("remove this `[[include]]`")
        } else {
            let fault =
                Diagnostic::new(format!("two different cells would have the id `{id}`")).at(places[index].clone());
            fault.hint("rename a target or a size, so that no name contains parts of another id")
        };
        sink.fault(fault);
    }
    kept
}

#[cfg(test)]
mod tests;
