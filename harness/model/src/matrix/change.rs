//! A change of exactly one thing that a cell is measured with: what an experiment does to confirm a cause.

use crate::format;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::{format_bytes, format_duration, format_rate};
use super::{Cell, Front, Load, Matrix, Size, Target};

/// Name of a size that a change has made: no file can have it, names have no spaces.
const CHANGED: &str = "as changed";

/// What is changed, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The one thing.
    pub knob: Knob,
    /// Its value in the cell as it was measured, in the knob's unit.
    pub from: f64,
    /// Its value in the experiment.
    pub to: f64,
}

/// The one thing that an experiment changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Knob {
    /// Descriptors that an instance may open.
    Nofile,
    /// Memory that an instance may use, in bytes.
    Memory,
    /// CPUs that an instance may use.
    Cpus,
    /// Processes and threads of an instance.
    Pids,
    /// Connections opened per second.
    Rate,
    /// Time between two messages of a connection, in seconds.
    MessageEvery,
    /// Workers of the generator; each has descriptors and, on loopback, a source address of its own.
    Workers,
    /// Descriptors of each worker of the generator.
    GeneratorDescriptors,
    /// Source ports of the generator towards each destination.
    GeneratorPorts,
    /// CPUs of the generator.
    GeneratorCpus,
    /// Source ports of the front towards each destination.
    FrontPorts,
    /// Source addresses of the front.
    FrontSources,
    /// Descriptors that the front may open.
    FrontNofile,
    /// nginx `worker_connections`.
    WorkerConnections,
    /// haproxy `maxconn` of the process.
    Maxconn,
    /// haproxy `maxconn` of the frontend.
    FrontendMaxconn,
    /// haproxy `maxconn` of each server.
    ServerMaxconn,
    /// 1: the front stands before the instances; 0: they are reached directly.
    Front,
    /// Instances of the target.
    Instances,
    /// Backlog of the server's `listen()`, as `[targets.NAME.confirm]` says how to set it.
    Backlog,
    /// Threads of the server, likewise.
    Threads,
    /// Heap of the server's runtime, in the unit of its own argument, likewise.
    Heap,
    /// Nothing: the same again.
    Again,
}

/// Arguments that set something of a server, each list with one `{value}`; empty: nobody said how it is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmArgs {
    /// `["--backlog", "{value}"]`.
    pub backlog: Vec<String>,
    /// `["--threads", "{value}"]`.
    pub threads: Vec<String>,
    /// `["--max-old-space-size={value}"]`.
    pub heap: Vec<String>,
}

/// Everything that one cell is measured with.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// The cell.
    pub cell: Cell,
    /// Its load.
    pub load: Load,
    /// Its target.
    pub target: Target,
    /// Its size; `None`: no limits.
    pub size: Option<Size>,
    /// Its front; `None`: the instances are reached directly.
    pub front: Option<Front>,
}

impl Change {
    /// Changes a set-up. What the set-up does not have stays as it is.
    pub fn apply(&self, setup: &mut Setup) {
        let Setup { cell, load, target, size, front } = setup;
        let (whole, seconds) = (self.to.round() as u32, Duration::try_from_secs_f64(self.to));
        match self.knob {
            Knob::Nofile => changed(size, cell).nofile = Some(self.to.round() as u64),
            Knob::Memory => changed(size, cell).memory_bytes = Some(self.to.round() as u64),
            Knob::Cpus => changed(size, cell).cpus = Some(self.to),
            Knob::Pids => changed(size, cell).pids = Some(self.to.round() as u64),
            Knob::Rate => load.rate = self.to,
            Knob::MessageEvery => load.message.every = seconds.unwrap_or(load.message.every),
            Knob::Workers => load.workers = Some(whole),
            Knob::GeneratorDescriptors => load.generator.descriptors = Some(self.to.round() as u64),
            Knob::GeneratorPorts => load.generator.ports = Some(whole),
            Knob::GeneratorCpus => load.generator.cpus = Some(self.to),
            Knob::Instances => cell.instances = whole,
            Knob::Front => {
                *front = None;
                cell.front = None;
            }
            Knob::Backlog => set(target, &target.confirm.backlog.clone(), self.to),
            Knob::Threads => set(target, &target.confirm.threads.clone(), self.to),
            Knob::Heap => set(target, &target.confirm.heap.clone(), self.to),
            Knob::Again => {}
            knob => front.iter_mut().for_each(|front| match knob {
                Knob::FrontPorts => front.ports = Some(whole),
                Knob::FrontSources => front.sources = whole,
                Knob::FrontNofile => front.nofile = Some(self.to.round() as u64),
                Knob::WorkerConnections => front.worker_connections = whole,
                Knob::Maxconn => front.maxconn = Some(whole),
                Knob::FrontendMaxconn => front.frontend_maxconn = Some(whole),
                _ => front.server_maxconn = Some(whole),
            }),
        }
    }
}

