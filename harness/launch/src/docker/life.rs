//! A container's life: from its start to an address, and to its end.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerState};
use bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder, WaitContainerOptions};
use futures_util::StreamExt as _;

use super::super::log;
use super::{is_not_found, readable};
use wsceiling_machine::cgroup::{Cgroup, cgroup_of_pid};
use wsceiling_model::record::Exit;

/// Whether the harness has asked a container to stop.
pub type Requested = Arc<AtomicBool>;

/// Longest wait for a started container to have a process and an address.
const UP_WITHIN: Duration = Duration::from_secs(10);

/// A container that runs.
pub struct Up {
    /// Its process on the engine's host.
    pub pid: u32,
    /// Its address in its network.
    pub ip: IpAddr,
    /// Its address in the overlay network, where it is in one.
    pub overlay: Option<IpAddr>,
    /// Its command line.
    pub command: Vec<String>,
}

/// Waits for the process id and the addresses; the error completes `container NAME ...`.
pub async fn wait_until_up(docker: &Docker, id: &str, network: &str, overlay: Option<&str>) -> Result<Up, String> {
    let started = Instant::now();
    loop {
        let seen = docker.inspect_container(id, None::<InspectContainerOptions>).await;
        let seen = seen.map_err(|error| format!("cannot be inspected: {}", readable(&error)))?;
        let state = seen.state.clone().unwrap_or_default();
        let outside = overlay.map(|overlay| address(&seen, overlay));
        if let (Some(pid), Some(ip), None | Some(Some(_))) =
            (state.pid.filter(|&pid| pid > 0), address(&seen, network), outside)
        {
            let command = seen.path.into_iter().chain(seen.args.unwrap_or_default()).collect();
            return Ok(Up { pid: pid as u32, ip, overlay: outside.flatten(), command });
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

/// The address in a network, given by its id or its name.
fn address(seen: &ContainerInspectResponse, network: &str) -> Option<IpAddr> {
    let networks = seen.network_settings.as_ref()?.networks.as_ref()?;
    let of = |endpoint: &bollard::models::EndpointSettings| endpoint.ip_address.as_ref()?.parse().ok();
    let named = |(name, endpoint): &(&String, &bollard::models::EndpointSettings)| {
        *name == network || endpoint.network_id.as_deref() == Some(network)
    };
    networks.iter().find(named).and_then(|(_, endpoint)| of(endpoint))
}

/// The cgroup, where the engine's process id means the same process here (a virtual machine in between has its own).
pub fn cgroup_of_container(pid: u32, id: &str) -> Option<Cgroup> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    if text.contains(id) { cgroup_of_pid(pid) } else { None }
}

/// The end of a container; an exit code of 128 + n is a signal's.
pub(super) fn exit_of(state: &ContainerState, requested: bool, t_ms: f64) -> Exit {
    let code = state.exit_code.and_then(|code| i32::try_from(code).ok());
    let signal = code.map(|code| code - 128).filter(|signal| (1..=64).contains(signal));
    let code = code.filter(|_| signal.is_none());
    Exit { code, signal, oom_killed: state.oom_killed, requested, t_ms }
}

/// Waits for the end of a container and keeps it, with what the engine knows of it before it is removed.
pub async fn watch(docker: Docker, id: String, epoch: Instant, ended: Arc<OnceLock<Exit>>, requested: Requested) {
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
pub async fn follow(docker: Docker, id: String, path: PathBuf) {
    let Ok(mut file) = log::open(&path) else { return };
    let options = LogsOptionsBuilder::default().follow(true).stdout(true).stderr(true).build();
    let mut stream = Box::pin(docker.logs(&id, Some(options)));
    while let Some(Ok(output)) = stream.next().await {
        if file.write_all(&output.into_bytes()).is_err() {
            return;
        }
    }
}

/// Whether a process has a handler for SIGTERM: bit 14 of `SigCgt`, proc(5). Where that cannot be told, it may have.
pub fn catches_sigterm(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
    caught.is_none_or(|caught| caught & (1 << 14) != 0)
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
    fn an_unknown_process_may_catch_sigterm() {
        assert!(catches_sigterm(u32::MAX));
    }
}
