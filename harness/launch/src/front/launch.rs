//! Launching the front of a cell: all of its hops.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::super::{LaunchContext, LaunchError, Launched, Launcher};
use super::hop::{Fronts, LaunchedHop, Running};
use super::published::{self, Published};
use super::{relay, start};
use wsceiling_model::matrix::{FrontKind, Spread};
use wsceiling_model::record::HopKind;

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
            return Ok(Some(published(ctx, instances)));
        }
        self.prepare_front(front, ctx.cell.runtime).await?;
        let mut upstreams: Vec<SocketAddr> = instances.iter().map(|instance| instance.address).collect();
        let mut fronts = Fronts { hops: Vec::new(), destinations: Vec::new(), scratch: Vec::new() };
        if front.spread == Spread::OneAddress {
            let balancer = relay::balancer(front);
            let hop = start::hop(self, ctx, &balancer, HopKind::Balancer, &upstreams, &mut fronts.scratch).await?;
            upstreams = vec![hop.0.launched.address];
            fronts.hops.push(hop);
            start::listening(upstreams[0]).await;
        }
        let kind = HopKind::Proxy(front.kind);
        let hop = start::hop(self, ctx, front, kind, &upstreams, &mut fronts.scratch).await?;
        fronts.destinations = vec![hop.0.launched.address];
        fronts.hops.insert(0, hop);
        Ok(Some(fronts))
    }
}

/// The proxies of all published instances.
fn published(ctx: &LaunchContext<'_>, instances: &[Launched]) -> Fronts {
    let instances = instances.iter().filter_map(|instance| Some((instance, instance.published?)));
    let hops = instances.map(|(instance, address)| {
        let (pid, command) = published::find(address.port()).unwrap_or_default();
        let launched = Launched {
            index: instance.index,
            address,
            overlay: None,
            socket: None,
            pid,
            cgroup: None,
            container: instance.container.clone(),
            image: None,
            published: None,
            command,
            binary_sha256: None,
            limits: Vec::new(),
            log: PathBuf::new(),
        };
        let hop = LaunchedHop {
            launched,
            kind: HopKind::Proxy(FrontKind::DockerPublish),
            version: None,
            config: None,
            upstreams: vec![instance.address],
            sources: Vec::new(),
            ports_per_pair: None,
            stats: None,
        };
        (hop, Running::Published(Published::new(pid, ctx.epoch)))
    });
    let hops: Vec<_> = hops.collect();
    let destinations = hops.iter().map(|(hop, _)| hop.launched.address).collect();
    Fronts { hops, destinations, scratch: Vec::new() }
}
