//! The limits of a size: where each stands for so many instances, and how well that is known.

use serde::Serialize;

use super::caps::{Cap, caps, is_shared};
use super::coefficients::Known;
use super::first::Chance;
use super::line::{Line, Met, Prior};
use super::question::MessageRange;
use super::scaling::{Scale, ScaleOver};
use super::set_up::{SetUp, Stopped, same_limits};
use super::walls;
use wsceiling_model::matrix::Size;
use wsceiling_model::record::Cause;

/// Memory that an instance takes beside its idle server and its connections before it is full, in bytes: page cache in use
/// (programs and libraries are some), buffers of the moment. A run that met the limit says it better.
const MEMORY_REST: f64 = 2.0 * 1024.0 * 1024.0;
const MEMORY_REST_ERROR: f64 = 8.0 * 1024.0 * 1024.0;
/// What a heap keeps ready, a share of what the idle server takes.
const HEAP_ERROR: f64 = 0.1;
/// What a connection takes of memory in another size is so far from what it takes in those that were measured.
const SLOPE_ERROR: f64 = 0.1;
/// Share of a CPU quota at which a server already answers too late, and how well that is known where no cell met it.
const USABLE: f64 = 0.9;
const USABLE_ERROR: f64 = 0.1;
/// Share of the CPU that openings and the idle server are assumed to vary by.
const CPU_REST_ERROR: f64 = 0.02;
/// A number that the size does not move lies within this share of itself.
pub(super) const SAME: f64 = 1.15;

/// Where a limit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// From cells that met it.
    Met,
    /// From costs alone: no cell met it.
    Costs,
    /// Arithmetic of a limit that is known.
    Counted,
    /// A number that cells stopped at and that their size does not move.
    Seen,
    /// A platform documents it.
    Documented,
}

/// Why a prediction is an extrapolation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Beyond {
    /// Less or more memory than cells that met the limit had.
    Memory,
    /// Less or more CPU.
    Cpus,
    /// More cores than were seen to be used: those beyond are not counted.
    Cores,
    /// More instances than were measured.
    Instances,
    /// More connections of an instance than were measured.
    Connections,
    /// Messages more often or longer than measured.
    Messages,
    /// No cell met this limit.
    NeverMet,
}

/// A limit of a size, for so many instances.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Limit {
    pub cause: Cause,
    pub origin: Origin,
    /// Connections of all instances.
    pub chance: Chance,
    pub beyond: Vec<Beyond>,
}

/// What is fitted once for a set-up and asked for each size.
#[derive(Debug, Clone)]
pub(super) struct Limits<'s, 'f> {
    pub set_up: &'s SetUp<'f>,
    memory: Option<Line>,
    cpu: Option<Line>,
    /// CPUs of an instance that are known to be used, and what limits it to them.
    cores: f64,
    one_core: Option<Cause>,
    caps: Vec<Cap<'f>>,
    /// How instances and cores add up, where that could be fitted.
    pub scales: Vec<Scale>,
}

/// Memory that is full, one way or the other.
pub(super) fn is_memory(cause: Cause) -> bool {
    matches!(cause, Cause::MemoryLimit | Cause::MemoryPressure | Cause::HostMemory)
}

/// CPU that is used up, one way or the other.
pub(super) fn is_cpu(cause: Cause) -> bool {
    matches!(cause, Cause::CpuQuota | Cause::CpuSaturated | Cause::SingleThread | Cause::GlobalLock)
}

/// Limits that say that one core is all the server uses.
fn is_one_core(cause: Cause) -> bool {
    matches!(cause, Cause::SingleThread | Cause::GlobalLock)
}

