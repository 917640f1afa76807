//! What a connection costs: slopes over the holds of the steps that passed. `docs/methodology.md` has the reasoning.

use super::findings::{Cost, CostPoint};
use super::statistics::{Fit, Point, fit, mean};
use super::time_series::TimeSeries;
use wsceiling_model::record::{Component, Metric, StepRecord, TrialRecord};

/// Parts of memory that the kernel tells apart.
const PARTS: [(Metric, &str); 4] = [
    (Metric::MemoryAnon, "anonymous"),
    (Metric::MemorySock, "sockets"),
    (Metric::MemoryKernel, "kernel"),
    (Metric::MemoryFile, "page cache"),
];

/// Points of one trial.
#[derive(Debug, Default)]
pub(super) struct TrialCosts {
    /// Memory that connections are charged for.
    memory: Vec<Point>,
    /// In the order of [`PARTS`].
    parts: [Vec<Point>; PARTS.len()],
    /// CPU microseconds per second while holding.
    cpu: Vec<Point>,
    opens: Vec<Opening>,
    memory_source: Option<String>,
    cpu_source: Option<String>,
}

/// CPU of the opening of one step.
#[derive(Debug)]
struct Opening {
    repeat: u32,
    opened: f64,
    /// What holding costs meanwhile is this time, and this many connections times seconds.
    seconds: f64,
    connection_seconds: f64,
    cpu_us: f64,
}

/// The costs of a cell.
#[derive(Debug, Default)]
pub(super) struct Costs {
    pub memory: Option<Cost>,
    pub cpu: Option<Cost>,
    pub open: Option<Cost>,
}

/// Takes the points out of a trial.
pub(super) fn of_trial(record: &TrialRecord, series: &TimeSeries) -> TrialCosts {
    let instances: Vec<Component> = series.instances().collect();
    let mut costs = TrialCosts::default();
    if instances.is_empty() {
        return costs;
    }
    let source = |metric: Metric| record.sources.get(&instances[0])?.get(metric.name()).cloned();
    costs.memory_source = source(Metric::MemoryCurrent);
    costs.cpu_source = source(Metric::CpuUsage);
    for step in record.steps.iter().enumerate().filter(|(at, _)| rises(record, *at)).map(|(_, step)| step) {
        let group = (record.trial.repeat, step.launch);
        let open = step.open as f64;
        let held = |metric| sum(&instances, |instance| held_mean(series, instance, metric, step));
        let file = held(Metric::MemoryFile);
        if let Some(current) = held(Metric::MemoryCurrent) {
            // Page cache is given back under pressure and does not grow with connections: a file that was read, a log
            // that was written, would be billed to them.
            costs.memory.push(Point { group, x: open, y: current - file.unwrap_or(0.0) });
        }
        for ((metric, _), points) in PARTS.iter().zip(&mut costs.parts) {
            points.extend(held(*metric).map(|y| Point { group, x: open, y }));
        }
        let held_cpu = sum(&instances, |instance| rate(series, instance, step.opened_ms, step.ended_ms));
        costs.cpu.extend(held_cpu.map(|y| Point { group, x: open, y }));
        costs.opens.extend(opening(record, series, &instances, step));
    }
    with_idle(record, series, &instances, &mut costs);
    costs
}

/// Whether a step passed with more connections than any before it. What a server keeps of connections that have gone, or
/// spends on a storm, is not what a connection costs.
fn rises(record: &TrialRecord, at: usize) -> bool {
    let step = &record.steps[at];
    let before = record.steps[..at].iter().filter(|before| before.launch == step.launch);
    step.passed && before.map(|before| before.target).max().is_none_or(|most| step.target > most)
}

/// CPU from the last sample before the first connect to the first one after the last has settled.
fn opening(record: &TrialRecord, series: &TimeSeries, instances: &[Component], step: &StepRecord) -> Option<Opening> {
    let moments = series.moments(instances[0]);
    let from = *moments.get(moments.partition_point(|t| *t <= step.started_ms).checked_sub(1)?)?;
    let to = *moments.get(moments.partition_point(|t| *t < step.opened_ms))?;
    let cpu_us = sum(instances, |instance| {
        let at = |t| series.at(instance, Metric::CpuUsage, t);
        Some(at(to)? - at(from)?).filter(|used| *used >= 0.0)
    })?;
    let (opened, after) = (step.opened as f64, step.open as f64);
    let before = (after - opened).max(0.0);
    let connection_ms = before * (step.started_ms - from)
        + f64::midpoint(before, after) * (step.opened_ms - step.started_ms)
        + after * (to - step.opened_ms);
    (opened > 0.0).then(|| Opening {
        repeat: record.trial.repeat,
        opened,
        seconds: (to - from) / 1e3,
        connection_seconds: connection_ms / 1e3,
        cpu_us,
    })
}

