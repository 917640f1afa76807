//! Two runs side by side: as text that is Markdown too, and as a page.

use std::fmt::Write as _;

use serde::Serialize;

use super::RenderError;
use super::describe;
use super::page::{Pages, Template};
use super::summary::code;
use super::text::{self, one_line, sentence};
use wsceiling_analysis::compare::{CellComparison, Change, Comparison, Direction, FactDifference};
use wsceiling_model::format::{self, Unit};
use wsceiling_model::record::Outcome;

const HEAD: [&str; 6] = ["cell", "number", "before", "after", "change", "judgement"];
/// Columns that are aligned to the right.
const NUMBERS: std::ops::RangeInclusive<usize> = 2..=4;

/// One number of one cell in both runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    cell: String,
    number: String,
    before: String,
    after: String,
    change: String,
    judgement: &'static str,
    class: &'static str,
    /// Whether it says more than noise.
    notable: bool,
}

#[derive(Serialize)]
struct ComparisonPage {
    title: String,
    root: &'static str,
    before: String,
    after: String,
    line: String,
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
    let (before, after) = (run(&comparison.a), run(&comparison.b));
    let mut out = format!("# {after}, compared with {before}\n\n{}\n\n", in_a_line(comparison));
    if !comparison.load.is_empty() {
        out.push_str("The two runs used different loads, so the numbers may not be comparable:\n\n");
        facts(&mut out, &comparison.load);
    }
    let rows = rows(comparison);
    let notable: Vec<&Row> = rows.iter().filter(|row| row.notable).collect();
    table(&mut out, &notable);
    let rest = rows.len() - notable.len();
    if rest > 0 {
        let numbers = format::counted(rest as u64, "number", "numbers");
        let _ = writeln!(out, "{numbers} more within the noise. `--out FILE` writes a page with all of them.\n");
    }
    for (when, cells) in [("before", &comparison.only_a), ("after", &comparison.only_b)] {
        if !cells.is_empty() {
            let _ = writeln!(out, "Only {when}: {}\n", cells.join(", "));
        }
    }
    if !comparison.environment.is_empty() {
        out.push_str("The machines or sources differ, which may explain changes:\n\n");
        facts(&mut out, &comparison.environment);
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
        before: run(&comparison.a),
        after: run(&comparison.b),
        line: in_a_line(comparison),
        load: differences(&comparison.load),
        notable,
        rest,
        only_before: comparison.only_a.join(", "),
        only_after: comparison.only_b.join(", "),
        environment: differences(&comparison.environment),
    };
    Pages::new()?.render(TEMPLATE.0, &page)
}

/// `default of 2026-11-24 03:56:16 UTC`.
fn run(started_and_name: &str) -> String {
    let line = one_line(started_and_name);
    line.split_once(' ').map_or_else(|| line.clone(), |(time, name)| format!("{name} of {}", text::time(time)))
}

fn in_a_line(comparison: &Comparison) -> String {
    let (worse, better) = (comparison.worse, comparison.better);
    let same = (comparison.cells.len() as u32).saturating_sub(worse + better);
    let cells = |count: u32| format::counted(u64::from(count), "cell", "cells");
    format!("{} worse, {better} better, {same} unchanged within the noise.", cells(worse))
}

fn rows(comparison: &Comparison) -> Vec<Row> {
    comparison.cells.iter().flat_map(cell_rows).collect()
}

fn cell_rows(cell: &CellComparison) -> Vec<Row> {
    let words = |number: &str, before: String, after: String, class| Row {
        cell: cell.cell.clone(),
        number: number.to_owned(),
        before,
        after,
        change: String::new(),
        judgement: "",
        class,
        notable: true,
    };
    let mut rows = Vec::new();
    if cell.outcome_a != cell.outcome_b {
        let text = |outcome| describe::badge(outcome).text.to_owned();
        rows.push(words("outcome", text(cell.outcome_a), text(cell.outcome_b), ""));
    }
    if let (Some(a), Some(b)) = (cell.cause_a, cell.cause_b)
        && a != b
    {
        rows.push(words("what stopped it", a.to_string(), b.to_string(), ""));
    }
    rows.extend(cell.changes.iter().map(|change| change_row(cell, change)));
    let lost = |row: &&mut Row| row.number == "outcome" && cell.changes.iter().all(|change| change.name != "ceiling");
    if let Some(row) = rows.iter_mut().find(lost) {
        (row.judgement, row.class) = match direction(cell.direction) {
            ("", _) => ("not measured", ""),
            judged => judged,
        };
    }
    rows
}

