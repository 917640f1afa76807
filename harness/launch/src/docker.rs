//! The container engine, the only place that knows bollard. Any engine that speaks Docker's API from 1.41 on will do.

mod attach;
mod container;
mod extra;
mod image;
mod life;
mod pending;
mod push;
mod remote;
mod service;
mod spec;
mod swarm;
mod sweep;
mod tunnel;

use std::path::Path;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::NetworkCreateRequest;
use bollard::{API_DEFAULT_VERSION, Docker};

use super::EngineStatus;
use super::label::{LABEL, LABEL_HARNESS, LABEL_RUN, PREFIX, Stamp, safe_name};

pub use attach::Streams;
pub use container::Containers;
pub use image::ImageReady;
use pending::Pending;
pub use remote::{RemoteContainer, RemoteEngine};
pub use service::{LocalTask, Service, ServicePlan};
pub use spec::{ContainerPlan, Extra};
pub use swarm::{Overlay, Swarm, swarm_name};
pub use sweep::Whose;

/// Where an engine listens unless `DOCKER_HOST` says otherwise.
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// Oldest API version that is enough: 1.41 of engine 20.10.
const OLDEST_API: (usize, usize) = (1, 41);
/// Longest wait for the engine's first answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for any other answer's start; packing a large image takes a while.
const TIMEOUT_S: u64 = 120;

/// A connection to the engine.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    host: String,
    status: EngineStatus,
    pending: Pending,
}

impl Engine {
    /// Connects to the engine of `DOCKER_HOST`, else of the default socket; the error is the status to show.
    pub async fn connect() -> Result<Self, EngineStatus> {
        let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        Self::connect_to(host.as_deref().unwrap_or(DEFAULT_HOST)).await
    }

    /// Connects to the engine at an address like `unix:///run/docker.sock` or `tcp://127.0.0.1:2375`.
    pub async fn connect_to(host: &str) -> Result<Self, EngineStatus> {
        let down = |reason: String, hint: &str| EngineStatus::Down { reason, hint: hint.to_owned() };
        let absent = || {
            down(
                format!("no Docker engine at {host}"),
                "start Docker, or set DOCKER_HOST to the address of its socket; cells that run `bare` need none",
            )
        };
        let docker = match host.split_once("://") {
            Some(("unix", path)) if Path::new(path).exists() => {
                Docker::connect_with_unix(path, TIMEOUT_S, API_DEFAULT_VERSION)
            }
            Some(("unix", _)) => return Err(absent()),
            Some(("tcp" | "http", _)) => Docker::connect_with_http(host, TIMEOUT_S, API_DEFAULT_VERSION),
            _ => {
                return Err(down(
                    format!("cannot speak to a Docker engine at {host}"),
                    "set DOCKER_HOST to an address that starts with unix:// or tcp://",
                ));
            }
        };
        let docker = docker.map_err(|_| absent())?;
        let version = match tokio::time::timeout(PROBE_TIMEOUT, async { docker.negotiate_version().await }).await {
            Ok(Ok(docker)) => docker.version().await.map(|version| (docker, version)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::RequestTimeoutError),
        };
        let (docker, version) = version.map_err(|error| {
            if chain(&error).contains("Permission denied") {
                let hint = "add your user to the group `docker`, or run an engine of your own (rootless)";
                return down(format!("the Docker engine at {host} does not let this user in"), hint);
            }
            absent()
        })?;
        let api = docker.client_version();
        if (api.major_version, api.minor_version) < OLDEST_API {
            let reason = format!("the Docker engine at {host} speaks API {api}, and 1.41 is needed");
            return Err(down(reason, "update Docker to 20.10 or newer"));
        }
        let info = docker.info().await.unwrap_or_default();
        let status = EngineStatus::Up {
            host: host.to_owned(),
            version: version.version.unwrap_or_default(),
            api: api.to_string(),
            cgroup: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
            storage: info.driver.unwrap_or_default(),
        };
        Ok(Self { docker, host: host.to_owned(), status, pending: Pending::default() })
    }

    /// What is known of the engine.
    pub fn status(&self) -> &EngineStatus {
        &self.status
    }

    /// Makes the run's own network, from which nothing reaches out, and returns its id. On one for `published` ports that
    /// is so for want of an address to go out with: the engine publishes no port of an internal network.
    pub async fn create_network(&self, run_id: &str, published: bool) -> Result<String, String> {
        let no_way_out = ("com.docker.network.bridge.enable_ip_masquerade".to_owned(), "false".to_owned());
        let request = NetworkCreateRequest {
            name: format!("{PREFIX}{}{}", safe_name(run_id), if published { "-published" } else { "" }),
            driver: Some("bridge".to_owned()),
            internal: Some(!published),
            options: published.then(|| [no_way_out].into_iter().collect()),
            labels: Some(labels(run_id)),
            ..NetworkCreateRequest::default()
        };
        let docker = self.docker.clone();
        let made = self.pending.follow(async move { docker.create_network(request).await }).await;
        made.map(|made| made.id).map_err(|error| format!("cannot make a network: {}", readable(&error)))
    }
}

/// Labels of everything that a run makes at the engine.
fn labels(run_id: &str) -> std::collections::HashMap<String, String> {
    [(LABEL, "1".to_owned()), (LABEL_RUN, run_id.to_owned()), (LABEL_HARNESS, Stamp::own().to_string())]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The engine's message, without the wrapping.
fn readable(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        Error::RequestTimeoutError => "the engine did not answer in time".to_owned(),
        other => chain(other),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Whether the engine says that a thing is not there.
fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reason(host: &str) -> String {
        match Engine::connect_to(host).await {
            Err(EngineStatus::Down { reason, hint }) if !hint.is_empty() => reason,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn an_absent_engine_is_said_in_so_many_words() {
        let folder = tempfile::tempdir().unwrap();
        let host = format!("unix://{}/docker.sock", folder.path().display());
        assert_eq!(reason(&host).await, format!("no Docker engine at {host}"));
        std::fs::write(folder.path().join("docker.sock"), "not a socket").unwrap();
        assert_eq!(reason(&host).await, format!("no Docker engine at {host}"));
        assert_eq!(reason("tcp://127.0.0.1:1").await, "no Docker engine at tcp://127.0.0.1:1");
        assert_eq!(reason("ssh://host").await, "cannot speak to a Docker engine at ssh://host");
        assert_eq!(reason("nonsense").await, "cannot speak to a Docker engine at nonsense");
    }
}
