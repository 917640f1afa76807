//! The table of how ceilings go with the number of instances.

use serde::Serialize;

use crate::describe;
use crate::text;
use wsceiling_analysis::{Findings, Scaling, ScalingPoint};
use wsceiling_model::format;

/// Instances whose connections are listed one by one; more would not fit a line.
const LISTED: usize = 8;

/// One set-up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ScalingView {
    what: String,
    reading: &'static str,
    sentence: String,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    cell: String,
    href: String,
    instances: String,
    ceiling: String,
    ratio: String,
    spread: String,
    cause: String,
}

/// Every set-up that was measured with several numbers of instances.
pub(super) fn views(findings: &Findings) -> Vec<ScalingView> {
    findings.scaling.iter().map(view).collect()
}

fn view(scaling: &Scaling) -> ScalingView {
    ScalingView {
        what: text::one_line(&scaling.what),
        reading: describe::reading(scaling.reading),
        sentence: text::sentence(&scaling.sentence),
        rows: scaling.points.iter().map(row).collect(),
    }
}

fn row(point: &ScalingPoint) -> Row {
    let least = if point.at_least { "at least " } else { "" };
    let mut spread: Vec<String> = point.spread.iter().take(LISTED).map(|open| format::count(*open)).collect();
    if point.spread.len() > LISTED {
        spread.push(format!("{} more", point.spread.len() - LISTED));
    }
    Row {
        cell: point.cell.clone(),
        href: format!("cells/{}.html", point.cell),
        instances: format::count(u64::from(point.instances)),
        ceiling: format!("{least}{}", format::count(point.connections)),
        ratio: point.ratio.map_or_else(|| format::UNKNOWN.to_owned(), |ratio| format!("{ratio:.2} x")),
        spread: if spread.is_empty() { format::UNKNOWN.to_owned() } else { spread.join(" + ") },
        cause: point.cause.map_or_else(|| format::UNKNOWN.to_owned(), |cause| cause.to_string()),
    }
}
