//! What a set-up takes, over all of its cells: the costs that were fitted to each of them, put together.

use serde::Serialize;

use super::line::Prior;
use super::question::{Message, MessageRange};
use crate::cost::{CpuCost, Estimate, MemoryCost};
use crate::findings::CellFindings;
use crate::statistics::{median, t_95};
use wsceiling_model::record::StepRecord;

/// A fit of a single trial has no interval; its value is known to this share.
const ALONE: f64 = 0.05;
/// No cost is known better than to this share: what cells have in common is not seen by comparing them.
const LEAST_ERROR: f64 = 0.01;
/// A step has opened all that it was asked for from this share on.
const ALL: f64 = 0.999;
/// Rates within this share of each other are one.
const SAME_RATE: f64 = 0.01;

/// A cost over the cells of a set-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Known {
    /// Median of the cells.
    pub value: f64,
    /// Its standard deviation: of the cells' own intervals, or of the cells about each other, whichever is larger.
    pub error: f64,
    /// Cells that tell it.
    pub cells: u32,
}

/// Costs of one instance of a set-up. Each `None`: no cell tells it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coefficients {
    /// Bytes of memory of a connection.
    pub memory: Option<Known>,
    /// Bytes of an instance without connections.
    pub memory_idle: Option<Known>,
    /// Parts of the memory of a connection, where the kernel tells them apart: name and bytes.
    pub parts: Vec<(String, f64)>,
    /// CPU of a connection under the messages that are asked for, micro-cores.
    pub cpu: Option<Known>,
    /// CPU of a connection under the messages of the run, micro-cores.
    pub cpu_as_run: Option<Known>,
    /// CPU of a silent connection, micro-cores.
    pub idle: Option<Known>,
    /// CPU of a message and its answer, microseconds.
    pub message: Option<Known>,
    /// CPU of opening a connection, microseconds.
    pub opening: Option<Known>,
    /// CPU of an instance without connections, micro-cores.
    pub cpu_idle: Option<Known>,
    /// Connections that an instance was seen to open per second, in the fastest step that passed.
    pub opened_per_s: Option<f64>,
    /// Most connections of an instance that were open in a step that passed: costs are measured up to there.
    pub open_most: f64,
    /// How the messages that are asked for lie to those that were measured.
    pub messages: MessageRange,
}

/// Whether another number of messages than that of the run is asked for: as many are not converted.
pub(super) fn is_other_rate(asked: Message, run_per_s: f64) -> bool {
    (asked.per_second() - run_per_s).abs() > SAME_RATE * run_per_s.max(1e-9)
}

impl Coefficients {
    /// Of the cells of a set-up; `run` are the messages of the run, `asked` those that are asked for.
    pub(super) fn of(cells: &[&CellFindings], run: Message, asked: Message) -> Self {
        let memory = |pick: fn(&MemoryCost, f64) -> Estimate| {
            known(cells, |cell| Some(pick(cell.memory.as_ref()?, f64::from(cell.cell.instances))))
        };
        let cpu = |pick: fn(&CpuCost) -> Option<Estimate>| known(cells, |cell| pick(cell.cpu.as_ref()?));
        let (idle, message) = (cpu(|cpu| cpu.idle), cpu(|cpu| cpu.message));
        let cpu_as_run = cpu(|cpu| cpu.per_connection);
        let as_asked = if is_other_rate(asked, run.per_second()) {
            let silent = idle.filter(|_| asked.per_second() <= 0.0);
            silent.or_else(|| Some(idle?.and(message?, asked.per_second())))
        } else {
            cpu_as_run
        };
        let more_often = asked.per_second() > run.per_second() * (1.0 + SAME_RATE);
        let messages = match (more_often, asked.bytes > run.bytes && asked.per_second() > 0.0) {
            (false, false) => MessageRange::Within,
            (true, false) => MessageRange::MoreOften,
            (false, true) => MessageRange::Longer,
            (true, true) => MessageRange::MoreOftenAndLonger,
        };
        Self {
            memory: memory(|memory, _| memory.per_connection),
            memory_idle: memory(|memory, instances| Estimate { value: memory.baseline / instances, interval: None }),
            parts: parts(cells),
            cpu: as_asked,
            cpu_as_run,
            idle,
            message,
            opening: cpu(|cpu| cpu.opening),
            cpu_idle: known(cells, |cell| {
                let baseline = cell.cpu.as_ref()?.baseline?;
                Some(Estimate { value: baseline.value / f64::from(cell.cell.instances), interval: None })
            }),
            opened_per_s: passed(cells)
                .filter_map(|(step, before, instances)| rate(step, before, instances))
                .reduce(f64::max),
            open_most: passed(cells).map(|(step, _, instances)| step.open as f64 / instances).fold(0.0, f64::max),
            messages,
        }
    }

    /// Whether they say anything.
    pub(super) fn is_empty(&self) -> bool {
        self.memory.is_none() && self.cpu.is_none() && self.cpu_as_run.is_none()
    }
}

impl Known {
    /// With an error of the model on top, a share of the value.
    pub(super) fn prior(self, more: f64) -> Prior {
        (self.value, self.error.hypot(more * self.value))
    }

    /// It and so many times another.
    fn and(self, other: Self, times: f64) -> Self {
        Self {
            value: self.value + other.value * times,
            error: self.error.hypot(other.error * times),
            cells: self.cells.min(other.cells),
        }
    }
}

