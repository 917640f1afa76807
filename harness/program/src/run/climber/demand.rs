//! Demand or capacity: what the climber's client opens elsewhere once the climb is over.

use std::net::SocketAddr;

use super::Climber;
use crate::run::demand;
use wsceiling_generator::coordinator;
use wsceiling_generator::sink::SinkServer;
use wsceiling_launch::Group;
use wsceiling_model::plan;
use wsceiling_model::record::{DemandRecord, DialRecord, StepRecord};

impl Climber<'_> {
    /// Asks what the same client can open elsewhere, where the trial ended on a plateau; the generator and the front are
    /// stopped for it. Whatever cannot be asked is absent: it is a question beside the trial.
    pub async fn demand(&mut self, steps: &[StepRecord]) -> Option<DemandRecord> {
        let failed =
            steps.iter().find(|step| !step.passed).filter(|step| demand::is_open(step, self.ended_in(step)))?;
        if self.context.matrix.load.generator.cpus.is_some() {
            // Without its cgroup it would be another client.
            return None;
        }
        self.sampler.replace(Vec::new());
        self.stop_generator().await;
        let fronted = self.fronts.is_some();
        self.stop_fronts().await;
        let instances = || self.group.iter().flat_map(Group::instances);
        let (direct, sockets) = (instances().map(|it| it.address).collect(), instances().any(|it| it.socket.is_some()));
        let direct = if fronted && !sockets { self.dial(failed, direct, 100).await } else { None };
        self.stop().await;
        let contained = coordinator::in_containers(&self.context.matrix.load, self.context.cell);
        let sink = if contained { None } else { SinkServer::start().await.ok() };
        let sink = match sink {
            Some(sink) => self.dial(failed, vec![sink.address()], 101).await,
            None => None,
        };
        Some(DemandRecord { null: sink, direct }).filter(|found| found.null.is_some() || found.direct.is_some())
    }

    /// `apart` keeps the source addresses from those of the trial.
    async fn dial(&self, failed: &StepRecord, to: Vec<SocketAddr>, apart: u32) -> Option<DialRecord> {
        let machine = plan::Machine::from(self.context.machine);
        let setup = self.context.generator(self.launch + apart, to);
        demand::dial(&setup, failed, machine.cores).await.ok()
    }
}
