//! Limits of an instance: half as much again, and the ceiling follows on a straight line from what an idle instance uses.

use super::experiment_plan::{ExperimentPlan, half_more};
use wsceiling_model::matrix::Knob;
use wsceiling_model::record::{Experiment, Measure, Metric, Tolerance};

pub(super) fn descriptors(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let instance = plan.instance()?;
    let sampled = plan.trial.series.near(instance, Metric::DescriptorLimit, plan.trial.to);
    let from = sampled.map(|(_, limit)| limit).or_else(|| Some(plan.setup.size.as_ref()?.nofile? as f64))?;
    let idle = plan.idle(instance, Metric::Descriptors).unwrap_or(wsceiling_model::plan::OWN_DESCRIPTORS as f64);
    let to = half_more(from, plan.most_descriptors());
    linear(plan, Knob::Nofile, (from, to), idle, Tolerance::Exact)
}

pub(super) fn memory(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let from = plan.setup.size.as_ref()?.memory_bytes? as f64;
    let instance = plan.instance()?;
    let used = plan.idle(instance, Metric::MemoryCurrent).unwrap_or(0.0);
    // Page cache is given back before anybody is killed.
    let cache = plan.idle(instance, Metric::MemoryFile).unwrap_or(0.0);
    let all = f64::from(plan.setup.cell.instances) * from;
    let most = if plan.fact("memory.total_bytes").is_some_and(|total| all * 1.5 > total) { from } else { from * 1.5 };
    linear(plan, Knob::Memory, (from, half_more(from, most)), used - cache, Tolerance::Exact)
}

pub(super) fn pids(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let from = plan.setup.size.as_ref()?.pids? as f64;
    let idle = plan.instance().and_then(|instance| plan.idle(instance, Metric::Pids)).unwrap_or(1.0);
    linear(plan, Knob::Pids, (from, half_more(from, f64::INFINITY)), idle, Tolerance::Exact)
}

/// What an idle runtime has in its heap is not known from outside, so the move counts, not its exact size.
pub(super) fn heap(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let target = &plan.setup.target;
    let from = target.argument(&target.confirm.heap)?;
    linear(plan, Knob::Heap, (from, half_more(from, f64::INFINITY)), 0.0, Tolerance::Half)
}

/// What is left beside the idle instance holds the connections.
fn linear(
    plan: &ExperimentPlan<'_>,
    knob: Knob,
    (from, to): (f64, f64),
    idle: f64,
    tolerance: Tolerance,
) -> Option<Experiment> {
    let room = (to - idle) / (from - idle);
    let plausible = from > idle && room > 0.0;
    let predicted = |before: f64| (before * room).round();
    plausible.then(|| plan.experiment(knob, (from, to), Measure::Connections, tolerance, predicted)).flatten()
}
