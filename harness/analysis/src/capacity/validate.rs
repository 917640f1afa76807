//! How good predictions are: cells of a run are left out, predicted from the others, and compared with what they measured.

use serde::Serialize;

use super::limits::Limits;
use super::predict::{Basis, predict};
use super::set_up::{SetUp, SetUpId, same_limits, size_of, stopped};
use crate::findings::{CellFindings, Findings};
use wsceiling_model::matrix::{Cell, Size, names};
use wsceiling_model::record::Cause;

/// Names that an error lists at most.
const NAMES: usize = 6;

/// What predictions must reach: shares of the cells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bar {
    /// Within 10 % of the ceiling that was measured.
    pub within_10: f64,
    /// Within 20 %.
    pub within_20: f64,
    /// The cause right.
    pub cause: f64,
    /// Ceilings within the 90 % interval.
    pub covered: f64,
}

impl Bar {
    /// That of `docs/accuracy.md`.
    pub const PUBLISHED: Self = Self { within_10: 0.90, within_20: 1.0, cause: 0.90, covered: 0.85 };
}

/// A cell that was left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidatedCell {
    /// Its id.
    pub cell: String,
    /// Its set-up.
    pub set_up: SetUpId,
    /// Its instances.
    pub instances: u32,
    /// Where its trials stopped, the median; where it met no ceiling, what it held.
    pub measured: f64,
    /// It met no ceiling.
    pub at_least: bool,
    /// What stopped it.
    pub cause: Cause,
    /// What was predicted from the others.
    pub predicted: f64,
    /// The 90 % interval of that.
    pub interval: (f64, f64),
    /// The cause that was predicted, and its probability.
    pub predicted_cause: Cause,
    /// See [`Self::predicted_cause`].
    pub probability: f64,
    /// Between or beyond the others.
    pub basis: Basis,
    /// `predicted / measured - 1`; `None`: it met no ceiling, and none was predicted below what it held.
    pub error: Option<f64>,
    /// Whether the cause is right; `None`: it met none.
    pub cause_right: Option<bool>,
    /// Whether what was measured lies in the interval; `None` as for [`Self::error`].
    pub covered: Option<bool>,
}

/// How many cells of a kind were right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Shares {
    /// Cells with an error.
    pub cells: u32,
    /// Of those, within 10 %.
    pub within_10: u32,
    /// Within 20 %.
    pub within_20: u32,
    /// Measured within the interval.
    pub covered: u32,
    /// Cells with a cause.
    pub causes: u32,
    /// Of those, predicted.
    pub causes_right: u32,
}

impl Shares {
    fn of<'c>(cells: impl Iterator<Item = &'c ValidatedCell>) -> Self {
        let mut shares = Self::default();
        for cell in cells {
            if let Some(error) = cell.error {
                shares.cells += 1;
                shares.within_10 += u32::from(error.abs() <= 0.1);
                shares.within_20 += u32::from(error.abs() <= 0.2);
            }
            shares.covered += u32::from(cell.covered == Some(true));
            shares.causes += u32::from(cell.cause_right.is_some());
            shares.causes_right += u32::from(cell.cause_right == Some(true));
        }
        shares
    }

    /// Whether they reach a bar; nothing does not.
    pub fn reach(&self, bar: Bar) -> bool {
        let at_least = |count: u32, of: u32, wanted: f64| f64::from(count) + 1e-9 >= wanted * f64::from(of);
        self.cells > 0
            && at_least(self.within_10, self.cells, bar.within_10)
            && at_least(self.within_20, self.cells, bar.within_20)
            && at_least(self.covered, self.cells, bar.covered)
            && at_least(self.causes_right, self.causes, bar.cause)
    }
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validation {
    /// `<start> <name>` of each run.
    pub runs: Vec<String>,
    /// Which cells were left out; empty: every size in turn, and all numbers of instances but the smallest.
    pub held_out: Vec<String>,
    /// Those that were predicted, in the order of the runs.
    pub cells: Vec<ValidatedCell>,
    /// Those that were not, and why.
    pub unpredicted: Vec<(String, String)>,
    /// All together.
    pub total: Shares,
    /// By what was predicted: between or beyond.
    pub interpolated: Shares,
    /// See [`Self::interpolated`].
    pub extrapolated: Shares,
    /// By set-up.
    pub set_ups: Vec<(SetUpId, Shares)>,
    /// What must be reached.
    pub bar: Bar,
    /// Whether it is.
    pub passed: bool,
}

/// Why a run cannot be validated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoValidation {
    /// A name that no cell and no size has.
    #[error("the record has no cell and no size `{name}`\nhint: {hint}; `x2` stands for all cells of two instances")]
    Unknown {
        /// The name.
        name: String,
        /// What there is.
        hint: String,
    },
    /// Nothing can be left out.
    #[error(
        "no cell of the run can be left out and predicted from others: a set-up needs cells of two sizes, or with two numbers of \
         instances, that met a ceiling\nhint: `wsceiling matrix examples/capacity.toml` measures such a run"
    )]
    NothingToPredict,
}