fn change_row(cell: &CellComparison, change: &Change) -> Row {
    let (number, unit) = match change.name.as_str() {
        "ceiling" => ("connections held".to_owned(), Unit::Count),
        "memory_per_connection_bytes" => ("memory per connection".to_owned(), Unit::Bytes),
        "cpu_per_connection_us_per_s" => ("CPU per connection".to_owned(), Unit::Microcores),
        "cpu_per_idle_connection_us_per_s" => ("CPU per idle connection".to_owned(), Unit::Microcores),
        "cpu_per_message_us" => ("CPU per message".to_owned(), Unit::Micros),
        "cpu_per_open_us" => ("CPU per opening".to_owned(), Unit::Micros),
        other => (one_line(other).replace('_', " "), Unit::Plain),
    };
    let value = |value: f64, outcome: Outcome| {
        let least = change.name == "ceiling" && outcome == Outcome::Ok;
        format!("{}{}", if least { "at least " } else { "" }, format::quantity(unit, value))
    };
    let (judgement, class) = match (change.significant, change.relevant) {
        (true, true) => direction(change.direction),
        (true, false) => ("small", ""),
        (false, _) => ("within the noise", ""),
    };
    Row {
        cell: cell.cell.clone(),
        number,
        before: value(change.a, cell.outcome_a),
        after: value(change.b, cell.outcome_b),
        change: change.ratio.map_or_else(|| format::UNKNOWN.to_owned(), percent),
        judgement,
        class,
        notable: change.significant,
    }
}

/// `+12.3 %`, with a true minus and no sign on nothing.
fn percent(ratio: f64) -> String {
    let text = format!("{:+.1} %", ratio * 100.0);
    if text == "+0.0 %" || text == "-0.0 %" { "0 %".to_owned() } else { text.replace('-', "−") }
}

const fn direction(direction: Direction) -> (&'static str, &'static str) {
    match direction {
        Direction::Same => ("", ""),
        Direction::Better => ("better", "pass"),
        Direction::Worse => ("WORSE", "fail"),
    }
}

/// A table that is aligned as text and a table as Markdown.
fn table(out: &mut String, rows: &[&Row]) {
    if rows.is_empty() {
        return;
    }
    let mut last = "";
    let mut lines = vec![HEAD.map(str::to_owned)];
    for row in rows {
        // A cell is named once, so that its rows are seen to belong together.
        let cell = if row.cell == last { "" } else { &row.cell };
        last = &row.cell;
        let columns = [cell, &row.number, &row.before, &row.after, &row.change, row.judgement];
        lines.push(columns.map(|text| text.replace('|', "\\|")));
    }
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3, 4, 5].map(width);
    for (at, line) in lines.iter().enumerate() {
        let cells = line.iter().enumerate().map(|(at, text)| {
            let width = widths[at];
            if NUMBERS.contains(&at) { format!(" {text:>width$} ") } else { format!(" {text:width$} ") }
        });
        let _ = writeln!(out, "|{}|", cells.collect::<Vec<_>>().join("|"));
        if at == 0 {
            let rule = |at: usize| {
                let dashes = "-".repeat(widths[at] + 1);
                if NUMBERS.contains(&at) { format!("{dashes}:") } else { format!("{dashes}-") }
            };
            let _ = writeln!(out, "|{}|", [0, 1, 2, 3, 4, 5].map(rule).join("|"));
        }
    }
    out.push('\n');
}

