//! The run itself: workers, stage by stage, until the last one, a failure of the generator, or a stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit};
use serde::{Serialize, Serializer};
use tokio::sync::watch;

use super::close::{self, Closing};
use super::cost::Cost;
use super::options::{Options, Stage};
use super::preflight::{Preflight, Reached};
use super::progress::{Moment, Progress};
use super::reach::{self, Elsewhere};
use super::resolve::SocketTarget;
use crate::addresses;
use crate::client::{ClientConfig, DestinationName, Script};
use crate::coordinator::{Generator, Watching, monotonic_ns, workers_for};
use crate::failure_stop::FailureStop;
use crate::ipc::{PROTOCOL_VERSION, PortRange, Status, Window, WorkerConfig};
use crate::step::StepWindows;
use wsceiling_model::matrix::{Scenario, ThinkTime, UrlSpread};

/// Time between two states of a worker.
const STATUS_EVERY: Duration = Duration::from_millis(200);

/// How a load ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    #[default]
    Complete,
    /// By Ctrl-C.
    Interrupted,
    /// By `--max-duration`.
    MaxDuration,
    /// A worker failed, for this reason.
    GeneratorFailed(String),
}

impl Serialize for Ended {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Complete => to.serialize_str("complete"),
            Self::Interrupted => to.serialize_str("interrupted"),
            Self::MaxDuration => to.serialize_str("max-duration"),
            Self::GeneratorFailed(why) => to.serialize_str(&format!("generator-failed: {why}")),
        }
    }
}

/// What the workers reported.
#[derive(Debug, Default)]
pub struct Run {
    /// How it ended.
    pub ended: Ended,
    /// Stages that were begun.
    pub stages: Vec<StageRun>,
    /// Largest number of connections open at once, as far as was seen.
    pub peak: u64,
    /// The last state of all workers together, for what no window has.
    pub last: Status,
    /// The close handshakes at the end; `None`: there were none.
    pub closing: Option<Closing>,
    /// CPU and memory of the workers.
    pub cost: Option<Cost>,
    /// How the workers were set up.
    pub workers: WorkersUsed,
    /// Start on `CLOCK_MONOTONIC`.
    pub epoch_ns: u64,
}

/// How the workers were set up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WorkersUsed {
    /// Number of processes.
    pub workers: u32,
    /// Smallest descriptor limit of a worker.
    pub descriptor_limit: u64,
    /// Source addresses; empty: the kernel chose.
    pub source_addresses: Vec<String>,
    /// Source ports of each (source, destination) pair; 0: the kernel chose.
    pub ports_per_pair: u64,
    /// Name of the node that each worker runs on; empty: all of them run on this host.
    pub nodes: Vec<String>,
}

/// A stage as it was driven. One window a worker.
#[derive(Debug)]
pub struct StageRun {
    /// What was asked for.
    pub stage: Stage,
    /// Connections that were open before it.
    pub open_before: u64,
    /// Windows of the opening, or of the closing where the stage goes down.
    pub opening: Vec<Window>,
    /// Windows of the hold; none where it was not reached.
    pub hold: Vec<Window>,
    /// Windows of the probe after it.
    pub probe: Vec<Window>,
}

impl StageRun {
    /// All windows.
    pub fn windows(&self) -> StepWindows<'_> {
        StepWindows { opening: &self.opening, hold: &self.hold, probe: &self.probe }
    }
}

/// Workers for that many connections: enough for the descriptors, and a core in four on larger machines.
pub fn workers_needed(connections: u32, asked: Option<u32>, descriptor_limit: u64, cores: u32) -> u32 {
    let for_descriptors = workers_for(connections, descriptor_limit).max(1);
    let wanted = asked.unwrap_or_else(|| (cores / 4).clamp(1, 4).min(connections.max(1)));
    wanted.max(for_descriptors)
}

