//! The record of each hop of a front.

use std::collections::BTreeMap;
use std::path::Path;

use super::servers::TAIL_LINES;
use wsceiling_launch::{Fronts, LaunchedHop};
use wsceiling_model::record::{Exit, FrontRecord};

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
        known_lines: BTreeMap::new(),
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
