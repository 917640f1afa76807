//! A capacity plan and a validation, as text that is Markdown too.

use std::fmt::Write as _;

use super::capacity_words as words;
use super::summary::{code, escape};
use super::table::{Column, table};
use super::text;
use wsceiling_analysis::capacity::{CapacityPlan, SetUpPlan, Shares, SizePlan, ValidatedCell, Validation};
use wsceiling_model::format;

/// The plan for standard output.
pub fn capacity(plan: &CapacityPlan) -> String {
    let mut out = format!("# {}\n\n", escape(&words::goal(plan)));
    for set_up in &plan.set_ups {
        section(&mut out, plan, set_up);
    }
    for (id, why) in &plan.refused {
        let _ = writeln!(out, "- {}: {}", code(&id.to_string()), escape(&text::one_line(why)));
    }
    if !plan.refused.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "What this cannot know:\n");
    for line in words::LIMITS_OF_METHOD {
        let _ = writeln!(out, "- {line}");
    }
    out
}

fn section(out: &mut String, plan: &CapacityPlan, set_up: &SetUpPlan) {
    let _ = writeln!(out, "## {}\n", escape(&set_up.set_up.to_string()));
    for (name, value) in words::costs(&set_up.coefficients) {
        let _ = writeln!(out, "- {name}: {}", escape(&value));
    }
    let _ = writeln!(out, "- messages: {}\n", escape(&words::message(set_up.message)));
    let columns: [Column; 8] = [
        ("size", false),
        ("one instance holds", true),
        ("90 % interval", true),
        ("what stops it there", false),
        ("instances", true),
        ("restart of everyone", false),
        ("price a month", true),
        ("that is", false),
    ];
    out.push_str(&table(columns, set_up.sizes.iter().map(row)));
    for line in words::cheapest(plan, set_up) {
        let _ = writeln!(out, "- cheapest: {}", escape(&line));
    }
    for note in words::notes(set_up) {
        let _ = writeln!(out, "- {}", escape(&note));
    }
    out.push('\n');
}

fn row(size: &SizePlan) -> [String; 8] {
    let unknown = || format::UNKNOWN.to_owned();
    let one = size.one.as_ref();
    let plan = size.plan.as_ref();
    // Of what is bought: the plan where there is one.
    let shown = plan.map(|plan| &plan.prediction).or(one);
    [
        format!("{} ({})", code(&size.size), words::limits(size)),
        one.map_or_else(|| "nothing is known".to_owned(), words::held),
        one.map_or_else(unknown, |one| words::interval(one.interval)),
        one.map_or_else(unknown, words::cause),
        one.map_or_else(unknown, |_| words::instances(plan)),
        words::restart(plan.and_then(|plan| plan.restart)),
        words::price(size.price.as_ref(), plan.and_then(|plan| plan.per_month)),
        shown.map_or_else(unknown, |shown| words::basis(&shown.basis)),
    ]
}

/// A validation, for standard output and for `docs/accuracy.md`.
pub fn capacity_validation(validation: &Validation) -> String {
    let mut out = format!("**{}**\n\n", words::in_a_line(validation));
    let runs: Vec<String> = validation.runs.iter().map(|run| escape(&text::one_line(run))).collect();
    let which = if validation.held_out.is_empty() {
        "each size in turn, and all numbers of instances but the smallest".to_owned()
    } else {
        validation.held_out.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ")
    };
    let _ = writeln!(out, "Run {}; left out and predicted from the others: {which}.\n", runs.join(", "));
    out.push_str(&shares(validation));
    let columns: [Column; 8] = [
        ("cell", false),
        ("measured", true),
        ("predicted", true),
        ("90 % interval", true),
        ("error", true),
        ("what stopped it", false),
        ("predicted cause", false),
        ("that is", false),
    ];
    out.push_str(&table(columns, validation.cells.iter().map(validated)));
    for (cell, why) in &validation.unpredicted {
        let _ = writeln!(out, "- {}: not predicted: {}", code(cell), escape(why));
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn validated(cell: &ValidatedCell) -> [String; 8] {
    let least = if cell.at_least { "at least " } else { "" };
    let error =
        cell.error.map_or_else(|| format::UNKNOWN.to_owned(), |error| format::percent((error * 1e3).round() / 1e3));
    let outside = if cell.covered == Some(false) { ", outside" } else { "" };
    let wrong = if cell.cause_right == Some(false) { ", wrong" } else { "" };
    [
        code(&cell.cell),
        format!("{least}{}", format::whole(cell.measured)),
        format::whole(cell.predicted),
        format!("{}{outside}", words::interval(cell.interval)),
        error,
        cell.cause.to_string(),
        format!("{}{wrong}", cell.predicted_cause),
        words::basis(&cell.basis),
    ]
}

/// How many of each kind are right, and the bar.
fn shares(validation: &Validation) -> String {
    let columns: [Column; 6] = [
        ("cells", false),
        ("predicted", true),
        ("within 10 %", true),
        ("within 20 %", true),
        ("cause right", true),
        ("in the interval", true),
    ];
    let of = |count: u32, all: u32| format!("{count} of {all}");
    let row = |name: String, shares: Shares| {
        [
            name,
            shares.cells.to_string(),
            of(shares.within_10, shares.cells),
            of(shares.within_20, shares.cells),
            of(shares.causes_right, shares.causes),
            of(shares.covered, shares.cells),
        ]
    };
    let bar = validation.bar;
    let percent = format::percent;
    let wanted = [
        "bar".to_owned(),
        String::new(),
        percent(bar.within_10),
        percent(bar.within_20),
        percent(bar.cause),
        percent(bar.covered),
    ];
    let mut rows = vec![
        row("all".to_owned(), validation.total),
        row("interpolated".to_owned(), validation.interpolated),
        row("extrapolated".to_owned(), validation.extrapolated),
    ];
    rows.extend(validation.set_ups.iter().map(|(id, own)| row(id.to_string(), *own)));
    rows.push(wanted);
    table(columns, rows)
}
