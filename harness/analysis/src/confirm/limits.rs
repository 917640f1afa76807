//! Limits of an instance: half as much again, and the ceiling follows on a straight line from what an idle instance uses.

use super::subject::{Subject, half_more};
use wsceiling_model::matrix::Knob;
use wsceiling_model::record::{Experiment, Measure, Metric, Tolerance};

pub(super) fn descriptors(subject: &Subject<'_>) -> Option<Experiment> {
    let instance = subject.instance()?;
    let sampled = subject.facts.tracks.near(instance, Metric::DescriptorLimit, subject.facts.to);
    let from = sampled.map(|(_, limit)| limit).or_else(|| Some(subject.setup.size.as_ref()?.nofile? as f64))?;
    let idle = subject.idle(instance, Metric::Descriptors).unwrap_or(wsceiling_model::plan::OWN_DESCRIPTORS as f64);
    let to = half_more(from, subject.most_descriptors());
    linear(subject, Knob::Nofile, (from, to), idle, Tolerance::Exact)
}

pub(super) fn memory(subject: &Subject<'_>) -> Option<Experiment> {
    let from = subject.setup.size.as_ref()?.memory_bytes? as f64;
    let instance = subject.instance()?;
    let used = subject.idle(instance, Metric::MemoryCurrent).unwrap_or(0.0);
    // Page cache is given back before anybody is killed.
    let cache = subject.idle(instance, Metric::MemoryFile).unwrap_or(0.0);
    let all = f64::from(subject.setup.cell.instances) * from;
    let most =
        if subject.fact("memory.total_bytes").is_some_and(|total| all * 1.5 > total) { from } else { from * 1.5 };
    linear(subject, Knob::Memory, (from, half_more(from, most)), used - cache, Tolerance::Exact)
}

pub(super) fn pids(subject: &Subject<'_>) -> Option<Experiment> {
    let from = subject.setup.size.as_ref()?.pids? as f64;
    let idle = subject.instance().and_then(|instance| subject.idle(instance, Metric::Pids)).unwrap_or(1.0);
    linear(subject, Knob::Pids, (from, half_more(from, f64::INFINITY)), idle, Tolerance::Exact)
}

/// What an idle runtime has in its heap is not known from outside, so the move counts, not its exact size.
pub(super) fn heap(subject: &Subject<'_>) -> Option<Experiment> {
    let target = &subject.setup.target;
    let from = target.argument(&target.confirm.heap)?;
    linear(subject, Knob::Heap, (from, half_more(from, f64::INFINITY)), 0.0, Tolerance::Half)
}

/// What is left beside the idle instance holds the connections.
fn linear(
    subject: &Subject<'_>,
    knob: Knob,
    (from, to): (f64, f64),
    idle: f64,
    tolerance: Tolerance,
) -> Option<Experiment> {
    let room = (to - idle) / (from - idle);
    let plausible = from > idle && room > 0.0;
    let predicted = |before: f64| (before * room).round();
    plausible.then(|| subject.experiment(knob, (from, to), Measure::Connections, tolerance, predicted)).flatten()
}
