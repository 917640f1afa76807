//! Every cell over time, side by side: the trial of each that its page shows first.

use serde::Serialize;

use super::verdict;
use crate::plot;
use wsceiling_analysis::{Findings, SeriesName};
use wsceiling_model::format;
use wsceiling_model::record::Cause;

/// Cells at most; more would drown the page, and each has a page of its own.
const CELLS_MAX: usize = 36;

/// The plots and how many there would be.
#[derive(Serialize)]
pub struct Overview {
    shown: Vec<Thumbnail>,
    left_out: Option<String>,
}

#[derive(Serialize)]
struct Thumbnail {
    id: String,
    href: String,
    cause: String,
    svg: String,
}

/// The cells of the run that have something to draw.
pub fn over_time(findings: &Findings) -> Overview {
    let trials = || {
        let cells = findings.cells.iter().filter(|cell| !cell.trials.is_empty());
        cells.map(|cell| (cell, &cell.trials[verdict::shown_trial(cell)]))
    };
    let values = trials().flat_map(|(_, trial)| trial.series.iter().filter(|series| series.name == SeriesName::Held));
    let points = values.flat_map(|series| &series.points).filter_map(|(_, value)| *value);
    let most = points.filter(|value| value.is_finite()).fold(0.0, f64::max);
    let mut drawn = trials().filter_map(|(cell, trial)| {
        let svg = plot::thumbnail(trial, most)?;
        let label = format!("Connections held over time, {}", cell.cell.id);
        let cause = trial.verdict.as_ref().filter(|verdict| verdict.cause != Cause::None);
        Some(Thumbnail {
            id: cell.cell.id.clone(),
            href: format!("cells/{}.html#{}", cell.cell.id, super::trial::anchor(trial)),
            cause: cause.map(|verdict| verdict.cause.to_string()).unwrap_or_default(),
            svg: svg.inline("plot thumb", &label),
        })
    });
    let shown: Vec<Thumbnail> = drawn.by_ref().take(CELLS_MAX).collect();
    let rest = drawn.count() as u64;
    let left_out = (rest > 0).then(|| format!("The pages of {} more cells have their plots.", format::count(rest)));
    Overview { shown, left_out }
}
