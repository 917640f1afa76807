//! Two runs side by side, as text that is Markdown too: a table of changes, and what differs between the machines.

use std::fmt::Write as _;

use super::format;
use super::text::one_line;
use crate::analyse::compare::{CellComparison, Change, Comparison, Direction, FactDifference};

/// The comparison for standard output or a job summary.
pub fn comparison(comparison: &Comparison) -> String {
    let mut out = format!("# {} against {}\n\n", one_line(&comparison.b), one_line(&comparison.a));
    let (worse, better) = (comparison.worse, comparison.better);
    let same = comparison.cells.len() as u32 - worse - better;
    let _ =
        writeln!(out, "{worse} worse, {better} better, {same} without a change that is significant and relevant.\n");
    facts(&mut out, "The loads differ, so the numbers may not be comparable:", &comparison.load);
    let changed = comparison.cells.iter().filter(|cell| is_told(cell)).collect::<Vec<_>>();
    if !changed.is_empty() {
        out.push_str("| cell | number | before | after | change | |\n|---|---|---:|---:|---:|---|\n");
        for cell in changed {
            cell_rows(&mut out, cell);
        }
        out.push('\n');
    }
    only(&mut out, "Only before", &comparison.only_a);
    only(&mut out, "Only after", &comparison.only_b);
    facts(&mut out, "The machines differ, which may explain changes:", &comparison.environment);
    out
}

fn is_told(cell: &CellComparison) -> bool {
    cell.direction != Direction::Same || cell.outcome_a != cell.outcome_b || !cell.changes.is_empty()
}

fn cell_rows(out: &mut String, cell: &CellComparison) {
    if cell.outcome_a != cell.outcome_b {
        let _ = writeln!(
            out,
            "| {} | outcome | {} | {} | | {} |",
            cell.cell,
            cell.outcome_a,
            cell.outcome_b,
            word(cell.direction)
        );
    }
    for change in &cell.changes {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            cell.cell,
            change.name,
            format::number(change.a),
            format::number(change.b),
            change.ratio.map_or_else(|| format::UNKNOWN.to_owned(), |ratio| format!("{:+.1} %", ratio * 100.0)),
            judgement(change)
        );
    }
}

fn judgement(change: &Change) -> &'static str {
    match (change.significant, change.relevant) {
        (true, true) => word(change.direction),
        (true, false) => "small",
        (false, _) => "within noise",
    }
}

const fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Same => "same",
        Direction::Better => "better",
        Direction::Worse => "WORSE",
    }
}

fn only(out: &mut String, when: &str, cells: &[String]) {
    if !cells.is_empty() {
        let _ = writeln!(out, "{when}: {}\n", cells.join(", "));
    }
}

fn facts(out: &mut String, title: &str, differences: &[FactDifference]) {
    if differences.is_empty() {
        return;
    }
    let _ = writeln!(out, "{title}\n");
    let text = |value: &Option<String>| value.as_deref().map_or_else(|| "not known".to_owned(), one_line);
    for fact in differences {
        let _ = writeln!(out, "- {}: {} -> {}", fact.name, text(&fact.a), text(&fact.b));
    }
    out.push('\n');
}
