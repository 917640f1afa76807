//! What a comparison of runs and one of targets have in common: changes of numbers.

use super::openmetrics::{Family, Labels};
use super::{Annotation, Case, Level, Status};
use crate::results::{number, text};
use crate::{RenderError, change_words};
use wsceiling_analysis::{Change, Judgement, Silence};

const COLUMNS: [&str; 13] = [
    "cell",
    "number",
    "before",
    "before_is_at_least",
    "after",
    "after_is_at_least",
    "trials_before",
    "trials_after",
    "change_ratio",
    "p_value",
    "provable_ratio",
    "judgement",
    "why",
];

/// A change of a number of a cell.
#[derive(Clone, Copy)]
pub(super) struct CellChange<'a> {
    pub cell: &'a str,
    pub change: &'a Change,
    /// What the base did against itself.
    pub noise: Option<f64>,
}

impl CellChange<'_> {
    fn title(&self) -> String {
        let word = change_words::judgement(self.change.judgement);
        format!("{}: {} {word}", self.cell, change_words::number(self.change.quantity).0)
    }

    fn message(&self) -> String {
        format!("{}: {}", change_words::sentence(self.change), change_words::judged(self.change))
    }

    /// Whether it was asked for, and is no part of another number.
    fn is_judged(&self) -> bool {
        !matches!(self.change.why, Some(Silence::PartOfCpu | Silence::NotAsked))
    }

    fn labels(&self) -> Labels {
        vec![("cell", self.cell.to_owned()), ("number", self.change.quantity.name().to_owned())]
    }
}

/// A row for each number; `noise`: with what the base did against itself.
pub(super) fn csv(changes: &[CellChange<'_>], noise: bool) -> Result<String, RenderError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS.into_iter().chain(noise.then_some("noise_ratio")))?;
    for one in changes {
        let change = one.change;
        let why = change.why.map(change_words::silence);
        let mut row = vec![
            text(Some(one.cell)),
            change.quantity.name().to_owned(),
            number(change.before),
            change.before_at_least.to_string(),
            number(change.after),
            change.after_at_least.to_string(),
            change.trials_before.to_string(),
            change.trials_after.to_string(),
            number(change.ratio),
            number(change.p),
            number(change.provable),
            change_words::slug(change.judgement).to_owned(),
            text(why.as_deref()),
        ];
        row.extend(noise.then(|| number(one.noise)));
        writer.write_record(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Samples of each number.
pub(super) fn families(changes: &[CellChange<'_>]) -> Vec<Family> {
    let of = |name, unit, help, value: &dyn Fn(&CellChange<'_>) -> Option<f64>| Family {
        name,
        unit,
        help,
        samples: changes.iter().filter_map(|one| Some((one.labels(), value(one)?))).collect(),
    };
    let judgements = changes.iter().map(|one| {
        let mut labels = one.labels();
        labels.push(("judgement", change_words::slug(one.change.judgement).to_owned()));
        (labels, 1.0)
    });
    vec![
        of("wsceiling_change_ratio", "ratio", "Change of the median, 0 being none.", &|one| one.change.ratio),
        of("wsceiling_change_p_value", "", "One-sided p-value with Holm's correction.", &|one| one.change.p),
        of(
            "wsceiling_change_provable_ratio",
            "ratio",
            "Smallest change for the worse that could have been confirmed.",
            &|one| one.change.provable,
        ),
        of("wsceiling_change_noise_ratio", "ratio", "Change of the base against itself.", &|one| one.noise),
        Family {
            name: "wsceiling_change_judgement",
            unit: "",
            help: "1 for the judgement of the number.",
            samples: judgements.collect(),
        },
    ]
}

/// A test case for each number that is judged: it fails where it is confirmed worse.
pub(super) fn cases(changes: &[CellChange<'_>]) -> Vec<Case> {
    let case = |one: &CellChange<'_>| Case {
        class: one.cell.to_owned(),
        name: change_words::number(one.change.quantity).0.to_owned(),
        status: match one.change.judgement {
            Judgement::ConfirmedWorse => Status::Failed(one.message()),
            Judgement::CannotKnow | Judgement::NotMeasured => Status::Skipped(one.message()),
            Judgement::Same | Judgement::NotConfirmed | Judgement::ConfirmedBetter => {
                Status::Passed(Some(one.message()))
            }
        },
        seconds: None,
    };
    changes.iter().filter(|one| one.is_judged()).map(case).collect()
}

/// An error for what is confirmed worse, a notice for what else moved, and one for each reason that numbers are not judged.
pub(super) fn annotations(changes: &[CellChange<'_>], silences: Vec<String>) -> Vec<Annotation> {
    let annotation = |one: &CellChange<'_>| {
        let level = match one.change.judgement {
            Judgement::ConfirmedWorse => Level::Error,
            Judgement::ConfirmedBetter | Judgement::NotConfirmed => Level::Notice,
            Judgement::Same | Judgement::CannotKnow | Judgement::NotMeasured => return None,
        };
        Some(Annotation { level, title: one.title(), message: one.message() })
    };
    let silent = |message| Annotation { level: Level::Notice, title: "not judged".to_owned(), message };
    changes.iter().filter_map(annotation).chain(silences.into_iter().map(silent)).collect()
}
