//! Starting workers: as processes or in containers, each with its share of addresses.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc;

use super::clock::Clock;
use super::line::{Received, read_reports};
use super::{Generator, Node, SLACK, Worker, WorkerLine};
use crate::addresses;
use crate::client::ClientConfig;
use crate::ipc::{Command, PROTOCOL_VERSION, PortRange, Report, Status, WorkerConfig};
use wsceiling_model::matrix::{Cell, Load, Target, WorkersIn};

/// Descriptors that a worker needs for itself.
const OWN_DESCRIPTORS: u64 = 64;

/// What the generator of a trial is made for.
#[derive(Debug)]
pub struct GeneratorSetup<'a> {
    /// The load.
    pub load: &'a Load,
    /// The cell.
    pub cell: &'a Cell,
    /// The target.
    pub target: &'a Target,
    /// Addresses of the instances.
    pub destinations: Vec<SocketAddr>,
    /// Their unix-domain sockets, where they listen on those instead.
    pub sockets: Vec<PathBuf>,
    /// How a server is addressed that somebody else runs; `None`: by its address and the path of the target.
    pub remote: Option<RemoteClient>,
    /// Hard descriptor limit of a process.
    pub descriptor_limit: u64,
    /// Number of the trial and launch in the run, which keeps source addresses apart.
    pub block: u32,
    /// Seed of the trial.
    pub seed: u64,
    /// Time between two status reports.
    pub status_every: Duration,
    /// CPUs of the workers, one after the other; empty: any.
    pub cpus: Vec<u32>,
}

/// How a server is addressed that somebody else runs. It has what is secret, so it is never recorded.
#[derive(Clone, Default)]
pub struct RemoteClient {
    /// More headers of the upgrade.
    pub headers: Vec<(String, String)>,
    /// What else its workers are told.
    pub client: ClientConfig,
}

impl std::fmt::Debug for RemoteClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RemoteClient")
    }
}

/// Number of workers whose descriptors suffice for so many connections, where each may have `descriptor_limit`.
pub fn workers_for(connections: u32, descriptor_limit: u64) -> u32 {
    let each = descriptor_limit.saturating_sub(OWN_DESCRIPTORS).max(1);
    u64::from(connections).div_ceil(each) as u32
}

/// Number of workers that `load` needs: enough for the descriptors, and on larger machines a core in four.
pub fn workers_needed(load: &Load, descriptor_limit: u64, cores: u32) -> u32 {
    let for_descriptors = workers_for(load.max, descriptor_limit);
    load.workers.unwrap_or_else(|| for_descriptors.max((cores / 4).min(4)).max(1)).max(for_descriptors)
}

/// Where the workers of a cell run: beside its instances where those are containers and the load asks for it, or no host
/// address has enough ports.
pub fn place_of_workers(load: &Load, cell: &Cell) -> WorkersIn {
    match load.workers_in {
        Some(WorkersIn::Swarm) => WorkersIn::Swarm,
        _ if !cell.is_reached_from_containers() => WorkersIn::Host,
        Some(place) => place,
        None if u64::from(load.max.div_ceil(cell.instances.max(1))) > addresses::PORTS_PER_ADDRESS => WorkersIn::Docker,
        None => WorkersIn::Host,
    }
}

impl Generator {
    /// Starts and configures the workers.
    ///
    /// # Errors
    /// When a worker does not start, speaks another version or does not answer.
    pub async fn start(setup: &GeneratorSetup<'_>, workers: u32) -> Result<Self> {
        let mut sources = if setup.sockets.is_empty() {
            addresses::sources(&setup.destinations, workers, setup.block)
        } else {
            vec![Vec::new(); workers as usize]
        };
        if let Some(ports) = setup.load.generator.ports {
            addresses::limit(&mut sources, ports);
        }
        let configs = sources.into_iter().enumerate();
        Self::configure(configs.map(|(index, ranges)| config(setup, index as u32, ranges)).collect()).await
    }

    /// Starts a worker for each configuration.
    ///
    /// # Errors
    /// When a worker does not start, speaks another version or does not answer.
    pub async fn configure(configs: Vec<WorkerConfig>) -> Result<Self> {
        let (sender, reports) = mpsc::unbounded_channel();
        let spawned: Result<Vec<Worker>> = (0..configs.len()).map(|index| spawn(index, &sender)).collect();
        Self::greet(spawned?, reports, configs).await
    }

    /// Configures workers that somebody else started, each with addresses of its own. Whoever started them ends them,
    /// after [`Generator::quit`].
    ///
    /// # Errors
    /// When a worker speaks another version or does not answer.
    pub async fn start_in(setup: &GeneratorSetup<'_>, lines: Vec<WorkerLine>) -> Result<Self> {
        Self::configure_at(lines, setup.load.generator.ports, |index, ranges| config(setup, index, ranges)).await
    }

    /// Configures workers that somebody else started with what `config` makes of the index and the source ports of each;
    /// `ports` is the most that each address may use.
    ///
    /// # Errors
    /// When a worker speaks another version or does not answer.
    pub async fn configure_at(
        lines: Vec<WorkerLine>,
        ports: Option<u32>,
        config: impl Fn(u32, Vec<PortRange>) -> WorkerConfig,
    ) -> Result<Self> {
        let (sender, reports) = mpsc::unbounded_channel();
        let (mut workers, mut sources) = (Vec::new(), Vec::new());
        for (index, line) in lines.into_iter().enumerate() {
            sources.push(addresses::alone(&line.addresses));
            workers.push(contained(index, line, &sender));
        }
        for own in &mut sources {
            // On two machines one address may mean two things, so each worker is limited for itself.
            if let Some(ports) = ports {
                addresses::limit(std::slice::from_mut(own), ports);
            }
        }
        let configs = sources.into_iter().zip(&workers).map(|(ranges, worker)| {
            let own = config(worker.index as u32, ranges);
            match &worker.node {
                None => own,
                // CPUs of this machine say nothing of another one.
                Some(node) if !node.same_clock => WorkerConfig { usage: true, cpus: Vec::new(), ..own },
                Some(_) => WorkerConfig { usage: true, ..own },
            }
        });
        let configs = configs.collect();
        Self::greet(workers, reports, configs).await
    }

