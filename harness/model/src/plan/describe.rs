//! What the command `plan` shows: cells with their walls, the order of the trials, and how long they take.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::{Machine, Plan, PriceDescription, TrialId, estimate, prices, walls};
use crate::format;
use crate::matrix::units::{format_bytes, format_duration, format_rate};
use crate::matrix::{Cell, Load, Matrix, Order, Size};
use crate::wall::Wall;

/// Walls above this are not worth a column: no single machine gets there.
const FAR: u64 = 100_000_000;

/// A plan in words and numbers; its JSON form is the `--format json` of the command.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Name of the run.
    pub name: String,
    /// Seed of the order.
    pub seed: u64,
    /// Whether the trials go round by round.
    pub order: Order,
    /// Trials of each cell.
    pub repeats: u32,
    /// What each cell is driven with, unless there are stages.
    pub staircase: Staircase,
    /// The stages in words, in order; empty: the staircase.
    pub stages: Vec<String>,
    /// Holds that are shorter than the interval of messages, shortest first.
    pub short_holds: Vec<ShortHold>,
    /// Cells that are in the plan, in the order of the matrix.
    pub cells: Vec<CellDescription>,
    /// What the sizes of these cells cost that are named by a plan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<PriceDescription>,
    /// Trials in the order they run.
    pub trials: Vec<TrialId>,
    /// How long all of it takes, without experiments.
    pub estimate: Estimate,
    /// Experiments after the trials; `None`: none are asked for.
    pub experiments: Option<Experiments>,
}

/// The bounds of the experiments: which ones there are, and whether any, depends on what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Experiments {
    /// Most of one cell.
    pub of_a_cell: u32,
    /// Most of all cells.
    pub all: u64,
    /// Longest time that all of them can take, in milliseconds.
    pub within_ms: u64,
}

/// The steps of each cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Staircase {
    /// Steps up to the end.
    pub steps: u32,
    /// Connections of a step.
    pub step: u32,
    /// The end.
    pub max: u32,
    /// Connections opened per second.
    pub rate_per_s: f64,
    /// How long a step is held, in milliseconds.
    pub hold_ms: u64,
}

/// A hold in which not every connection sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ShortHold {
    /// Its length in milliseconds.
    pub hold_ms: u64,
    /// Mean time between two messages of a connection, in milliseconds.
    pub every_ms: u64,
    /// Share of the connections that send a message in it; the others are asked by the probe after it.
    pub sends: f64,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellDescription {
    /// The cell.
    pub cell: Cell,
    /// The cell in words.
    pub what: String,
    /// Trials of it in this plan.
    pub trials: u32,
    /// Its walls, nearest first.
    pub walls: Vec<Wall>,
}

/// Arithmetic on the staircase, in milliseconds, without building targets and images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Every cell climbs to the end, and no bracket is narrowed.
    pub low_ms: u64,
    /// Every bracket is narrowed as often as it may be, each time with a relaunch and timeouts.
    pub high_ms: u64,
}

impl Description {
    /// Describes what `plan` will do on `machine`. Cells without a trial in the plan are left out.
    pub fn new(matrix: &Matrix, plan: &Plan, machine: &Machine) -> Self {
        let (low, high) = estimate::plan(matrix, plan);
        let load = &matrix.load;
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for trial in &plan.trials {
            *counts.entry(&trial.cell).or_default() += 1;
        }
        let described = |cell: &Cell| {
            let trials = *counts.get(cell.id.as_str())?;
            let (what, walls) = (what(matrix, cell), walls(matrix, cell, machine));
            Some(CellDescription { cell: cell.clone(), what, trials, walls })
        };
        let cells: Vec<CellDescription> = matrix.cells.iter().filter_map(described).collect();
        Self {
            name: matrix.run.name.clone(),
            seed: plan.seed,
            order: matrix.run.order,
            repeats: plan.repeats(),
            staircase: Staircase {
                steps: load.max.div_ceil(load.step),
                step: load.step,
                max: load.max,
                rate_per_s: load.rate,
                hold_ms: load.hold.as_millis() as u64,
            },
            stages: if load.stages.is_empty() {
                Vec::new()
            } else {
                load.phases().iter().map(ToString::to_string).collect()
            },
            short_holds: short_holds(load),
            prices: prices::prices(matrix, &cells),
            cells,
            trials: plan.trials.clone(),
            estimate: Estimate { low_ms: low.as_millis() as u64, high_ms: high.as_millis() as u64 },
            experiments: experiments(matrix, counts.len() as u64),
        }
    }
}

fn short_holds(load: &Load) -> Vec<ShortHold> {
    let every = load.message.every;
    let mut holds: Vec<Duration> = load.phases().iter().map(|phase| phase.hold).filter(|hold| *hold < every).collect();
    holds.sort_unstable();
    holds.dedup();
    let short = |hold: Duration| ShortHold {
        hold_ms: hold.as_millis() as u64,
        every_ms: every.as_millis() as u64,
        sends: load.message.share_within(hold),
    };
    holds.into_iter().map(short).collect()
}

fn experiments(matrix: &Matrix, cells: u64) -> Option<Experiments> {
    let of_a_cell = matrix.run.experiments();
    let all = cells * u64::from(of_a_cell);
    let within_ms = all.saturating_mul(matrix.run.trial_within.as_millis() as u64);
    (all > 0).then_some(Experiments { of_a_cell, all, within_ms })
}

/// The text of [`Description`].
pub fn describe(matrix: &Matrix, plan: &Plan, machine: &Machine) -> String {
    Description::new(matrix, plan, machine).to_string()
}

