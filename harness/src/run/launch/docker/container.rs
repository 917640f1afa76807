//! Instances as containers.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerState, HostConfig, HostConfigLogConfig, ResourcesUlimits,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, WaitContainerOptions,
};
use futures_util::StreamExt as _;
use futures_util::future::join_all;

use super::super::cgroup::cgroup_of_pid;
use super::super::nofile::Nofile;
use super::super::own_cgroup::{CPU_PERIOD_US, not_enforced};
use super::super::{LaunchError, Launched, log};
use super::{Engine, is_not_found, labels, readable};
use crate::matrix::Size;
use crate::record::{AppliedLimit, Exit};

/// Longest wait for a started container to have a process and an address.
const UP_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for a container that got SIGKILL.
const KILL_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for the rest of a log once its container has ended.
const LOG_WAIT: Duration = Duration::from_secs(2);
/// User of packed programs: nobody, by number, for the image has no `/etc/passwd`.
const NOBODY: &str = "65534:65534";

/// A container to start; everything is resolved.
#[derive(Debug, Clone)]
pub struct ContainerPlan {
    /// Index among the instances.
    pub index: u32,
    /// Name of the container.
    pub name: String,
    /// Id of the run.
    pub run_id: String,
    /// Id of the image.
    pub image: String,
    /// What is recorded as the image.
    pub digest: String,
    /// Entry point; `None`: the image's own, with the user, the folder and the rights that the image expects.
    pub program: Option<PathBuf>,
    /// Arguments.
    pub args: Vec<String>,
    /// Environment, `NAME=value`.
    pub env: Vec<String>,
    /// Working directory of a packed program.
    pub folder: PathBuf,
    /// Gets an empty `/tmp` to write to, 16 MiB of memory at most.
    pub tmp: bool,
    /// Port that the server listens on.
    pub port: u16,
    /// Network that the container is in.
    pub network: String,
    /// Limits.
    pub size: Option<Size>,
    /// CPUs; empty: any.
    pub cpus: Vec<u32>,
    /// Start of the trial.
    pub epoch: Instant,
    /// Log file.
    pub log: PathBuf,
    /// SHA-256 of the packed program.
    pub binary_sha256: Option<String>,
}

/// Whether the harness has asked a container to stop.
type Requested = Arc<AtomicBool>;

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
    containers: Vec<Container>,
    /// Made and not yet in `containers`, or not yet removed.
    ids: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Engine {
    /// Starts containers, all at once. Where one fails, all of them go. `Err(None)`: the image is gone.
    pub async fn start(&self, plans: Vec<ContainerPlan>) -> Result<Containers, Option<LaunchError>> {
        let ids = Arc::default();
        let mut all = Containers { engine: self.clone(), containers: vec![], ids: Arc::clone(&ids) };
        for started in join_all(plans.into_iter().map(|plan| self.start_one(plan, &ids))).await {
            all.containers.push(started?);
        }
        Ok(all)
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
                limits.push(not_enforced("nofile", nofile.value as f64, reason));
                (id, limits)
            }
        };
        let (ended, requested) = (Arc::<OnceLock<Exit>>::default(), Requested::default());
        let follower = tokio::spawn(follow(self.docker.clone(), id.clone(), plan.log.clone()));
        let state = wait_until_up(&self.docker, &id).await;
        let (pid, ip, command) = match state {
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
        let launched = Launched {
            index: plan.index,
            address: SocketAddr::new(ip, plan.port),
            pid,
            cgroup: cgroup_of_container(pid, &id),
            container: Some(id.clone()),
            image: Some(plan.digest),
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
        let made =
            self.docker.create_container(Some(options), body(plan, nofile)).await.map_err(|error| (error, true))?;
        locked(ids).push(made.id.clone());
        let started = self.docker.start_container(&made.id, None).await;
        if let Err(error) = started {
            remove(&self.docker, &made.id).await;
            locked(ids).retain(|id| *id != made.id);
            return Err((error, false));
        }
        let mut limits = applied(plan.size.as_ref(), &made.warnings);
        limits.extend(nofile.and_then(|nofile| nofile.applied.clone()));
        Ok((made.id, limits))
    }
}

