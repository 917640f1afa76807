//! From verdicts to the diagnoser's accuracy: confusion matrix, accuracy, calibration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use wsceiling_model::record::{Cause, Outcome};

/// Accuracy that the diagnosis has to reach.
pub const ACCURACY: f64 = 0.95;
/// Confidence at which a wrong cause is a fault whatever the accuracy.
pub const SURE: f64 = 0.85;

/// One trial of an injected limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The limit.
    pub limit: String,
    /// What was injected, for a person.
    pub what: String,
    /// Repetition.
    pub repeat: u32,
    /// The injected cause.
    pub expected: Cause,
    /// What was found.
    pub found: Found,
    /// Confidence of the verdict.
    pub confidence: Option<f64>,
    /// Its sentence, or the reason of an outcome.
    pub sentence: String,
    /// Cores that programs other than the generator and the server used meanwhile: with many, causes of CPU are
    /// not what was injected.
    pub others_cores: Option<f64>,
    /// Folder of the run, relative to the selftest's own.
    pub run: String,
}

impl Row {
    /// Whether the injected cause was found.
    pub fn right(&self) -> bool {
        self.found == Found::Cause(self.expected)
    }
}

/// What a trial of a limit gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum Found {
    /// The cause of its verdict.
    Cause(Cause),
    /// No verdict; how it ended.
    NotJudged(Outcome),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cause(cause) => cause.fmt(f),
            Self::NotJudged(outcome) => outcome.fmt(f),
        }
    }
}

impl From<Found> for String {
    fn from(found: Found) -> Self {
        found.to_string()
    }
}

/// A limit that was not injected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotInjected {
    /// The limit, or the cause that none is for.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Verdicts of one confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// The confidence.
    pub confidence: f64,
    /// Verdicts that claimed it.
    pub claimed: usize,
    /// Those that were right.
    pub right: usize,
}

/// Under what circumstances the trials were run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct About {
    /// What the injected numbers were drawn by; `None`: the usual ones.
    pub seed: Option<u64>,
    /// When it began, UTC.
    pub started: String,
    /// How long it took, seconds.
    pub took_s: f64,
    /// The machine and the versions that matter, each in a few words.
    pub machine: Vec<String>,
}

/// What the selftest found about the diagnosis.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Under what circumstances.
    pub about: About,
    /// All trials.
    pub rows: Vec<Row>,
    /// What was not injected.
    pub not_injected: Vec<NotInjected>,
    /// Trials for each pair of injected and found cause.
    pub confusion: BTreeMap<String, BTreeMap<String, usize>>,
    /// Share of the trials whose injected cause was found; `None` without a trial.
    pub accuracy: Option<f64>,
    /// Verdicts by confidence, lowest first.
    pub calibration: Vec<Bin>,
    /// Wrong causes at [`SURE`] or above, as `limit.repeat`.
    pub sure_and_wrong: Vec<String>,
    /// Clean cells that were accused, as `limit.repeat`.
    pub clean_accused: Vec<String>,
    /// The diagnosis is as good as it has to be.
    pub passed: bool,
}

impl Score {
    /// Scores the trials.
    pub fn new(about: About, rows: Vec<Row>, not_injected: Vec<NotInjected>) -> Self {
        let mut confusion: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for row in &rows {
            *confusion.entry(row.expected.to_string()).or_default().entry(row.found.to_string()).or_default() += 1;
        }
        let right = rows.iter().filter(|row| row.right()).count();
        let accuracy = (!rows.is_empty()).then(|| right as f64 / rows.len() as f64);
        let named = |rows: Vec<&Row>| rows.iter().map(|row| format!("{}.{}", row.limit, row.repeat)).collect();
        let wrong = |row: &&Row| !row.right() && row.confidence.is_some_and(|confidence| confidence >= SURE);
        let sure_and_wrong: Vec<String> = named(rows.iter().filter(wrong).collect());
        let accused = |row: &&Row| row.expected == Cause::None && !row.right();
        let clean_accused: Vec<String> = named(rows.iter().filter(accused).collect());
        let passed =
            accuracy.is_some_and(|share| share >= ACCURACY) && sure_and_wrong.is_empty() && clean_accused.is_empty();
        Self {
            about,
            calibration: calibration(&rows),
            rows,
            not_injected,
            confusion,
            accuracy,
            sure_and_wrong,
            clean_accused,
            passed,
        }
    }

