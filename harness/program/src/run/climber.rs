//! What the staircase climbs on: launched instances, the generator, and the sampler that watches both.

mod demand;
mod failure;
mod stairs;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

pub use failure::StartFailure;

use super::fronted;
use super::trial::{GRACE, TrialContext};
use super::verify::{self, VerifyError};
use wsceiling_generator::coordinator::{self, Generator, GeneratorSetup, WorkerLine};
use wsceiling_launch::{Fronts, Group, Launched, OwnCgroup, Streams, Workers};
use wsceiling_machine::sample::{Sampler, Watch};
use wsceiling_model::plan::{self, TrialId};
use wsceiling_model::record::{
    Component, Event, Exit, FrontRecord, GeneratorRecord, InstanceRecord, Sample, StepRecord,
};

/// Lines of an instance's log that a record keeps.
const TAIL_LINES: usize = 20;

/// How long a worker in a container may take to end by itself.
const WORKER_GRACE: Duration = Duration::from_secs(2);

/// The moving parts of a trial.
pub struct Climber<'a> {
    context: TrialContext<'a>,
    epoch: Instant,
    epoch_ns: u64,
    sampler: Sampler,
    group: Option<Group>,
    fronts: Option<Fronts>,
    generator: Option<Generator>,
    /// The containers that the generator's workers run in; `None`: they are processes of this host.
    workers: Option<Workers>,
    /// The generator's own cgroup, where it has a CPU quota. Dropped after it.
    cage: Option<OwnCgroup>,
    launch: u32,
    instances: Vec<InstanceRecord>,
    front_records: Vec<FrontRecord>,
    events: Vec<Event>,
    warnings: Vec<String>,
    contradictions: Vec<String>,
    /// Share of a core that the busiest worker used, at each status of the current step.
    worker_ratios: Vec<f64>,
    /// Median of those in the first step that failed.
    failed_ratio: Option<f64>,
    /// When the last generator had closed its last connection.
    last_close_ms: Option<f64>,
}

/// What is left of a trial when everything is stopped.
pub struct Finished {
    /// All samples.
    pub samples: Vec<Sample>,
    /// Where each number was read.
    pub sources: BTreeMap<Component, BTreeMap<String, String>>,
    /// Every launched instance.
    pub instances: Vec<InstanceRecord>,
    /// Every launched stage of a front.
    pub fronts: Vec<FrontRecord>,
    /// What happened when.
    pub events: Vec<Event>,
    /// Remarks.
    pub warnings: Vec<String>,
    /// When the generator had closed its last connection.
    pub last_close_ms: Option<f64>,
}

impl<'a> Climber<'a> {
    /// A climber with nothing launched.
    pub fn new(context: TrialContext<'a>, epoch: Instant, sampler: Sampler) -> Self {
        Self {
            context,
            epoch,
            epoch_ns: coordinator::monotonic_ns().saturating_sub(epoch.elapsed().as_nanos() as u64),
            sampler,
            group: None,
            fronts: None,
            generator: None,
            workers: None,
            cage: None,
            launch: 0,
            instances: Vec::new(),
            front_records: Vec::new(),
            events: Vec::new(),
            warnings: Vec::new(),
            contradictions: Vec::new(),
            worker_ratios: Vec::new(),
            failed_ratio: None,
            last_close_ms: None,
        }
    }

    /// The trial.
    pub fn trial(&self) -> &TrialId {
        self.context.trial
    }

    /// Longest time of the trial.
    pub fn trial_within(&self) -> Duration {
        self.context.matrix.run.trial_within
    }

    /// Numbers that should agree and do not.
    pub fn contradictions(&self) -> &[String] {
        &self.contradictions
    }

    /// Whether an instance ended by itself in a step.
    pub fn ended_in(&self, step: &StepRecord) -> bool {
        let within = step.started_ms..=step.ended_ms;
        self.events.iter().any(|event| event.component.is_some() && within.contains(&event.t_ms))
    }

    /// Launches the instances, verifies each of them and starts the generator.
    pub async fn start(&mut self) -> Result<(), StartFailure> {
        let launch = self.context.launch(self.launch, self.epoch);
        let group = self.context.launcher.launch(&launch).await.map_err(StartFailure::Launch)?;
        self.remember(group.instances());
        self.group = Some(group);
        self.watch();
        self.verify().await?;
        self.start_front().await?;
        let generator = self.start_generator().await.map_err(StartFailure::Generator)?;
        let pids = generator.pids();
        self.generator = Some(generator);
        let contained = self.workers.is_some();
        // A container has its limit from its start.
        if let Some(cpus) = self.context.matrix.load.generator.cpus.filter(|_| !contained) {
            let (run_id, name) = (self.context.run_id, format!("{}.{}-generator", self.context.trial, self.launch));
            let cage = self.context.launcher.generator_cgroup(run_id, &name, cpus, &pids);
            let failed = |why| StartFailure::Generator(anyhow!("the generator's CPU cannot be limited: {why}"));
            self.cage = Some(cage.map_err(failed)?);
        }
        self.watch();
        self.sampled().await;
        Ok(())
    }

