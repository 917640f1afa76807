//! A set-up: the cells of a run that differ in nothing but size and number of instances, and where each of them stopped.

use std::fmt;

use serde::Serialize;

use super::coefficients::Coefficients;
use super::limits::SAME;
use super::line::Met;
use super::question::Message;
use crate::cost::Traffic;
use crate::findings::{CellFindings, Findings, TrialFindings};
use crate::statistics::median;
use wsceiling_model::matrix::{Cell, Runtime, Scenario, Size};
use wsceiling_model::record::{Cause, RunHeader};

/// What the cells of a set-up have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetUpId {
    /// The target.
    pub target: String,
    /// How its instances run.
    pub runtime: Runtime,
    /// The front before them.
    pub front: Option<String>,
    /// What connections do.
    pub scenario: Scenario,
}

impl SetUpId {
    fn of(cell: &Cell) -> Self {
        Self { target: cell.target.clone(), runtime: cell.runtime, front: cell.front.clone(), scenario: cell.scenario }
    }
}

impl fmt::Display for SetUpId {
    /// `app docker nginx echo`; the scenario idle is not said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.target, self.runtime)?;
        if let Some(front) = &self.front {
            write!(f, " {front}")?;
        }
        if self.scenario == Scenario::Idle { Ok(()) } else { write!(f, " {}", self.scenario) }
    }
}

/// A cell that something stopped.
#[derive(Debug, Clone)]
pub(super) struct Stopped<'f> {
    pub size: Option<&'f Size>,
    pub instances: u32,
    pub cause: Cause,
    /// Connections at which each trial stopped, of all instances.
    pub connections: Vec<f64>,
}

impl Stopped<'_> {
    /// Median of the trials, of all instances.
    pub fn held(&self) -> f64 {
        median(&self.connections).unwrap_or(0.0)
    }

    /// As a point of a line over a resource of one instance.
    pub fn met(&self, resource: f64) -> Met {
        let each = f64::from(self.instances);
        Met { resource, connections: self.connections.iter().map(|n| n / each).collect() }
    }
}

/// A set-up with its cells.
#[derive(Debug, Clone)]
pub(super) struct SetUp<'f> {
    pub id: SetUpId,
    pub header: &'f RunHeader,
    pub cells: Vec<&'f CellFindings>,
    pub coefficients: Coefficients,
    /// Messages of the run for this scenario.
    pub run: Message,
    /// Messages that are asked for.
    pub asked: Message,
}

impl<'f> SetUp<'f> {
    /// The set-ups of a run, of the cells that `keep` keeps. `asked`: messages other than those of the run.
    pub fn all(findings: &'f Findings, asked: Option<Message>, keep: impl Fn(&Cell) -> bool) -> Vec<Self> {
        let mut groups: Vec<(SetUpId, Vec<&CellFindings>)> = Vec::new();
        for cell in findings.cells.iter().filter(|cell| keep(&cell.cell)) {
            let id = SetUpId::of(&cell.cell);
            match groups.iter_mut().find(|(known, _)| *known == id) {
                Some((_, cells)) => cells.push(cell),
                None => groups.push((id, vec![cell])),
            }
        }
        let header = &findings.header;
        let one = |(id, cells): (SetUpId, Vec<&'f CellFindings>)| {
            let run = messages(header, id.scenario);
            let asked = asked.unwrap_or(run);
            let coefficients = Coefficients::of(&cells, run, asked);
            Self { id, header, cells, coefficients, run, asked }
        };
        groups.into_iter().map(one).collect()
    }

    /// Whether there is anything to predict from.
    pub fn tells(&self) -> bool {
        !self.coefficients.is_empty() || self.stopped().next().is_some()
    }

