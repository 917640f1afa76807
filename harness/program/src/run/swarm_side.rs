//! Workers in a swarm: a door is opened, the service is started, and whoever knows the token is let in. Of a trial and of
//! `load --swarm` alike.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, anyhow};

use wsceiling_generator::coordinator::WorkerLine;
use wsceiling_generator::dial::{DialError, Door, TOKEN_VARIABLE};
use wsceiling_launch::{LaunchError, Launcher, SwarmRequest, SwarmWorkers};

/// How long the tasks may take to start and to dial. A node that does not have the image yet gets it in that time.
const DIAL_WITHIN: Duration = Duration::from_secs(120);

/// Workers to start in a swarm.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Name of the launch.
    pub name: String,
    /// How many.
    pub workers: u32,
    /// The servers.
    pub toward: &'a [SocketAddr],
    /// CPUs of all together; `None`: no limit.
    pub cpus: Option<f64>,
    /// They join the network of the run's own instances.
    pub beside_instances: bool,
}

/// Starts workers in the swarm and waits until each has dialled; `address` is this machine's, as
/// [`Launcher::prepare_swarm`] returned it.
pub async fn start(
    launcher: &mut Launcher,
    address: IpAddr,
    wanted: Wanted<'_>,
) -> Result<(SwarmWorkers, Vec<WorkerLine>)> {
    let door = Door::open(address).await.map_err(|error| {
        anyhow!("{error} (hint: run this on the machine of the Docker engine; DOCKER_HOST must not name another one)")
    })?;
    let mut args = vec!["worker".to_owned(), "--dial".to_owned(), door.address().to_string()];
    for server in wanted.toward {
        args.extend(["--toward".to_owned(), server.to_string()]);
    }
    let request = SwarmRequest {
        name: wanted.name,
        tasks: wanted.workers,
        args,
        env: vec![format!("{TOKEN_VARIABLE}={}", door.token().reveal())],
        cpus: wanted.cpus.map(|cpus| cpus / f64::from(wanted.workers.max(1))),
        beside_instances: wanted.beside_instances,
    };
    let mut workers = launcher.swarm_workers(request).await?;
    let admitted = tokio::select! {
        admitted = door.admit(wanted.workers, DIAL_WITHIN) => admitted,
        failure = workers.failure() => return Err(quoted(failure)),
    };
    let mut lines = match admitted {
        Ok(lines) => lines,
        Err(late @ DialError::Late { .. }) => {
            let why = workers.waits_for().await.unwrap_or_else(|| {
                format!(
                    "the tasks run and do not reach {address}; look at the firewall between the nodes and this machine"
                )
            });
            return Err(anyhow!("{late}: {why}"));
        }
        Err(error) => return Err(error.into()),
    };
    workers.find_local().await;
    for (worker, line) in (0..).zip(&mut lines) {
        line.pid = workers.pid(worker);
    }
    Ok((workers, lines))
}

/// A failed task with what it wrote.
fn quoted(failure: LaunchError) -> anyhow::Error {
    match failure {
        LaunchError::Failed { reason, log_tail } if !log_tail.is_empty() => {
            anyhow!("{reason}; its last lines: {}", log_tail.join(" | "))
        }
        other => other.into(),
    }
}
