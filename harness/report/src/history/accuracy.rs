//! The page on accuracy: how often the diagnosis finds limits that were injected.

use serde::Serialize;

use super::{Fact, Top, words};
use wsceiling_history::Assessment;
use wsceiling_history::selftests::{Pooled, Row};
use wsceiling_model::format;

#[derive(Serialize)]
pub(super) struct AccuracyPage {
    top: Top,
    title: String,
    pooled: Option<PooledView>,
}

#[derive(Serialize)]
struct PooledView {
    line: String,
    facts: Vec<Fact>,
    kinds: Vec<Fact>,
    confidence: Vec<Fact>,
    faults: Vec<String>,
}

pub(super) fn page(assessment: &Assessment<'_>) -> AccuracyPage {
    AccuracyPage {
        top: Top::new(
            assessment,
            "",
            "Accuracy",
            "How often the diagnosis finds limits that were injected on purpose.",
        ),
        title: "Accuracy".into(),
        pooled: assessment.selftests.as_ref().map(|found| view(assessment, found)),
    }
}

fn view(assessment: &Assessment<'_>, found: &Pooled) -> PooledView {
    let rows = |rows: &[Row]| rows.iter().map(|row| Fact::new(&row.name, words::share(row.share))).collect();
    PooledView {
        line: format!("The last {} with a selftest.", format::counted(found.nights as u64, "night", "nights")),
        facts: vec![
            Fact::new("right verdicts", words::share(found.right)),
            Fact::new("selftests that passed", words::share(found.passed)),
        ],
        kinds: rows(&found.kinds),
        confidence: rows(&found.confidence),
        faults: found
            .faults
            .iter()
            .map(|(night, name)| format!("{}: {name}", words::day(assessment.history.header(*night))))
            .collect(),
    }
}
