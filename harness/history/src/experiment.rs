//! The experiment of a night: which cells are put to the test against which older code, and what came of it.
//!
//! [`setup`] takes what a judgement nominates, [`Setup::matrix`] writes the matrix of one shuffled run, and [`results`] judges
//! that run. All numbers of all cells are tested together, so that at most one night in a hundred convicts falsely.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::from_run::{self, About, NoTime};
use crate::judge::Judgement;
use crate::night::{Experiment, Kind, Metric, Night};
use wsceiling_analysis::ab::{Ab, NoAnswer, Question, judge_together};
use wsceiling_analysis::{Change, FLOOR, Findings, Judgement as Verdict, Quantity};
use wsceiling_model::matrix::{Against, Matrix, NotWritten, Shuffle};

/// Version of a set-up as a file.
pub const SCHEMA: u32 = 1;
/// Trials of each cell: with the older code twice, twelve numbers can be proven together.
pub const REPEATS: u32 = 7;
/// Name of the run.
const NAME: &str = "experiment";

/// What is put to the test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The commit that was measured in the night.
    pub commit: String,
    /// The smallest share by which a number has to change: the noise of the nights.
    pub floors: BTreeMap<Metric, f64>,
    /// Each target against each older commit.
    pub pairs: Vec<Pair>,
}

/// A target against its older self.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The target.
    pub head: String,
    /// What its older self is called in the run.
    pub base: String,
    /// The older self once more.
    pub again: String,
    /// The last good commit.
    pub commit: String,
    /// The cells.
    pub cells: Vec<Tried>,
}

/// A cell that is put to the test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// Its id.
    pub cell: String,
    /// Its numbers that are suspected. All are tested; of the others only a conviction is kept.
    pub suspected: Vec<Metric>,
}

/// A cell that is nominated and not put to the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTried {
    /// Its id.
    pub cell: String,
    /// Why.
    pub why: WhyNot,
}

/// Why a cell is not put to the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNot {
    /// No night says which commit was the last good one, or tonight's is not known.
    NoCommit,
    /// The last good commit is that of tonight.
    SameCommit,
    /// The matrix does not have it.
    NotInMatrix,
    /// Its program is not made from this repository.
    NoCode,
    /// There is no checkout of the last good commit.
    NoCheckout(String),
    /// The time of the night is too short for it.
    NoTime,
}

impl fmt::Display for NotTried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not put to the test: ", self.cell)?;
        match &self.why {
            WhyNot::NoCommit => f.write_str("it is not known which commit was the last good one"),
            WhyNot::SameCommit => f.write_str("the last good commit is that of tonight, so the code did not change"),
            WhyNot::NotInMatrix => f.write_str("the matrix has no such cell"),
            WhyNot::NoCode => f.write_str("its server is an image of a registry, or runs elsewhere"),
            WhyNot::NoCheckout(commit) => write!(f, "there is no checkout of its last good commit {commit}"),
            WhyNot::NoTime => f.write_str("the worst case of more cells does not fit into the time limit"),
        }
    }
}

/// Puts the nominated cells to the test, as far as there is an older checkout: `folders` has that of the matrix file in each,
/// by commit.
pub fn setup(
    judgement: &Judgement,
    matrix: &Matrix,
    folders: &BTreeMap<String, PathBuf>,
) -> (Option<Setup>, Vec<NotTried>) {
    let mut not_tried = Vec::new();
    let Some(tonight) = judgement.night.commit.clone() else {
        let all = judgement.nominated.iter();
        return (None, all.map(|it| NotTried { cell: it.cell.clone(), why: WhyNot::NoCommit }).collect());
    };
    let mut pairs: Vec<Pair> = Vec::new();
    for nominated in &judgement.nominated {
        let why_not = |why| NotTried { cell: nominated.cell.clone(), why };
        let found = match (&nominated.base, matrix.cell(&nominated.cell)) {
            (None, _) => Err(WhyNot::NoCommit),
            (Some(base), _) if *base == tonight => Err(WhyNot::SameCommit),
            (_, None) => Err(WhyNot::NotInMatrix),
            (_, Some(cell)) if !matrix.has_code(cell) => Err(WhyNot::NoCode),
            (Some(base), _) if !folders.contains_key(base) => Err(WhyNot::NoCheckout(base.clone())),
            (Some(base), Some(cell)) => Ok((base, cell)),
        };
        let (base, cell) = match found {
            Ok(found) => found,
            Err(why) => {
                not_tried.push(why_not(why));
                continue;
            }
        };
        let suspects = judgement.suspects.iter().filter(|suspect| suspect.series == nominated.series);
        let tried = Tried { cell: cell.id.clone(), suspected: suspects.filter_map(|suspect| suspect.metric).collect() };
        let number = pairs.len() + 1;
        match pairs.iter_mut().find(|pair| pair.head == cell.target && pair.commit == *base) {
            Some(pair) => pair.cells.push(tried),
            None => pairs.push(Pair {
                head: cell.target.clone(),
                base: format!("before-{number}"),
                again: format!("before-{number}-again"),
                commit: base.clone(),
                cells: vec![tried],
            }),
        }
    }
    let floors = judgement.noise.iter().filter_map(|noise| Some((noise.metric, noise.floor?.exp_m1()))).collect();
    let setup = Setup { schema: SCHEMA, commit: tonight, floors, pairs };
    ((!setup.pairs.is_empty()).then_some(setup), not_tried)
}