    /// Cells that something stopped.
    pub fn stopped(&self) -> impl Iterator<Item = Stopped<'f>> {
        self.cells.iter().filter_map(|cell| stopped(self.header, cell))
    }

    /// Of each size the cell with the fewest instances: what one instance holds, with the least of what they share.
    pub fn stopped_alone(&self) -> Vec<Stopped<'f>> {
        let mut alone: Vec<Stopped<'f>> = Vec::new();
        for cell in self.stopped() {
            let same = |other: &&mut Stopped<'f>| same_limits(other.size, cell.size) && other.cause == cell.cause;
            match alone.iter_mut().find(same) {
                Some(known) if known.instances > cell.instances => *known = cell,
                Some(_) => {}
                None => alone.push(cell),
            }
        }
        alone
    }

    /// Whether another cell with no more of a resource held clearly more in each instance. Then this resource may have stopped
    /// the cell, such as a collector of garbage that is short of memory, but not for the number of connections.
    pub fn is_outdone(&self, cell: &Stopped<'_>, resource: impl Fn(&Size) -> Option<f64>) -> bool {
        let Some(own) = cell.size.and_then(&resource) else { return false };
        let each = cell.held() / f64::from(cell.instances);
        let no_more = |size: Option<&Size>| size.and_then(&resource).is_some_and(|other| other <= own);
        self.held().any(|(size, held)| no_more(size) && held > SAME * each)
    }

    /// Smallest and largest number of instances that was measured.
    pub fn instances(&self) -> (u32, u32) {
        let measured = || self.cells.iter().filter(|cell| cell.ceiling.is_some()).map(|cell| cell.cell.instances);
        (measured().min().unwrap_or(0), measured().max().unwrap_or(0))
    }

    /// Connections that each cell held for certain, per instance, with its size: also those that nothing stopped.
    pub fn held(&self) -> impl Iterator<Item = (Option<&'f Size>, f64)> {
        self.cells.iter().filter_map(|cell| {
            let each = cell.ceiling.as_ref()?.connections as f64 / f64::from(cell.cell.instances);
            Some((size_of(self.header, &cell.cell), each))
        })
    }
}

/// The size of a cell.
pub(super) fn size_of<'h>(header: &'h RunHeader, cell: &Cell) -> Option<&'h Size> {
    let name = cell.size.as_ref()?;
    header.sizes.iter().find(|size| &size.name == name)
}

/// Whether two sizes limit the same to the same.
pub(super) fn same_limits(a: Option<&Size>, b: Option<&Size>) -> bool {
    let limits = |size: &Size| (size.cpus.map(f64::to_bits), size.memory_bytes, size.nofile, size.pids);
    a.map(limits) == b.map(limits)
}

/// Where a cell stopped; `None`: nothing stopped it, or nothing valid says so.
pub(super) fn stopped<'f>(header: &'f RunHeader, cell: &CellFindings) -> Option<Stopped<'f>> {
    let cause = cell.verdict.as_ref()?.cause;
    let ceiling = cell.ceiling.as_ref()?;
    if cause == Cause::None || ceiling.at_least {
        return None;
    }
    let told = cell.trials.iter().filter(|trial| !trial.numbers.at_least);
    let connections: Vec<f64> = told.filter_map(stopped_at).filter(|held| *held >= 1.0).collect();
    let size = size_of(header, &cell.cell);
    (!connections.is_empty()).then_some(Stopped { size, instances: cell.cell.instances, cause, connections })
}

/// Connections at which a trial stopped, within the bracket that its search ended with: a step that is far too large may have held
/// more for a moment.
fn stopped_at(trial: &TrialFindings) -> Option<f64> {
    let seen = trial.numbers.ceiling?;
    let bracket = trial.bracket.and_then(|bracket| Some((bracket.last_good as f64, bracket.first_bad? as f64)));
    Some(bracket.map_or(seen, |(good, bad)| seen.min(bad).max(good)))
}

/// What each connection of a scenario sends in a run.
fn messages(header: &RunHeader, scenario: Scenario) -> Message {
    let load = &header.load;
    let per_second = Traffic::configured(load, scenario).messages_per_s;
    let every =
        if per_second > 0.0 { std::time::Duration::from_secs_f64(1.0 / per_second) } else { std::time::Duration::ZERO };
    let bytes = if scenario == Scenario::Broadcast { load.broadcast.bytes } else { load.message.bytes };
    Message { every, bytes }
}
