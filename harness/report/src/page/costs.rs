//! What a connection costs, on the page of a cell: the numbers with their intervals, and how well they hold.

use serde::Serialize;

use super::{Fact, FigureView};
use crate::cost_words;
use crate::plot::{self, CostLine, CostShape, Figure};
use crate::text;
use wsceiling_analysis::{CellFindings, Check, CpuCost, MemoryCost};
use wsceiling_model::format::{self, Unit};

/// A cost with its parts.
#[derive(Serialize)]
pub struct CostView {
    id: &'static str,
    title: &'static str,
    value: String,
    interval: String,
    facts: Vec<Fact>,
    notes: Vec<String>,
}

/// The costs of a cell that are known.
pub fn costs(cell: &CellFindings) -> Vec<CostView> {
    cell.memory.iter().map(memory).chain(cell.cpu.iter().map(cpu)).collect()
}

fn memory(cost: &MemoryCost) -> CostView {
    let mut facts = vec![Fact::new("baseline", format::quantity(Unit::Bytes, cost.baseline))];
    for part in &cost.parts {
        let mut value = format::quantity(Unit::Bytes, part.per_connection);
        if part.falls {
            value.push_str(", it falls with connections");
        }
        facts.push(Fact::new(&format!("of this, {}", text::one_line(&part.name)), value));
    }
    facts.extend(cost.growth.map(|growth| {
        let share = format::percent(growth.share);
        Fact::new("not of connections", format!("grows by {growth}, {share} of what memory grew"))
    }));
    facts.extend(check(&cost.check));
    facts.push(Fact::new("fitted to", format::counted(cost.points.len() as u64, "point", "points")));
    facts.push(Fact::new("read from", text::one_line(&cost.source)));
    CostView {
        id: "memory",
        title: "Memory per connection",
        value: cost_words::estimate(Some(cost.per_connection), Unit::Bytes),
        interval: interval(&cost_words::interval(Some(cost.per_connection), Unit::Bytes)),
        facts,
        notes: Vec::new(),
    }
}

fn cpu(cost: &CpuCost) -> CostView {
    let mut facts = vec![Fact::new("at the configured", cost_words::traffic(cost.configured))];
    if let Some(found) = cost.per_connection.filter(|found| found.value.is_finite()) {
        facts.push(Fact::new("1,000 connections", format!("{} of one core", format::percent(found.value * 1e-3))));
    }
    for (name, found, unit) in [
        ("idle connection", cost.idle, Unit::Microcores),
        ("message", cost.message, Unit::Micros),
        ("1,000 openings", cost_words::of_thousand(cost.opening), Unit::Micros),
        ("idle server", cost.baseline, Unit::Microcores),
    ] {
        facts.push(Fact::new(name, cost_words::with_interval(found, unit)));
    }
    facts.extend(cost.together.map(|together| {
        let messages = format::number(together.messages_per_s);
        let name = format!("connection with {messages} messages per second");
        Fact::new(&name, cost_words::with_interval(Some(together.cost), Unit::Microcores))
    }));
    facts.extend(check(&cost.check));
    facts.push(Fact::new("fitted to", format::counted(cost.windows as u64, "window", "windows")));
    facts.push(Fact::new("read from", text::one_line(&cost.source)));
    let range = cost_words::interval(cost.per_connection, Unit::Microcores);
    CostView {
        id: "cpu",
        title: "CPU per connection",
        value: cost_words::estimate(cost.per_connection, Unit::Microcores),
        interval: if cost.per_connection.is_none() { "the load does not tell".to_owned() } else { interval(&range) },
        facts,
        notes: cost.untold.clone(),
    }
}

fn interval(range: &str) -> String {
    if range.is_empty() { "no interval: only one trial".to_owned() } else { format!("95 %: {range}") }
}

/// How well a fit holds.
fn check(check: &Check) -> Vec<Fact> {
    let mut facts = vec![match cost_words::knee(check) {
        Some(knee) => Fact::new("knee", knee),
        None => Fact::new("knee", "none: linear as far as the steps go"),
    }];
    facts.extend(check.residual.map(|share| Fact::new("residual error", format::percent(round(share)))));
    facts.extend(check.held_out.map(|error| {
        let sign = if error >= 0.0005 { "+" } else { "" };
        Fact::new("last step, predicted from the others", format!("{sign}{}", format::percent(round(error))))
    }));
    facts
}

/// To a tenth of a percent.
fn round(share: f64) -> f64 {
    (share * 1e3).round() / 1e3
}

/// The plots of the costs.
pub fn figures(cell: &CellFindings, root: &str, figures: &mut Vec<Figure>) -> Vec<FigureView> {
    const MEMORY: &str =
        "Each mark is one step of one trial. The line is fitted over all marks up to the knee, if there is one.";
    const CPU: &str = "Each mark is one hold of one trial, converted to the configured load with the fitted costs. The line is \
        what these costs say for that load, up to the knee, if there is one.";
    const AS_DRIVEN: &str = "Each mark is one hold of one trial, with the messages that were sent in it. The line is fitted up to \
        the knee, if there is one.";
    let of_cpu = if cell.cpu.as_ref().is_some_and(|cpu| cpu.per_connection.is_some()) { CPU } else { AS_DRIVEN };
    let shown = [
        (
            "memory",
            "Memory against connections",
            "memory of all instances",
            Unit::Bytes,
            MEMORY,
            cell.memory.as_ref().map(CostShape::memory),
        ),
        (
            "cpu",
            "CPU against connections",
            "CPU of all instances while held",
            Unit::Cores,
            of_cpu,
            cell.cpu.as_ref().map(CostShape::cpu),
        ),
    ];
    let mut views = Vec::new();
    for (name, title, axis, unit, how, shape) in shown {
        let Some(shape) = shape.filter(|shape| !shape.is_empty()) else { continue };
        let line = [CostLine { label: "fit", cost: &shape, series: 0 }];
        let ends = plot::ends(std::iter::once(&shape));
        let label = format!("{title}, {}", cell.cell.id);
        let figure =
            Figure::half(format!("{}-{name}", cell.cell.id), label, |form| plot::cost(form, &line, unit, axis, ends));
        views.push(FigureView::new(&figure, root, "", title, how));
        figures.push(figure);
    }
    views
}
