//! Badges: one file each for the endpoint of shields.io (<https://shields.io/badges/endpoint-badge>).

use serde_json::json;

use super::words;
use crate::RenderError;
use crate::output::Output;
use wsceiling_history::{Assessment, Metric, Word};

/// Hands over a badge for each cell of the last night, and one for all of them.
pub(super) fn put(assessment: &Assessment<'_>, output: &mut Output<'_>) -> Result<(), RenderError> {
    let Some(judgement) = &assessment.tonight else {
        return badge(output, "all", "wsceiling", "no night yet", "lightgrey");
    };
    for cell in &judgement.cells {
        let ceiling = cell.numbers.iter().find(|number| number.metric == Metric::Ceiling);
        let message = ceiling.map_or_else(
            || cell.word.text().to_owned(),
            |number| format!("{} connections", words::value(Metric::Ceiling, number.value, number.at_least)),
        );
        badge(output, &cell.cell, &cell.cell, &message, color(cell.word))?;
    }
    let worst = judgement.cells.iter().map(|cell| cell.word).max().unwrap_or(Word::NotMeasured);
    badge(output, "all", "wsceiling", worst.text(), color(worst))
}

fn badge(output: &mut Output<'_>, name: &str, label: &str, message: &str, color: &str) -> Result<(), RenderError> {
    let text = json!({ "schemaVersion": 1, "label": label, "message": message, "color": color });
    output.put(&format!("badges/{name}.json"), &format!("{text}\n"))
}

const fn color(word: Word) -> &'static str {
    match word {
        Word::Same => "blue",
        Word::ConfirmedBetter => "brightgreen",
        Word::ConfirmedWorse => "red",
        Word::Suspected => "yellow",
        Word::NoiseUnknown | Word::Seam | Word::MachineNight | Word::NotMeasured => "lightgrey",
    }
}
