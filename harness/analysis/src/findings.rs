//! What analysis makes of a record, and pages show.

use serde::Serialize;

use crate::confirm::Confirmations;
use crate::cost::{CpuCost, MemoryCost};
use crate::edge::EdgeFinding;
use crate::endings::Ending;
use crate::long::LongFinding;
use crate::numbers::TrialNumbers;
use crate::plot_series::PlotSeries;
use crate::verdict::Verdict;
use crate::walls::WallScore;
use wsceiling_model::matrix::Cell;
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{Bracket, Cause, Hint, Outcome, PriceRecord, RunHeader, TrialRecord, Wall};

/// Everything that the pages show.
#[derive(Debug, Clone, Serialize)]
pub struct Findings {
    /// The run.
    pub header: RunHeader,
    /// Cells in the order of the matrix.
    pub cells: Vec<CellFindings>,
    /// How the ceiling goes with the number of instances, for each set-up that was measured with several.
    pub scaling: Vec<Scaling>,
    /// Sentences on the run as a whole: skipped cells, shared cores, noise, missing trials.
    pub remarks: Vec<String>,
}

/// What was found about one cell.
#[derive(Debug, Clone, Serialize)]
pub struct CellFindings {
    /// The cell.
    pub cell: Cell,
    /// Limits of its size, in words (`1 cpu, 512 MiB`).
    pub size: Option<SizeWords>,
    /// What an instance costs, where somebody says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<InstancePrice>,
    /// How the trials ended; more than one: they disagree.
    pub endings: Vec<Ending>,
    /// The outcome most trials had (ties: the worst).
    pub outcome: Outcome,
    /// Reason and hint of that outcome, from its first trial.
    pub reason: Option<String>,
    /// See [`Self::reason`].
    pub hint: Option<Hint>,
    /// The ceiling over the valid trials; `None` where no trial is valid.
    pub ceiling: Option<Ceiling>,
    /// What stopped it: of the valid trials the verdict most of them agree on, the surest of those, with what experiments
    /// made of it.
    pub verdict: Option<Verdict>,
    /// The experiments on it.
    pub confirmations: Confirmations,
    /// The wall that was predicted, and what became of it.
    pub wall: Option<WallScore>,
    /// What a connection takes of memory; `None`: too few steps passed.
    pub memory: Option<MemoryCost>,
    /// What connections, messages and openings take of CPU; `None`: nothing was measured.
    pub cpu: Option<CpuCost>,
    /// Connections per unit of the monthly price of all instances, where there is one, in the currency of that price.
    pub connections_per_price: Option<f64>,
    /// What its public address and the server's own one say together, where the run has both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge: Option<EdgeFinding>,
    /// What the connections beside the load say of timeouts, where there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long: Option<LongFinding>,
    /// Trials in order of repetition, without experiments.
    pub trials: Vec<TrialFindings>,
}

/// A size in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SizeWords {
    /// `1 cpu, 512 MiB`.
    pub text: String,
}

/// What an instance costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InstancePrice {
    /// Price per month.
    pub per_month: f64,
    /// The row of the catalogue that says so; `None`: the matrix itself does.
    pub row: Option<PriceRecord>,
}

impl InstancePrice {
    /// Its currency (ISO 4217); `None`: that of who wrote the matrix.
    pub fn currency(&self) -> Option<&str> {
        self.row.as_ref().map(|row| row.currency.as_str())
    }
}

/// The ceiling of a cell over its valid trials.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ceiling {
    /// Median of the trials' last good number.
    pub connections: u64,
    /// Smallest last good and largest first bad of the trials: where the ceiling can be.
    pub low: u64,
    /// See [`Self::low`]; `None`: at least one trial met no ceiling.
    pub high: Option<u64>,
    /// The number is a lower bound: the median rests on a trial that met no ceiling, whose number is `at least`.
    pub at_least: bool,
    /// Valid trials that met no ceiling.
    pub unmet: u32,
    /// Largest number held at any moment of any valid trial.
    pub peak: u64,
    /// Valid trials, and all.
    pub valid: u32,
    /// See [`Self::valid`].
    pub trials: u32,
}

/// What was found about one trial.
#[derive(Debug, Clone, Serialize)]
pub struct TrialFindings {
    /// Which trial.
    pub trial: TrialId,
    /// Its line of the record.
    pub record: TrialRecord,
    /// Last good, first bad, peak.
    pub bracket: Option<Bracket>,
    /// What it says by itself; a trial that is not valid says nothing.
    pub numbers: TrialNumbers,
    /// What stopped it.
    pub verdict: Option<Verdict>,
    /// Walls, with a memory wall from the fitted cost.
    pub walls: Vec<Wall>,
    /// Series for the plots, thinned to at most 400 points each; a missing sample is a gap, never a zero.
    pub series: Vec<PlotSeries>,
}

/// One set-up with different numbers of instances.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scaling {
    /// The set-up: target, runtime, front, size, scenario.
    pub what: String,
    /// Its cells, from the fewest instances to the most.
    pub points: Vec<ScalingPoint>,
    /// What it says.
    pub reading: Reading,
    /// The same for a person.
    pub sentence: String,
}

/// One cell of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScalingPoint {
    /// Id of the cell.
    pub cell: String,
    /// Its instances.
    pub instances: u32,
    /// Its ceiling.
    pub connections: u64,
    /// The number is a lower bound.
    pub at_least: bool,
    /// Its ceiling over that of the first point; `None`: the first held nothing.
    pub ratio: Option<f64>,
    /// Connections of each instance at the last step, of one trial; empty: not known.
    pub spread: Vec<u64>,
    /// What stopped it.
    pub cause: Option<Cause>,
}

/// Where the limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// Of each instance, or of each pair of addresses: the ceiling grows with the instances.
    PerInstance,
    /// Of something they all have in common: the ceiling stays, evenly spread.
    SharedHop,
    /// Of the machine that they all run on.
    SharedMachine,
    /// None was met: what was asked for is all there is.
    OfferedLoad,
    /// The ceiling grows, but less than the instances, or falls.
    Partly,
}
