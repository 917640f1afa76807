//! Two runs side by side.
//!
//! *Significant* and *relevant* are kept apart: a change is significant where it is larger than what the repeats
//! scatter, and relevant where it is large enough to care. Only a change that is both counts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::cost::{CpuCost, Estimate};
use super::findings::{Ceiling, CellFindings, Findings};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, GateName, Outcome};

/// A change below this share of the older value is not relevant.
pub const RELEVANT: f64 = 0.05;

/// Two runs side by side, `a` the older one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// `<start> <name>` of each run.
    pub a: String,
    /// See [`Self::a`].
    pub b: String,
    /// TrialContext of the machines that differ: a change may come from these.
    pub environment: Vec<FactDifference>,
    /// Settings of the load that differ: then numbers may not be compared at all.
    pub load: Vec<FactDifference>,
    /// Cells that both have, in the order of `b`.
    pub cells: Vec<CellComparison>,
    /// Ids of cells that only one has.
    pub only_a: Vec<String>,
    /// See [`Self::only_a`].
    pub only_b: Vec<String>,
    /// Cells with a change for the worse that is significant and relevant, or that were measured and no longer give a
    /// ceiling.
    pub worse: u32,
    /// Cells with a change for the better, and none for the worse.
    pub better: u32,
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
    /// The numbers that both have: `ceiling`, `memory_per_connection_bytes`, `cpu_per_connection_us_per_s` at the configured
    /// load, `cpu_per_idle_connection_us_per_s`, `cpu_per_message_us`, `cpu_per_open_us`.
    pub changes: Vec<Change>,
    /// The cell as a whole.
    pub direction: Direction,
}

/// A number in both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Name with its unit.
    pub name: String,
    /// Value in each run.
    pub a: f64,
    /// See [`Self::a`].
    pub b: f64,
    /// `b / a - 1`; `None` where `a` is 0.
    pub ratio: Option<f64>,
    /// Larger than what the repeats scatter.
    pub significant: bool,
    /// Larger than [`RELEVANT`].
    pub relevant: bool,
    /// Which way it went, where it is both.
    pub direction: Direction,
}

/// Which way a change went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// No change that is significant and relevant.
    Same,
    /// For the better.
    Better,
    /// For the worse.
    Worse,
}

/// Compares two runs, `a` the older one.
pub fn compare(a: &Findings, b: &Findings) -> Comparison {
    let cells: Vec<CellComparison> = b
        .cells
        .iter()
        .filter_map(|cell| Some(compare_cells(a.cells.iter().find(|other| other.cell.id == cell.cell.id)?, cell)))
        .collect();
    let only = |one: &Findings, other: &Findings| {
        let has = |id: &str| other.cells.iter().any(|cell| cell.cell.id == id);
        one.cells.iter().map(|cell| cell.cell.id.clone()).filter(|id| !has(id)).collect()
    };
    let went = |direction| cells.iter().filter(|cell| cell.direction == direction).count() as u32;
    Comparison {
        a: format!("{} {}", a.header.started, a.header.run.name),
        b: format!("{} {}", b.header.started, b.header.run.name),
        environment: differences(&a.header.environment.facts, &b.header.environment.facts),
        load: differences(&load_facts(a), &load_facts(b)),
        only_a: only(a, b),
        only_b: only(b, a),
        worse: went(Direction::Worse),
        better: went(Direction::Better),
        cells,
    }
}

fn compare_cells(a: &CellFindings, b: &CellFindings) -> CellComparison {
    let (cpu_a, cpu_b) = (a.cpu.as_ref(), b.cpu.as_ref());
    let cpu = |pick: fn(&CpuCost) -> Option<Estimate>| (cpu_a.and_then(pick), cpu_b.and_then(pick));
    let memory = |cell: &CellFindings| cell.memory.as_ref().map(|memory| memory.per_connection);
    let costs = [
        ("memory_per_connection_bytes", (memory(a), memory(b))),
        ("cpu_per_connection_us_per_s", cpu(|cpu| cpu.per_connection)),
        ("cpu_per_idle_connection_us_per_s", cpu(|cpu| cpu.idle)),
        ("cpu_per_message_us", cpu(|cpu| cpu.message)),
        ("cpu_per_open_us", cpu(|cpu| cpu.opening)),
    ];
    let mut changes = Vec::new();
    changes.extend(a.ceiling.as_ref().zip(b.ceiling.as_ref()).map(|(a, b)| ceiling_change(a, b)));
    changes.extend(costs.into_iter().filter_map(|(name, (a, b))| Some(cost_change(name, a?, b?))));
    let any = |direction| changes.iter().any(|change| change.direction == direction);
    // A run that was stopped, or a machine that lacks the engine, says nothing about a server.
    let unmeasured = |cell: &CellFindings| matches!(cell.outcome, Outcome::Skipped | Outcome::Killed);
    let direction = match (a.ceiling.is_some(), b.ceiling.is_some()) {
        (true, false) if unmeasured(b) => Direction::Same,
        (false, true) if unmeasured(a) => Direction::Same,
        (true, false) => Direction::Worse,
        (false, true) => Direction::Better,
        _ if any(Direction::Worse) => Direction::Worse,
        _ if any(Direction::Better) => Direction::Better,
        _ => Direction::Same,
    };
    let cause = |cell: &CellFindings| cell.verdict.as_ref().map(|verdict| verdict.cause);
    CellComparison {
        cell: b.cell.id.clone(),
        outcome_a: a.outcome,
        outcome_b: b.outcome,
        cause_a: cause(a),
        cause_b: cause(b),
        changes,
        direction,
    }
}

