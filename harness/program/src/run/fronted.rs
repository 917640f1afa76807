//! What a trial does about the front of its cell: watch it, record it, count what it has to each instance.

use std::path::Path;

use wsceiling_launch::{Fronts, LaunchedHop};
use wsceiling_machine::sample::{FrontWatch, Watch, connections_to};
use wsceiling_model::matrix::FrontKind;
use wsceiling_model::record::{Component, Event, Exit, FrontRecord, HopKind};

/// Lines of a front's log that a record keeps.
const TAIL_LINES: usize = 20;

/// A front of which each instance has one, and so an address, of its own.
const PUBLISHED: HopKind = HopKind::Proxy(FrontKind::DockerPublish);

/// What to sample of each hop.
pub fn watches(fronts: &Fronts) -> impl Iterator<Item = Watch> {
    fronts.hops().map(|hop| Watch {
        component: Component::Front(hop.launched.index),
        pids: vec![hop.launched.pid],
        cgroup: hop.launched.cgroup.clone(),
        more: vec![],
        listens_on: Some(hop.launched.address.port()),
        front: Some(FrontWatch {
            upstreams: hop.upstreams.clone(),
            ports_per_pair: hop.ports_per_pair,
            stats: hop.stats,
        }),
    })
}

/// The record of each hop, before it has ended.
pub fn records(fronts: &Fronts, launch: u32, run_folder: Option<&Path>) -> Vec<FrontRecord> {
    let relative = |path: &Path| Some(path.strip_prefix(run_folder?).ok()?.display().to_string());
    let record = |hop: &LaunchedHop| FrontRecord {
        index: hop.launched.index,
        launch,
        kind: hop.kind,
        version: hop.version.clone(),
        command: hop.launched.command.clone(),
        config: hop.config.as_deref().and_then(relative),
        binary_sha256: hop.launched.binary_sha256.clone(),
        address: hop.launched.address.to_string(),
        upstreams: hop.upstreams.iter().map(ToString::to_string).collect(),
        sources: hop.sources.iter().map(ToString::to_string).collect(),
        ports_per_pair: hop.ports_per_pair,
        pid: Some(hop.launched.pid).filter(|pid| *pid != 0),
        container: hop.launched.container.clone(),
        image: hop.launched.image.clone(),
        limits: hop.launched.limits.clone(),
        exit: None,
        log: Some(&hop.launched.log).filter(|log| log.is_file()).and_then(|log| relative(log)),
        log_tail: Vec::new(),
        known_lines: std::collections::BTreeMap::new(),
    };
    fronts.hops().map(record).collect()
}

/// Adds to the record of a hop how it ended and what its log says.
pub fn close(record: &mut FrontRecord, hop: &LaunchedHop, exit: Option<Exit>) {
    let found = hop.known_lines();
    record.log_tail = found.first;
    if exit.as_ref().is_some_and(|exit| !exit.requested) {
        let left = TAIL_LINES.saturating_sub(record.log_tail.len());
        record.log_tail.extend(wsceiling_launch::log_tail(&hop.launched.log, left));
    }
    record.known_lines = found.counts;
    record.exit = exit;
}

/// Connections of the last hop to each instance; empty where its namespace may not be asked.
pub async fn upstream_spread(fronts: &Fronts) -> Vec<u64> {
    let published = fronts.hops().any(|hop| hop.kind == PUBLISHED);
    let last = fronts.hops().map(|hop| hop.launched.index).max().unwrap_or(0);
    let hops: Vec<(u32, Vec<std::net::SocketAddr>)> = fronts
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

/// Writes down each end of a hop once, when it is first seen.
pub fn note_exits(fronts: &mut Fronts, events: &mut Vec<Event>) {
    let ends = fronts.exits();
    let hops: Vec<(u32, HopKind)> = fronts.hops().map(|hop| (hop.launched.index, hop.kind)).collect();
    for ((index, kind), exit) in hops.into_iter().zip(ends) {
        let Some(exit) = exit.filter(|exit| !exit.requested) else { continue };
        let what = format!("{kind} ended: {}", super::climber::words(&exit));
        let event = Event { t_ms: exit.t_ms, component: Some(Component::Front(index)), what };
        if !events.contains(&event) {
            events.push(event);
        }
    }
}

/// Resolves with words when a hop has ended.
pub async fn ended(fronts: &mut Fronts) -> String {
    loop {
        let ends = fronts.exits();
        if let Some(exit) = ends.into_iter().flatten().next() {
            return super::climber::words(&exit);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// The last lines of all hops.
pub fn log_tail(fronts: &Fronts) -> Vec<String> {
    fronts.hops().flat_map(|hop| wsceiling_launch::log_tail(&hop.launched.log, TAIL_LINES)).collect()
}