    /// Waits for a sample of everything while nothing is connected yet: what counters are compared with.
    async fn sampled(&mut self) {
        let wait = async {
            while !self.sampler.has_begun() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        // A sampler that is busy or gone must not stop the trial.
        let _ = tokio::time::timeout(Duration::from_millis(200), wait).await;
    }

    async fn verify(&mut self) -> Result<(), StartFailure> {
        let target = &self.context.matrix.targets[&self.context.cell.target];
        let within = self.context.matrix.run.ready_within;
        let Some(group) = self.group.as_mut() else { return Ok(()) };
        let endpoints: Vec<_> = group.instances().iter().map(Launched::endpoint).collect();
        let checks =
            endpoints.into_iter().map(|endpoint| verify::verify(endpoint, target, within, std::future::pending()));
        let all = futures_util::future::join_all(checks);
        tokio::pin!(all);
        let results = loop {
            tokio::select! {
                results = &mut all => break results,
                () = tokio::time::sleep(Duration::from_millis(20)) => {
                    if let Some((index, exit)) = first_exit(group) {
                        // A last look at what it wrote: the log may still be on its way.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        let why = VerifyError::Exited(words(&exit));
                        return Err(StartFailure::Verify(index, why, group.log_tail(index as usize, TAIL_LINES)));
                    }
                }
            }
        };
        for (index, result) in results.into_iter().enumerate() {
            if let Err(error) = result {
                return Err(StartFailure::Verify(index as u32, error, group.log_tail(index, TAIL_LINES)));
            }
        }
        Ok(())
    }

    /// Starts the front, where the cell has one, and verifies the target through it.
    async fn start_front(&mut self) -> Result<(), StartFailure> {
        let Some(group) = &self.group else { return Ok(()) };
        let launch = self.context.launch(self.launch, self.epoch);
        let launched = self.context.launcher.launch_front(&launch, group.instances()).await;
        let Some(mut fronts) = launched.map_err(|error| StartFailure::Launch(error.of_started()))? else {
            return Ok(());
        };
        self.front_records.extend(fronted::records(&fronts, self.launch, self.context.logs.parent()));
        let target = &self.context.matrix.targets[&self.context.cell.target];
        let within = self.context.matrix.run.ready_within;
        let mut verified = Ok(());
        for address in fronts.destinations().to_vec() {
            let check = verify::verify_front(address, target, within, fronted::ended(&mut fronts)).await;
            verified = verified.and(check.map(drop));
        }
        let tail = fronted::log_tail(&fronts);
        self.fronts = Some(fronts);
        self.watch();
        verified.map_err(|error| StartFailure::Front(error, tail))
    }

    async fn start_generator(&mut self) -> Result<Generator> {
        let launch = self.context.launch(self.launch, self.epoch);
        let load = &self.context.matrix.load;
        let instances = || self.group.iter().flat_map(Group::instances);
        let direct = || instances().map(|instance| instance.address).collect();
        let destinations = self.fronts.as_ref().map_or_else(direct, |fronts| fronts.destinations().to_vec());
        let machine: plan::Machine = self.context.machine.into();
        let workers = coordinator::workers_needed(load, machine.nofile_hard, machine.cores);
        let sockets = instances().filter_map(|instance| instance.socket.clone()).collect();
        if coordinator::in_containers(load, self.context.cell) {
            self.workers = Some(self.context.launcher.workers(&launch, workers).await?);
        }
        let setup = GeneratorSetup { sockets, ..self.context.generator(self.launch, destinations) };
        match &mut self.workers {
            Some(containers) => Generator::start_in(&setup, containers.lines.drain(..).map(line).collect()).await,
            None => Generator::start(&setup, workers).await,
        }
    }

    /// Tells the sampler what there is to watch now.
    fn watch(&self) {
        let mut watches: Vec<Watch> = self
            .group
            .iter()
            .flat_map(Group::instances)
            .map(|instance| Watch {
                component: Component::Instance(instance.index),
                pids: vec![instance.pid],
                cgroup: instance.cgroup.clone(),
                more: vec![],
                listens_on: instance.socket.is_none().then(|| instance.address.port()),
                front: None,
            })
            .collect();
        watches.extend(self.fronts.iter().flat_map(fronted::watches));
        watches.extend(self.generator.as_ref().map(|generator| {
            let caged = self.cage.as_ref().map(|cage| cage.cgroup.clone());
            let mut cgroups = caged.into_iter().chain(self.workers.iter().flat_map(Workers::cgroups));
            Watch {
                component: Component::Generator,
                pids: generator.pids(),
                cgroup: cgroups.next(),
                more: cgroups.collect(),
                listens_on: None,
                front: None,
            }
        }));
        self.sampler.replace(watches);
    }

    fn remember(&mut self, launched: &[Launched]) {
        let run_folder = self.context.logs.parent();
        for instance in launched {
            let unenforced = instance.limits.iter().filter(|limit| limit.enforced_by.is_none());
            for limit in unenforced.filter(|_| self.launch == 0 && instance.index == 0) {
                let why = limit.reason.as_deref().unwrap_or("no reason known");
                self.warnings.push(format!("the limit {} = {} is not enforced: {why}", limit.name, limit.value));
            }
            let log = run_folder.and_then(|folder| instance.log.strip_prefix(folder).ok());
            self.instances.push(InstanceRecord {
                index: instance.index,
                launch: self.launch,
                address: instance.endpoint().to_string(),
                pid: Some(instance.pid),
                container: instance.container.clone(),
                image: instance.image.clone(),
                command: instance.command.clone(),
                binary_sha256: instance.binary_sha256.clone(),
                limits: instance.limits.clone(),
                exit: None,
                log: log.map(|path| path.display().to_string()),
                log_tail: Vec::new(),
                log_signs: Vec::new(),
            });
        }
    }

    /// What the record says of the generator, where it ran.
    pub fn generator_record(&self, limited_by: Vec<String>) -> Option<GeneratorRecord> {
        let generator = self.generator.as_ref()?;
        Some(GeneratorRecord {
            workers: generator.pids().len() as u32,
            containers: self.workers.iter().flat_map(Workers::ids).collect(),
            descriptor_limit: generator.descriptor_limit(),
            sources: generator.source_addresses().to_vec(),
            ports_per_pair: generator.ports_per_pair(),
            cpu_us: None,
            busiest_worker_ratio: self.failed_ratio.or_else(|| median(&self.worker_ratios)),
            cpus: self.context.placement.generator.clone(),
            server_cpus: self.context.placement.servers.clone(),
            limited_by,
        })
    }

    /// Stops everything and hands over what was seen.
    pub async fn finish(mut self) -> Finished {
        self.stop().await;
        self.events.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms));
        let sampled = self.sampler.stop();
        Finished {
            samples: sampled.samples,
            sources: sampled.sources,
            instances: self.instances,
            fronts: self.front_records,
            events: self.events,
            warnings: self.warnings,
            last_close_ms: self.last_close_ms,
        }
    }

    /// Ends the generator, then the front and the instances.
    async fn stop(&mut self) {
        self.stop_generator().await;
        self.stop_fronts().await;
        self.stop_instances().await;
    }

    async fn stop_generator(&mut self) {
        if let Some(generator) = self.generator.take() {
            generator.quit().await;
            self.last_close_ms = Some(self.now_ms());
        }
        if let Some(mut workers) = self.workers.take() {
            workers.stop(WORKER_GRACE).await;
        }
        self.cage = None;
    }

    async fn stop_fronts(&mut self) {
        if let Some(mut fronts) = self.fronts.take() {
            let exits = fronts.stop(GRACE).await;
            let first = self.front_records.len() - exits.len().min(self.front_records.len());
            for ((record, hop), exit) in self.front_records[first..].iter_mut().zip(fronts.hops()).zip(exits) {
                fronted::close(record, hop, exit);
            }
        }
    }

    async fn stop_instances(&mut self) {
        if let Some(mut group) = self.group.take() {
            let exits = group.stop(GRACE).await;
            let first = self.instances.len() - exits.len().min(self.instances.len());
            for (index, exit) in exits.into_iter().enumerate() {
                let by_itself = exit.as_ref().is_some_and(|exit| !exit.requested);
                let record = &mut self.instances[first + index];
                record.exit = exit;
                record.log_signs = group.log_signs(index);
                if by_itself {
                    record.log_tail = group.log_tail(index, TAIL_LINES);
                }
            }
        }
    }

    fn now_ms(&self) -> f64 {
        self.epoch.elapsed().as_secs_f64() * 1000.0
    }
}

fn line(streams: Streams) -> WorkerLine {
    let Streams { launched, input, output } = streams;
    WorkerLine { pid: launched.pid, address: launched.address.ip(), input, output }
}

fn first_exit(group: &mut Group) -> Option<(u32, Exit)> {
    group.exits().into_iter().enumerate().find_map(|(index, exit)| Some((index as u32, exit?)))
}

/// An end in words: `exit code 1`, `signal 9 (out of memory)`.
pub(super) fn words(exit: &Exit) -> String {
    let mut words = match (exit.signal, exit.code) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "unknown how".to_owned(),
    };
    if exit.oom_killed == Some(true) {
        words.push_str(" (killed for memory)");
    }
    words
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}
