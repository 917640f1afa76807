//! What a trial does about the front of its cell: watch it, record it, count what it has to each instance.

use std::path::Path;

use wsceiling_launch::front::known_lines;
use wsceiling_launch::{FrontLaunched, Fronts};
use wsceiling_machine::sample::{FrontWatch, Watch, connections_to};
use wsceiling_model::record::{Component, Event, Exit, FrontRecord};

/// Lines of a front's log that a record keeps.
const TAIL_LINES: usize = 20;

/// Kind of a front of which each instance has one, and so an address, of its own.
const PUBLISHED: &str = "docker-publish";

/// What to sample of each stage.
pub fn watches(fronts: &Fronts) -> impl Iterator<Item = Watch> {
    fronts.stages().map(|stage| Watch {
        component: Component::Front(stage.launched.index),
        pids: vec![stage.launched.pid],
        cgroup: stage.launched.cgroup.clone(),
        more: vec![],
        listens_on: Some(stage.launched.address.port()),
        front: Some(FrontWatch {
            upstreams: stage.upstreams.clone(),
            ports_per_pair: stage.ports_per_pair,
            stats: stage.stats,
        }),
    })
}

/// The record of each stage, before it has ended.
pub fn records(fronts: &Fronts, launch: u32, run_folder: Option<&Path>) -> Vec<FrontRecord> {
    let relative = |path: &Path| Some(path.strip_prefix(run_folder?).ok()?.display().to_string());
    let record = |stage: &FrontLaunched| FrontRecord {
        index: stage.launched.index,
        launch,
        kind: stage.kind.clone(),
        version: stage.version.clone(),
        command: stage.launched.command.clone(),
        config: stage.config.as_deref().and_then(relative),
        binary_sha256: stage.launched.binary_sha256.clone(),
        address: stage.launched.address.to_string(),
        upstreams: stage.upstreams.iter().map(ToString::to_string).collect(),
        sources: stage.sources.iter().map(ToString::to_string).collect(),
        ports_per_pair: stage.ports_per_pair,
        pid: Some(stage.launched.pid).filter(|pid| *pid != 0),
        container: stage.launched.container.clone(),
        image: stage.launched.image.clone(),
        limits: stage.launched.limits.clone(),
        exit: None,
        log: Some(&stage.launched.log).filter(|log| log.is_file()).and_then(|log| relative(log)),
        log_tail: Vec::new(),
        known_lines: std::collections::BTreeMap::new(),
    };
    fronts.stages().map(record).collect()
}

/// Adds to the record of a stage how it ended and what its log says.
pub fn close(record: &mut FrontRecord, stage: &FrontLaunched, exit: Option<Exit>) {
    let found = known_lines(&stage.launched.log);
    record.log_tail = found.first;
    if exit.as_ref().is_some_and(|exit| !exit.requested) {
        let left = TAIL_LINES.saturating_sub(record.log_tail.len());
        record.log_tail.extend(wsceiling_launch::log_tail(&stage.launched.log, left));
    }
    record.known_lines = found.counts;
    record.exit = exit;
}

/// Connections of the last stage to each instance; empty where its namespace may not be asked.
pub async fn upstream_spread(fronts: &Fronts) -> Vec<u64> {
    let published = fronts.stages().any(|stage| stage.kind == PUBLISHED);
    let last = fronts.stages().map(|stage| stage.launched.index).max().unwrap_or(0);
    let stages: Vec<(u32, Vec<std::net::SocketAddr>)> = fronts
        .stages()
        .filter(|stage| published || stage.launched.index == last)
        .map(|stage| (stage.launched.pid, stage.upstreams.clone()))
        .collect();
    let count = move || -> Option<Vec<u64>> {
        let counts: Option<Vec<Vec<u64>>> =
            stages.iter().map(|(pid, upstreams)| connections_to(*pid, upstreams)).collect();
        Some(counts?.concat())
    };
    tokio::task::spawn_blocking(count).await.ok().flatten().unwrap_or_default()
}

/// Writes down each end of a stage once, when it is first seen.
pub fn note_exits(fronts: &mut Fronts, events: &mut Vec<Event>) {
    let ends = fronts.exits();
    let stages: Vec<(u32, String)> = fronts.stages().map(|stage| (stage.launched.index, stage.kind.clone())).collect();
    for ((index, kind), exit) in stages.into_iter().zip(ends) {
        let Some(exit) = exit.filter(|exit| !exit.requested) else { continue };
        let what = format!("{kind} ended: {}", super::climber::words(&exit));
        let event = Event { t_ms: exit.t_ms, component: Some(Component::Front(index)), what };
        if !events.contains(&event) {
            events.push(event);
        }
    }
}

/// Resolves with words when a stage has ended.
pub async fn ended(fronts: &mut Fronts) -> String {
    loop {
        let ends = fronts.exits();
        if let Some(exit) = ends.into_iter().flatten().next() {
            return super::climber::words(&exit);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// The last lines of all stages.
pub fn log_tail(fronts: &Fronts) -> Vec<String> {
    fronts.stages().flat_map(|stage| wsceiling_launch::log_tail(&stage.launched.log, TAIL_LINES)).collect()
}
