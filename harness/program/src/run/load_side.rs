//! The load side of a trial: the generator, the containers or the cgroup that its workers run in, and how busy they are.

use std::time::Duration;

use anyhow::{Result, anyhow};

use super::remote::RemoteServers;
use super::servers::Servers;
use super::setup::TrialSetup;
use wsceiling_generator::coordinator::{self, Generator, GeneratorSetup, WorkerLine};
use wsceiling_launch::{OwnCgroup, Streams, Workers};
use wsceiling_machine::placement::Placement;
use wsceiling_machine::sample::Watch;
use wsceiling_model::record::{ClientLimit, Component, GeneratorRecord};

/// How long a worker in a container may take to end by itself.
const WORKER_GRACE: Duration = Duration::from_secs(2);

/// The generator, running or not.
#[derive(Default)]
pub struct LoadSide {
    pub(super) generator: Option<Generator>,
    /// The containers that the workers run in; `None`: they are processes of this host.
    workers: Option<Workers>,
    /// The generator's own cgroup, where it has a CPU quota. Dropped after it.
    cgroup: Option<OwnCgroup>,
    pub(super) busiest: BusiestWorker,
    /// When the last generator had closed its last connection.
    pub(super) last_close_ms: Option<f64>,
}

impl LoadSide {
    /// Starts the generator with no connection.
    pub async fn start(&mut self, setup: &mut TrialSetup<'_>, launch: u32, servers: &Servers) -> Result<()> {
        let (load, machine) = (&setup.matrix.load, setup.limits());
        let workers = coordinator::workers_needed(load, machine.nofile_hard, machine.cores);
        let target = setup.target().remote.as_ref();
        let of_generator = GeneratorSetup {
            sockets: servers.sockets(),
            remote: servers.remote().zip(target).map(|(remote, target)| remote.client(setup, target)),
            ..setup.generator(launch, servers.destinations())
        };
        let generator = if coordinator::in_containers(load, setup.cell) {
            let containers = self.workers.insert(setup.launcher.workers(&setup.launch(launch), workers).await?);
            Generator::start_in(&of_generator, containers.lines.drain(..).map(worker_line).collect()).await?
        } else {
            Generator::start(&of_generator, workers).await?
        };
        let pids = generator.pids();
        self.generator = Some(generator);
        // A container has its limit from its start.
        if let (Some(cpus), None) = (load.generator.cpus, &self.workers) {
            let name = format!("{}.{launch}-generator", setup.trial);
            let cgroup = setup.launcher.generator_cgroup(setup.run_id, &name, cpus, &pids);
            self.cgroup = Some(cgroup.map_err(|why| anyhow!("the generator's CPU cannot be limited: {why}"))?);
        }
        Ok(())
    }

    /// What to sample of it, while it runs.
    pub fn watch(&self) -> Option<Watch> {
        let generator = self.generator.as_ref()?;
        let own = self.cgroup.as_ref().map(|own| own.cgroup.clone());
        let mut cgroups = own.into_iter().chain(self.workers.iter().flat_map(Workers::cgroups));
        Some(Watch {
            component: Component::Generator,
            pids: generator.pids(),
            cgroup: cgroups.next(),
            more: cgroups.collect(),
            listens_on: None,
            front: None,
        })
    }

    /// What the record says of it, while it runs. Its CPU time is known at the end only.
    pub fn record(
        &self,
        placement: &Placement,
        servers: &Servers,
        limited_by: Vec<ClientLimit>,
    ) -> Option<GeneratorRecord> {
        let generator = self.generator.as_ref()?;
        let remote = servers.remote().map(RemoteServers::destinations).unwrap_or_default();
        Some(GeneratorRecord {
            workers: generator.pids().len() as u32,
            containers: self.workers.iter().flat_map(Workers::ids).collect(),
            descriptor_limit: generator.descriptor_limit(),
            destinations: remote.iter().map(ToString::to_string).collect(),
            sources: generator.source_addresses().to_vec(),
            ports_per_pair: generator.ports_per_pair(),
            cpu_us: None,
            busiest_worker_ratio: self.busiest.ratio(),
            cpus: placement.generator.clone(),
            server_cpus: placement.servers.clone(),
            limited_by,
        })
    }

    /// Ends the generator and what it ran in.
    pub async fn stop(&mut self, setup: &TrialSetup<'_>) {
        if let Some(generator) = self.generator.take() {
            generator.quit().await;
            self.last_close_ms = Some(setup.now_ms());
        }
        if let Some(mut workers) = self.workers.take() {
            workers.stop(WORKER_GRACE).await;
        }
        self.cgroup = None;
    }
}

/// Share of a core that the busiest worker used: in the first step that failed, or else in the last one.
#[derive(Default)]
pub struct BusiestWorker {
    /// At each status of the current step.
    ratios: Vec<f64>,
    /// Median of those in the first step that failed.
    failed: Option<f64>,
}

impl BusiestWorker {
    pub fn begin_step(&mut self) {
        self.ratios.clear();
    }

    pub fn saw(&mut self, ratio: Option<f64>) {
        self.ratios.extend(ratio);
    }

    pub fn end_step(&mut self, passed: bool) {
        if !passed && self.failed.is_none() {
            self.failed = median(&self.ratios);
        }
    }

    fn ratio(&self) -> Option<f64> {
        self.failed.or_else(|| median(&self.ratios))
    }
}

fn worker_line(streams: Streams) -> WorkerLine {
    let Streams { launched, input, output } = streams;
    WorkerLine { pid: launched.pid, address: launched.address.ip(), input, output }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}