fn facts(out: &mut String, differences: &[FactDifference]) {
    let text = |value: &Option<String>| value.as_deref().map_or_else(|| "not known".to_owned(), code);
    for fact in differences {
        let _ = writeln!(out, "- {}: {} → {}", one_line(&fact.name), text(&fact.a), text(&fact.b));
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
mod tests {
    use super::*;
    use wsceiling_model::record::Cause;

    fn change(name: &str, a: f64, b: f64, significant: bool, went: Direction) -> Change {
        let ratio = (a != 0.0).then(|| b / a - 1.0);
        let relevant = ratio.is_some_and(|ratio| ratio.abs() >= 0.05);
        Change { name: name.into(), a, b, ratio, significant, relevant, direction: went }
    }

    fn cell(id: &str, outcomes: (Outcome, Outcome), changes: Vec<Change>, went: Direction) -> CellComparison {
        CellComparison {
            cell: id.into(),
            outcome_a: outcomes.0,
            outcome_b: outcomes.1,
            cause_a: Some(Cause::None),
            cause_b: matches!(outcomes.1, Outcome::Ok | Outcome::Ceiling)
                .then(|| if outcomes.1 == Outcome::Ok { Cause::None } else { Cause::MemoryLimit }),
            changes,
            direction: went,
        }
    }

    fn two_runs() -> Comparison {
        let fact = |name: &str, a: Option<&str>, b: Option<&str>| FactDifference {
            name: name.into(),
            a: a.map(str::to_owned),
            b: b.map(str::to_owned),
        };
        Comparison {
            a: "2026-11-24T03:56:16Z default".into(),
            b: "2026-11-24T04:26:16Z default".into(),
            environment: vec![
                fact("kernel.release", Some("6.1"), Some("6.18 `x`")),
                fact("cpu.boost", None, Some("1")),
            ],
            load: vec![fact("load.hold", Some("1s"), Some("2s"))],
            cells: vec![
                cell(
                    "app-bare-x1-small",
                    (Outcome::Ok, Outcome::Ceiling),
                    vec![
                        change("ceiling", 8_000.0, 6_000.0, true, Direction::Worse),
                        change("memory_per_connection_bytes", 8_038.0, 12_345.0, true, Direction::Worse),
                        change("cpu_per_connection_us_per_s", 18.4, 18.5, false, Direction::Same),
                    ],
                    Direction::Worse,
                ),
                cell(
                    "echo-bare-x1-small",
                    (Outcome::Ok, Outcome::Ok),
                    vec![
                        change("memory_per_connection_bytes", 8_038.0, 8_130.0, true, Direction::Same),
                        change("cpu_per_open_us", 96.8, 41.0, true, Direction::Better),
                    ],
                    Direction::Better,
                ),
                cell("bun-docker-x1-small", (Outcome::Ok, Outcome::Skipped), Vec::new(), Direction::Same),
                cell("gone-bare-x1-small", (Outcome::Ok, Outcome::FailedToStart), Vec::new(), Direction::Worse),
            ],
            only_a: vec!["bun-bare-x1-small".into()],
            only_b: Vec::new(),
            worse: 2,
            better: 1,
        }
    }

    #[test]
    fn a_comparison_reads_as_text_and_as_markdown() {
        insta::assert_snapshot!("comparison", comparison(&two_runs()));
    }

    #[test]
    fn runs_that_agree_say_so_in_a_line() {
        let mut same = two_runs();
        same.cells.drain(..);
        same.cells.push(cell(
            "echo",
            (Outcome::Ok, Outcome::Ok),
            vec![change("ceiling", 1.0, 1.0, false, Direction::Same)],
            Direction::Same,
        ));
        (same.worse, same.better) = (0, 0);
        (same.load, same.environment, same.only_a) = (Vec::new(), Vec::new(), Vec::new());
        let text = comparison(&same);
        assert!(text.contains("0 cells worse, 0 better, 1 unchanged within the noise."), "{text}");
        assert!(!text.contains('|') && text.contains("1 number more within the noise"), "{text}");
    }

    #[test]
    fn a_cell_that_was_not_measured_again_is_not_worse() {
        let before = crate::fixture::findings();
        for (outcome, worse, word) in [(Outcome::Killed, 0, "not measured"), (Outcome::FailedToStart, 1, "WORSE")] {
            let mut after = before.clone();
            let cell = &mut after.cells[0];
            (cell.outcome, cell.ceiling, cell.verdict) = (outcome, None, None);
            let compared = wsceiling_analysis::compare(&before, &after);
            assert_eq!((compared.worse, compared.better), (worse, 0), "{outcome}");
            assert!(comparison(&compared).contains(word), "{}", comparison(&compared));
        }
    }

    #[test]
    fn the_page_escapes_what_the_records_say() {
        let mut hostile = two_runs();
        hostile.environment[0].b = Some("<script>alert(1)</script>".into());
        hostile.b = "<b>".into();
        let html = comparison_page(&hostile).unwrap();
        assert!(!html.contains("<script>") && !html.contains("<img") && !html.contains("<b>"), "{html}");
        assert!(html.contains("WORSE") && html.contains("at least 8,000") && html.contains("within the noise"));
    }

    #[test]
    fn a_change_of_nothing_has_no_sign() {
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(-0.0001), "0 %");
        assert_eq!(percent(-0.123), "−12.3 %");
        assert_eq!(percent(1.5), "+150.0 %");
    }
}
