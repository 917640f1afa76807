//! Limits that the resources of a size do not explain: numbers that cells stopped at.

use super::first::Chance;
use super::limits::{Beyond, Limit, NOTHING, Origin, SAME};
use super::line::{Line, Met, scatter};
use super::set_up::{Stopped, same_limits};
use crate::statistics::median;
use wsceiling_model::matrix::Size;
use wsceiling_model::record::Cause;

/// A limit that the resources of the size do not explain.
#[derive(Debug, Clone)]
pub(super) struct Cap<'f> {
    cause: Cause,
    kind: CapKind<'f>,
    chance: Chance,
}

#[derive(Debug, Clone)]
enum CapKind<'f> {
    /// Of each instance, whatever its size.
    Each,
    /// Of all instances together.
    All,
    /// Only this size met it.
    OfSize(Option<&'f Size>),
    /// It goes with the memory of the size.
    Memory(Line),
}

/// Limits of something that all instances have in common.
pub(super) fn is_shared(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::PortExhaustion
            | Cause::ProxyCap
            | Cause::PathDied
            | Cause::PlatformCap
            | Cause::ConntrackFull
            | Cause::TcpMemory
    )
}

impl Cap<'_> {
    /// As a limit of one instance of a size; `None`: it is of all, or says nothing of this size.
    pub fn each(&self, size: &Size) -> Option<Limit> {
        let chance = match &self.kind {
            CapKind::All => return None,
            CapKind::Each => self.chance,
            CapKind::OfSize(own) => same_limits(*own, Some(size)).then_some(self.chance)?,
            CapKind::Memory(line) => line.at(size.memory_bytes? as f64)?,
        };
        let beyond = match &self.kind {
            CapKind::Memory(line) if !line.covers(size.memory_bytes.unwrap_or(0) as f64) => vec![Beyond::Memory],
            _ => Vec::new(),
        };
        Some(Limit { cause: self.cause, origin: Origin::Seen, chance, beyond })
    }

    /// As a limit of all instances together; `None`: it is of each.
    pub fn of_all(&self) -> Option<Limit> {
        let shared = matches!(self.kind, CapKind::All);
        shared.then(|| Limit { cause: self.cause, origin: Origin::Seen, chance: self.chance, beyond: Vec::new() })
    }
}

/// Limits of causes that nothing else explains, a cap for each. Where the size moves the number, it goes with the memory, or it is
/// known of these sizes only.
pub(super) fn caps<'f>(alone: &[Stopped<'f>], explained: impl Fn(Cause) -> bool) -> Vec<Cap<'f>> {
    let mut causes: Vec<Cause> = alone.iter().map(|cell| cell.cause).filter(|cause| !explained(*cause)).collect();
    causes.sort_unstable();
    causes.dedup();
    causes.into_iter().flat_map(|cause| caps_of(cause, alone)).collect()
}

fn caps_of<'f>(cause: Cause, alone: &[Stopped<'f>]) -> Vec<Cap<'f>> {
    let shared = is_shared(cause);
    let own: Vec<&Stopped<'f>> = alone.iter().filter(|cell| cell.cause == cause).collect();
    let of = |cell: &Stopped<'_>| if shared { cell.held() } else { cell.held() / f64::from(cell.instances) };
    let held: Vec<f64> = own.iter().map(|cell| of(cell)).collect();
    let met: Vec<Met> = own.iter().map(|cell| cell.met(0.0)).collect();
    let spread = scatter(&met).0;
    let (low, high) = (held.iter().copied().fold(f64::INFINITY, f64::min), held.iter().copied().fold(0.0, f64::max));
    let known = matches!(cause, Cause::ApplicationCap | Cause::RuntimeHeap | Cause::PidsLimit | Cause::UserProcesses);
    if high <= SAME * low && (own.len() > 1 || known || shared) {
        let connections = median(&held).unwrap_or(low);
        let kind = if shared { CapKind::All } else { CapKind::Each };
        return vec![Cap { cause, kind, chance: Chance { connections, spread } }];
    }
    let over_memory: Vec<Met> = own.iter().filter_map(|cell| Some(cell.met(cell.size?.memory_bytes? as f64))).collect();
    if cause == Cause::RuntimeHeap
        && over_memory.len() == own.len()
        && let Some(line) = Line::fit(&over_memory, None, None)
    {
        return vec![Cap { cause, kind: CapKind::Memory(line), chance: NOTHING }];
    }
    let one = |cell: &&Stopped<'f>| Cap {
        cause,
        kind: CapKind::OfSize(cell.size),
        chance: Chance { connections: of(cell), spread },
    };
    own.iter().map(one).collect()
}
