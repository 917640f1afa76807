//! The hops of a front, however they run.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::super::Launched;
use super::super::bare::{self, BareInstance};
use super::super::docker::Containers;
use super::super::log;
use super::log_patterns::{KnownLines, known_lines};
use super::proxy::Proxy;
use super::proxy_of;
use super::published::Published;
use wsceiling_model::record::{Exit, HopKind};

/// A launched hop of a front, however it runs.
#[derive(Debug, Clone)]
pub struct LaunchedHop {
    /// What it has in common with an instance. Where nothing is known of its process, the number is 0 and the log empty.
    pub launched: Launched,
    /// What it is.
    pub kind: HopKind,
    /// What the program says of itself.
    pub version: Option<String>,
    /// The generated configuration.
    pub config: Option<PathBuf>,
    /// What it connects to.
    pub upstreams: Vec<SocketAddr>,
    /// Addresses it was told to connect from; empty: the kernel chooses.
    pub sources: Vec<IpAddr>,
    /// Source ports of each pair of addresses.
    pub ports_per_pair: Option<u64>,
    /// Where it answers questions for its counters.
    pub stats: Option<SocketAddr>,
}

/// The front of a cell, all of its hops. Whatever still runs ends when this is dropped.
#[derive(Debug)]
pub struct Fronts {
    pub(super) hops: Vec<(LaunchedHop, Running)>,
    pub(super) destinations: Vec<SocketAddr>,
    /// Folders for temporary files of the programs.
    pub(super) scratch: Vec<PathBuf>,
}

/// What runs a hop, and ends it when it is dropped.
#[derive(Debug)]
pub(super) enum Running {
    Bare(Box<BareInstance>),
    Docker(Box<Containers>),
    Published(Published),
}

impl LaunchedHop {
    /// Lines in its log that say why connections fail; a log that cannot be read has none.
    pub fn known_lines(&self) -> KnownLines {
        let own = match self.kind {
            HopKind::Proxy(kind) => proxy_of(kind).map_or(&[][..], Proxy::log_patterns),
            HopKind::Balancer => &[],
        };
        known_lines(&self.launched.log, own)
    }
}

impl Fronts {
    /// Addresses at which this host reaches it.
    pub fn destinations(&self) -> &[SocketAddr] {
        &self.destinations
    }

    /// Addresses that the generator connects to, wherever its workers are.
    pub fn load_destinations(&self) -> Vec<SocketAddr> {
        let overlay = self.hops().next().and_then(|hop| hop.launched.overlay);
        overlay.map_or_else(|| self.destinations.clone(), |address| vec![address])
    }

    /// The hops, in the order a connection passes them.
    pub fn hops(&self) -> impl Iterator<Item = &LaunchedHop> {
        self.hops.iter().map(|(launched, _)| launched)
    }

    /// Which hops have ended so far, and how; does not wait.
    pub fn exits(&mut self) -> Vec<Option<Exit>> {
        let exit = |(_, running): &mut (LaunchedHop, Running)| match running {
            Running::Bare(instance) => instance.exit(),
            Running::Docker(containers) => containers.exits().into_iter().next().flatten(),
            Running::Published(published) => published.exit(),
        };
        self.hops.iter_mut().map(exit).collect()
    }

    /// Frees the disk that the middles of long logs take, while the hops go on writing.
    pub fn free_logs(&self) {
        self.hops().for_each(|hop| log::free_middle(&hop.launched.log));
    }

    /// Cuts long logs that nobody writes any more to their start and their end.
    pub fn cut_logs(&self) {
        for hop in self.hops() {
            // A log that cannot be cut is kept as it is.
            let _ = log::cut_middle(&hop.launched.log);
        }
    }

    /// Ends all hops, the first one first; returns how each ended.
    pub async fn stop(&mut self, grace: Duration) -> Vec<Option<Exit>> {
        for (_, running) in &mut self.hops {
            match running {
                Running::Bare(instance) => bare::stop(std::slice::from_mut(instance), grace).await,
                Running::Docker(containers) => drop(containers.stop(grace).await),
                Running::Published(published) => published.left_to_the_engine(),
            }
        }
        self.exits()
    }
}

impl Drop for Fronts {
    fn drop(&mut self) {
        self.hops.clear();
        for folder in &self.scratch {
            // Nothing of it is in the record.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