impl Setup {
    /// The text of the matrix. The seed of its order is another one each night.
    ///
    /// # Errors
    /// When the text of the night's matrix is no TOML.
    pub fn matrix(
        &self,
        matrix: &Matrix,
        folders: &BTreeMap<String, PathBuf>,
        seed: u64,
    ) -> Result<String, NotWritten> {
        let against = |pair: &Pair| Against {
            head: pair.head.clone(),
            base: pair.base.clone(),
            again: pair.again.clone(),
            folder: folders.get(&pair.commit).cloned().unwrap_or_default(),
            cells: pair.cells.iter().map(|tried| tried.cell.clone()).collect(),
        };
        let pairs: Vec<Against> = self.pairs.iter().map(against).collect();
        matrix.against(&pairs, &Shuffle { name: NAME.to_owned(), seed, repeats: REPEATS })
    }

    fn questions(&self) -> Vec<Question> {
        let floors: BTreeMap<Quantity, f64> =
            self.floors.iter().map(|(metric, floor)| (quantity(*metric), *floor)).collect();
        let question = |pair: &Pair| Question {
            base: pair.base.clone(),
            head: pair.head.clone(),
            again: Some(pair.again.clone()),
            only: Vec::new(),
            floor: FLOOR,
            floors: floors.clone(),
        };
        self.pairs.iter().map(question).collect()
    }
}

/// The number of a trial that a history follows under this name.
fn quantity(metric: Metric) -> Quantity {
    match metric {
        Metric::Ceiling => Quantity::Ceiling,
        Metric::Memory => Quantity::Memory,
        Metric::Cpu => Quantity::Cpu,
        Metric::Opening => Quantity::OpeningCpu,
    }
}

/// Why a run is not the experiment of a set-up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoResults {
    /// It began at no time.
    #[error(transparent)]
    NoTime(#[from] NoTime),
    /// Its targets or its order are others.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

/// What an experiment found: the file that the history keeps of it, without lines if nothing could be tested, and what there
/// is to say of each pair.
///
/// # Errors
/// When the run is not that of the set-up.
pub fn results(findings: &Findings, setup: &Setup, about: &About) -> Result<(Night, Vec<Ab>), NoResults> {
    let judged = judge_together(findings, &setup.questions())?;
    let mut night = from_run::night(findings, &BTreeMap::new(), about)?;
    let series: BTreeMap<String, String> =
        std::mem::take(&mut night.cells).into_iter().map(|cell| (cell.id, cell.series)).collect();
    for (pair, found) in setup.pairs.iter().zip(&judged) {
        for tried in &pair.cells {
            let Some(cell) = found.cells.iter().find(|cell| cell.cell == tried.cell) else { continue };
            let Some(series) = series.get(&cell.cell) else { continue };
            let line = |metric: Metric| {
                let change = cell.changes.iter().find(|change| change.quantity == quantity(metric))?;
                result(change, metric, &cell.cell, series, pair, &setup.commit)
            };
            let lines = Metric::ALL.into_iter().filter_map(line);
            night.experiments.extend(lines.filter(|line| line.confirmed || tried.suspected.contains(&line.metric)));
        }
    }
    night.header.kind = Kind::Experiment;
    night.header.commit = Some(setup.commit.clone());
    Ok((night, judged))
}

/// The line of a number; `None`: it was not tested.
fn result(change: &Change, metric: Metric, cell: &str, series: &str, pair: &Pair, tonight: &str) -> Option<Experiment> {
    let confirmed = match change.judgement {
        Verdict::ConfirmedWorse | Verdict::ConfirmedBetter => true,
        Verdict::Same | Verdict::NotConfirmed => false,
        Verdict::CannotKnow | Verdict::NotMeasured => return None,
    };
    Some(Experiment {
        cell: cell.to_owned(),
        series: series.to_owned(),
        metric,
        before: pair.commit.clone(),
        after: tonight.to_owned(),
        value_before: change.before?,
        value_after: change.after?,
        p: change.p?.min(1.0),
        confirmed,
    })
}

#[cfg(test)]
mod tests;