/// Runs all stages.
///
/// # Errors
/// When the workers do not start. A failure after that is in the outcome.
pub async fn run(
    options: &Options,
    preflight: &Preflight,
    progress: &Progress,
    mut interrupt: watch::Receiver<bool>,
    elsewhere: Option<&mut dyn Elsewhere>,
) -> Result<Run> {
    let most = options.stages.iter().map(|stage| stage.to).max().unwrap_or(0);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("failed to read the descriptor limit")?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let workers = workers_needed(most, options.workers, hard, cores);
    if options.workers.is_some_and(|asked| asked < workers) {
        progress.note(&format!("{workers} workers instead of the asked ones: each may hold {hard} descriptors"));
    }
    let (destinations, sockets) = targets(preflight);
    let (mut generator, far) = if let Some(elsewhere) = elsewhere {
        reach::check(&destinations, &sockets)?;
        let lines = tokio::select! {
            lines = elsewhere.start(workers, &destinations) => lines?,
            _ = interrupt.wait_for(|stop| *stop) => return Ok(Run { ended: Ended::Interrupted, ..Run::default() }),
        };
        let far = lines.iter().any(|line| line.pid.is_none());
        let config = config(options, preflight, workers);
        (Generator::configure_at(lines, None, config).await?, far)
    } else {
        // Two loads at once on one machine had better not meet in the same source addresses.
        let sources = addresses::sources(&destinations, workers, std::process::id());
        let config = config(options, preflight, workers);
        let configs = (0..).zip(sources).map(|(worker, sources)| config(worker, sources)).collect();
        (Generator::configure(configs).await?, false)
    };
    let mut run = Run {
        cost: Some(if far { Cost::begin_told() } else { Cost::begin(&generator.pids()) }),
        workers: WorkersUsed {
            workers,
            descriptor_limit: generator.descriptor_limit(),
            source_addresses: generator.source_addresses().to_vec(),
            ports_per_pair: generator.ports_per_pair(),
            nodes: generator.nodes().into_iter().map(|of| of.node.name).collect(),
        },
        epoch_ns: monotonic_ns(),
        ..Run::default()
    };
    let (stopper, stop) = watch::channel(false);
    generator.stop_on(stop.clone());
    let guard = tokio::spawn(stop_when(stopper, interrupt.clone(), options.max_duration));
    let result = stages(options, &mut generator, &mut run, progress, &stop).await;
    guard.abort();
    if let Some(cost) = &mut run.cost {
        cost.end(run.last.open);
    }
    run.ended = match result {
        Err(error) => Ended::GeneratorFailed(format!("{error:#}")),
        Ok(()) if *interrupt.borrow() => Ended::Interrupted,
        Ok(()) if *stop.borrow() => Ended::MaxDuration,
        Ok(()) => Ended::Complete,
    };
    if matches!(run.ended, Ended::GeneratorFailed(_)) {
        run.last = generator.status();
    } else {
        run.closing = close::politely(&mut generator, progress).await;
    }
    generator.quit().await;
    Ok(run)
}

