//! The few connections beside the load, from before its first step to after its last one.

use std::time::Duration;

use super::servers::Servers;
use super::setup::TrialSetup;
use wsceiling_generator::coordinator::{self, GeneratorSetup, LongProbe};
use wsceiling_model::matrix::{LongConnections, WorkersIn};
use wsceiling_model::record::{LongRecord, Warning};

/// The long connections of a trial, open or over.
#[derive(Default)]
pub struct LongSide {
    running: Option<(f64, LongProbe)>,
    /// What became of them.
    pub(super) record: Option<LongRecord>,
    /// Why there are none, where there were to be some.
    pub(super) warning: Option<Warning>,
}

impl LongSide {
    /// Those of the trial; `None`: it has none.
    pub fn wanted(setup: &TrialSetup<'_>) -> Option<LongConnections> {
        setup.matrix.load.long_beside()
    }

    /// Opens them, unless they were opened before: a server that is launched anew ends its connections itself. What fails here
    /// fails no trial.
    pub async fn start(&mut self, setup: &TrialSetup<'_>, launch: u32, servers: &Servers) {
        let Some(long) = Self::wanted(setup).filter(|_| launch == 0) else { return };
        if coordinator::place_of_workers(&setup.matrix.load, setup.cell) != WorkersIn::Host {
            self.warn("the workers run in containers, and what is beside them would not reach the server");
            return;
        }
        let of_generator = GeneratorSetup {
            sockets: servers.sockets(),
            remote: servers.client(setup),
            ..setup.generator(launch, servers.destinations())
        };
        let started_ms = setup.now_ms();
        match LongProbe::start(&of_generator, long).await {
            Ok(probe) => self.running = Some((started_ms, probe)),
            Err(error) => self.warn(&format!("{error:#}")),
        }
    }

    /// Keeps them for `stay` more, and ends them.
    pub async fn stop(&mut self, setup: &TrialSetup<'_>, epoch_ns: u64, stay: Duration) {
        let Some((started_ms, probe)) = self.running.take() else { return };
        match probe.finish(stay, epoch_ns).await {
            Ok(sides) => self.record = Some(LongRecord { started_ms, ended_ms: setup.now_ms(), sides }),
            Err(error) => self.warn(&format!("{error:#}")),
        }
    }

    fn warn(&mut self, why: &str) {
        self.warning = Some(Warning::NoLongConnections { why: why.to_owned() });
    }
}
