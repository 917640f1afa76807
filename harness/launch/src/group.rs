//! A launched group: the instances of a cell, however they run.

use std::time::Duration;

use super::bare::{self, BareInstance};
use super::docker::Containers;
use super::{Exits, Launched, log};

/// The instances of a cell. Whatever still runs ends when this is dropped, and nothing of it is left behind.
#[derive(Debug)]
pub struct Group {
    launched: Vec<Launched>,
    parts: Parts,
}

#[derive(Debug)]
enum Parts {
    Bare(Vec<BareInstance>),
    Docker(Box<Containers>),
}

impl Group {
    pub(super) fn bare(instances: Vec<BareInstance>) -> Self {
        let launched = instances.iter().map(|instance| instance.launched.clone()).collect();
        Self { launched, parts: Parts::Bare(instances) }
    }

    pub(super) fn docker(containers: Containers) -> Self {
        Self { launched: containers.launched().cloned().collect(), parts: Parts::Docker(Box::new(containers)) }
    }

    /// The instances, in the order of their indices.
    pub fn instances(&self) -> &[Launched] {
        &self.launched
    }

    /// Which instances have ended so far, and how; does not wait.
    pub fn exits(&mut self) -> Exits {
        match &self.parts {
            Parts::Bare(instances) => instances.iter().map(BareInstance::exit).collect(),
            Parts::Docker(containers) => containers.exits(),
        }
    }

    /// Ends all instances: SIGTERM, up to `grace` for them to go, then SIGKILL for the whole process group or container;
    /// then removes containers and cgroups. Returns how each ended; `None`: even SIGKILL did not end it in time.
    pub async fn stop(&mut self, grace: Duration) -> Exits {
        match &mut self.parts {
            Parts::Bare(instances) => bare::stop(instances, grace).await,
            Parts::Docker(containers) => return containers.stop(grace).await,
        }
        self.exits()
    }

    /// Frees the disk that the middles of long logs take, while their writers go on.
    pub fn free_logs(&self) {
        self.launched.iter().for_each(|launched| log::free_middle(&launched.log));
    }

    /// Cuts long logs that nobody writes any more to their start and their end.
    pub fn cut_logs(&self) {
        for launched in &self.launched {
            // A log that cannot be cut is kept as it is.
            let _ = log::cut_middle(&launched.log);
        }
    }

    /// Bytes in the log of each instance now.
    pub fn log_lengths(&self) -> Vec<u64> {
        self.launched.iter().map(|launched| log::length(&launched.log)).collect()
    }

    /// Lines of an instance's log that name a limit, each with the number of `marks` (lengths of the log at moments) that
    /// had passed before it was written; between two marks the first of each kind.
    pub fn log_signs(&self, index: usize, marks: &[u64]) -> Vec<(usize, String)> {
        self.launched.get(index).map(|launched| log::signs(&launched.log, marks)).unwrap_or_default()
    }

    /// The last lines of an instance's log, at most `lines`.
    pub fn log_tail(&self, index: usize, lines: usize) -> Vec<String> {
        self.launched.get(index).map(|launched| log::tail(&launched.log, lines)).unwrap_or_default()
    }
}
