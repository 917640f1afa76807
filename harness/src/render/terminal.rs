//! The verdict table on a terminal: aligned columns, the cause cut to the width, hints below what could not be measured.

use std::fmt::Write as _;

use super::format::Unit;
use super::text;
use super::words;
use crate::analyse::{CellFindings, Findings};
use crate::record::Outcome;

/// Narrowest column of causes; below it each cell takes several lines.
const CAUSE_MIN: usize = 24;
/// Widest column of causes, so that a line stays readable.
const CAUSE_MAX: usize = 100;
const HEAD: [&str; 5] = ["cell", "ceiling", "what stopped it", "memory/conn", "CPU/conn"];

/// The columns of a cell: id, ceiling or outcome, cause, memory and CPU per connection.
type Columns = [String; 5];

/// The verdict table for standard output. `width` is that of the terminal in characters; `color` allows ANSI colours.
pub fn terminal(findings: &Findings, width: usize, color: bool) -> String {
    let paint = Paint { color };
    let rows: Vec<(&CellFindings, Columns)> = findings.cells.iter().map(|cell| (cell, columns(cell))).collect();
    let mut out = format!("{}\n", words::run_in_a_line(findings));
    for remark in &findings.remarks {
        let _ = writeln!(out, "{} {}", paint.dim("note:"), text::one_line(remark));
    }
    out.push('\n');
    if rows.is_empty() {
        return out;
    }
    let widest = |at: usize| {
        rows.iter().map(|(_, columns)| length(&columns[at])).chain([length(HEAD[at])]).max().unwrap_or_default()
    };
    let fixed = [widest(0), widest(1), widest(3), widest(4)];
    let taken: usize = fixed.iter().sum::<usize>() + 4 * 2;
    let cause = width.saturating_sub(taken).min(CAUSE_MAX).min(widest(2));
    if width < taken + CAUSE_MIN.min(widest(2)) {
        for (cell, columns) in &rows {
            stacked(&mut out, cell, columns, paint);
        }
        return out;
    }
    let head = line(&HEAD.map(str::to_owned), &fixed, cause);
    let _ = writeln!(out, "{}", paint.dim(head.trim_end()));
    for (cell, columns) in &rows {
        let text = line(columns, &fixed, cause);
        let _ = writeln!(out, "{}", paint.outcome(cell, text.trim_end(), &columns[1]));
        hint(&mut out, cell, paint);
    }
    out
}

fn columns(cell: &CellFindings) -> Columns {
    let ceiling = match &cell.ceiling {
        Some(ceiling) if words::measured(cell) => words::ceiling(ceiling),
        _ => words::badge(cell.outcome).text.to_owned(),
    };
    [
        cell.cell.id.clone(),
        ceiling,
        cause(cell),
        words::slope(cell.memory_per_connection.as_ref(), Unit::Bytes),
        words::slope(cell.cpu_per_connection.as_ref(), Unit::Microcores),
    ]
}

/// The name of the cause and what it did in a few words; the number stands in the column before.
fn cause(cell: &CellFindings) -> String {
    match cell.verdict.as_ref().filter(|_| words::measured(cell)) {
        Some(verdict) if verdict.cause == "none" => text::one_line(&verdict.short),
        Some(verdict) => text::one_line(&format!("{}: {}", verdict.cause, verdict.short)),
        None => words::why(cell),
    }
}

fn line(columns: &Columns, fixed: &[usize; 4], cause: usize) -> String {
    let [id, ceiling, why, memory, cpu] = columns;
    let [id_width, ceiling_width, memory_width, cpu_width] = *fixed;
    let why = text::shorten(why, cause);
    format!("{id:id_width$}  {ceiling:>ceiling_width$}  {why:cause$}  {memory:>memory_width$}  {cpu:>cpu_width$}")
}

/// A cell in several lines, for a terminal too narrow for the table.
fn stacked(out: &mut String, cell: &CellFindings, columns: &Columns, paint: Paint) {
    let [id, ceiling, _, memory, cpu] = columns;
    let _ = writeln!(out, "{id}");
    let _ = writeln!(out, "  {}", paint.outcome(cell, ceiling, ceiling));
    // There is room for the whole sentence.
    let cause = cell.verdict.as_ref().filter(|verdict| words::measured(cell) && verdict.cause != "none");
    let cause = cause.map_or_else(String::new, |verdict| format!("{}: ", text::one_line(&verdict.cause)));
    let _ = writeln!(out, "  {cause}{}", words::why(cell));
    if words::measured(cell) {
        let _ = writeln!(out, "  {memory} and {cpu} a connection");
    }
    hint(out, cell, paint);
}

fn hint(out: &mut String, cell: &CellFindings, paint: Paint) {
    if let Some(hint) = cell.hint.as_deref().filter(|_| !words::measured(cell)) {
        let _ = writeln!(out, "  {} {}", paint.dim("hint:"), text::one_line(hint));
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[derive(Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// Colours the first `part` of a line by the outcome of its cell.
    fn outcome(self, cell: &CellFindings, text: &str, part: &str) -> String {
        let code = match cell.outcome {
            Outcome::Ok => "32",
            Outcome::Ceiling => "36",
            Outcome::Invalid | Outcome::TimedOut => "33",
            Outcome::Skipped | Outcome::Killed => "2",
            Outcome::FailedToStart | Outcome::FailedVerification => "31",
        };
        // The id comes first and could contain the same digits.
        let from = if text == part { 0 } else { cell.cell.id.len() };
        match text.get(from..).and_then(|rest| rest.find(part)) {
            Some(at) => {
                let (before, rest) = text.split_at(from + at);
                format!("{before}{}{}", self.with(code, part), &rest[part.len()..])
            }
            None => text.to_owned(),
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
