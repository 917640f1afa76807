//! The summary of two runs side by side.

use super::changes::{self, CellChange};
use super::{Annotation, Case, Family, Level, Status, Summarise};
use crate::{RenderError, change_words, comparison};
use wsceiling_analysis::compare::Comparison;

fn all(of: &Comparison) -> Vec<CellChange<'_>> {
    let mut all = Vec::new();
    for cell in &of.cells {
        all.extend(cell.changes.iter().map(|change| CellChange { cell: &cell.cell, change, noise: None }));
    }
    all
}

impl Summarise for Comparison {
    fn markdown(&self) -> String {
        comparison(self)
    }

    fn csv(&self) -> Result<String, RenderError> {
        changes::csv(&all(self), false)
    }

    fn families(&self) -> Vec<Family> {
        changes::families(&all(self))
    }

    fn cases(&self) -> (String, Vec<Case>) {
        let broken = self.cells.iter().filter(|cell| cell.broken).map(|cell| Case {
            class: cell.cell.clone(),
            name: "outcome".to_owned(),
            status: Status::Error(comparison::why(cell)),
            seconds: None,
        });
        let suite = format!("{}, compared with {}", change_words::run(&self.b), change_words::run(&self.a));
        (suite, broken.chain(changes::cases(&all(self))).collect())
    }

    fn annotations(&self) -> Vec<Annotation> {
        let broken = self.cells.iter().filter(|cell| cell.broken).map(|cell| Annotation {
            level: Level::Error,
            title: format!("{}: can no longer be measured", cell.cell),
            message: comparison::why(cell),
        });
        broken.chain(changes::annotations(&all(self), comparison::silences(self))).collect()
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("worse", self.worse.to_string()),
            ("better", self.better.to_string()),
            ("broken", self.broken.to_string()),
            ("judged", self.tested.to_string()),
        ]
    }
}