/// A cost over the cells that tell it.
fn known(cells: &[&CellFindings], pick: impl Fn(&CellFindings) -> Option<Estimate>) -> Option<Known> {
    let told: Vec<(f64, f64)> = cells
        .iter()
        .filter_map(|cell| {
            let found = pick(cell).filter(|found| found.value.is_finite())?;
            let trials = cell.ceiling.as_ref().map_or(1, |ceiling| ceiling.valid) as usize;
            let own = found.interval.map(|(low, high)| (high - low) / 2.0 / t_95(trials.saturating_sub(1).max(1)));
            Some((found.value, own.unwrap_or(ALONE * found.value)))
        })
        .collect();
    let values: Vec<f64> = told.iter().map(|(value, _)| *value).collect();
    let value = median(&values)?;
    let own = median(&told.iter().map(|(_, error)| *error).collect::<Vec<_>>())?;
    let n = values.len() as f64;
    let apart =
        if n > 1.0 { (values.iter().map(|one| (one - value).powi(2)).sum::<f64>() / (n - 1.0)).sqrt() } else { 0.0 };
    Some(Known { value, error: own.max(apart).max(LEAST_ERROR * value), cells: values.len() as u32 })
}

/// Parts of memory that every cell with a cost of memory has.
fn parts(cells: &[&CellFindings]) -> Vec<(String, f64)> {
    let costs: Vec<&MemoryCost> = cells.iter().filter_map(|cell| cell.memory.as_ref()).collect();
    let Some(first) = costs.first() else { return Vec::new() };
    let each = first.parts.iter().filter_map(|part| {
        let of = |cost: &&MemoryCost| Some(cost.parts.iter().find(|other| other.name == part.name)?.per_connection);
        let values: Vec<f64> = costs.iter().map(of).collect::<Option<_>>()?;
        Some((part.name.clone(), median(&values)?))
    });
    each.collect()
}

/// Steps that passed, each with the connections before it and the instances.
fn passed<'c>(cells: &'c [&CellFindings]) -> impl Iterator<Item = (&'c StepRecord, u64, f64)> {
    cells.iter().flat_map(|cell| {
        let instances = f64::from(cell.cell.instances);
        let valid = cell.trials.iter().filter(|trial| trial.bracket.is_some());
        valid.flat_map(move |trial| {
            let steps = &trial.record.steps;
            steps.iter().enumerate().filter(|(_, step)| step.passed).map(move |(at, step)| {
                let before = at.checked_sub(1).map(|at| &steps[at]).filter(|before| before.launch == step.launch);
                (step, before.map_or(0, |before| before.open), instances)
            })
        })
    })
}

/// Connections that an instance opened per second in a step.
fn rate(step: &StepRecord, before: u64, instances: f64) -> Option<f64> {
    let wanted = u64::from(step.target).saturating_sub(before);
    let seconds = (step.opened_ms - step.started_ms) / 1e3;
    let all = wanted > 0 && step.opened as f64 >= ALL * wanted as f64 && seconds > 0.0;
    all.then(|| step.opened as f64 / seconds / instances)
}

#[cfg(test)]
mod tests {
    use super::super::simulated::found;
    use super::*;
    use wsceiling_simulate::sizes::{SERVER, size};

    #[test]
    fn a_cost_is_known_as_well_as_its_cells_agree_and_never_better_than_a_hundredth() {
        let run = found(&SERVER, &[size("a", 1.0, 64), size("b", 1.0, 64)], &[1], 0.0, 1);
        let of = |count: usize, values: [f64; 2], half: Option<f64>| {
            let cells: Vec<&CellFindings> = run.cells[..count].iter().collect();
            let pick = |cell: &CellFindings| {
                let value = values[usize::from(cell.cell.id != run.cells[0].cell.id)];
                Some(Estimate { value, interval: half.map(|half| (value - half, value + half)) })
            };
            let found = known(&cells, pick).unwrap();
            (found.value, (found.error * 1e3).round() / 1e3, found.cells)
        };
        assert_eq!(of(1, [100.0; 2], None), (100.0, 5.0, 1), "of one trial it is known to a twentieth");
        // Three trials have two degrees of freedom: t is 4.303.
        assert_eq!(of(2, [100.0; 2], Some(10.0)), (100.0, 2.324, 2));
        assert_eq!(of(2, [100.0; 2], Some(0.1)), (100.0, 1.0, 2));
        assert_eq!(of(2, [90.0, 110.0], Some(0.1)), (100.0, 14.142, 2));
    }

    #[test]
    fn errors_add_up_as_squares() {
        let known = |value, error| Known { value, error, cells: 2 };
        assert_eq!(known(10.0, 3.0).and(known(5.0, 2.0), 2.0), known(20.0, 5.0));
        assert_eq!(known(100.0, 3.0).prior(0.04), (100.0, 5.0));
    }

    #[test]
    fn only_a_step_that_opened_all_says_how_fast_that_was() {
        let run = found(&SERVER, &[size("a", 1.0, 64)], &[1], 0.0, 1);
        let step = run.cells[0].trials[0].record.steps[0].clone();
        let of = |target, opened| StepRecord { target, opened, started_ms: 500.0, opened_ms: 1_000.0, ..step.clone() };
        assert_eq!(rate(&of(2_000, 1_000), 1_000, 2.0), Some(1_000.0));
        assert_eq!(rate(&of(2_000, 900), 1_000, 2.0), None);
        assert_eq!(rate(&of(1_000, 0), 1_000, 2.0), None);
    }
}
