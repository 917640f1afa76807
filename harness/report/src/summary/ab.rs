//! The summary of two targets of a shuffled run.

use super::changes::{self, CellChange};
use super::{Annotation, Case, Family, Level, Status, Summarise};
use crate::{RenderError, ab, change_words};
use wsceiling_analysis::ab::{Ab, AbCell};

fn all(of: &Ab) -> Vec<CellChange<'_>> {
    let mut all = Vec::new();
    for cell in &of.cells {
        all.extend(cell.changes.iter().map(|change| CellChange {
            cell: &cell.cell,
            change,
            noise: cell.noise_of(change.quantity).and_then(|noise| noise.ratio),
        }));
    }
    all
}

/// Cells of which nothing was measured.
fn unmeasured(of: &Ab) -> impl Iterator<Item = &AbCell> {
    of.cells.iter().filter(|cell| cell.base.is_none() || cell.reason.is_some())
}

impl Summarise for Ab {
    fn markdown(&self) -> String {
        ab(self)
    }

    fn csv(&self) -> Result<String, RenderError> {
        changes::csv(&all(self), true)
    }

    fn families(&self) -> Vec<Family> {
        changes::families(&all(self))
    }

    fn cases(&self) -> (String, Vec<Case>) {
        let outcomes = unmeasured(self).map(|cell| Case {
            class: cell.cell.clone(),
            name: "outcome".to_owned(),
            status: Status::Skipped(ab::why(self, cell)),
            seconds: None,
        });
        (format!("{} against {}", self.head, self.base), outcomes.chain(changes::cases(&all(self))).collect())
    }

    fn annotations(&self) -> Vec<Annotation> {
        let outcomes = unmeasured(self).map(|cell| Annotation {
            level: Level::Warning,
            title: format!("{}: not measured", cell.cell),
            message: ab::why(self, cell),
        });
        changes::annotations(&all(self), ab::silences(self)).into_iter().chain(outcomes).collect()
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        let counts = self.counts;
        vec![
            ("judgement", change_words::slug(self.judgement).to_owned()),
            ("worse", counts.worse.to_string()),
            ("better", counts.better.to_string()),
            ("not-confirmed", counts.not_confirmed.to_string()),
            ("same", counts.same.to_string()),
            ("cannot-know", counts.cannot_know.to_string()),
            ("not-measured", counts.not_measured.to_string()),
        ]
    }
}
