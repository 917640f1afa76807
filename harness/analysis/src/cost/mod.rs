//! What a connection costs. `docs/methodology.md` has the reasoning.
//!
//! CPU is split by its causes: `windows` are the openings, holds and probes of the steps, `course` says what was asked of
//! the servers in each, `cpu` fits what each of it costs, `terms` decides what the load tells apart. Memory is a slope over
//! connections (`memory`, `common_slope`). For both, `knee` ends the range in which the cost is linear, and `jackknife` makes
//! intervals over trials.

mod common_slope;
mod course;
mod cpu;
mod jackknife;
mod knee;
mod memory;
mod result;
#[cfg(test)]
mod simulated;
mod terms;
mod windows;

pub(crate) use course::Course;
use memory::TrialMemory;
pub use result::{Check, CostPoint, CpuCost, Estimate, Knee, MemoryCost, Part, Together, Traffic};
use windows::Window;
pub(crate) use windows::{nearest, samples_within};

use super::time_series::TimeSeries;
use wsceiling_model::record::{Component, Metric, TrialRecord};

/// What is needed of one trial.
#[derive(Debug, Default)]
pub(super) struct TrialCosts {
    windows: Vec<Window>,
    memory: TrialMemory,
    memory_source: Option<String>,
    cpu_source: Option<String>,
}

/// The costs of a cell.
#[derive(Debug, Default)]
pub(super) struct Costs {
    pub memory: Option<MemoryCost>,
    pub cpu: Option<CpuCost>,
}

/// Takes what is needed out of a trial.
pub(super) fn of_trial(record: &TrialRecord, series: &TimeSeries, configured: Traffic) -> TrialCosts {
    let instances: Vec<Component> = series.instances().collect();
    let Some(first) = instances.first() else { return TrialCosts::default() };
    let source = |metric: Metric| record.sources.get(first)?.get(metric.name()).cloned();
    TrialCosts {
        windows: windows::of_trial(record, series, &instances, configured),
        memory: memory::of_trial(record, series, &instances, configured),
        memory_source: source(Metric::MemoryCurrent),
        cpu_source: source(Metric::CpuUsage),
    }
}

/// Fits all valid trials of a cell, in the order in which they ran. `goes_on`: the server is the same one in all of them, and
/// a heap keeps what it took, so that only the first trial shows what connections take of memory.
pub(super) fn of_cell(trials: &[&TrialCosts], configured: Traffic, goes_on: bool) -> Costs {
    let source = |pick: fn(&TrialCosts) -> &Option<String>| {
        let name = trials.iter().find_map(|trial| pick(trial).clone());
        name.unwrap_or_else(|| "source not recorded".into())
    };
    let windows: Vec<&[Window]> = trials.iter().map(|trial| &trial.windows[..]).collect();
    let of_memory = if goes_on { &trials[..trials.len().min(1)] } else { trials };
    let memory: Vec<&TrialMemory> = of_memory.iter().map(|trial| &trial.memory).collect();
    let mut memory_source = source(|trial| &trial.memory_source);
    if goes_on && trials.len() > 1 {
        memory_source.push_str(", in the first trial: the server goes on, and keeps what it took");
    }
    Costs {
        memory: memory::of_cell(&memory, &memory_source),
        cpu: cpu::of_cell(&windows, configured, source(|trial| &trial.cpu_source)),
    }
}