impl<'s, 'f> Limits<'s, 'f> {
    pub fn of(set_up: &'s SetUp<'f>) -> Self {
        let alone = set_up.stopped_alone();
        let one_core = alone.iter().map(|cell| cell.cause).find(|cause| is_one_core(*cause));
        let by_cpu = alone.iter().filter(|cell| !set_up.is_outdone(cell, |size| size.cpus));
        let met: Vec<Met> = by_cpu.filter_map(|cell| Some(cell.met(cpu_of(set_up, cell)?))).collect();
        let most = met.iter().map(|met| met.resource).fold(1.0, |most, micro| f64::max(most, micro / 1e6));
        let cores = if one_core.is_some() { 1.0 } else { most };
        let of_cores = core_scale(set_up, &alone);
        // Cores that slow each other down bend the line, so it is drawn for one.
        let met = match &of_cores {
            Some(scale) => met.iter().map(|cell| of_one_core(cell, scale)).collect(),
            None => met,
        };
        let (memory, cpu) = (memory_line(set_up, &alone), cpu_line(set_up, &met, cores));
        // Without a line, where a resource was full is known of the sizes that met it, and of no other.
        let explained = |cause: Cause| {
            cause == Cause::ServerDescriptors || is_memory(cause) && memory.is_some() || is_cpu(cause) && cpu.is_some()
        };
        let caps = caps(&alone, explained);
        Self {
            set_up,
            memory,
            cpu,
            cores,
            one_core,
            caps,
            scales: instance_scales(set_up).into_iter().chain(of_cores).collect(),
        }
    }

    /// CPUs of a size that count: the cores that a server is known to use.
    pub fn usable_cpus(&self, size: &Size) -> Option<f64> {
        let cpus = size.cpus?;
        let all = self.scales.iter().any(|scale| scale.over == ScaleOver::Cpus);
        Some(if all { cpus } else { cpus.min(self.cores) })
    }

    /// All limits of so many instances of a size. Empty: nothing is known to limit it.
    pub fn at(&self, size: &Size, instances: u32) -> Vec<Limit> {
        let mut limits: Vec<Limit> = Vec::new();
        limits.extend(self.memory_limit(size));
        limits.extend(self.cpu_limit(size));
        limits.extend(walls::descriptors(self.set_up, size));
        limits.extend(self.caps.iter().filter_map(|cap| cap.each(size)));
        let all = limits.into_iter().map(|limit| self.of_all(limit, instances));
        let mut limits: Vec<Limit> = all.collect();
        limits.extend(self.caps.iter().filter_map(Cap::of_all));
        limits.extend(walls::front(self.set_up, instances));
        limits.extend(walls::platform(self.set_up, instances));
        limits.extend(walls::conntrack(self.set_up, instances));
        for limit in &mut limits {
            self.mark(limit, instances);
        }
        limits
    }

    /// What one instance holds, for so many of them: by the law that was fitted, else each holds what one does.
    fn of_all(&self, limit: Limit, instances: u32) -> Limit {
        let k = f64::from(instances);
        let scale = self.scales.iter().find(|scale| {
            scale.over == ScaleOver::Instances
                && (scale.cause == limit.cause || is_cpu(scale.cause) && is_cpu(limit.cause))
        });
        let each = scale.map_or(1.0, |scale| scale.each(k));
        Limit { chance: limit.chance.times(k * each), ..limit }
    }

    /// What makes any limit an extrapolation.
    fn mark(&self, limit: &mut Limit, instances: u32) {
        let each = limit.chance.connections / f64::from(instances);
        let coefficients = &self.set_up.coefficients;
        if limit.origin == Origin::Costs {
            limit.beyond.push(Beyond::NeverMet);
        }
        if instances > self.set_up.instances().1 {
            limit.beyond.push(Beyond::Instances);
        }
        if matches!(limit.origin, Origin::Costs | Origin::Counted) && each > SAME * coefficients.open_most {
            limit.beyond.push(Beyond::Connections);
        }
        if is_cpu(limit.cause) && coefficients.messages != MessageRange::Within {
            limit.beyond.push(Beyond::Messages);
        }
    }

