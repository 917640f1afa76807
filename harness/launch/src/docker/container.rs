//! Instances as containers.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::NetworkConnectRequest;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures_util::future::join_all;

use super::super::nofile::Nofile;
use super::super::{LaunchError, Launched, log};
use super::extra::{published, upload};
use super::life::{Requested, Up, catches_sigterm, cgroup_of_container, follow, wait_until_up, watch};
use super::spec::{ContainerPlan, applied, body};
use super::{Engine, is_not_found, readable};
use wsceiling_model::record::{AppliedLimit, Exit};

/// Longest wait for a container that got SIGKILL.
const KILL_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for the rest of a log once its container has ended.
const LOG_WAIT: Duration = Duration::from_secs(2);

/// A started container.
#[derive(Debug)]
struct Container {
    id: String,
    launched: Launched,
    ended: Arc<OnceLock<Exit>>,
    requested: Requested,
    watcher: tokio::task::JoinHandle<()>,
    follower: tokio::task::JoinHandle<()>,
}

/// The containers of a launch; they are removed when this is dropped.
#[derive(Debug)]
pub struct Containers {
    engine: Engine,
    all: Vec<Container>,
    /// Made and not yet in `containers`, or not yet removed.
    ids: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Engine {
    /// Starts containers, all at once. Where one fails, all of them go. `Err(None)`: the image is gone.
    pub async fn start(&self, plans: Vec<ContainerPlan>) -> Result<Containers, Option<LaunchError>> {
        let ids = Arc::default();
        let mut started = Containers { engine: self.clone(), all: vec![], ids: Arc::clone(&ids) };
        for container in join_all(plans.into_iter().map(|plan| self.start_one(plan, &ids))).await {
            started.all.push(container?);
        }
        Ok(started)
    }

    async fn start_one(
        &self,
        plan: ContainerPlan,
        ids: &std::sync::Mutex<Vec<String>>,
    ) -> Result<Container, Option<LaunchError>> {
        let what = |what: &str, error: &Error| {
            let reason = format!("cannot {what} container {}: {}", plan.name, readable(error));
            Some(LaunchError::Failed { reason, log_tail: log::tail(&plan.log, 20) })
        };
        let nofile = Nofile::of(plan.size.as_ref().and_then(|size| size.nofile), "docker");
        let (id, limits) = match self.create_and_run(&plan, Some(&nofile), ids).await {
            Ok(made) => made,
            Err((error, true)) if is_not_found(&error) => return Err(None),
            Err((error, _)) if !readable(&error).contains("rlimit") => return Err(what("start", &error)),
            // The engine may have less than the harness. Its own default then stands, and the record says so.
            Err((refused, _)) => {
                let (id, mut limits) =
                    self.create_and_run(&plan, None, ids).await.map_err(|(error, _)| what("start", &error))?;
                let reason = format!("the engine's own limit was left, for it refused: {}", readable(&refused));
                limits.retain(|limit| limit.name != "nofile");
                limits.push(AppliedLimit::not_enforced("nofile", nofile.value as f64, reason));
                (id, limits)
            }
        };
        let (ended, requested) = (Arc::<OnceLock<Exit>>::default(), Requested::default());
        let follower = tokio::spawn(follow(self.docker.clone(), id.clone(), plan.log.clone()));
        let state = wait_until_up(&self.docker, &id, &plan.network, plan.overlay.as_deref()).await;
        let Up { pid, ip, overlay, command } = match state {
            Ok(up) => up,
            Err(reason) => {
                let _ = tokio::time::timeout(LOG_WAIT, follower).await;
                let reason = format!("container {} {reason}", plan.name);
                return Err(Some(LaunchError::Failed { reason, log_tail: log::tail(&plan.log, 20) }));
            }
        };
        let watcher = tokio::spawn(watch(
            self.docker.clone(),
            id.clone(),
            plan.epoch,
            Arc::clone(&ended),
            Arc::clone(&requested),
        ));
        let published = if plan.extra.publish { published(&self.docker, &id, plan.port).await } else { None };
        if plan.extra.publish && published.is_none() {
            let reason = format!("the engine published no port of container {}", plan.name);
            return Err(Some(LaunchError::failed(reason)));
        }
        let launched = Launched {
            index: plan.index,
            address: SocketAddr::new(ip, plan.port),
            overlay: overlay.map(|ip| SocketAddr::new(ip, plan.port)),
            socket: None,
            pid,
            cgroup: cgroup_of_container(pid, &id),
            container: Some(id.clone()),
            image: Some(plan.digest),
            published,
            command,
            binary_sha256: plan.binary_sha256,
            limits,
            log: plan.log,
        };
        Ok(Container { id, launched, ended, requested, watcher, follower })
    }

    /// Creates and starts; the error says whether it was the creation that failed.
    async fn create_and_run(
        &self,
        plan: &ContainerPlan,
        nofile: Option<&Nofile>,
        ids: &std::sync::Mutex<Vec<String>>,
    ) -> Result<(String, Vec<AppliedLimit>), (Error, bool)> {
        let options = CreateContainerOptionsBuilder::default().name(&plan.name).build();
        let (docker, body) = (self.docker.clone(), body(plan, nofile));
        let made = self.pending.follow(async move { docker.create_container(Some(options), body).await }).await;
        let made = made.map_err(|error| (error, true))?;
        locked(ids).push(made.id.clone());
        let started = match upload(&self.docker, &made.id, &plan.extra.files).await {
            Ok(()) => self.join_and_start(&made.id, plan.overlay.as_deref()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = started {
            remove(&self.docker, &made.id).await;
            locked(ids).retain(|id| *id != made.id);
            return Err((error, false));
        }
        let mut limits = applied(plan.size.as_ref(), &made.warnings);
        limits.extend(nofile.and_then(|nofile| nofile.applied.clone()));
        Ok((made.id, limits))
    }

    /// Starts a container, in an overlay network too where it is to be: it can be made in one network only.
    async fn join_and_start(&self, id: &str, overlay: Option<&str>) -> Result<(), Error> {
        if let Some(overlay) = overlay {
            let request = NetworkConnectRequest { container: id.to_owned(), endpoint_config: None };
            self.docker.connect_network(overlay, request).await?;
        }
        self.docker.start_container(id, None).await
    }
}

fn locked(ids: &std::sync::Mutex<Vec<String>>) -> std::sync::MutexGuard<'_, Vec<String>> {
    ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn remove(docker: &Docker, id: &str) -> bool {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match docker.remove_container(id, Some(options)).await {
        Ok(()) => true,
        Err(error) => is_not_found(&error),
    }
}

impl Containers {
    /// What verification, driving and sampling know of each container.
    pub fn launched(&self) -> impl Iterator<Item = &Launched> {
        self.all.iter().map(|container| &container.launched)
    }

    /// The engine's client.
    pub(super) fn docker(&self) -> &Docker {
        &self.engine.docker
    }

    /// The ends that were seen so far.
    pub fn exits(&self) -> Vec<Option<Exit>> {
        self.all.iter().map(|container| container.ended.get().cloned()).collect()
    }

    /// Ends and removes all containers; returns how each ended.
    pub async fn stop(&mut self, grace: Duration) -> Vec<Option<Exit>> {
        let docker = &self.engine.docker;
        join_all(self.all.iter_mut().map(|container| container.stop(docker, grace))).await;
        let removed = join_all(self.all.iter().map(|container| remove(docker, &container.id))).await;
        for (container, removed) in self.all.iter().zip(removed) {
            if removed {
                locked(&self.ids).retain(|id| *id != container.id);
            }
        }
        self.exits()
    }
}

impl Container {
    async fn stop(&mut self, docker: &Docker, grace: Duration) {
        if self.ended.get().is_none() {
            self.requested.store(true, Ordering::Relaxed);
            // To the first process of a PID namespace an uncaught SIGTERM means nothing: it would only cost the grace.
            if catches_sigterm(self.launched.pid) {
                self.signal(docker, "SIGTERM").await;
                self.wait(grace).await;
            }
            if self.ended.get().is_none() {
                self.signal(docker, "SIGKILL").await;
                self.wait(KILL_WAIT).await;
            }
        }
        let _ = tokio::time::timeout(LOG_WAIT, &mut self.follower).await;
        self.follower.abort();
    }

    async fn signal(&self, docker: &Docker, signal: &str) {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        let _ = docker.kill_container(&self.id, Some(options)).await;
    }

    async fn wait(&self, longest: Duration) {
        let started = Instant::now();
        while self.ended.get().is_none() && started.elapsed() < longest && !self.watcher.is_finished() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        for container in &self.all {
            container.watcher.abort();
            container.follower.abort();
        }
        let ids = std::mem::take(&mut *locked(&self.ids));
        if !ids.is_empty() {
            self.engine.remove_blocking(ids);
        }
    }
}

impl Engine {
    /// Removes containers from where nothing can be awaited: on a thread and a connection of its own.
    fn remove_blocking(&self, ids: Vec<String>) {
        let host = self.host.clone();
        super::sweep::blocking(async move {
            if let Ok(engine) = Self::connect_to(&host).await {
                join_all(ids.iter().map(|id| remove(&engine.docker, id))).await;
            }
        });
    }
}
