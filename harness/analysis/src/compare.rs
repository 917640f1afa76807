//! Two runs side by side.
//!
//! Two runs are two nights: another time, often another machine of the same kind. What differs between nights beside the
//! server cannot be told from two of them, so a share is allowed for it, and a number is judged only where machine, load and
//! limits are the same. What two runs cannot show, one shuffled run can: see [`crate::ab`].

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::arms::{self, Arm, Change, Judgement, Pair, Rules, Silence};
use super::findings::{CellFindings, Findings};
use super::numbers::Quantity;
use wsceiling_model::format;
use wsceiling_model::matrix::Size;
use wsceiling_model::record::{Cause, GateName, Hint, Outcome};

/// The share by which the numbers of two runs may differ without a change of the server: the nights do.
pub const BETWEEN_RUNS: f64 = 0.15;

/// Facts that make a class of machines: numbers of different classes are not compared.
pub const MACHINE_CLASS: [&str; 4] = ["cpu.model", "cpu.cores", "kernel.architecture", "cgroup.version"];

/// Two runs side by side, `a` the older one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// `<start> <name>` of each run.
    pub a: String,
    /// See [`Self::a`].
    pub b: String,
    /// Facts of the machines that differ: a change may come from these.
    pub environment: Vec<FactDifference>,
    /// Settings of the load that differ: then no number is judged.
    pub load: Vec<FactDifference>,
    /// Cells that both have, in the order of `b`.
    pub cells: Vec<CellComparison>,
    /// Ids of cells that only one has.
    pub only_a: Vec<String>,
    /// See [`Self::only_a`].
    pub only_b: Vec<String>,
    /// Numbers that were tested together.
    pub tested: u32,
    /// Cells with a number that is confirmed worse.
    pub worse: u32,
    /// Cells with a number that is confirmed better, and none that is worse.
    pub better: u32,
    /// Cells that were measured before and cannot be any more: the target does not start, answers wrongly or hangs.
    pub broken: u32,
}

/// A fact that differs; `None`: not there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FactDifference {
    /// Name of the fact.
    pub name: String,
    /// Value in each run.
    pub a: Option<String>,
    /// See [`Self::a`].
    pub b: Option<String>,
}

/// A cell in both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellComparison {
    /// Id of the cell.
    pub cell: String,
    /// Outcome in each run.
    pub outcome_a: Outcome,
    /// See [`Self::outcome_a`].
    pub outcome_b: Outcome,
    /// Cause in each run.
    pub cause_a: Option<Cause>,
    /// See [`Self::cause_a`].
    pub cause_b: Option<Cause>,
    /// Why the newer run has no ceiling of it.
    pub reason: Option<String>,
    /// What to do about that.
    pub hint: Option<Hint>,
    /// The numbers that a run has.
    pub changes: Vec<Change>,
    /// The gravest of their judgements.
    pub judgement: Judgement,
    /// It was measured, and its target does not start, answers wrongly or hangs in every trial now.
    pub broken: bool,
}

/// Compares two runs, `a` the older one.
pub fn compare(a: &Findings, b: &Findings) -> Comparison {
    let both: Vec<(&CellFindings, &CellFindings)> = b
        .cells
        .iter()
        .filter_map(|cell| Some((a.cells.iter().find(|other| other.cell.id == cell.cell.id)?, cell)))
        .collect();
    let pairs: Vec<Vec<Pair>> = both.iter().map(|(one, other)| pairs((a, one), (b, other))).collect();
    let flat: Vec<Pair> = pairs.iter().flatten().cloned().collect();
    let judged = arms::judge(&flat, Rules { margin: BETWEEN_RUNS, cells_before: 1 });
    let mut changes = judged.changes.into_iter();
    let cells: Vec<CellComparison> = both
        .iter()
        .zip(&pairs)
        .map(|((a, b), pairs)| compare_cells(a, b, changes.by_ref().take(pairs.len()).collect()))
        .collect();
    let only = |one: &Findings, other: &Findings| {
        let has = |id: &str| other.cells.iter().any(|cell| cell.cell.id == id);
        one.cells.iter().map(|cell| cell.cell.id.clone()).filter(|id| !has(id)).collect()
    };
    let count = |is: fn(&CellComparison) -> bool| cells.iter().filter(|cell| is(cell)).count() as u32;
    Comparison {
        a: format!("{} {}", a.header.started, a.header.run.name),
        b: format!("{} {}", b.header.started, b.header.run.name),
        environment: differences(&a.header.environment.facts, &b.header.environment.facts),
        load: differences(&load_facts(a), &load_facts(b)),
        only_a: only(a, b),
        only_b: only(b, a),
        tested: judged.tested as u32,
        worse: count(|cell| cell.judgement == Judgement::ConfirmedWorse),
        better: count(|cell| cell.judgement == Judgement::ConfirmedBetter),
        broken: count(|cell| cell.broken),
        cells,
    }
}