    fn memory_limit(&self, size: &Size) -> Option<Limit> {
        let (line, bytes) = (self.memory.as_ref()?, size.memory_bytes? as f64);
        let beyond = if line.was_met() && !line.covers(bytes) { vec![Beyond::Memory] } else { Vec::new() };
        Some(Limit {
            cause: Cause::MemoryLimit,
            origin: origin(line),
            chance: line.at(bytes).unwrap_or(NOTHING),
            beyond,
        })
    }

    fn cpu_limit(&self, size: &Size) -> Option<Limit> {
        let line = self.cpu.as_ref()?;
        let (cpus, of_machine) = match size.cpus {
            Some(cpus) => (cpus, false),
            None => (cores_of_machine(self.set_up)?, true),
        };
        let used = cpus.min(self.cores);
        let scale = self.scales.iter().find(|scale| scale.over == ScaleOver::Cpus && cpus > 1.0);
        let mut beyond = Vec::new();
        let chance = if let Some(scale) = scale {
            if !scale.covers(cpus) {
                beyond.push(Beyond::Cpus);
            }
            line.at(1e6).map(|one| one.times(cpus * scale.each(cpus)))
        } else {
            if used < cpus && self.one_core.is_none() {
                beyond.push(Beyond::Cores);
            } else if line.was_met() && !line.covers(used * 1e6) {
                beyond.push(Beyond::Cpus);
            }
            line.at(used * 1e6)
        };
        let cause = match self.one_core {
            // A quota of one core stops nobody who uses no more.
            Some(cause) if cpus >= 1.0 => cause,
            _ if of_machine => Cause::CpuSaturated,
            _ => Cause::CpuQuota,
        };
        Some(Limit { cause, origin: origin(line), chance: chance.unwrap_or(NOTHING), beyond })
    }
}

/// A size that holds nothing: less than the idle server takes.
pub(super) const NOTHING: Chance = Chance { connections: 0.0, spread: 0.0 };

fn origin(line: &Line) -> Origin {
    if line.was_met() { Origin::Met } else { Origin::Costs }
}

/// What connections cannot have of a memory limit is the idle server, with what its heap keeps ready, and page cache in use.
/// Memory that counts is that of the cgroup without page cache that can be taken back: anonymous memory, socket buffers and
/// kernel memory of the connections.
fn memory_line(set_up: &SetUp<'_>, alone: &[Stopped<'_>]) -> Option<Line> {
    let met: Vec<Met> = alone
        .iter()
        .filter(|cell| is_memory(cell.cause) && !set_up.is_outdone(cell, |size| Some(size.memory_bytes? as f64)))
        .filter_map(|cell| Some(cell.met(cell.size?.memory_bytes? as f64)))
        .collect();
    let coefficients = &set_up.coefficients;
    let offset = coefficients.memory_idle.map(|idle| {
        let error = MEMORY_REST_ERROR.hypot(HEAP_ERROR * idle.value).hypot(idle.error);
        (idle.value + MEMORY_REST, error)
    });
    let slope = coefficients.memory.filter(is_positive).map(|memory| memory.prior(SLOPE_ERROR));
    let line = Line::fit(&met, offset, slope)?;
    let sizes = set_up.held().filter_map(|(size, held)| Some((size?.memory_bytes? as f64, held)));
    Some(at_least_what_was_held(line, sizes))
}

/// What connections cannot have of a CPU limit is the idle server, and the share at which answers are late already.
fn cpu_line(set_up: &SetUp<'_>, met: &[Met], cores: f64) -> Option<Line> {
    let coefficients = &set_up.coefficients;
    let least = met.iter().map(|met| met.resource).fold(f64::INFINITY, f64::min).min(cores * 1e6);
    let offset: Option<Prior> = Some((coefficients.cpu_idle.map_or(0.0, |idle| idle.value), CPU_REST_ERROR * least));
    let priced = |cpu: Known| {
        let (value, error) = cpu.prior(USABLE_ERROR);
        (value / USABLE, error / USABLE)
    };
    let slope = coefficients.cpu_as_run.or(coefficients.cpu).filter(is_positive).map(priced);
    let line = Line::fit(met, offset, slope)?;
    let sizes = set_up.held().filter_map(|(size, held)| Some((size?.cpus?.min(cores) * 1e6, held)));
    let line = at_least_what_was_held(line, sizes);
    let ratio = coefficients.cpu.zip(coefficients.cpu_as_run).map(|(asked, run)| asked.value / run.value);
    Some(match ratio.filter(|ratio| ratio.is_finite() && *ratio > 0.0) {
        Some(ratio) => line.dearer(ratio),
        None => line,
    })
}

