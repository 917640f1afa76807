//! What a trial needs of its run, and what it makes of that for the launcher and the generator.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use tokio::sync::watch;

use wsceiling_generator::coordinator::GeneratorSetup;
use wsceiling_launch::{LaunchContext, Launcher};
use wsceiling_machine::environment::MachineFacts;
use wsceiling_machine::placement::Placement;
use wsceiling_model::matrix::{Cell, Matrix, Target};
use wsceiling_model::plan::{self, TrialId};

/// What a trial needs of its run.
pub struct TrialSetup<'a> {
    pub matrix: &'a Matrix,
    pub cell: &'a Cell,
    pub trial: &'a TrialId,
    /// Position in the plan; it tells the source addresses of trials apart.
    pub order: u32,
    /// Name of the run folder.
    pub run_id: &'a str,
    /// Folder of the logs; its parent is the run folder.
    pub logs: &'a Path,
    pub machine: &'a MachineFacts,
    /// Cores of both sides.
    pub placement: &'a Placement,
    pub launcher: &'a mut Launcher,
    /// Turns true when the user wants the run to stop.
    pub cancel: watch::Receiver<bool>,
    /// Start of the trial, from which all its moments count.
    pub epoch: Instant,
}

impl<'a> TrialSetup<'a> {
    /// The target of the cell.
    pub fn target(&self) -> &'a Target {
        &self.matrix.targets[&self.cell.target]
    }

    /// The machine as the plan computes with it.
    pub fn limits(&self) -> plan::Machine {
        self.machine.into()
    }

    /// Milliseconds since the trial's start.
    pub fn now_ms(&self) -> f64 {
        self.epoch.elapsed().as_secs_f64() * 1000.0
    }

    /// What the launcher needs to know for launch number `launch` of this trial.
    pub fn launch(&self, launch: u32) -> LaunchContext<'a> {
        LaunchContext {
            matrix: self.matrix,
            cell: self.cell,
            run_id: self.run_id,
            name: format!("{}.{launch}", self.trial),
            logs: self.logs.to_owned(),
            epoch: self.epoch,
            cpus: self.placement.servers.clone(),
        }
    }

    /// What the generator needs to know to load `destinations`; `launch` tells its source addresses apart.
    pub fn generator(&self, launch: u32, destinations: Vec<SocketAddr>) -> GeneratorSetup<'a> {
        let load = &self.matrix.load;
        GeneratorSetup {
            load,
            cell: self.cell,
            target: self.target(),
            destinations,
            sockets: Vec::new(),
            remote: None,
            descriptor_limit: self.limits().nofile_hard,
            block: self.order * (load.narrow + 1) + launch,
            seed: self.matrix.run.seed.wrapping_add(u64::from(self.order) << 40),
            status_every: self.matrix.run.sample_every,
            cpus: self.placement.generator.clone(),
        }
    }
}