/// Leaves cells out, predicts them from the others of the same run and compares, over all of these runs. `held_out` are ids of
/// cells, names of sizes, or `x2` for all cells of two instances, which are left out together. Empty: every size in turn, and
/// all numbers of instances but the smallest.
///
/// # Errors
/// When a name is unknown, or nothing can be predicted.
pub fn validate(runs: &[Findings], held_out: &[String]) -> Result<Validation, NoValidation> {
    let of_runs = runs.iter().flat_map(|run| &run.cells);
    if let Some(name) = held_out.iter().find(|name| !of_runs.clone().any(|cell| is_named(&cell.cell, name))) {
        return Err(unknown(runs, name));
    }
    let named = |cell: &Cell| held_out.iter().any(|name| is_named(cell, name));
    let mut cells = Vec::new();
    let mut unpredicted = Vec::new();
    let one_by_one = held_out.is_empty();
    for run in runs {
        for cell in run.cells.iter().filter(|cell| one_by_one || named(&cell.cell)) {
            let keep = |other: &Cell| {
                if one_by_one { is_kept(run, &cell.cell, other) } else { !named(other) }
            };
            match validated(run, cell, keep) {
                Ok(found) => cells.push(found),
                Err(why) => unpredicted.push((cell.cell.id.clone(), why.to_owned())),
            }
        }
    }
    if cells.is_empty() {
        return Err(NoValidation::NothingToPredict);
    }
    let mut ids: Vec<SetUpId> = Vec::new();
    for cell in &cells {
        if !ids.contains(&cell.set_up) {
            ids.push(cell.set_up.clone());
        }
    }
    let set_ups = ids.into_iter().map(|id| {
        let own = Shares::of(cells.iter().filter(|cell| cell.set_up == id));
        (id, own)
    });
    let set_ups = set_ups.collect();
    let between = |cell: &&ValidatedCell| cell.basis == Basis::Interpolated;
    let total = Shares::of(cells.iter());
    Ok(Validation {
        runs: runs.iter().map(|run| format!("{} {}", run.header.started, run.header.run.name)).collect(),
        held_out: held_out.to_vec(),
        interpolated: Shares::of(cells.iter().filter(between)),
        extrapolated: Shares::of(cells.iter().filter(|cell| !between(cell))),
        total,
        set_ups,
        cells,
        unpredicted,
        bar: Bar::PUBLISHED,
        passed: total.reach(Bar::PUBLISHED),
    })
}

/// Whether a cell takes part when another is left out and nobody said which: of a cell with more instances than the fewest of
/// its size, those with fewer only; of any other, those of other sizes.
fn is_kept(findings: &Findings, left_out: &Cell, other: &Cell) -> bool {
    let header = &findings.header;
    let size = size_of(header, left_out);
    let same_set_up = |cell: &Cell| {
        cell.target == left_out.target
            && cell.runtime == left_out.runtime
            && cell.front == left_out.front
            && cell.scenario == left_out.scenario
    };
    let own = findings.cells.iter().map(|cell| &cell.cell).filter(|cell| same_set_up(cell));
    let fewest = own.filter(|cell| same_limits(size_of(header, cell), size)).map(|cell| cell.instances).min();
    if fewest.is_some_and(|fewest| left_out.instances > fewest) {
        other.instances < left_out.instances
    } else {
        !same_limits(size_of(header, other), size)
    }
}

fn validated(
    findings: &Findings,
    cell: &CellFindings,
    keep: impl Fn(&Cell) -> bool,
) -> Result<ValidatedCell, &'static str> {
    let header = &findings.header;
    let ceiling = cell.ceiling.as_ref().ok_or("it has no valid trial")?;
    let set_ups = SetUp::all(findings, None, |other| keep(other) && other.id != cell.cell.id);
    let own = set_ups.iter().find(|set_up| is_of(&set_up.id, &cell.cell));
    let set_up = own.filter(|set_up| set_up.tells()).ok_or("no other cell of its set-up was measured")?;
    let unlimited = Size::unlimited("");
    let size = size_of(header, &cell.cell).unwrap_or(&unlimited);
    let predicted = predict(&Limits::of(set_up), size, cell.cell.instances).ok_or("it is predicted to hold nothing")?;
    let met = stopped(header, cell);
    let measured = met.as_ref().map_or(ceiling.connections as f64, super::set_up::Stopped::held);
    let at_least = met.is_none();
    let tells = !at_least || predicted.held < measured;
    let error = (predicted.held / measured - 1.0).clamp(-1.0, 1e6);
    let (low, high) = predicted.interval;
    let inside = if at_least { high >= measured } else { (low..=high).contains(&measured) };
    Ok(ValidatedCell {
        cell: cell.cell.id.clone(),
        set_up: set_up.id.clone(),
        instances: cell.cell.instances,
        measured,
        at_least,
        cause: met.as_ref().map_or(Cause::None, |met| met.cause),
        predicted: predicted.held,
        interval: predicted.interval,
        predicted_cause: predicted.cause,
        probability: predicted.probability,
        basis: predicted.basis,
        error: tells.then_some(error),
        cause_right: met.as_ref().map(|met| met.cause == predicted.cause),
        covered: tells.then_some(inside),
    })
}

fn is_of(id: &SetUpId, cell: &Cell) -> bool {
    id.target == cell.target && id.runtime == cell.runtime && id.front == cell.front && id.scenario == cell.scenario
}

/// Whether a name stands for a cell: its id, its size, or its number of instances (`x2`).
fn is_named(cell: &Cell, name: &str) -> bool {
    cell.id == name || cell.size.as_deref() == Some(name) || format!("x{}", cell.instances) == name
}

fn unknown(runs: &[Findings], name: &str) -> NoValidation {
    let ids = runs.iter().flat_map(|run| &run.cells).map(|cell| cell.cell.id.as_str());
    let sizes = runs.iter().flat_map(|run| &run.header.sizes).map(|size| size.name.as_str());
    let hint = match names::nearest(name, ids.clone().chain(sizes.clone())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has {}", names::listed(sizes.chain(ids).take(NAMES))),
    };
    NoValidation::Unknown { name: name.to_owned(), hint }
}