/// A trial with one good step has no slope of its own; its idle value is then the second point. With two steps or more
/// idle is left out: the first connections make a server allocate what later ones share.
fn with_idle(record: &TrialRecord, series: &TimeSeries, instances: &[Component], costs: &mut TrialCosts) {
    let Some(first) = record.steps.first().filter(|step| step.passed) else { return };
    let group = (record.trial.repeat, first.launch);
    let from = first.started_ms - 1000.0;
    let idle = |metric| sum(instances, |instance| average(series.between(instance, metric, from, first.started_ms)));
    let add = |points: &mut Vec<Point>, value: Option<f64>| {
        if points.iter().filter(|point| point.group == group).count() == 1
            && let Some(y) = value
        {
            points.insert(0, Point { group, x: 0.0, y });
        }
    };
    let file = idle(Metric::MemoryFile).unwrap_or(0.0);
    add(&mut costs.memory, idle(Metric::MemoryCurrent).map(|current| current - file));
    for ((metric, _), points) in PARTS.iter().zip(&mut costs.parts) {
        add(points, idle(*metric));
    }
}

/// Fits the points of all valid trials of a cell.
pub(super) fn of_cell(trials: &[&TrialCosts]) -> Costs {
    let all = |pick: fn(&TrialCosts) -> &Vec<Point>| -> Vec<Point> {
        trials.iter().flat_map(|trial| pick(trial).iter().copied()).collect()
    };
    let memory_points = all(|trial| &trial.memory);
    let cpu_points = all(|trial| &trial.cpu);
    let (memory_fit, cpu_fit) = (fit(&memory_points), fit(&cpu_points));
    let parts = PARTS.iter().enumerate().filter_map(|(at, (_, name))| {
        let points: Vec<Point> = trials.iter().flat_map(|trial| trial.parts[at].iter().copied()).collect();
        // A part that is missing in some steps would be a slope over other steps than the whole.
        if points.len() != memory_points.len() {
            return None;
        }
        Some(((*name).to_owned(), fit(&points)?.slope))
    });
    let parts: Vec<(String, f64)> = parts.collect();
    let source = |pick: fn(&TrialCosts) -> &Option<String>, what: &str| {
        let name = trials.iter().find_map(|trial| pick(trial).clone());
        format!("{}{what}", name.unwrap_or_else(|| "source not recorded".into()))
    };
    let less = if parts.iter().any(|(name, _)| name == "page cache") { ", less page cache" } else { "" };
    Costs {
        open: open_cost(trials, cpu_fit.as_ref(), &source(|trial| &trial.cpu_source, ", openings less holding")),
        memory: memory_fit.map(|fit| cost(&fit, &memory_points, parts, source(|trial| &trial.memory_source, less))),
        cpu: cpu_fit.map(|fit| cost(&fit, &cpu_points, Vec::new(), source(|trial| &trial.cpu_source, ", while held"))),
    }
}

fn cost(fit: &Fit, points: &[Point], parts: Vec<(String, f64)>, source: String) -> Cost {
    Cost {
        per_connection: fit.slope,
        interval: fit.half_width.map(|half| (fit.slope - half, fit.slope + half)),
        baseline: fit.intercept,
        points: points.iter().map(|p| CostPoint { connections: p.x, value: p.y, repeat: p.group.0 }).collect(),
        parts,
        source,
    }
}

/// CPU per upgrade: what an opening used, less what holding the connections would have used meanwhile.
fn open_cost(trials: &[&TrialCosts], held: Option<&Fit>, source: &str) -> Option<Cost> {
    let openings = || trials.iter().flat_map(|trial| &trial.opens);
    let net = |opening: &Opening| {
        let holding = |fit: &Fit| fit.intercept * opening.seconds + fit.slope * opening.connection_seconds;
        opening.cpu_us - held.map_or(0.0, holding).max(0.0)
    };
    let each: Vec<f64> = openings().map(|opening| net(opening) / opening.opened).collect();
    let (per_connection, half) = mean(&each)?;
    let point =
        |opening: &Opening| CostPoint { connections: opening.opened, value: net(opening), repeat: opening.repeat };
    Some(Cost {
        per_connection,
        interval: half.filter(|_| each.len() >= 3).map(|half| (per_connection - half, per_connection + half)),
        baseline: 0.0,
        points: openings().map(point).collect(),
        parts: Vec::new(),
        source: source.to_owned(),
    })
}

/// Mean over the last half of a hold: by then what the opening left has settled.
fn held_mean(series: &TimeSeries, instance: Component, metric: Metric, step: &StepRecord) -> Option<f64> {
    let half = f64::midpoint(step.opened_ms, step.ended_ms);
    average(series.between(instance, metric, half, step.ended_ms))
        .or_else(|| series.at(instance, metric, step.ended_ms))
}

/// CPU microseconds per second between the first and the last sample within a hold. Samples outside of it are left
/// out: the one before still has the opening in it, which costs far more than holding does.
fn rate(series: &TimeSeries, instance: Component, from: f64, to: f64) -> Option<f64> {
    let inside = series.between(instance, Metric::CpuUsage, from, to);
    let ((t0, v0), (t1, v1)) = (*inside.first()?, *inside.last()?);
    (t1 > t0 && v1 >= v0).then(|| (v1 - v0) / (t1 - t0) * 1e3)
}

fn average(points: &[(f64, f64)]) -> Option<f64> {
    (!points.is_empty()).then(|| points.iter().map(|(_, value)| value).sum::<f64>() / points.len() as f64)
}

/// Sum over all instances; missing where one is missing.
fn sum(instances: &[Component], each: impl Fn(Component) -> Option<f64>) -> Option<f64> {
    instances.iter().map(|instance| each(*instance)).sum()
}