    /// The trials of each limit, in the order in which they were injected.
    pub fn by_limit(&self) -> Vec<&[Row]> {
        self.rows.chunk_by(|a, b| a.limit == b.limit).collect()
    }

    /// Causes that are a column of the confusion matrix: injected ones first, in order, then what was found besides.
    pub fn columns(&self) -> Vec<&str> {
        let injected: BTreeSet<&str> = self.confusion.keys().map(String::as_str).collect();
        let found: BTreeSet<&str> = self.confusion.values().flat_map(|row| row.keys().map(String::as_str)).collect();
        let besides = found.difference(&injected).copied().collect::<Vec<_>>();
        injected.into_iter().chain(besides).collect()
    }
}

fn calibration(rows: &[Row]) -> Vec<Bin> {
    let mut bins: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for row in rows {
        let Some(confidence) = row.confidence else { continue };
        let bin = bins.entry((confidence * 100.0).round() as u32).or_default();
        bin.0 += 1;
        bin.1 += usize::from(row.right());
    }
    let bin = |(percent, (claimed, right)): (u32, (usize, usize))| Bin {
        confidence: f64::from(percent) / 100.0,
        claimed,
        right,
    };
    bins.into_iter().map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(expected: Cause, found: Cause, confidence: f64) -> Row {
        Row {
            limit: format!("limit-{expected}"),
            what: String::new(),
            repeat: 1,
            expected,
            found: Found::Cause(found),
            confidence: Some(confidence),
            sentence: String::new(),
            others_cores: None,
            run: String::new(),
        }
    }

    #[test]
    fn a_few_wrong_verdicts_that_were_not_sure_pass_and_one_that_was_sure_does_not() {
        let mut rows: Vec<Row> = (0..39).map(|_| row(Cause::Crash, Cause::Crash, 0.85)).collect();
        rows.push(row(Cause::Hang, Cause::Unknown, 0.3));
        let score = Score::new(About::default(), rows.clone(), Vec::new());
        assert!(score.passed, "{score:?}");
        assert_eq!(score.calibration.len(), 2);
        assert_eq!((score.calibration[1].claimed, score.calibration[1].right), (39, 39));
        rows[39].confidence = Some(0.85);
        let score = Score::new(About::default(), rows, Vec::new());
        assert!(!score.passed);
        assert_eq!(score.sure_and_wrong, ["limit-hang.1"]);
    }

    #[test]
    fn one_clean_cell_that_is_accused_fails_it() {
        let mut rows: Vec<Row> = (0..99).map(|_| row(Cause::None, Cause::None, 0.85)).collect();
        assert!(Score::new(About::default(), rows.clone(), Vec::new()).passed);
        rows.push(row(Cause::None, Cause::CpuSaturated, 0.3));
        assert_eq!(Score::new(About::default(), rows, Vec::new()).clean_accused, ["limit-none.1"]);
    }

    #[test]
    fn nothing_injected_is_no_success() {
        assert!(!Score::new(About::default(), Vec::new(), Vec::new()).passed);
    }

    #[test]
    fn columns_begin_with_what_was_injected() {
        let score = Score::new(
            About::default(),
            vec![row(Cause::Hang, Cause::AcceptQueue, 0.6), row(Cause::Crash, Cause::Crash, 0.85)],
            Vec::new(),
        );
        assert_eq!(score.columns(), ["crash", "hang", "accept-queue"]);
    }
}
