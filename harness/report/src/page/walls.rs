//! The walls that were predicted, scored against what happened.

use serde::Serialize;

use crate::text;
use wsceiling_analysis::{CellFindings, Findings, Score};
use wsceiling_model::format;
use wsceiling_model::record::Cause;

/// A wall in the table of walls.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct WallRow {
    cell: String,
    href: String,
    wall: String,
    predicted: String,
    why: String,
    stopped_at: String,
    cause: String,
    score: &'static str,
    class: &'static str,
}

/// A row for each cell that was measured and had a wall.
pub(super) fn rows(findings: &Findings) -> Vec<WallRow> {
    findings.cells.iter().filter_map(row).collect()
}

fn row(cell: &CellFindings) -> Option<WallRow> {
    let scored = cell.wall.as_ref()?;
    let least = if scored.at_least { "at least " } else { "" };
    let order = if scored.nearest { "" } else { " (not the nearest)" };
    let cause = cell.verdict.as_ref().map(|verdict| verdict.cause).filter(|cause| *cause != Cause::None);
    Some(WallRow {
        cell: cell.cell.id.clone(),
        href: format!("cells/{}.html", cell.cell.id),
        wall: format!("{}{order}", scored.wall.name),
        predicted: format::count(scored.wall.connections),
        why: text::one_line(&scored.wall.why),
        stopped_at: format!("{least}{}", format::count(scored.stopped_at)),
        cause: cause.map_or_else(|| format::UNKNOWN.to_owned(), |cause| cause.to_string()),
        score: scored.score.word(),
        class: match scored.score {
            Score::Hit => "better",
            Score::Missed => "worse",
            Score::NotReached => "",
        },
    })
}
