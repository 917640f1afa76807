//! Fronts: the proxy of a cell comes up after its instances and ends before them.
//!
//! However it runs it ends in [`FrontLaunched`] values, so that the stages after this one do not know how. A front may
//! have two stages: the proxy, and behind it a balancer, where all instances are to have one address.
//!
//! Parts: `nginx`, `haproxy` and `relay` turn settings into configurations and command lines, as pure functions;
//! `programs` finds what is to run; `start` runs it, bare or as a container; `published` is the engine's userland proxy;
//! `known` reads what proxies say in their logs.

mod haproxy;
mod known;
mod nginx;
mod programs;
mod published;
mod relay;
mod start;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use known::{KnownLines, known_lines};
pub(super) use programs::Prepared;
use published::Published;

use super::bare::{self, BareInstance};
use super::docker::Containers;
use super::{LaunchContext, LaunchError, Launched, Launcher};
use wsceiling_model::matrix::{Front, FrontKind, Spread};
use wsceiling_model::record::Exit;

/// A launched stage of a front, however it runs.
#[derive(Debug, Clone)]
pub struct FrontLaunched {
    /// What it has in common with an instance. Where nothing is known of its process, the number is 0 and the log empty.
    pub launched: Launched,
    /// `nginx`, `haproxy`, `relay`, `balancer`, `docker-publish`.
    pub kind: String,
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
    /// Where haproxy tells its counters.
    pub stats: Option<SocketAddr>,
}

/// The front of a cell, all of its stages. Whatever still runs ends when this is dropped.
#[derive(Debug)]
pub struct Fronts {
    stages: Vec<(FrontLaunched, Part)>,
    destinations: Vec<SocketAddr>,
    /// Folders for temporary files of the programs.
    scratch: Vec<PathBuf>,
}

#[derive(Debug)]
enum Part {
    Bare(Box<BareInstance>),
    Docker(Box<Containers>),
    Published(Published),
}

/// What the configuration of a stage is made of.
#[derive(Debug, Clone)]
struct Setup<'a> {
    front: &'a Front,
    listen: SocketAddr,
    upstreams: &'a [SocketAddr],
    sources: &'a [IpAddr],
    /// Source ports that the program itself has to keep to; `None`: the kernel's range.
    ports: Option<(u16, u16)>,
    /// Where the program may write.
    scratch: &'a Path,
    /// Where haproxy tells its counters.
    stats: Option<SocketAddr>,
    /// User that nginx's workers have to stay, where the harness is root.
    user: Option<&'a str>,
}

impl Fronts {
    /// Addresses that the generator connects to.
    pub fn destinations(&self) -> &[SocketAddr] {
        &self.destinations
    }

    /// The stages, in the order a connection passes them.
    pub fn stages(&self) -> impl Iterator<Item = &FrontLaunched> {
        self.stages.iter().map(|(launched, _)| launched)
    }

    /// Which stages have ended so far, and how; does not wait.
    pub fn exits(&mut self) -> Vec<Option<Exit>> {
        let exit = |(_, part): &mut (FrontLaunched, Part)| match part {
            Part::Bare(instance) => instance.exit(),
            Part::Docker(containers) => containers.exits().into_iter().next().flatten(),
            Part::Published(published) => published.exit(),
        };
        self.stages.iter_mut().map(exit).collect()
    }

    /// Ends all stages, the first one first; returns how each ended.
    pub async fn stop(&mut self, grace: Duration) -> Vec<Option<Exit>> {
        for (_, part) in &mut self.stages {
            match part {
                Part::Bare(instance) => bare::stop(std::slice::from_mut(instance), grace).await,
                Part::Docker(containers) => drop(containers.stop(grace).await),
                Part::Published(published) => published.left_to_the_engine(),
            }
        }
        self.exits()
    }
}

impl Drop for Fronts {
    fn drop(&mut self) {
        self.stages.clear();
        for folder in &self.scratch {
            // Nothing of it is in the record.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl Launcher {
    /// Starts the front of a cell before its instances; `None`: it has none. Returns once it runs, which is before it
    /// listens.
    ///
    /// # Errors
    /// When something it needs is missing, or it does not start.
    pub async fn launch_front(
        &mut self,
        ctx: &LaunchContext<'_>,
        instances: &[Launched],
    ) -> Result<Option<Fronts>, LaunchError> {
        let Some(front) = ctx.matrix.front(ctx.cell) else { return Ok(None) };
        if front.kind == FrontKind::DockerPublish {
            return Ok(Some(published::fronts(ctx, instances)));
        }
        self.prepare_front(front, ctx.cell.runtime).await?;
        let mut upstreams: Vec<SocketAddr> = instances.iter().map(|instance| instance.address).collect();
        let mut fronts = Fronts { stages: Vec::new(), destinations: Vec::new(), scratch: Vec::new() };
        if front.spread == Spread::OneAddress {
            let balancer = relay::balancer(front);
            let stage = start::stage(self, ctx, &balancer, "balancer", 1, &upstreams, &mut fronts.scratch).await?;
            upstreams = vec![stage.0.launched.address];
            fronts.stages.push(stage);
            start::listening(upstreams[0]).await;
        }
        let kind = front.kind.name();
        let stage = start::stage(self, ctx, front, kind, 0, &upstreams, &mut fronts.scratch).await?;
        fronts.destinations = vec![stage.0.launched.address];
        fronts.stages.insert(0, stage);
        Ok(Some(fronts))
    }
}
