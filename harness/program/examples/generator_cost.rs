//! What the generator costs: `cargo run --example generator_cost -- ADDRESS... [-n N] [-r RATE] [--hold S] [-m MESSAGES]`.
//!
//! Workers as in a trial open connections, each with its first message, and hold them; what they used is printed as one
//! JSON object, in the words of `ci/floor`, which does the same work with a plain loop. `ci/bench` compares the two.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use nix::sys::resource::{Resource, getrlimit};
use serde_json::json;

use wsceiling_generator::addresses;
use wsceiling_generator::coordinator::{Generator, Watching, Windows, monotonic_ns};
use wsceiling_generator::ipc::{Status, WorkerConfig};
use wsceiling_generator::load::drive::workers_needed;
use wsceiling_generator::worker;
use wsceiling_model::matrix::Scenario;

/// A duration for what never happens.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// Time that workers are left alone before they are read: what they allocate at the start is then there.
const SETTLE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Parser)]
struct Options {
    /// Servers; connections go to them in turn
    #[arg(required = true, value_name = "IP:PORT")]
    addresses: Vec<SocketAddr>,

    /// Connections to open
    #[arg(short = 'n', long, default_value_t = 1000)]
    connections: u32,

    /// Connects per second
    #[arg(short, long, default_value_t = 4000.0)]
    rate: f64,

    /// Seconds to hold them
    #[arg(long, default_value_t = 2.0)]
    hold: f64,

    /// Messages per second of the hold, over all connections
    #[arg(short, long, default_value_t = 0.0)]
    messages: f64,

    /// Seconds within which the connections are then asked that said nothing in the hold; default: as a matrix does it
    #[arg(long)]
    probe: Option<f64>,

    /// Worker processes; never fewer than the descriptors ask for
    #[arg(short, long)]
    workers: Option<u32>,
}

fn main() -> ExitCode {
    // The generator starts its own program as a worker.
    let result = if std::env::args().nth(1).as_deref() == Some("worker") {
        worker::run(std::io::stdin(), std::io::stdout()).map(|()| true)
    } else {
        measure(&Options::parse())
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("failed to measure: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// CPU and memory of the workers, by worker.
struct Reading(Vec<(f64, u64)>);

impl Reading {
    fn take(pids: &[u32]) -> Result<Self> {
        let of = |pid: &u32| {
            let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
            let ns: f64 = read("schedstat")?.split_whitespace().next().unwrap_or_default().parse()?;
            let status = read("status")?;
            let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.split_whitespace().next());
            let kib: u64 = kib.context("no RssAnon in the status of a process")?.parse()?;
            Ok((ns / 1e9, kib * 1024))
        };
        pids.iter().map(of).collect::<Result<_>>().map(Self)
    }

    fn cpu_s(&self) -> f64 {
        self.0.iter().map(|(cpu_s, _)| cpu_s).sum()
    }

    fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Measures and prints. False: not every connection was opened and kept.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn measure(options: &Options) -> Result<bool> {
    let (_, descriptors) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let workers = workers_needed(options.connections, options.workers, descriptors, 1);
    let configs = configs(options, workers);
    let started = Instant::now();
    let mut generator = Generator::configure(configs).await?;
    let ready = started.elapsed();
    let mut peak = 0;
    let mut observe = |status: &Status| {
        peak = peak.max(status.open);
        Watching::GoOn
    };
    let pids = generator.pids();
    tokio::time::sleep(SETTLE).await;
    let before = Reading::take(&pids)?;
    let begin_ns = monotonic_ns();
    let opening = generator.open_to(options.connections, options.rate, &mut observe).await?;
    let opened = Reading::take(&pids)?;
    let holding = generator.hold(Duration::from_secs_f64(options.hold), &mut observe).await?;
    let after = Reading::take(&pids)?;
    let asked = Instant::now();
    let usual = generator.probe_within(Duration::from_secs_f64(options.hold), options.rate);
    let probing = generator.probe(options.probe.map_or(usual, Duration::from_secs_f64), &mut observe).await?;
    let probe_s = asked.elapsed().as_secs_f64();
    let end = Reading::take(&pids)?;
    let sum = |windows: &Windows, of: fn(&wsceiling_generator::ipc::Window) -> u64| -> u64 {
        windows.workers.iter().map(of).sum()
    };
    let open = sum(&probing, |window| window.open.iter().sum());
    let held = sum(&probing, |window| window.held.iter().sum());
    let last_ns = opening.workers.iter().map(|window| window.last_opened_ns).max().unwrap_or(begin_ns);
    let coordinator = Reading::take(&[std::process::id()])?;
    println!(
        "{}",
        json!({
            "opened": open,
            "held": held,
            "failed": u64::from(options.connections).saturating_sub(open),
            "open_s": last_ns.saturating_sub(begin_ns) as f64 / 1e9,
            "open_cpu_s": opened.cpu_s() - before.cpu_s(),
            "memory_bytes": end.bytes().saturating_sub(before.bytes()),
            "hold_s": options.hold,
            "hold_cpu_s": after.cpu_s() - opened.cpu_s(),
            "due": sum(&holding, |window| window.messages_due),
            "sent": sum(&holding, |window| window.messages_sent),
            "answered": sum(&holding, |window| window.messages_answered),
            "probe_s": probe_s,
            "probe_cpu_s": end.cpu_s() - after.cpu_s(),
            "probes": sum(&probing, |window| window.probes),
            "probes_answered": sum(&probing, |window| window.probes_answered),
            "workers": workers,
            "ready_ms": ready.as_secs_f64() * 1e3,
            "all_memory_bytes": end.bytes() + coordinator.bytes(),
            "open_failures": opening.workers.iter().flat_map(|window| &window.failures).map(|failure| {
                json!({ "stage": failure.at, "cause": failure.reason, "count": failure.count })
            }).collect::<Vec<_>>(),
        })
    );
    generator.quit().await;
    Ok(open == u64::from(options.connections))
}

fn configs(options: &Options, workers: u32) -> Vec<WorkerConfig> {
    let talks = options.messages > 0.0;
    let each_s = f64::from(options.connections) / options.messages;
    let config = |(worker, sources)| WorkerConfig {
        worker: worker as u32,
        sources,
        scenario: if talks { Scenario::Echo } else { Scenario::Idle },
        message_every: if talks { Duration::from_secs_f64(each_s) } else { NEVER },
        publish_every: NEVER,
        lifetime: NEVER,
        seed: worker as u64,
        ..WorkerConfig::new(options.addresses.clone())
    };
    addresses::sources(&options.addresses, workers, std::process::id()).into_iter().enumerate().map(config).collect()
}