async fn stop_when(stopper: watch::Sender<bool>, mut interrupt: watch::Receiver<bool>, after: Option<Duration>) {
    let limit = async {
        match after {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    };
    let interrupted = async {
        // Nobody can interrupt any more once the sender is gone.
        if interrupt.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = limit => {}
        () = interrupted => {}
    }
    stopper.send_replace(true);
}

async fn stages(
    options: &Options,
    generator: &mut Generator,
    run: &mut Run,
    progress: &Progress,
    stop: &watch::Receiver<bool>,
) -> Result<()> {
    let started = Instant::now();
    for (index, stage) in options.stages.iter().enumerate() {
        if *stop.borrow() {
            return Ok(());
        }
        let open_before = run.last.open;
        run.stages.push(StageRun {
            stage: *stage,
            open_before,
            opening: Vec::new(),
            hold: Vec::new(),
            probe: Vec::new(),
        });
        let Run { stages, peak, last, cost, .. } = run;
        let Some(current) = stages.last_mut() else { return Ok(()) };
        let all = options.stages.len();
        let mut failures = FailureStop::new(options.stop_at_failures, last);
        let mut watch = |status: &Status, holding: bool| {
            *peak = (*peak).max(status.open);
            *last = status.clone();
            if let Some(cost) = cost {
                cost.hear(status.usage, status.open);
                cost.sample(status.open);
            }
            progress.show(&Moment { after: started.elapsed(), stage, index, all, holding, status });
            if let Some(stopped) = failures.look(status) {
                progress.note(&stopped.to_string());
            }
            if failures.stopped { Watching::OpenNoMore } else { Watching::GoOn }
        };
        let mut watch_moving = |status: &Status| watch(status, false);
        let moved = if u64::from(stage.to) < open_before {
            generator.shrink_to(stage.to, stage.per_second, &mut watch_moving).await?
        } else {
            // Also where nothing is to be opened: what happened since the last window is in the next one.
            generator.open_to(stage.to, stage.per_second, &mut watch_moving).await?
        };
        current.opening = moved.workers;
        let open = |windows: &[Window]| windows.iter().flat_map(|window| &window.open).sum::<u64>();
        if *stop.borrow() {
            last.open = open(&current.opening);
            *peak = (*peak).max(last.open);
            return Ok(());
        }
        let opened = open(&current.opening);
        if opened == 0 && options.scenario != Scenario::Churn {
            // There is nothing to hold, and the failures are the answer.
            last.open = 0;
            continue;
        }
        current.hold = generator.hold(stage.hold, &mut |status| watch(status, true)).await?.workers;
        let within = generator.probe_within(stage.hold, stage.per_second);
        current.probe = generator.probe(within, &mut |status| watch(status, true)).await?.workers;
        *peak = (*peak).max(opened);
        last.open = open(&current.probe);
    }
    Ok(())
}

/// The addresses that connections go to.
fn used(preflight: &Preflight) -> impl Iterator<Item = &Reached> {
    preflight.addresses.iter().filter(|address| address.resolved.used)
}

/// How each address is asked, where the places differ.
fn names(options: &Options, preflight: &Preflight) -> Vec<DestinationName> {
    if options.places.len() < 2 {
        return Vec::new();
    }
    let name = |address: &Reached| {
        let place = &options.places[address.place];
        DestinationName {
            host: place.host.clone(),
            path: place.url.path.clone(),
            server_name: place.server_name.clone(),
        }
    };
    used(preflight).map(name).collect()
}

/// Connections that an address gets from each worker before the next one gets any; `None`: they take turns.
fn fill(options: &Options, addresses: usize, workers: u32) -> Option<u32> {
    let most = options.stages.iter().map(|stage| stage.to).max().unwrap_or(0);
    let each = most.div_ceil(addresses.max(1) as u32).div_ceil(workers.max(1));
    (options.spread == UrlSpread::Fill).then_some(each)
}

/// Where connections go.
pub(super) fn targets(preflight: &Preflight) -> (Vec<SocketAddr>, Vec<PathBuf>) {
    let (mut destinations, mut sockets) = (Vec::new(), Vec::new());
    for address in used(preflight) {
        match &address.resolved.address {
            SocketTarget::Tcp(address) => destinations.push(*address),
            SocketTarget::Unix(path) => sockets.push(path.clone()),
        }
    }
    (destinations, sockets)
}

/// Makes the configuration of a worker from its index and its source ports.
pub(super) fn config(
    options: &Options,
    preflight: &Preflight,
    workers: u32,
) -> impl Fn(u32, Vec<PortRange>) -> WorkerConfig {
    let (destinations, sockets) = targets(preflight);
    let names = names(options, preflight);
    let fill = fill(options, destinations.len() + sockets.len(), workers);
    let first = options.places.first();
    let host = first.map(|place| place.host.clone()).unwrap_or_default();
    let path = first.map(|place| place.url.path.clone()).unwrap_or_default();
    let seed = u64::from(std::process::id()) << 40 ^ monotonic_ns();
    let message_bytes = options.payload.as_ref().map_or(options.message_bytes, |payload| payload.bytes.len() as u32);
    let script =
        preflight.expect.map(|expect| Script { payload: options.payload.clone(), expect, workers }).filter(|script| {
            // The dialogue itself is the strict echo of its own message.
            script.payload.is_some() || script.expect != crate::client::Expect::Echo
        });
    move |worker, sources| WorkerConfig {
        version: PROTOCOL_VERSION,
        worker,
        destinations: destinations.clone(),
        sockets: sockets.clone(),
        sources,
        host: host.clone(),
        path: path.clone(),
        headers: options.headers.clone(),
        protocol: options.protocol,
        scenario: options.scenario,
        message_bytes,
        message_every: options.every,
        message_spread: ThinkTime::Fixed,
        message_mix: Vec::new(),
        room: options.room,
        publish_every: options.publish_every,
        publish_bytes: options.publish_bytes,
        lifetime: match options.scenario {
            Scenario::Churn => options.lifetime,
            _ => Duration::from_secs(3600),
        },
        connect_timeout: options.connect_timeout,
        handshake_timeout: options.handshake_timeout,
        seed: seed ^ u64::from(worker) << 32,
        status_every: STATUS_EVERY,
        cpus: Vec::new(),
        descriptors: None,
        usage: false,
        client: ClientConfig {
            tls: options.tls.clone(),
            script: script.clone(),
            names: names.clone(),
            fill,
            live: true,
            ..ClientConfig::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_suffice_for_the_descriptors() {
        assert_eq!(workers_needed(500, None, 200, 2), 4);
        assert_eq!(workers_needed(500, Some(1), 200, 2), 4);
        assert_eq!(workers_needed(500, Some(6), 200, 2), 6);
        assert_eq!(workers_needed(500, None, 20_000, 2), 1);
        assert_eq!(workers_needed(500, None, 20_000, 16), 4);
        assert_eq!(workers_needed(2, None, 20_000, 16), 2);
        assert_eq!(workers_needed(0, None, 0, 0), 1);
    }
}