/// A ceiling moved where the ranges in which it can be do not meet. An open upper end reaches for ever.
fn ceiling_change(a: &Ceiling, b: &Ceiling) -> Change {
    let apart = |below: &Ceiling, above: &Ceiling| below.high.is_some_and(|high| high <= above.low);
    let significant = apart(a, b) || apart(b, a);
    change("ceiling", a.connections as f64, b.connections as f64, significant, false)
}

/// A cost moved where the interval of the difference, both half-widths put together, does not hold 0. An interval that ends
/// at 0 is not as wide on both sides: what counts is the side towards the other cost.
fn cost_change(name: &str, a: Estimate, b: Estimate) -> Change {
    let half = |from: Estimate, to: Estimate| {
        from.interval.map(|(low, high)| if to.value > from.value { high - from.value } else { from.value - low })
    };
    let difference = b.value - a.value;
    let significant = half(a, b).zip(half(b, a)).is_some_and(|(a, b)| difference.abs() > a.hypot(b));
    change(name, a.value, b.value, significant, true)
}

fn change(name: &str, a: f64, b: f64, significant: bool, less_is_better: bool) -> Change {
    let ratio = (a != 0.0).then(|| (b - a) / a.abs());
    let relevant = ratio.map_or(b != 0.0, |ratio| ratio.abs() >= RELEVANT);
    let direction = match significant && relevant {
        false => Direction::Same,
        true if (b < a) == less_is_better => Direction::Better,
        true => Direction::Worse,
    };
    Change { name: name.into(), a, b, ratio, significant, relevant, direction }
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
mod tests {
    use super::*;

    fn ceiling(connections: u64, low: u64, high: Option<u64>) -> Ceiling {
        Ceiling { connections, low, high, at_least: high.is_none(), unmet: 0, peak: connections, valid: 3, trials: 3 }
    }

    fn cost(value: f64, half: Option<f64>) -> Estimate {
        Estimate { value, interval: half.map(|half| (value - half, value + half)) }
    }

    #[test]
    fn a_ceiling_within_the_other_range_has_not_moved() {
        let a = ceiling(1000, 900, Some(1100));
        assert_eq!(ceiling_change(&a, &ceiling(1090, 1000, Some(1200))).direction, Direction::Same);
        assert_eq!(ceiling_change(&a, &ceiling(1200, 1100, Some(1300))).direction, Direction::Better);
        assert_eq!(ceiling_change(&a, &ceiling(800, 700, Some(900))).direction, Direction::Worse);
        // At least 1000 may be anything above, so nothing says that 1500 is more.
        assert_eq!(ceiling_change(&ceiling(1000, 1000, None), &ceiling(1500, 1500, None)).direction, Direction::Same);
        assert_eq!(
            ceiling_change(&ceiling(2000, 2000, None), &ceiling(800, 800, Some(1000))).direction,
            Direction::Worse
        );
    }

    #[test]
    fn significant_and_relevant_are_two_things() {
        let tiny = cost_change("x", cost(1000.0, Some(1.0)), cost(1010.0, Some(1.0)));
        assert_eq!((tiny.significant, tiny.relevant, tiny.direction), (true, false, Direction::Same));
        let noisy = cost_change("x", cost(1000.0, Some(400.0)), cost(1200.0, Some(10.0)));
        assert_eq!((noisy.significant, noisy.relevant, noisy.direction), (false, true, Direction::Same));
        let real = cost_change("x", cost(1000.0, Some(30.0)), cost(1200.0, Some(40.0)));
        assert_eq!(real.direction, Direction::Worse);
        let unknown = cost_change("x", cost(1000.0, None), cost(2000.0, Some(1.0)));
        assert!(!unknown.significant, "without an interval nothing is significant");
        // 20 +- 30, cut off at 0: 47 is within what it may be, and 51 is not 0.
        let cut = Estimate { value: 20.0, interval: Some((0.0, 50.0)) };
        assert!(!cost_change("x", cut, cost(47.0, Some(1.0))).significant);
        assert!(cost_change("x", cut, cost(51.0, Some(1.0))).significant);
    }
}
