//! The load side of a trial: the generator, the containers or the cgroup that its workers run in, and how busy they are.

use std::time::Duration;

use anyhow::{Result, anyhow};

use super::remote::RemoteServers;
use super::servers::Servers;
use super::setup::TrialSetup;
use super::swarm_side::{self, Wanted};
use wsceiling_generator::coordinator::{self, Generator, GeneratorSetup, NodeClock, WorkerLine, WorkerLost};
use wsceiling_launch::{OwnCgroup, Streams, SwarmWorkers, Workers};
use wsceiling_machine::cgroup::Cgroup;
use wsceiling_machine::placement::Placement;
use wsceiling_machine::sample::Watch;
use wsceiling_model::matrix::WorkersIn;
use wsceiling_model::record::{ClientLimit, Component, Event, EventKind, GeneratorRecord, Warning, WorkerNode};

/// How long a worker in a container may take to end by itself.
const WORKER_GRACE: Duration = Duration::from_secs(2);

/// The generator, running or not.
#[derive(Default)]
pub struct LoadSide {
    pub(super) generator: Option<Generator>,
    /// What the workers run in; `None`: they are processes of this host.
    workers: Option<Containers>,
    /// Some worker runs where it cannot be sampled: then what all of them say of themselves counts.
    pub(super) far: bool,
    /// The generator's own cgroup, where it has a CPU quota. Dropped after it.
    cgroup: Option<OwnCgroup>,
    pub(super) busiest: BusiestWorker,
    /// What the record says of the generator that was stopped to start everything anew.
    before: Option<GeneratorRecord>,
    /// When the last generator had closed its last connection.
    pub(super) last_close_ms: Option<f64>,
}

/// What the workers run in.
enum Containers {
    /// Containers of this host.
    Here(Workers),
    /// Tasks of a swarm.
    Swarm(SwarmWorkers),
}

impl Containers {
    fn ids(&self) -> Vec<String> {
        match self {
            Self::Here(workers) => workers.ids(),
            Self::Swarm(workers) => workers.containers(),
        }
    }

    fn cgroups(&self) -> Vec<Cgroup> {
        match self {
            Self::Here(workers) => workers.cgroups(),
            Self::Swarm(workers) => workers.cgroups(),
        }
    }
}