fn is_positive(known: &Known) -> bool {
    known.value > 0.0
}

/// A line that costs alone say cannot say less than what a cell held.
fn at_least_what_was_held(line: Line, held: impl Iterator<Item = (f64, f64)>) -> Line {
    if line.was_met() {
        return line;
    }
    let short = held.filter_map(|(resource, held)| Some(held / line.at(resource)?.connections)).fold(1.0, f64::max);
    line.dearer(1.0 / short)
}

/// CPU that one instance of a cell had when it stopped for lack of it, micro-cores. `None`: it stopped for something else, or
/// nobody knows how much CPU it had: instances of a full machine share it with the generator.
fn cpu_of(set_up: &SetUp<'_>, cell: &Stopped<'_>) -> Option<f64> {
    let own = cell.size.and_then(|size| size.cpus);
    let cpus = match cell.cause {
        Cause::CpuQuota => own?,
        Cause::SingleThread | Cause::GlobalLock => own.unwrap_or(1.0).min(1.0),
        Cause::CpuSaturated if own.is_none() => cores_of_machine(set_up)? / f64::from(cell.instances),
        _ => return None,
    };
    Some(cpus * 1e6)
}

/// How instances of one size add up, for each cause that at least three numbers of them met.
fn instance_scales(set_up: &SetUp<'_>) -> Vec<Scale> {
    let all: Vec<Stopped<'_>> = set_up.stopped().collect();
    let mut scales: Vec<Scale> = Vec::new();
    for first in &all {
        let same = |cell: &&Stopped<'_>| cell.cause == first.cause && same_limits(cell.size, first.size);
        let points: Vec<(f64, f64)> =
            all.iter().filter(same).map(|cell| (f64::from(cell.instances), cell.held())).collect();
        if is_shared(first.cause) || scales.iter().any(|scale| scale.cause == first.cause) {
            continue;
        }
        scales.extend(Scale::fit(ScaleOver::Instances, first.cause, &points));
    }
    scales
}

/// How cores of one instance add up, from one on, where at least three numbers of them were met.
fn core_scale(set_up: &SetUp<'_>, alone: &[Stopped<'_>]) -> Option<Scale> {
    let of_cpu = alone.iter().filter(|cell| matches!(cell.cause, Cause::CpuQuota | Cause::CpuSaturated));
    let points: Vec<(f64, f64)> = of_cpu
        .filter_map(|cell| Some((cpu_of(set_up, cell)? / 1e6, cell.held() / f64::from(cell.instances))))
        .filter(|(cpus, _)| *cpus >= 1.0)
        .collect();
    Scale::fit(ScaleOver::Cpus, Cause::CpuQuota, &points)
}

/// A cell of several cores as one of a single core.
fn of_one_core(cell: &Met, scale: &Scale) -> Met {
    let cores = (cell.resource / 1e6).max(1.0);
    let share = cores * scale.each(cores);
    Met { resource: cell.resource / cores, connections: cell.connections.iter().map(|n| n / share).collect() }
}

pub(super) fn fact(set_up: &SetUp<'_>, name: &str) -> Option<u64> {
    set_up.header.environment.facts.get(name)?.parse().ok()
}

fn cores_of_machine(set_up: &SetUp<'_>) -> Option<f64> {
    fact(set_up, "cpu.cores_usable").or_else(|| fact(set_up, "cpu.cores")).map(|cores| cores as f64)
}
