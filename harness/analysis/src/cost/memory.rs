//! The memory of a connection.

use super::common_slope::{Fit, Group, Point, fit};
use super::course::Course;
use super::jackknife;
use super::knee;
use super::result::{Check, CostPoint, MemoryCost, Part, Traffic};
use super::windows::rises;
use crate::growth::{self, GrowsWith, Growth};
use crate::time_series::TimeSeries;
use wsceiling_model::record::{Component, Metric, StepRecord, TrialRecord};

/// Parts of memory that the kernel tells apart.
const PARTS: [(Metric, &str); 4] = [
    (Metric::MemoryAnon, "anonymous"),
    (Metric::MemorySock, "sockets"),
    (Metric::MemoryKernel, "kernel"),
    (Metric::MemoryFile, "page cache"),
];

/// Bytes per second and per message.
type Rates = (f64, f64);

/// The memory of one trial.
#[derive(Debug, Default)]
pub(super) struct TrialMemory {
    steps: Vec<HeldStep>,
    growth: Option<Growth>,
    /// Growth of each of [`PARTS`].
    parts_growth: [Rates; PARTS.len()],
}

/// The memory of one step while it was held, or of the idle servers.
#[derive(Debug, Clone, Copy)]
struct HeldStep {
    group: Group,
    /// Connections wanted; 0: idle.
    level: u32,
    open: f64,
    /// Since the first connect of the launch.
    seconds: f64,
    messages: f64,
    bytes: f64,
    parts: [Option<f64>; PARTS.len()],
}

/// Takes what is needed out of a trial.
pub(super) fn of_trial(
    record: &TrialRecord,
    series: &TimeSeries,
    instances: &[Component],
    configured: Traffic,
) -> TrialMemory {
    let mut trial = TrialMemory { growth: growth::growth(record, series), ..TrialMemory::default() };
    for (_, step) in record.steps.iter().enumerate().filter(|(at, _)| rises(record, *at)) {
        let Some(first) = record.steps.iter().find(|other| other.launch == step.launch) else { continue };
        let half = f64::midpoint(step.opened_ms, step.ended_ms);
        let held = |metric| sum(instances, |instance| held_mean(series, instance, metric, step));
        let course = Course::new(record, step.launch, configured);
        let asked = course.between(first.started_ms, f64::midpoint(half, step.ended_ms));
        let Some(current) = held(Metric::MemoryCurrent) else { continue };
        trial.steps.push(HeldStep {
            group: (record.trial.repeat, step.launch),
            level: step.target,
            open: step.open as f64,
            seconds: asked.seconds,
            messages: asked.messages,
            bytes: current - held(Metric::MemoryFile).unwrap_or(0.0),
            parts: PARTS.map(|(metric, _)| held(metric)),
        });
    }
    if let Some(growth) = &trial.growth {
        let windows = growth::still_windows(record, series);
        trial.parts_growth = PARTS.map(|(metric, _)| {
            growth::of_part(&windows, growth, |t| sum(instances, |instance| series.at(instance, metric, t)))
        });
    }
    with_idle(record, series, instances, &mut trial);
    trial
}

/// A trial with one good step has no slope of its own; its idle value is then the second point. With two steps or more
/// idle is left out: the first connections make a server allocate what later ones share.
fn with_idle(record: &TrialRecord, series: &TimeSeries, instances: &[Component], trial: &mut TrialMemory) {
    let Some(first) = record.steps.first().filter(|step| step.passed) else { return };
    let group = (record.trial.repeat, first.launch);
    if trial.steps.iter().filter(|step| step.group == group).count() != 1 {
        return;
    }
    let from = first.started_ms - 1000.0;
    let idle = |metric| sum(instances, |instance| average(series.between(instance, metric, from, first.started_ms)));
    let Some(current) = idle(Metric::MemoryCurrent) else { return };
    let bytes = current - idle(Metric::MemoryFile).unwrap_or(0.0);
    let parts = PARTS.map(|(metric, _)| idle(metric));
    trial.steps.insert(0, HeldStep { group, level: 0, open: 0.0, seconds: 0.0, messages: 0.0, bytes, parts });
}

