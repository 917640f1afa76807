//! Containers that the harness did not start, at an engine that may be elsewhere: looked at, never changed.

use std::path::PathBuf;

use bollard::errors::Error;
use bollard::models::{ContainerMemoryStats, ContainerStatsResponse};
use bollard::query_parameters::{InspectContainerOptions, StatsOptionsBuilder};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::StreamExt as _;

use super::life::exit_of;
use super::tunnel::Tunnel;
use super::{OLDEST_API, TIMEOUT_S, is_not_found, readable};
use wsceiling_model::record::{ContainerSeen, Metric, ScrapeFault};

/// Where an engine is.
#[derive(Clone)]
pub struct RemoteEngine {
    /// `unix:///run/docker.sock`, `tcp://HOST:PORT`, or `ssh://[USER@]HOST[:PORT][/path/of/docker.sock]`.
    pub address: String,
    /// Authority, client's certificate and its key, PEM files: for `tcp://`, all three or none.
    pub certificates: Option<[PathBuf; 3]>,
}

/// A container of an engine.
pub struct RemoteContainer {
    docker: Docker,
    name: String,
    /// Carries the connection, where it goes over SSH.
    _tunnel: Option<Tunnel>,
}

impl RemoteContainer {
    /// Connects to the engine and finds the container.
    pub async fn open(engine: &RemoteEngine, name: &str) -> Result<Self, ScrapeFault> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(ScrapeFault::NoContainer { name: name.to_owned() });
        }
        let (docker, tunnel) = connect(engine).await?;
        let docker = docker.negotiate_version().await.map_err(|error| fault(&error))?;
        let api = docker.client_version();
        if (api.major_version, api.minor_version) < OLDEST_API {
            return Err(ScrapeFault::Engine { what: format!("it speaks API {api}, and 1.41 is needed") });
        }
        let mut container = Self { docker, name: name.to_owned(), _tunnel: tunnel };
        container.look().await?;
        Ok(container)
    }

    /// What the engine says of it now.
    pub async fn look(&mut self) -> Result<ContainerSeen, ScrapeFault> {
        let seen = self.docker.inspect_container(&self.name, None::<InspectContainerOptions>).await;
        let seen = seen.map_err(|error| self.fault(&error))?;
        let state = seen.state.unwrap_or_default();
        let restarts = seen.restart_count.and_then(|count| u64::try_from(count).ok());
        let started = state.started_at.clone().filter(|started| !started.starts_with("0001"));
        let mut found = ContainerSeen { started, restarts, ..ContainerSeen::default() };
        if state.running != Some(true) {
            // One that was made and never started has no end.
            found.exit = found.started.is_some().then(|| exit_of(&state, false, 0.0));
            return Ok(found);
        }
        // `one-shot`: without it the engine waits for a second reading.
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let stats = Box::pin(self.docker.stats(&self.name, Some(options))).next().await;
        if let Some(stats) = stats {
            found.values = values(&stats.map_err(|error| self.fault(&error))?);
        }
        Ok(found)
    }

    fn fault(&self, error: &Error) -> ScrapeFault {
        if is_not_found(error) { ScrapeFault::NoContainer { name: self.name.clone() } } else { fault(error) }
    }
}

fn fault(error: &Error) -> ScrapeFault {
    ScrapeFault::Engine { what: readable(error).chars().filter(|c| !c.is_control()).take(160).collect() }
}

async fn connect(engine: &RemoteEngine) -> Result<(Docker, Option<Tunnel>), ScrapeFault> {
    let failed = |what: String| ScrapeFault::Engine { what };
    let unix = |path: &str| {
        Docker::connect_with_unix(path, TIMEOUT_S, API_DEFAULT_VERSION)
            .map_err(|error| failed(format!("no engine at this socket: {}", readable(&error))))
    };
    match (engine.address.split_once("://"), &engine.certificates) {
        (Some(("unix", path)), _) => Ok((unix(path)?, None)),
        (Some(("ssh", place)), _) => {
            let tunnel = Tunnel::open(place).await.map_err(failed)?;
            let docker = unix(&tunnel.socket().display().to_string())?;
            Ok((docker, Some(tunnel)))
        }
        (Some(("tcp", _)), Some([ca, cert, key])) => {
            let docker = Docker::connect_with_ssl(&engine.address, key, cert, ca, TIMEOUT_S, API_DEFAULT_VERSION);
            Ok((
                docker.map_err(|error| failed(format!("the certificates cannot be used: {}", readable(&error))))?,
                None,
            ))
        }
        (Some(("tcp", _)), None) => {
            let docker = Docker::connect_with_http(&engine.address, TIMEOUT_S, API_DEFAULT_VERSION);
            Ok((docker.map_err(|error| fault(&error))?, None))
        }
        _ => Err(failed("its address starts with none of unix://, tcp:// and ssh://".to_owned())),
    }
}

