//! Two runs side by side: as text that is Markdown too, and as a page.

use std::fmt::Write as _;

use serde::Serialize;

use super::RenderError;
use super::change_words;
use super::describe;
use super::page::{Pages, Template};
use super::summary::{code, escape};
use super::table::{Column, table};
use super::text::{self, one_line, sentence};
use wsceiling_analysis::compare::{BETWEEN_RUNS, CellComparison, Comparison, FactDifference};
use wsceiling_analysis::{Change, Judgement};
use wsceiling_model::format;

const COLUMNS: [Column; 7] = [
    ("cell", false),
    ("number", false),
    ("before", true),
    ("after", true),
    ("change", true),
    ("provable", true),
    ("judgement", false),
];

/// Characters of a reason.
const WHY_CHARS: usize = 160;

/// One number of one cell in both runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    cell: String,
    number: String,
    before: String,
    after: String,
    change: String,
    provable: String,
    judgement: String,
    class: &'static str,
    /// Whether a reader should look at it.
    notable: bool,
}

#[derive(Serialize)]
struct ComparisonPage {
    title: String,
    root: &'static str,
    before: String,
    after: String,
    line: String,
    /// Why how many numbers could not be judged.
    silences: Vec<String>,
    /// What the columns mean.
    how: String,
    load: Vec<Difference>,
    notable: Vec<Row>,
    rest: Vec<Row>,
    only_before: String,
    only_after: String,
    environment: Vec<Difference>,
}

#[derive(Serialize)]
struct Difference {
    name: String,
    before: String,
    after: String,
}

