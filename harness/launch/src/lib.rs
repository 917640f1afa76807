//! Launching: a cell's instances come up as processes or containers. Both end in the same [`Launched`], so that
//! verification, driving and sampling do not know how a server was started.

mod bare;
mod cgroup_parent;
mod clean;
mod docker;
mod elf;
pub mod endpoint;
mod error;
pub mod front;
mod group;
mod io_error;
pub mod label;
mod launcher;
mod log;
mod nofile;
mod own_cgroup;
mod pack;
mod placeholder;
mod ports;
mod prepared;
mod program;
mod sockets;
mod spawner;
mod swarm_workers;
#[cfg(test)]
mod tests;
mod workers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

pub use clean::{Cleaned, clean};
pub use docker::{RemoteContainer, RemoteEngine, Streams};
pub use error::{LaunchError, Missing, SwarmFault};
pub use front::{Fronts, LaunchedHop};
pub use group::Group;
pub use launcher::{Launcher, engine_status};
pub use log::tail as log_tail;
pub use own_cgroup::OwnCgroup;
pub use program::build_program;
pub use swarm_workers::{SwarmRequest, SwarmWorkers};
pub use workers::Workers;

use crate::endpoint::Endpoint;
use wsceiling_machine::cgroup::Cgroup;
use wsceiling_model::matrix::{Cell, Matrix};
use wsceiling_model::record::{AppliedLimit, Exit};

/// What one launch of a cell, of its front or of its workers needs to know.
#[derive(Debug, Clone)]
pub struct LaunchContext<'a> {
    /// The matrix.
    pub matrix: &'a Matrix,
    /// The cell.
    pub cell: &'a Cell,
    /// Name of the run, for labels: `2026-11-24T03-14-41Z-default`.
    pub run_id: &'a str,
    /// `<trial id>.<launch>`, for names of cgroups, containers and logs.
    pub name: String,
    /// Folder of the logs.
    pub logs: PathBuf,
    /// Start of the trial; exits are timed from it.
    pub epoch: Instant,
    /// CPUs the instances may run on; empty: any.
    pub cpus: Vec<u32>,
}

/// A launched instance, or hop of a front, however it runs: all that the rest of a trial knows of it.
#[derive(Debug, Clone)]
pub struct Launched {
    /// Index among the instances, from 0.
    pub index: u32,
    /// Address that the generator connects to, unless there is a socket.
    pub address: SocketAddr,
    /// Its address on the overlay network that the generator's workers are on, where those are tasks of a swarm.
    pub overlay: Option<SocketAddr>,
    /// Unix-domain socket that it listens on, in the place of the address.
    pub socket: Option<PathBuf>,
    /// Process id on the host: of the server, or of the container's first process.
    pub pid: u32,
    /// Its own cgroup, where it has one.
    pub cgroup: Option<Cgroup>,
    /// Id of the container.
    pub container: Option<String>,
    /// Id or digest of the image.
    pub image: Option<String>,
    /// Address on 127.0.0.1 that the engine publishes its port at, where that was asked for.
    pub published: Option<SocketAddr>,
    /// The command line.
    pub command: Vec<String>,
    /// SHA-256 of the program, hex.
    pub binary_sha256: Option<String>,
    /// Limits of the size, as they were applied.
    pub limits: Vec<AppliedLimit>,
    /// Log file.
    pub log: PathBuf,
}

impl Launched {
    /// Where it is reached.
    pub fn endpoint(&self) -> Endpoint {
        self.socket.clone().map_or(Endpoint::Tcp(self.address), Endpoint::Unix)
    }

    /// The address that the generator connects to, wherever its workers are.
    pub fn load_address(&self) -> SocketAddr {
        self.overlay.unwrap_or(self.address)
    }
}

/// The ends of instances, in the order of their indices.
pub type Exits = Vec<Option<Exit>>;

/// The container engine, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineStatus {
    /// It answers.
    Up {
        /// Its address.
        host: String,
        /// Its version: `20.10.24`.
        version: String,
        /// API version that both sides speak: `1.41`.
        api: String,
        /// Version of the cgroups that it uses, `1` or `2`; empty where it does not say.
        cgroup: String,
        /// Storage driver.
        storage: String,
    },
    /// It does not.
    Down {
        /// Why: `no Docker engine at unix:///var/run/docker.sock`.
        reason: String,
        /// What to do about it.
        hint: String,
    },
    /// It was not looked for, because no cell runs in it.
    NotNeeded,
}

impl EngineStatus {
    /// Why nothing can run in it.
    fn reason(&self) -> &str {
        match self {
            Self::Down { reason, .. } => reason,
            Self::Up { .. } | Self::NotNeeded => "no Docker engine was looked for: no cell of the matrix runs in it",
        }
    }

    /// What to do about that.
    fn hint(&self) -> &str {
        match self {
            Self::Down { hint, .. } => hint,
            Self::Up { .. } | Self::NotNeeded => "add `docker` to the axis `runtime`",
        }
    }

    /// What the environment of a run says of the engine: name and value of each fact.
    pub fn facts(&self) -> Vec<(String, String)> {
        let fact = |name: &str, value: &str| (format!("engine.{name}"), value.to_owned());
        match self {
            Self::Up { host, version, api, cgroup, storage } => vec![
                fact("host", host),
                fact("version", version),
                fact("api", api),
                fact("cgroup", cgroup),
                fact("storage", storage),
            ],
            Self::Down { reason, .. } => vec![fact("missing", reason)],
            Self::NotNeeded => Vec::new(),
        }
    }
}