    /// Tells each worker its configuration and waits until all are ready.
    async fn greet(
        workers: Vec<Worker>,
        reports: mpsc::UnboundedReceiver<(usize, Received)>,
        configs: Vec<WorkerConfig>,
    ) -> Result<Self> {
        let sources: Vec<_> = configs.iter().map(|config| config.sources.clone()).collect();
        let apart = workers.iter().all(|worker| worker.child.is_none());
        let most = |sources: &[Vec<PortRange>]| sources.chunks(1).map(addresses::ports_per_pair).max().unwrap_or(0);
        let timeouts = configs.iter().map(|config| config.connect_timeout + config.handshake_timeout).max();
        let mut generator = Self {
            workers,
            reports,
            source_addresses: distinct_addresses(&sources),
            ports_per_pair: if apart { most(&sources) } else { addresses::ports_per_pair(&sources) },
            timeouts: timeouts.unwrap_or_default(),
            pings: 0,
            stop: None,
        };
        for (worker, config) in generator.workers.iter_mut().zip(configs) {
            worker.send(&Command::Configure(Box::new(config))).await?;
        }
        let mut ready = 0;
        while ready < generator.workers.len() {
            let (index, report) = generator.next(SLACK).await?;
            if let Report::Fatal { message } = report {
                bail!("worker {index} failed: {message}");
            }
            let Report::Ready { version, pid, descriptor_limit } = report else { continue };
            if version != PROTOCOL_VERSION {
                bail!("worker {index} speaks version {version} of the protocol, not {PROTOCOL_VERSION}");
            }
            let worker = &mut generator.workers[index];
            // In a container it sees another id of itself than the host does.
            worker.pid = if worker.child.is_some() { Some(pid) } else { worker.pid };
            worker.descriptor_limit = descriptor_limit;
            ready += 1;
        }
        generator.relate_clocks().await?;
        Ok(generator)
    }
}

fn spawn(index: usize, reports: &mpsc::UnboundedSender<(usize, Received)>) -> Result<Worker> {
    let program = std::env::current_exe().context("failed to find the harness's own program")?;
    let mut child = tokio::process::Command::new(program)
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .context("failed to start a worker process")?;
    let commands = child.stdin.take().context("a worker has no standard input")?;
    let output = child.stdout.take().context("a worker has no standard output")?;
    tokio::spawn(read_reports(index, output, reports.clone()));
    let pid = child.id();
    Ok(Worker {
        index,
        child: Some(child),
        commands: Box::new(commands),
        pid,
        node: None,
        addresses: Vec::new(),
        clock: Clock::Same,
        descriptor_limit: 0,
        status: Status::default(),
        open: 0,
    })
}

/// A worker that somebody else started.
fn contained(index: usize, line: WorkerLine, reports: &mpsc::UnboundedSender<(usize, Received)>) -> Worker {
    let WorkerLine { pid, addresses, node, input, output } = line;
    tokio::spawn(read_reports(index, output, reports.clone()));
    let clock = if node.as_ref().is_none_or(|node: &Node| node.same_clock) { Clock::Same } else { Clock::UNKNOWN };
    Worker {
        index,
        child: None,
        commands: input,
        pid,
        node,
        addresses,
        clock,
        descriptor_limit: 0,
        status: Status::default(),
        open: 0,
    }
}

pub(super) fn config(setup: &GeneratorSetup<'_>, worker: u32, sources: Vec<PortRange>) -> WorkerConfig {
    let load = setup.load;
    WorkerConfig {
        version: PROTOCOL_VERSION,
        worker,
        destinations: setup.destinations.clone(),
        sources,
        sockets: setup.sockets.clone(),
        host: match setup.destinations.first() {
            Some(address) if setup.sockets.is_empty() => address.to_string(),
            _ => "localhost".to_owned(),
        },
        path: setup.target.upgrade_path(),
        headers: setup.remote.as_ref().map(|remote| remote.headers.clone()).unwrap_or_default(),
        protocol: setup.target.protocol,
        scenario: setup.cell.scenario,
        message_bytes: load.message.longest(),
        message_every: load.message.every,
        message_spread: load.message.spread,
        message_mix: load.message.mix.clone(),
        room: load.broadcast.room,
        publish_every: load.broadcast.every,
        publish_bytes: load.broadcast.bytes,
        lifetime: load.churn.lifetime,
        connect_timeout: load.connect_timeout,
        handshake_timeout: load.handshake_timeout,
        seed: setup.seed ^ (u64::from(worker) << 32),
        status_every: setup.status_every,
        usage: false,
        client: setup.remote.as_ref().map(|remote| remote.client.clone()).unwrap_or_default(),
        cpus: setup.cpus.get(worker as usize % setup.cpus.len().max(1)).copied().into_iter().collect(),
        descriptors: load.generator.descriptors,
    }
}

fn distinct_addresses(sources: &[Vec<PortRange>]) -> Vec<String> {
    let addresses: std::collections::BTreeSet<_> = sources.iter().flatten().map(|range| range.address).collect();
    addresses.into_iter().map(|address| address.to_string()).collect()
}