/// The numbers of an answer, as the engine reads them from the container's cgroup (v1 or v2).
fn values(stats: &ContainerStatsResponse) -> Vec<(Metric, f64)> {
    let cpu = stats.cpu_stats.as_ref();
    let usage = cpu.and_then(|cpu| cpu.cpu_usage.as_ref()).and_then(|usage| usage.total_usage);
    let throttling = cpu.and_then(|cpu| cpu.throttling_data.as_ref());
    let of = |number: fn(&bollard::models::ContainerThrottlingData) -> Option<u64>| throttling.and_then(number);
    let memory = stats.memory_stats.clone().unwrap_or_default();
    let pids = stats.pids_stats.as_ref().and_then(|pids| pids.current);
    let us = |ns: Option<u64>| ns.map(|ns| ns as f64 / 1000.0);
    let whole = |number: Option<u64>| number.map(|number| number as f64);
    let found = [
        (Metric::CpuUsage, us(usage)),
        (Metric::CpuThrottled, us(of(|it| it.throttled_time))),
        (Metric::CpuPeriods, whole(of(|it| it.periods))),
        (Metric::CpuThrottledPeriods, whole(of(|it| it.throttled_periods))),
        (Metric::MemoryCurrent, whole(memory.usage)),
        (Metric::MemoryPeak, whole(memory.max_usage)),
        (Metric::MemoryLimitHits, whole(memory.failcnt)),
        (Metric::Pids, whole(pids)),
    ];
    let split = [
        (Metric::MemoryAnon, stat(&memory, &["total_rss", "anon"])),
        (Metric::MemoryFile, stat(&memory, &["total_cache", "file"])),
        (Metric::MemorySock, stat(&memory, &["sock"])),
        (Metric::MajorFaults, stat(&memory, &["total_pgmajfault", "pgmajfault"])),
    ];
    found.into_iter().chain(split).filter_map(|(metric, value)| Some((metric, value?))).collect()
}

/// A line of `memory.stat`: its name on v1, then on v2.
fn stat(memory: &ContainerMemoryStats, names: &[&str]) -> Option<f64> {
    let stats = memory.stats.as_ref()?;
    names.iter().find_map(|name| stats.get(*name)).map(|value| *value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> RemoteEngine {
        RemoteEngine { address: address.to_owned(), certificates: None }
    }

    async fn why(engine: &RemoteEngine, name: &str) -> String {
        match RemoteContainer::open(engine, name).await {
            Ok(_) => panic!("{} has {name}", engine.address),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn numbers_of_both_versions_of_cgroups_are_read() {
        let stats = |memory: serde_json::Value| -> ContainerStatsResponse {
            serde_json::from_value(serde_json::json!({
                "cpu_stats": {
                    "cpu_usage": { "total_usage": 2_500_000 },
                    "throttling_data": { "periods": 9, "throttled_periods": 3, "throttled_time": 7000 },
                },
                "memory_stats": memory,
                "pids_stats": { "current": 4 },
            }))
            .unwrap()
        };
        let v1 = values(&stats(serde_json::json!({ "usage": 90, "max_usage": 99, "failcnt": 1,
            "stats": { "total_rss": 50, "rss": 1, "total_cache": 40, "total_pgmajfault": 2 } })));
        let v2 = values(&stats(
            serde_json::json!({ "usage": 90, "stats": { "anon": 50, "file": 40, "sock": 5, "pgmajfault": 2 } }),
        ));
        let get =
            |values: &[(Metric, f64)], metric| values.iter().find(|(it, _)| *it == metric).map(|(_, value)| *value);
        for values in [&v1, &v2] {
            assert_eq!(get(values, Metric::CpuUsage), Some(2500.0));
            assert_eq!(get(values, Metric::CpuThrottled), Some(7.0));
            assert_eq!(get(values, Metric::MemoryAnon), Some(50.0));
            assert_eq!(get(values, Metric::MajorFaults), Some(2.0));
            assert_eq!(get(values, Metric::Pids), Some(4.0));
        }
        assert_eq!((get(&v1, Metric::MemoryPeak), get(&v2, Metric::MemoryPeak)), (Some(99.0), None));
        assert_eq!((get(&v1, Metric::MemorySock), get(&v2, Metric::MemorySock)), (None, Some(5.0)));
        assert_eq!(values(&ContainerStatsResponse::default()), []);
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_said() {
        let absent = why(&at("unix:///nonexistent/docker.sock"), "c").await;
        assert!(absent.starts_with("the engine: no engine at this socket"), "{absent}");
        assert!(why(&at("tcp://127.0.0.1:1"), "c").await.contains("refused"));
        assert!(why(&at("nonsense"), "c").await.contains("unix://, tcp:// and ssh://"));
        assert_eq!(why(&at("tcp://127.0.0.1:1"), "../x").await, "the engine has no container `../x`");
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let certificates = Some([file("ca.pem"), file("cert.pem"), file("key.pem")]);
        let engine = RemoteEngine { certificates, ..at("tcp://127.0.0.1:1") };
        assert!(why(&engine, "c").await.contains("the certificates cannot be used"));
    }
}