fn locked(ids: &std::sync::Mutex<Vec<String>>) -> std::sync::MutexGuard<'_, Vec<String>> {
    ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn body(plan: &ContainerPlan, nofile: Option<&Nofile>) -> ContainerCreateBody {
    let size = plan.size.as_ref();
    let memory = size.and_then(|size| size.memory_bytes).map(u64::cast_signed);
    let packed = plan.program.as_ref();
    let cpus: Vec<_> = plan.cpus.iter().map(u32::to_string).collect();
    let map = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let host = HostConfig {
        // A quota and not `NanoCpus`: the engine refuses more of those than the machine has, and bare takes any number.
        cpu_period: size.and_then(|size| size.cpus).map(|_| CPU_PERIOD_US.cast_signed()),
        cpu_quota: size.and_then(|size| size.cpus).map(|cpus| (cpus * CPU_PERIOD_US as f64).round() as i64),
        cpuset_cpus: (!cpus.is_empty()).then(|| cpus.join(",")),
        memory,
        memory_swap: memory,
        pids_limit: size.and_then(|size| size.pids).map(u64::cast_signed),
        ulimits: nofile.map(|nofile| {
            let value = Some(nofile.value.cast_signed());
            vec![ResourcesUlimits { name: Some("nofile".to_owned()), soft: value, hard: value }]
        }),
        network_mode: Some(plan.network.clone()),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(map(&[("max-size", "64m")])),
        }),
        privileged: Some(false),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        cap_drop: packed.map(|_| vec!["ALL".to_owned()]),
        readonly_rootfs: packed.map(|_| true),
        tmpfs: plan.tmp.then(|| map(&[("/tmp", "rw,nosuid,nodev,noexec,size=16m,mode=1777")])),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(plan.image.clone()),
        entrypoint: packed.map(|program| vec![program.display().to_string()]),
        cmd: (packed.is_some() || !plan.args.is_empty()).then(|| plan.args.clone()),
        env: Some(plan.env.clone()),
        user: packed.map(|_| NOBODY.to_owned()),
        working_dir: packed.map(|_| plan.folder.display().to_string()),
        labels: Some(labels(&plan.run_id)),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

/// How the engine applied the limits: it drops those that the kernel does not have, with a warning.
fn applied(size: Option<&Size>, warnings: &[String]) -> Vec<AppliedLimit> {
    let Some(size) = size else { return vec![] };
    let number = |value: Option<u64>| value.map(|value| value as f64);
    [
        ("cpus", size.cpus, ["CPU CFS", "CPU quota"]),
        ("memory_bytes", number(size.memory_bytes), ["memory limit capabilities", "Memory limit is not"]),
        ("pids", number(size.pids), ["PIDs limit", "pids limit"]),
    ]
    .into_iter()
    .filter_map(|(name, value, signs)| {
        let value = value?;
        let warning = warnings.iter().find(|warning| signs.iter().any(|sign| warning.contains(sign)));
        Some(match warning {
            Some(warning) => not_enforced(name, value, warning.clone()),
            None => AppliedLimit { name: name.to_owned(), value, enforced_by: Some("docker".to_owned()), reason: None },
        })
    })
    .collect()
}