/// The comparison for standard output or a job summary.
pub fn comparison(comparison: &Comparison) -> String {
    let (before, after) = (change_words::run(&comparison.a), change_words::run(&comparison.b));
    let mut out = format!("# {}, compared with {}\n\n{}\n\n", escape(&after), escape(&before), in_a_line(comparison));
    for line in silences(comparison) {
        let _ = writeln!(out, "- not judged, {line}");
    }
    if !silences(comparison).is_empty() {
        out.push('\n');
    }
    if !comparison.load.is_empty() {
        out.push_str("The two runs used different loads, so no number is judged:\n\n");
        facts(&mut out, &comparison.load);
    }
    let rows = rows(comparison);
    let notable = rows.iter().filter(|row| row.notable);
    out.push_str(&table(COLUMNS, notable.map(Row::columns)));
    for cell in comparison.cells.iter().filter(|cell| cell.broken) {
        let _ = writeln!(out, "- {}: {}", code(&cell.cell), escape(&why(cell)));
    }
    if comparison.broken > 0 {
        out.push('\n');
    }
    let rest = rows.iter().filter(|row| !row.notable).count();
    if rest > 0 {
        let numbers = format::counted(rest as u64, "number", "numbers");
        let _ =
            writeln!(out, "{numbers} more without a change to look at. `--out FILE` writes a page with all of them.\n");
    }
    for (when, cells) in [("before", &comparison.only_a), ("after", &comparison.only_b)] {
        if !cells.is_empty() {
            let cells: Vec<String> = cells.iter().map(|cell| code(cell)).collect();
            let _ = writeln!(out, "Only {when}: {}\n", cells.join(", "));
        }
    }
    if !comparison.environment.is_empty() {
        out.push_str("The machines or sources differ, which may explain changes:\n\n");
        facts(&mut out, &comparison.environment);
    }
    if rows.iter().any(|row| row.notable && row.number != "outcome") {
        let _ = writeln!(out, "{}\n", how());
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// The template of the page.
pub const TEMPLATE: Template = ("comparison.html", include_str!("templates/comparison.html"));

/// The comparison as a page that holds everything it needs.
pub fn comparison_page(comparison: &Comparison) -> Result<String, RenderError> {
    let (notable, rest) = rows(comparison).into_iter().partition(|row| row.notable);
    let page = ComparisonPage {
        title: "Two runs side by side".to_owned(),
        root: "",
        before: change_words::run(&comparison.a),
        after: change_words::run(&comparison.b),
        line: in_a_line(comparison),
        silences: silences(comparison),
        how: how(),
        load: differences(&comparison.load),
        notable,
        rest,
        only_before: comparison.only_a.join(", "),
        only_after: comparison.only_b.join(", "),
        environment: differences(&comparison.environment),
    };
    Pages::new()?.render(TEMPLATE.0, &page)
}

/// The outcome as a sentence.
pub fn in_a_line(comparison: &Comparison) -> String {
    let cells = |count: u32| format::counted(u64::from(count), "cell", "cells");
    let broken = match comparison.broken {
        0 => String::new(),
        count => format!(", {} can no longer be measured", cells(count)),
    };
    let tested = format::counted(u64::from(comparison.tested), "number was", "numbers were");
    format!("{} confirmed worse, {} better{broken}; {tested} judged.", cells(comparison.worse), comparison.better)
}

/// What the words of the table mean.
fn how() -> String {
    format!(
        "Confirmed: larger than the {:.0} % by which two nights may differ without a change of the server, beyond what the \
         trials scatter, and with all numbers that were judged taken into account. Provable is the smallest change for the \
         worse that these trials could have confirmed. One shuffled run with both targets proves smaller ones: \
         `wsceiling verdict`.",
        BETWEEN_RUNS * 100.0
    )
}

/// Why how many numbers could not be judged.
pub fn silences(comparison: &Comparison) -> Vec<String> {
    change_words::silences(comparison.cells.iter().flat_map(|cell| &cell.changes))
}

/// Why a cell was not measured, with what to do about it.
pub fn why(cell: &CellComparison) -> String {
    let outcome = describe::badge(cell.outcome_b).text;
    let reason = cell.reason.as_deref().map(|reason| format!(": {}", text::shorten(reason, WHY_CHARS)));
    let hint = cell.hint.as_ref().map(|hint| format!("; hint: {}", text::hint(hint, WHY_CHARS)));
    format!("{outcome}{}{}", reason.unwrap_or_default(), hint.unwrap_or_default())
}

fn rows(comparison: &Comparison) -> Vec<Row> {
    comparison.cells.iter().flat_map(cell_rows).collect()
}

fn cell_rows(cell: &CellComparison) -> Vec<Row> {
    let words = |number: &str, before: String, after: String| Row {
        cell: cell.cell.clone(),
        number: number.to_owned(),
        before,
        after,
        change: String::new(),
        provable: String::new(),
        judgement: String::new(),
        class: "",
        notable: true,
    };
    let mut rows = Vec::new();
    if cell.outcome_a != cell.outcome_b {
        let text = |outcome| describe::badge(outcome).text.to_owned();
        let mut row = words("outcome", text(cell.outcome_a), text(cell.outcome_b));
        if cell.broken {
            "can no longer be measured".clone_into(&mut row.judgement);
            row.class = "fail";
        } else if cell.judgement == Judgement::NotMeasured {
            change_words::judgement(Judgement::NotMeasured).clone_into(&mut row.judgement);
        }
        rows.push(row);
    }
    if let (Some(a), Some(b)) = (cell.cause_a, cell.cause_b)
        && a != b
    {
        rows.push(words("what stopped it", a.to_string(), b.to_string()));
    }
    rows.extend(cell.changes.iter().map(|change| change_row(cell, change)));
    rows
}

fn change_row(cell: &CellComparison, change: &Change) -> Row {
    let [before, after] = change_words::sides(change);
    Row {
        cell: cell.cell.clone(),
        number: change_words::number(change.quantity).0.to_owned(),
        before,
        after,
        change: change_words::percent(change.ratio),
        provable: change_words::provable(change),
        judgement: change_words::judged(change),
        class: change_words::class(change.judgement),
        notable: is_notable(change),
    }
}

/// What was judged and moved, and what moved so far that a reader wants to know although nobody can judge it.
fn is_notable(change: &Change) -> bool {
    match change.judgement {
        Judgement::ConfirmedWorse | Judgement::ConfirmedBetter | Judgement::NotConfirmed => true,
        Judgement::CannotKnow => change.apart && change.ratio.is_none_or(|ratio| ratio.abs() > BETWEEN_RUNS),
        Judgement::Same | Judgement::NotMeasured => false,
    }
}

impl Row {
    fn columns(&self) -> [String; 7] {
        let row = [&self.number, &self.before, &self.after, &self.change, &self.provable, &self.judgement];
        let [number, before, after, change, provable, judgement] = row.map(String::clone);
        [code(&self.cell), number, before, after, change, provable, judgement]
    }
}

fn facts(out: &mut String, differences: &[FactDifference]) {
    let text = |value: &Option<String>| value.as_deref().map_or_else(|| "not known".to_owned(), code);
    for fact in differences {
        let _ = writeln!(out, "- {}: {} → {}", code(&fact.name), text(&fact.a), text(&fact.b));
    }
    out.push('\n');
}

fn differences(differences: &[FactDifference]) -> Vec<Difference> {
    let text = |value: &Option<String>| value.as_deref().map_or_else(|| "not known".to_owned(), one_line);
    let one =
        |fact: &FactDifference| Difference { name: sentence(&fact.name), before: text(&fact.a), after: text(&fact.b) };
    differences.iter().map(one).collect()
}

#[cfg(test)]
pub(super) mod tests;