impl LoadSide {
    /// Starts the generator with no connection.
    pub async fn start(&mut self, setup: &mut TrialSetup<'_>, launch: u32, servers: &Servers) -> Result<()> {
        let (load, machine) = (&setup.matrix.load, setup.limits());
        let workers = coordinator::workers_needed(load, machine.nofile_hard, machine.cores);
        let of_generator = GeneratorSetup {
            sockets: servers.sockets(),
            remote: servers.client(setup),
            ..setup.generator(launch, servers.destinations())
        };
        let generator = match coordinator::place_of_workers(load, setup.cell) {
            WorkersIn::Host => Generator::start(&of_generator, workers).await?,
            WorkersIn::Docker => {
                let mut containers = setup.launcher.workers(&setup.launch(launch), workers).await?;
                let lines = containers.lines.drain(..).map(worker_line).collect();
                self.workers = Some(Containers::Here(containers));
                Generator::start_in(&of_generator, lines).await?
            }
            WorkersIn::Swarm => {
                let wanted = Wanted {
                    name: format!("{}.{launch}", setup.trial),
                    workers,
                    toward: &of_generator.destinations,
                    cpus: load.generator.cpus,
                    // A server that somebody else runs is not on a network of the harness.
                    beside_instances: servers.remote().is_none(),
                };
                let address = setup.launcher.prepare_swarm(load.registry.as_deref()).await?;
                let (tasks, lines) = swarm_side::start(setup.launcher, address, wanted).await?;
                self.workers = Some(Containers::Swarm(tasks));
                self.far = lines.iter().any(|line| line.pid.is_none());
                Generator::start_in(&of_generator, lines).await?
            }
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
        if self.far {
            return None;
        }
        let own = self.cgroup.as_ref().map(|own| own.cgroup.clone());
        let mut cgroups = own.into_iter().chain(self.workers.iter().flat_map(Containers::cgroups));
        Some(Watch {
            component: Component::Generator,
            pids: generator.pids(),
            cgroup: cgroups.next(),
            more: cgroups.collect(),
            listens_on: None,
            front: None,
        })
    }

    /// The loss of a worker as an event, with what the swarm says of its task.
    pub async fn event_of(&mut self, lost: &WorkerLost, t_ms: f64) -> Event {
        let end = match &self.workers {
            Some(Containers::Swarm(workers)) => workers.end_of(lost.worker).await,
            _ => None,
        };
        let WorkerLost { worker, node, connections, why } = lost.clone();
        let why = end.map_or_else(|| why.clone(), |end| format!("{why}; {end}"));
        Event {
            t_ms,
            component: Some(Component::Generator),
            what: EventKind::WorkerLost { worker, node, connections, why },
        }
    }

    /// Warnings of clocks that are known too badly.
    pub fn clock_warnings(nodes: &[WorkerNode]) -> Vec<Warning> {
        let uncertain = |(worker, of): (u32, &WorkerNode)| {
            let us = of.clock_uncertainty_us.filter(|us| *us > WorkerNode::CLOCK_UNCERTAIN_US)?;
            Some(Warning::ClockUncertain { worker, node: of.node.clone(), uncertainty_us: us.round() as u64 })
        };
        (0..).zip(nodes).filter_map(uncertain).collect()
    }

    /// Keeps what the record says of it, since the one after it may never start.
    pub fn remember(&mut self, placement: &Placement, servers: &Servers) {
        self.before = self.record(placement, servers, Vec::new());
    }

    /// What the record says of it, while it runs, or of the one before. Its CPU time is known at the end only.
    pub fn record(
        &self,
        placement: &Placement,
        servers: &Servers,
        limited_by: Vec<ClientLimit>,
    ) -> Option<GeneratorRecord> {
        let Some(generator) = self.generator.as_ref() else {
            return self.before.clone().map(|before| GeneratorRecord { limited_by, ..before });
        };
        let remote = servers.remote().map(RemoteServers::destinations).unwrap_or_default();
        Some(GeneratorRecord {
            workers: generator.workers(),
            containers: self.workers.iter().flat_map(Containers::ids).collect(),
            descriptor_limit: generator.descriptor_limit(),
            destinations: remote.iter().map(ToString::to_string).collect(),
            sources: generator.source_addresses().to_vec(),
            ports_per_pair: generator.ports_per_pair(),
            cpu_us: None,
            busiest_worker_ratio: self.busiest.ratio(),
            cpus: placement.generator.clone(),
            server_cpus: placement.servers.clone(),
            limited_by,
            nodes: worker_nodes(generator),
        })
    }

    /// Ends the generator and what it ran in.
    pub async fn stop(&mut self, setup: &TrialSetup<'_>) {
        if let Some(generator) = self.generator.take() {
            generator.quit().await;
            self.last_close_ms = Some(setup.now_ms());
        }
        match self.workers.take() {
            Some(Containers::Here(mut workers)) => workers.stop(WORKER_GRACE).await,
            Some(Containers::Swarm(mut workers)) => workers.stop(WORKER_GRACE).await,
            None => {}
        }
        self.far = false;
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

fn worker_nodes(generator: &Generator) -> Vec<WorkerNode> {
    let record = |of: NodeClock| WorkerNode {
        node: of.node.name,
        addresses: of.addresses.iter().map(ToString::to_string).collect(),
        clock_offset_us: of.measured.map(|(offset_ns, _)| offset_ns as f64 / 1e3),
        clock_uncertainty_us: of.measured.map(|(_, within_ns)| within_ns as f64 / 1e3),
    };
    generator.nodes().into_iter().map(record).collect()
}

fn worker_line(streams: Streams) -> WorkerLine {
    let Streams { launched, input, output } = streams;
    WorkerLine { pid: Some(launched.pid), addresses: vec![launched.address.ip()], node: None, input, output }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}
