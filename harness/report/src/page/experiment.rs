//! The experiments on a cell's cause, a row each.

use serde::Serialize;

use crate::describe::{self, Badge};
use crate::text;
use wsceiling_analysis::CellFindings;
use wsceiling_analysis::confirm::{Confirmation, Finding};
use wsceiling_model::format;
use wsceiling_model::record::Measure;

/// An experiment in the table of experiments.
#[derive(Serialize)]
pub struct ExperimentRow {
    trial: String,
    suspect: String,
    change: String,
    measure: &'static str,
    before: String,
    predicted: String,
    after: String,
    finding: &'static str,
    class: &'static str,
    badge: Badge,
    stopped_by: String,
    duration: String,
}

/// The rows of a cell; empty: nothing was put to the test.
pub fn rows(cell: &CellFindings) -> Vec<ExperimentRow> {
    cell.confirmations.tried.iter().map(row).collect()
}

fn row(of: &Confirmation) -> ExperimentRow {
    let experiment = &of.experiment;
    let number = |value: f64| match experiment.measure {
        Measure::Opened | Measure::Answered => format::rate(value),
        _ => format::whole(value),
    };
    ExperimentRow {
        trial: of.trial.to_string(),
        suspect: experiment.suspect.to_string(),
        change: text::one_line(&experiment.change.to_string()),
        measure: describe::measure(experiment.measure),
        before: number(experiment.before),
        predicted: number(experiment.predicted),
        after: of.after.map_or_else(|| format::UNKNOWN.to_owned(), number),
        finding: of.finding.word(),
        class: match of.finding {
            Finding::Confirmed => "better",
            Finding::Rejected => "worse",
            Finding::Inconclusive | Finding::Suspected => "",
        },
        badge: describe::badge(of.record.outcome),
        stopped_by: of.verdict.as_ref().map_or_else(|| format::UNKNOWN.to_owned(), |it| it.cause.to_string()),
        duration: format::millis(of.record.duration_ms),
    }
}
