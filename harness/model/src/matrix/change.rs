//! A change of exactly one thing that a cell is measured with: what an experiment does to confirm a cause.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cell::{Cell, Size};
use super::knob::Knob;
use super::setup::CellSetup;
use super::units::{format_bytes, format_duration, format_rate};
use crate::format;

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

impl Change {
    /// Changes a set-up. What the set-up does not have stays as it is.
    pub fn apply(&self, setup: &mut CellSetup) {
        let CellSetup { cell, load, target, size, front } = setup;
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
            Knob::Backlog => target.set_argument(&target.confirm.backlog.clone(), self.to),
            Knob::Threads => target.set_argument(&target.confirm.threads.clone(), self.to),
            Knob::Heap => target.set_argument(&target.confirm.heap.clone(), self.to),
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
    let size = size.get_or_insert_with(|| Size::unlimited(CHANGED));
    CHANGED.clone_into(&mut size.name);
    size
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
