//! Client, front and kernel count the same connections: whether they agree.

use std::net::SocketAddr;

use super::servers::Servers;
use super::setup::TrialSetup;
use wsceiling_launch::Fronts;
use wsceiling_machine::sample::{Sampler, connections_to};
use wsceiling_model::matrix::{FrontKind, Scenario};
use wsceiling_model::record::{Component, Contradiction, HopKind, Metric, StepRecord};

/// A front of which each instance has one, and so an address, of its own.
const PUBLISHED: HopKind = HopKind::Proxy(FrontKind::DockerPublish);

/// Connections that each instance has from the front, by the kernel's count; empty where there is no front, or its
/// namespace may not be asked.
pub async fn upstream_spread(fronts: Option<&Fronts>) -> Vec<u64> {
    let Some(fronts) = fronts else { return Vec::new() };
    // With published ports each instance has a hop of its own; else the last hop is the one that reaches them.
    let published = fronts.hops().any(|hop| hop.kind == PUBLISHED);
    let last = fronts.hops().map(|hop| hop.launched.index).max().unwrap_or(0);
    let hops: Vec<(u32, Vec<SocketAddr>)> = fronts
        .hops()
        .filter(|hop| published || hop.launched.index == last)
        .map(|hop| (hop.launched.pid, hop.upstreams.clone()))
        .collect();
    let count = move || -> Option<Vec<u64>> {
        let counts: Option<Vec<Vec<u64>>> =
            hops.iter().map(|(pid, upstreams)| connections_to(*pid, upstreams)).collect();
        Some(counts?.concat())
    };
    tokio::task::spawn_blocking(count).await.ok().flatten().unwrap_or_default()
}

/// What contradicts the generator's count in a step that passed.
pub fn contradictions(
    setup: &TrialSetup<'_>,
    servers: &Servers,
    sampler: &Sampler,
    step: &StepRecord,
) -> Vec<Contradiction> {
    if !step.passed || setup.cell.scenario == Scenario::Churn {
        return Vec::new();
    }
    if servers.fronts().is_some() {
        let (open, upstream) = (step.open, step.upstream_spread.iter().sum());
        let fewer = !step.upstream_spread.is_empty() && is_fewer(upstream, open);
        return fewer.then_some(Contradiction::FrontHasFewer { open, upstream }).into_iter().collect();
    }
    // The kernel counts TCP connections only, and nobody knows whose kernel a remote target's numbers are from.
    if !servers.sockets().is_empty() || servers.remote().is_some() {
        return Vec::new();
    }
    let of_instance = |(instance, &open): (u32, &u64)| {
        let established = sampler.latest(Component::Instance(instance), Metric::Established)? as u64;
        is_fewer(established, open).then_some(Contradiction::KernelHasFewer { instance, open, established })
    };
    (0..).zip(&step.spread).filter_map(of_instance).collect()
}

/// Whether a count is less than another by more than what may end between the two looks.
fn is_fewer(count: u64, open: u64) -> bool {
    (count as f64) < open as f64 * 0.99 - 5.0
}