/// Fits the steps of the valid trials of a cell. `None`: too few steps passed.
pub(super) fn of_cell(trials: &[&TrialMemory], source: &str) -> Option<MemoryCost> {
    let (growth, rates, part_rates) = common_growth(trials);
    let steps: Vec<&HeldStep> = trials.iter().flat_map(|trial| &trial.steps).collect();
    let mut levels: Vec<u32> = steps.iter().map(|step| step.level).collect();
    levels.sort_unstable();
    levels.dedup();
    let point = |step: &HeldStep, bytes: f64, (per_second, per_message): Rates| Point {
        group: step.group,
        x: step.open,
        y: bytes - per_second * step.seconds - per_message * step.messages,
    };
    let points = |levels: &[u32]| -> Vec<Point> {
        let own = steps.iter().filter(|step| levels.contains(&step.level));
        own.map(|step| point(step, step.bytes, rates)).collect()
    };
    let predict = |others: &[u32], level: u32| fit(&points(others))?.surprise(&points(&[level]));
    let knee = knee::knee(&levels, predict);
    let within = knee.map_or(&levels[..], |knee| &levels[..levels.partition_point(|level| *level < knee.beyond)]);
    let fitted = points(within);
    let found = fit(&fitted)?;
    let without: Vec<Option<f64>> = repeats(&fitted)
        .into_iter()
        .map(|repeat| {
            let rest: Vec<Point> = fitted.iter().copied().filter(|point| point.group.0 != repeat).collect();
            fit(&rest).map(|fit| fit.slope)
        })
        .collect();
    let parts = PARTS.iter().enumerate().filter_map(|(at, (_, name))| {
        let own = steps.iter().filter(|step| within.contains(&step.level));
        // A part that is missing in some steps would be a slope over other steps than the whole.
        let points = own.map(|step| Some(point(step, step.parts[at]?, part_rates[at]))).collect::<Option<Vec<_>>>()?;
        let Fit { slope, falls, .. } = fit(&points)?;
        Some(Part { name: (*name).to_owned(), per_connection: slope, falls })
    });
    let parts: Vec<Part> = parts.collect();
    let less = if parts.iter().any(|part| part.name == "page cache") { ", less page cache" } else { "" };
    let grown = found.slope * fitted.iter().map(|point| point.x).sum::<f64>() / fitted.len() as f64;
    let share = |residual: f64| (grown > 0.0).then(|| residual / grown);
    let all = points(&levels);
    Some(MemoryCost {
        per_connection: jackknife::estimate(found.slope, &without),
        baseline: found.intercept(),
        parts,
        growth,
        check: Check { knee, residual: found.residual.and_then(share), held_out: knee::held_out(within, predict) },
        points: all.iter().map(|p| CostPoint { connections: p.x, value: p.y, repeat: p.group.0 }).collect(),
        source: format!("{source}{less}"),
    })
}

fn repeats(points: &[Point]) -> Vec<u32> {
    let mut repeats: Vec<u32> = points.iter().map(|point| point.group.0).collect();
    repeats.sort_unstable();
    repeats.dedup();
    repeats
}

/// The growth that more than half of the trials have, the mean of theirs: of the whole, as rates, and of each part. One
/// that a single trial shows is not that of the server.
fn common_growth(trials: &[&TrialMemory]) -> (Option<Growth>, Rates, [Rates; PARTS.len()]) {
    let having: Vec<(&TrialMemory, &Growth)> =
        trials.iter().filter_map(|trial| Some((*trial, trial.growth.as_ref()?))).collect();
    if having.len() * 2 <= trials.len() {
        return (None, (0.0, 0.0), [(0.0, 0.0); PARTS.len()]);
    }
    let mean = |of: &dyn Fn(&TrialMemory, &Growth) -> f64| {
        having.iter().map(|(trial, growth)| of(trial, growth)).sum::<f64>() / having.len() as f64
    };
    let first = having[0].1.with;
    let agree = having.iter().all(|(_, growth)| growth.with == first);
    let growth = Growth {
        bytes_per_second: mean(&|_, growth| growth.bytes_per_second),
        bytes_per_message: mean(&|_, growth| growth.bytes_per_message),
        with: if agree { first } else { GrowsWith::Both },
        share: mean(&|_, growth| growth.share),
    };
    let parts = std::array::from_fn(|at| {
        (mean(&|trial, _| trial.parts_growth[at].0), mean(&|trial, _| trial.parts_growth[at].1))
    });
    (Some(growth), (growth.bytes_per_second, growth.bytes_per_message), parts)
}

/// Mean over the last half of a hold: by then what the opening left has settled.
fn held_mean(series: &TimeSeries, instance: Component, metric: Metric, step: &StepRecord) -> Option<f64> {
    let half = f64::midpoint(step.opened_ms, step.ended_ms);
    average(series.between(instance, metric, half, step.ended_ms))
        .or_else(|| series.at(instance, metric, step.ended_ms))
}

fn average(points: &[(f64, f64)]) -> Option<f64> {
    (!points.is_empty()).then(|| points.iter().map(|(_, value)| value).sum::<f64>() / points.len() as f64)
}

/// Sum over all instances; missing where one is missing.
fn sum(instances: &[Component], each: impl Fn(Component) -> Option<f64>) -> Option<f64> {
    instances.iter().map(|instance| each(*instance)).sum()
}
