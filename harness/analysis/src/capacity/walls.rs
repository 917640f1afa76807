//! Limits that are counted, not measured: descriptors, the front, what a platform documents, tracked connections.

use super::first::Chance;
use super::limits::{Limit, Origin, fact};
use super::set_up::{SetUp, same_limits, size_of};
use crate::findings::CellFindings;
use wsceiling_model::matrix::{Runtime, Size};
use wsceiling_model::plan::OWN_DESCRIPTORS;
use wsceiling_model::platforms::{LimitKind, PlatformLimit, Scope};
use wsceiling_model::record::{Cause, Wall, WallName};

/// Descriptors that a server uses for itself vary by this share of its connections.
const COUNTED_ERROR: f64 = 0.005;
/// What a platform documents as about so much.
const ABOUT: f64 = 0.1;

/// Descriptors of an instance: as the size says, else as on the machine that was measured. A size of the matrix was run there, so
/// it cannot have had more than that machine; any other is a machine of its own.
pub(super) fn descriptors(set_up: &SetUp<'_>, size: &Size) -> Option<Limit> {
    let recorded = set_up.cells.iter().find_map(|cell| {
        let wall = walls(cell).find(|wall| wall.name == WallName::Descriptors)?;
        let own = size_of(set_up.header, &cell.cell).and_then(|size| size.nofile);
        own.is_none().then(|| wall.connections / u64::from(cell.cell.instances))
    });
    let hard = fact(set_up, "limits.nofile_hard").map(|limit| limit.saturating_sub(OWN_DESCRIPTORS));
    let remote = set_up.id.runtime == Runtime::Remote;
    let machine = recorded.or(hard).filter(|_| !remote);
    let own = size.nofile.map(|limit| limit.saturating_sub(OWN_DESCRIPTORS));
    let ran_here = set_up.header.sizes.iter().any(|other| same_limits(Some(other), Some(size)));
    let connections = match own {
        Some(own) if ran_here => machine.map_or(own, |machine| own.min(machine)),
        Some(own) => own,
        None => machine?,
    };
    let chance = Chance { connections: connections.max(1) as f64, spread: COUNTED_ERROR };
    Some(Limit { cause: Cause::ServerDescriptors, origin: Origin::Counted, chance, beyond: Vec::new() })
}

/// Walls of the front, from the nearest cell of the record: its ports are for each instance, the rest is its own.
pub(super) fn front(set_up: &SetUp<'_>, instances: u32) -> Vec<Limit> {
    let apart = |cell: &&&CellFindings| cell.cell.instances.abs_diff(instances);
    let Some(cell) = set_up.cells.iter().filter(|cell| walls(cell).next().is_some()).min_by_key(apart) else {
        return Vec::new();
    };
    let own = f64::from(instances) / f64::from(cell.cell.instances);
    let limit = |wall: &Wall| {
        let (cause, factor) = match wall.name {
            WallName::FrontPorts => (Cause::PortExhaustion, own),
            WallName::FrontCap | WallName::FrontDescriptors => (Cause::ProxyCap, 1.0),
            _ => return None,
        };
        let chance = Chance { connections: (wall.connections.max(1) as f64) * factor, spread: COUNTED_ERROR };
        Some(Limit { cause, origin: Origin::Counted, chance, beyond: Vec::new() })
    };
    walls(cell).filter_map(limit).collect()
}

/// What the platform of a remote target documents, for all of its plans.
pub(super) fn platform(set_up: &SetUp<'_>, instances: u32) -> Vec<Limit> {
    let header = set_up.header;
    let target = header.targets.iter().find(|target| target.name == set_up.id.target);
    let name = target.and_then(|target| target.remote.as_ref()?.platform.as_ref());
    let Some(row) = name.and_then(|name| header.platforms.iter().find(|row| &row.name == name)) else {
        return Vec::new();
    };
    let of_all_plans =
        |limit: &&PlatformLimit| limit.plan.is_none() && matches!(limit.scope, Scope::Domain | Scope::Instance);
    let limits = row.limits.iter().filter(of_all_plans);
    let limit = |limit: &PlatformLimit| {
        let each = limit.kind == LimitKind::Concurrency || limit.scope == Scope::Instance;
        let factor = if each { f64::from(instances) } else { 1.0 };
        let spread = if limit.about { ABOUT } else { COUNTED_ERROR };
        let chance = Chance { connections: limit.value * factor, spread };
        Limit { cause: Cause::PlatformCap, origin: Origin::Documented, chance, beyond: Vec::new() }
    };
    let counted = limits.filter(|limit| matches!(limit.kind, LimitKind::Connections | LimitKind::Concurrency));
    counted.map(limit).collect()
}

/// The table of tracked connections, which containers pass, as large as on the machine that was measured.
pub(super) fn conntrack(set_up: &SetUp<'_>, instances: u32) -> Option<Limit> {
    let tracked = set_up.id.runtime == Runtime::Docker;
    let entries = fact(set_up, "sysctl.net.netfilter.nf_conntrack_max").filter(|_| tracked)?;
    let chance = Chance { connections: entries as f64, spread: COUNTED_ERROR }.times(f64::from(instances));
    Some(Limit { cause: Cause::ConntrackFull, origin: Origin::Counted, chance, beyond: Vec::new() })
}

/// Walls of the first trial of a cell that has some.
fn walls(cell: &CellFindings) -> impl Iterator<Item = &Wall> {
    cell.trials.iter().map(|trial| &trial.record.walls).find(|walls| !walls.is_empty()).into_iter().flatten()
}