/// Waits for the process id and the address; the error completes `container NAME ...`.
async fn wait_until_up(docker: &Docker, id: &str) -> Result<(u32, IpAddr, Vec<String>), String> {
    let started = Instant::now();
    loop {
        let seen = docker.inspect_container(id, None::<InspectContainerOptions>).await;
        let seen = seen.map_err(|error| format!("cannot be inspected: {}", readable(&error)))?;
        let state = seen.state.clone().unwrap_or_default();
        if let (Some(pid), Some(ip)) = (state.pid.filter(|&pid| pid > 0), address(&seen)) {
            let command = seen.path.into_iter().chain(seen.args.unwrap_or_default()).collect();
            return Ok((pid as u32, ip, command));
        }
        if state.running == Some(false) && state.exit_code.is_some() && started.elapsed() > Duration::from_millis(50) {
            let exit = exit_of(&state, false, 0.0);
            return Err(match (exit.code, exit.signal) {
                (_, Some(signal)) => format!("was ended by signal {signal} right after its start"),
                (code, _) => format!("exited with code {} right after its start", code.unwrap_or(-1)),
            });
        }
        if started.elapsed() > UP_WITHIN {
            return Err("has no address yet, 10 s after its start".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn address(seen: &ContainerInspectResponse) -> Option<IpAddr> {
    let networks = seen.network_settings.as_ref()?.networks.as_ref()?;
    networks.values().find_map(|endpoint| endpoint.ip_address.as_ref()?.parse().ok())
}

/// The cgroup, where the engine's process id means the same process here (a virtual machine in between has its own).
fn cgroup_of_container(pid: u32, id: &str) -> Option<super::super::Cgroup> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    if text.contains(id) { cgroup_of_pid(pid) } else { None }
}

/// The end of a container; an exit code of 128 + n is a signal's.
fn exit_of(state: &ContainerState, requested: bool, t_ms: f64) -> Exit {
    let code = state.exit_code.and_then(|code| i32::try_from(code).ok());
    let signal = code.map(|code| code - 128).filter(|signal| (1..=64).contains(signal));
    let code = code.filter(|_| signal.is_none());
    Exit { code, signal, oom_killed: state.oom_killed, requested, t_ms }
}

/// Waits for the end of a container and keeps it, with what the engine knows of it before it is removed.
async fn watch(docker: Docker, id: String, epoch: Instant, ended: Arc<OnceLock<Exit>>, requested: Requested) {
    loop {
        let waited = Box::pin(docker.wait_container(&id, None::<WaitContainerOptions>)).next().await;
        match waited {
            Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => break,
            Some(Err(error)) if is_not_found(&error) => return,
            // The connection broke; the container may well go on.
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    let t_ms = epoch.elapsed().as_secs_f64() * 1e3;
    let requested = requested.load(Ordering::Relaxed);
    // The engine learns of the kernel's kill on another way than of the end, at times a moment later.
    for attempt in 0..5 {
        let seen = docker.inspect_container(&id, None::<InspectContainerOptions>).await;
        let Some(state) = seen.ok().and_then(|seen| seen.state) else { break };
        let exit = exit_of(&state, requested, t_ms);
        let unsure = exit.signal == Some(9) && exit.oom_killed != Some(true) && !requested;
        if !unsure || attempt == 4 {
            let _ = ended.set(exit);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let _ = ended.set(Exit { code: None, signal: None, oom_killed: None, requested, t_ms });
}

/// Copies the log into the file until the container ends.
async fn follow(docker: Docker, id: String, path: PathBuf) {
    use std::io::Write as _;
    let Ok(mut file) = log::open(&path) else { return };
    let options = LogsOptionsBuilder::default().follow(true).stdout(true).stderr(true).build();
    let mut stream = Box::pin(docker.logs(&id, Some(options)));
    while let Some(Ok(output)) = stream.next().await {
        if file.write_all(&output.into_bytes()).is_err() {
            return;
        }
    }
}

async fn remove(docker: &Docker, id: &str) -> bool {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match docker.remove_container(id, Some(options)).await {
        Ok(()) => true,
        Err(error) => is_not_found(&error),
    }
}

impl Containers {
    /// What the later stages know of each container.
    pub fn launched(&self) -> impl Iterator<Item = &Launched> {
        self.containers.iter().map(|container| &container.launched)
    }

    /// The ends that were seen so far.
    pub fn exits(&self) -> Vec<Option<Exit>> {
        self.containers.iter().map(|container| container.ended.get().cloned()).collect()
    }

    /// Ends and removes all containers; returns how each ended.
    pub async fn stop(&mut self, grace: Duration) -> Vec<Option<Exit>> {
        let docker = &self.engine.docker;
        join_all(self.containers.iter_mut().map(|container| container.stop(docker, grace))).await;
        let removed = join_all(self.containers.iter().map(|container| remove(docker, &container.id))).await;
        for (container, removed) in self.containers.iter().zip(removed) {
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

/// Whether a process has a handler for SIGTERM: bit 14 of `SigCgt`, proc(5). Where that cannot be told, it may have.
fn catches_sigterm(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
    caught.is_none_or(|caught| caught & (1 << 14) != 0)
}

impl Drop for Containers {
    fn drop(&mut self) {
        for container in &self.containers {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_above_128_is_a_signal() {
        let exit = |code| {
            let exit = exit_of(&ContainerState { exit_code: Some(code), ..ContainerState::default() }, false, 0.0);
            (exit.code, exit.signal)
        };
        assert_eq!(exit(0), (Some(0), None));
        assert_eq!(exit(128), (Some(128), None));
        assert_eq!(exit(137), (None, Some(9)));
        assert_eq!(exit(255), (Some(255), None));
    }

    #[test]
    fn a_limit_that_the_engine_dropped_is_not_enforced() {
        let size = Size {
            name: "s".to_owned(),
            cpus: Some(1.0),
            memory_bytes: Some(1 << 26),
            nofile: None,
            pids: Some(9),
            price_per_month: None,
        };
        let warnings = [
            "Your kernel does not support CPU CFS quota/period or the cgroup is not mounted. Quota discarded.".to_owned(),
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap."
                .to_owned(),
        ];
        let limits = applied(Some(&size), &warnings);
        let by: Vec<_> = limits.iter().map(|limit| limit.enforced_by.as_deref()).collect();
        assert_eq!(by, [None, Some("docker"), Some("docker")]);
        assert!(limits[0].reason.as_deref().unwrap().contains("Quota discarded"));
        assert!(applied(None, &warnings).is_empty());
    }

    #[test]
    fn an_unknown_process_may_catch_sigterm() {
        assert!(catches_sigterm(u32::MAX));
    }
}