/// `2 containers, 1 cpu, 64MiB, echo`.
fn what(matrix: &Matrix, cell: &Cell) -> String {
    let kind = match cell.runtime {
        crate::matrix::Runtime::Bare => ("process", "processes"),
        crate::matrix::Runtime::Docker => ("container", "containers"),
        crate::matrix::Runtime::Remote => ("remote instance", "remote instances"),
    };
    let mut parts = vec![match cell.instances {
        1 => format!("1 {}", kind.0),
        n => format!("{n} {}", kind.1),
    }];
    parts.extend(cell.front.as_ref().map(|front| format!("behind {front}")));
    match matrix.size(cell) {
        Some(size) => parts.extend(limits(size)),
        None => parts.push("no limits".to_owned()),
    }
    parts.push(cell.scenario.to_string());
    parts.join(", ")
}

fn limits(size: &Size) -> Vec<String> {
    let mut limits = Vec::new();
    limits.extend(size.cpus.map(|cpus| format!("{cpus} cpu")));
    limits.extend(size.memory_bytes.map(format_bytes));
    limits.extend(size.nofile.map(|nofile| format!("{nofile} descriptors")));
    limits.extend(size.pids.map(|pids| format!("{pids} pids")));
    if limits.is_empty() {
        limits.push("no limits".to_owned());
    }
    limits
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cells, trials) = (plural(self.cells.len(), "cell"), plural(self.trials.len(), "trial"));
        let order = match self.order {
            Order::Rounds => "order by seed",
            Order::Shuffled => "all trials in one shuffle by seed",
        };
        writeln!(f, "{}: {cells}, {trials}, {order} {}", self.name, self.seed)?;
        self.write_profile(f)?;
        self.write_short_holds(f)?;
        self.write_cells(f)?;
        self.write_walls(f)?;
        self.write_prices(f)?;
        self.write_order(f)?;
        let Estimate { low_ms, high_ms } = self.estimate;
        writeln!(
            f,
            "\ntakes about {} if every cell {}, about {} if every one fails at the top{};\n\
             building targets and images is not counted",
            rounded(low_ms),
            if self.stages.is_empty() { "climbs to the end" } else { "goes through all stages" },
            rounded(high_ms),
            if self.stages.is_empty() { " and is narrowed" } else { "" },
        )?;
        let Some(Experiments { of_a_cell, all, within_ms }) = self.experiments else { return Ok(()) };
        let (each, all) = (plural(of_a_cell as usize, "experiment"), format::count(all));
        writeln!(f, "then at most {each} of a cell, {all} in all, within {} more", rounded(within_ms))
    }
}

impl Description {
    fn write_profile(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.stages.is_empty() {
            writeln!(f, "each goes through {}:", plural(self.stages.len(), "stage"))?;
            return self.stages.iter().enumerate().try_for_each(|(at, stage)| writeln!(f, "  {}. {stage}", at + 1));
        }
        let stairs = &self.staircase;
        writeln!(
            f,
            "each climbs in {} of {} to {} connections at {}, each step held {}",
            plural(stairs.steps as usize, "step"),
            format::count(stairs.step as u64),
            format::count(stairs.max as u64),
            format_rate(stairs.rate_per_s),
            format_duration(Duration::from_millis(stairs.hold_ms)),
        )
    }

    fn write_short_holds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.short_holds.iter().try_for_each(|short| {
            let duration = |ms| format_duration(Duration::from_millis(ms));
            writeln!(
                f,
                "a hold of {} is shorter than the {} between messages: {} of the connections send in it, the others are \
                 probed after it",
                duration(short.hold_ms),
                duration(short.every_ms),
                format::percent(short.sends),
            )
        })
    }

    fn write_cells(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: fn(&CellDescription) -> &str| {
            self.cells.iter().map(|cell| text(cell).chars().count()).max().unwrap_or(0)
        };
        let (ids, whats) = (width(|cell| &cell.cell.id).max(4), width(|cell| &cell.what).max(4));
        writeln!(f, "\n{:ids$}  {:whats$}  walls at connections, nearest first", "cell", "what")?;
        for cell in &self.cells {
            let near = cell.walls.iter().filter(|wall| wall.connections < FAR);
            let walls: Vec<String> =
                near.map(|wall| format!("{} {}{}", wall.name, bound(wall), format::count(wall.connections))).collect();
            writeln!(f, "{:ids$}  {:whats$}  {}", cell.cell.id, cell.what, walls.join(" · "))?;
        }
        Ok(())
    }

    /// Every sentence once, although many cells share it.
    fn write_walls(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sentences: Vec<(&str, &str)> = Vec::new();
        for wall in self.cells.iter().flat_map(|cell| &cell.walls) {
            let sentence = (wall.name.name(), wall.why.as_str());
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
        sentences.sort_by_key(|(name, _)| *name);
        writeln!(f, "\nwhy")?;
        for (name, why) in sentences {
            writeln!(f, "  {name}: {why}")?;
        }
        Ok(())
    }

    fn write_prices(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prices.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nprice a month of an instance")?;
        self.prices.iter().try_for_each(|price| writeln!(f, "  {price}"))
    }

    fn write_order(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.trials.len().to_string().len();
        let mut text = String::new();
        for (index, trial) in self.trials.iter().enumerate() {
            writeln!(text, "  {:>width$}  {trial}", index + 1)?;
        }
        write!(f, "\norder\n{text}")
    }
}

/// Walls that rest on an assumption are written as `<=`.
fn bound(wall: &Wall) -> &'static str {
    if wall.is_upper_bound() { "<= " } else { "" }
}

fn plural(number: usize, word: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {word}{ending}", format::count(number as u64))
}

/// Whole seconds, rounded up.
fn rounded(ms: u64) -> String {
    format_duration(Duration::from_secs(ms.div_ceil(1000)))
}