/// The numbers of a cell that either run has.
fn pairs((run_a, a): (&Findings, &CellFindings), (run_b, b): (&Findings, &CellFindings)) -> Vec<Pair> {
    let silence = silence((run_a, a), (run_b, b));
    let pair = |quantity: Quantity| {
        let part = (!Quantity::JUDGED.contains(&quantity)).then_some(Silence::PartOfCpu);
        Pair {
            quantity,
            before: Arm::of(a.trials.iter(), quantity),
            after: Arm::of(b.trials.iter(), quantity),
            floor: arms::FLOOR,
            silence: silence.or(part),
        }
    };
    let known = |pair: &Pair| !pair.before.values.is_empty() || !pair.after.values.is_empty();
    Quantity::ALL.into_iter().map(pair).filter(known).collect()
}

/// What makes the cells of two runs two things that cannot be compared.
fn silence((run_a, a): (&Findings, &CellFindings), (run_b, b): (&Findings, &CellFindings)) -> Option<Silence> {
    let fact = |run: &Findings, name: &str| run.header.environment.facts.get(name).cloned();
    let size = |run: &Findings, cell: &CellFindings| {
        let name = cell.cell.size.as_ref()?;
        let size = run.header.sizes.iter().find(|size| &size.name == name)?;
        // What it costs limits nothing.
        Some(Size { price_per_month: None, ..size.clone() })
    };
    let front = |run: &Findings, cell: &CellFindings| {
        let name = cell.cell.front.as_ref()?;
        run.header.fronts.iter().find(|front| &front.name == name).cloned()
    };
    if MACHINE_CLASS.iter().any(|name| fact(run_a, name) != fact(run_b, name)) {
        Some(Silence::OtherMachine)
    } else if run_a.header.load != run_b.header.load || probes(run_a) != probes(run_b) {
        Some(Silence::OtherLoad)
    } else if size(run_a, a) != size(run_b, b) || enforced(a) != enforced(b) {
        Some(Silence::OtherLimits)
    } else if front(run_a, a) != front(run_b, b) {
        Some(Silence::OtherFront)
    } else {
        None
    }
}

/// Whether the load of a hold was that of the matrix, and a probe came after it; before format 3 the probe was a part of it.
fn probes(run: &Findings) -> bool {
    run.header.format >= 3
}

/// Limits of the instances, each with whether the machine enforced it. Of a cell without a valid trial nothing is known.
fn enforced(cell: &CellFindings) -> Option<BTreeSet<(&str, bool)>> {
    let valid = cell.trials.iter().find(|trial| trial.bracket.is_some())?;
    let limits = valid.record.instances.iter().flat_map(|instance| &instance.limits);
    Some(limits.map(|limit| (limit.name.as_str(), limit.enforced_by.is_some())).collect())
}

fn compare_cells(a: &CellFindings, b: &CellFindings, changes: Vec<Change>) -> CellComparison {
    let cause = |cell: &CellFindings| cell.verdict.as_ref().map(|verdict| verdict.cause);
    let judgement = changes.iter().map(|change| change.judgement).max().unwrap_or(Judgement::NotMeasured);
    CellComparison {
        cell: b.cell.id.clone(),
        outcome_a: a.outcome,
        outcome_b: b.outcome,
        cause_a: cause(a),
        cause_b: cause(b),
        reason: b.reason.clone(),
        hint: b.hint.clone(),
        changes,
        judgement,
        broken: a.ceiling.is_some() && is_broken(b),
    }
}

/// Whether every trial ended because of the target, before anything was measured. A run that was stopped, or a machine that
/// lacks something, says nothing about a server.
fn is_broken(cell: &CellFindings) -> bool {
    let broken = [Outcome::FailedToStart, Outcome::FailedVerification, Outcome::TimedOut];
    let trials = &cell.trials;
    cell.ceiling.is_none() && !trials.is_empty() && trials.iter().all(|trial| broken.contains(&trial.record.outcome))
}

fn differences(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<FactDifference> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    names
        .into_iter()
        .filter(|name| a.get(*name) != b.get(*name))
        .map(|name| FactDifference { name: name.clone(), a: a.get(name).cloned(), b: b.get(name).cloned() })
        .collect()
}

/// The settings of the load, flat.
fn load_facts(findings: &Findings) -> BTreeMap<String, String> {
    let load = &findings.header.load;
    let gate = |name: GateName| format!("{} {}", name.label(), format::quantity(name.unit(), name.limit(&load.gates)));
    BTreeMap::from([
        ("load.step".into(), load.step.to_string()),
        ("load.rate".into(), format!("{}/s", load.rate)),
        ("load.hold".into(), format!("{:?}", load.hold)),
        ("load.max".into(), load.max.to_string()),
        ("load.stages".into(), load.stages.iter().map(|stage| format!("{stage:?}")).collect::<Vec<_>>().join(", ")),
        ("load.message".into(), load.message.to_string()),
        ("load.gates".into(), GateName::ALL.map(gate).join(", ")),
    ])
}

#[cfg(test)]
mod tests;