/// The size of the cell, now one of its own: a front may share the one it had.
fn changed<'a>(size: &'a mut Option<Size>, cell: &mut Cell) -> &'a mut Size {
    cell.size = Some(CHANGED.to_owned());
    let size = size.get_or_insert_with(|| Size {
        name: String::new(),
        cpus: None,
        memory_bytes: None,
        nofile: None,
        pids: None,
        price_per_month: None,
    });
    CHANGED.clone_into(&mut size.name);
    size
}

/// Lets every way in which the target starts have an argument: in the place of the one it has, or at the end.
fn set(target: &mut Target, pattern: &[String], to: f64) {
    let all = target.process.iter_mut().map(|it| &mut it.args).chain(target.docker.iter_mut().map(|it| &mut it.args));
    let filled = || pattern.iter().map(|word| word.replace(VALUE, &number(to)));
    for args in all {
        match find(args, pattern) {
            Some((at, _)) => args.splice(at..at + pattern.len(), filled()).for_each(drop),
            None => args.extend(filled()),
        }
    }
}

/// What stands for the number in an argument of [`ConfirmArgs`].
pub const VALUE: &str = "{value}";

fn number(value: f64) -> String {
    format!("{value:.0}")
}

/// The number that arguments set with such a pattern, and where: `["--threads", "4"]`, `["--heap=16m"]`.
pub fn find(args: &[String], pattern: &[String]) -> Option<(usize, f64)> {
    if pattern.is_empty() {
        return None;
    }
    let matched = |(word, pattern): (&String, &String)| match pattern.split_once(VALUE) {
        None => (word == pattern).then_some(None),
        Some((before, after)) => {
            let number = word.strip_prefix(before)?.strip_suffix(after)?.parse::<f64>().ok()?;
            Some(Some(number))
        }
    };
    args.windows(pattern.len()).enumerate().find_map(|(at, window)| {
        let found: Option<Vec<Option<f64>>> = window.iter().zip(pattern).map(matched).collect();
        Some((at, found?.into_iter().flatten().next()?))
    })
}

impl Target {
    /// The number that its arguments set with such a pattern.
    pub fn argument(&self, pattern: &[String]) -> Option<f64> {
        let all = self.process.iter().map(|it| &it.args).chain(self.docker.iter().map(|it| &it.args));
        all.filter_map(|args| find(args, pattern)).map(|(_, value)| value).next()
    }
}

impl Matrix {
    /// What a cell is measured with.
    pub fn setup(&self, cell: &Cell) -> Option<Setup> {
        Some(Setup {
            cell: cell.clone(),
            load: self.load.clone(),
            target: self.targets.get(&cell.target)?.clone(),
            size: self.size(cell).cloned(),
            front: self.front(cell).cloned(),
        })
    }

    /// This matrix with another set-up of one of its cells, which is then its only one.
    #[must_use]
    pub fn with(&self, setup: Setup) -> Self {
        let mut matrix = self.clone();
        let Setup { cell, load, target, size, front } = setup;
        matrix.load = load;
        matrix.cells = vec![cell];
        matrix.targets.insert(target.name.clone(), target);
        matrix.sizes.extend(size.map(|size| (size.name.clone(), size)));
        matrix.fronts.extend(front.map(|front| (front.name.clone(), front)));
        matrix
    }
}

impl Knob {
    /// What it is, for a person.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Nofile => "descriptors of an instance",
            Self::Memory => "memory of an instance",
            Self::Cpus => "CPU quota of an instance",
            Self::Pids => "processes and threads of an instance",
            Self::Rate => "connections opened per second",
            Self::MessageEvery => "time between two messages",
            Self::Workers => "workers of the generator",
            Self::GeneratorDescriptors => "descriptors of a worker of the generator",
            Self::GeneratorPorts => "ports of the generator",
            Self::GeneratorCpus => "CPUs of the generator",
            Self::FrontPorts => "ports of the front towards each address",
            Self::FrontSources => "source addresses of the front",
            Self::FrontNofile => "descriptors of the front",
            Self::WorkerConnections => "worker_connections of nginx",
            Self::Maxconn => "maxconn of haproxy",
            Self::FrontendMaxconn => "maxconn of haproxy's frontend",
            Self::ServerMaxconn => "maxconn of each of haproxy's servers",
            Self::Front => "front",
            Self::Instances => "instances",
            Self::Backlog => "backlog of the server",
            Self::Threads => "threads of the server",
            Self::Heap => "heap of the server's runtime",
            Self::Again => "nothing",
        }
    }
}

impl fmt::Display for Knob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl fmt::Display for Change {
    /// `descriptors of an instance 1,000 -> 1,500`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: f64| match self.knob {
            Knob::Memory => format_bytes(value.round() as u64),
            Knob::Rate => format_rate(value),
            Knob::MessageEvery => format_duration(Duration::from_secs_f64(value.max(0.0))),
            Knob::Cpus | Knob::GeneratorCpus => format!("{value}"),
            _ => format::count(value.round() as u64),
        };
        match self.knob {
            Knob::Front => f.write_str("the front is left out"),
            Knob::Again => f.write_str("nothing is changed"),
            knob => write!(f, "{knob} {} -> {}", value(self.from), value(self.to)),
        }
    }
}

#[cfg(test)]
mod tests;
