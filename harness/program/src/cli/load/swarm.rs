//! `load --swarm`: the workers are tasks of a Docker Swarm service.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, anyhow};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::run::swarm_side::{self, Wanted};
use wsceiling_generator::coordinator::WorkerLine;
use wsceiling_generator::load::options::Options;
use wsceiling_generator::load::outcome::Outcome;
use wsceiling_generator::load::progress::Progress;
use wsceiling_generator::load::reach::Elsewhere;
use wsceiling_generator::load::run_at;
use wsceiling_launch::{LaunchError, Launcher, SwarmWorkers};

/// How long tasks may take to end by themselves.
const GRACE: Duration = Duration::from_secs(2);

/// Starts the workers of one load.
struct Tasks {
    launcher: Launcher,
    address: IpAddr,
    workers: Option<SwarmWorkers>,
}

impl Elsewhere for Tasks {
    fn start<'a>(&'a mut self, workers: u32, toward: &'a [SocketAddr]) -> BoxFuture<'a, Result<Vec<WorkerLine>>> {
        async move {
            let wanted = Wanted { name: "load".to_owned(), workers, toward, cpus: None, beside_instances: false };
            let (tasks, lines) = swarm_side::start(&mut self.launcher, self.address, wanted).await?;
            self.workers = Some(tasks);
            Ok(lines)
        }
        .boxed()
    }
}

/// Runs the load with `tasks` workers in the swarm, 0: one a node; nothing of them is left afterwards.
pub(super) async fn run(
    options: &mut Options,
    tasks: u32,
    registry: Option<&str>,
    progress: &Progress,
    mut interrupt: watch::Receiver<bool>,
) -> Result<Outcome> {
    let run_id = format!("load-{}-{}", jiff::Timestamp::now().as_millisecond(), std::process::id());
    let mut launcher = Launcher::of_workers(&run_id).await;
    progress.note("packing the workers for the swarm");
    let prepared = tokio::select! {
        prepared = launcher.prepare_swarm(registry) => prepared.map_err(|error| hinted(&error)),
        _ = interrupt.wait_for(|stop| *stop) => Err(anyhow!("stopped before the workers were packed")),
    };
    let address = match prepared {
        Ok(address) => address,
        Err(error) => {
            launcher.finish().await;
            return Err(error);
        }
    };
    let nodes = launcher.swarm_nodes().unwrap_or(1);
    options.workers = Some(if tasks == 0 { nodes } else { tasks });
    let mut tasks = Tasks { launcher, address, workers: None };
    let outcome = run_at(options, progress, interrupt, Some(&mut tasks)).await;
    if let Some(mut workers) = tasks.workers.take() {
        workers.stop(GRACE).await;
    }
    tasks.launcher.finish().await;
    outcome
}

/// What is missing, with what to do about it.
fn hinted(error: &LaunchError) -> anyhow::Error {
    match error {
        LaunchError::Missing(missing) => anyhow!("{missing} (hint: {})", missing.hint()),
        LaunchError::Failed { .. } => anyhow!("{error}"),
    }
}
