//! What the server's own numbers say about its ceiling.

use std::collections::BTreeMap;

use wsceiling_model::record::{Cause, Component, Metric};

/// How long before the ceiling showed a sign may have been: visitors tell of it with up to two reports' delay.
const BEFORE_MS: f64 = 30_000.0;
/// Share of a limit that is as good as all of it.
const FULL: f64 = 0.98;
/// Share of the machine's CPU that is all of it.
const BUSY: f64 = 0.95;

/// A sign of what stopped the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Sign {
    /// What it points to.
    pub cause: Cause,
    /// Whose number it is.
    pub component: Component,
    /// The number.
    pub kind: SignKind,
}

/// A number that is a sign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SignKind {
    /// So many of so many were used.
    Full {
        /// Which.
        metric: Metric,
        /// The most that was seen.
        used: f64,
        /// The limit.
        limit: f64,
    },
    /// A counter of trouble rose.
    Rose {
        /// Which.
        metric: Metric,
        /// By how much.
        by: f64,
    },
    /// The machine used its CPU up.
    Busy {
        /// Largest share between two readings.
        share: f64,
    },
}

/// Numbers with their limits.
const LIMITED: [(Metric, Metric); 3] = [
    (Metric::Descriptors, Metric::DescriptorLimit),
    (Metric::FrontConnections, Metric::FrontConnectionsLimit),
    (Metric::FrontSessions, Metric::FrontSessionsLimit),
];

/// Counters whose rise is a sign, the strongest first.
const TROUBLES: [(Metric, Cause); 8] = [
    (Metric::OomKills, Cause::MemoryLimit),
    (Metric::HostOomKills, Cause::HostMemory),
    (Metric::ConntrackDrops, Cause::ConntrackFull),
    (Metric::PidsMaxEvents, Cause::PidsLimit),
    (Metric::AbortOnMemory, Cause::TcpMemory),
    (Metric::ListenOverflows, Cause::AcceptQueue),
    (Metric::ListenDrops, Cause::AcceptQueue),
    (Metric::ReqQFullDrops, Cause::SynQueue),
];

type Series = BTreeMap<(Component, Metric), Vec<(f64, f64)>>;

/// The signs around the moment at which the ceiling showed; none without one.
pub fn signs(series: &Series, from_ms: Option<u64>) -> Vec<Sign> {
    let Some(from_ms) = from_ms else { return Vec::new() };
    let since = from_ms as f64 - BEFORE_MS;
    let mut found = Vec::new();
    for ((component, metric), points) in series {
        let limited = LIMITED.iter().find(|(number, _)| number == metric);
        if let Some((_, limit)) = limited
            && let Some(limit) = most(series, *component, *limit, since)
            && let Some(used) = most(series, *component, *metric, since)
            && limit > 0.0
            && used >= limit * FULL
        {
            let kind = SignKind::Full { metric: *metric, used, limit };
            let cause = match component {
                Component::Front(_) => Cause::ProxyCap,
                _ => Cause::ServerDescriptors,
            };
            found.push(Sign { cause, component: *component, kind });
        }
        if *metric == Metric::HostBusy
            && let Some(idle) = series.get(&(*component, Metric::HostIdle))
            && let Some(share) = busiest(points, idle, since).filter(|share| *share >= BUSY)
        {
            found.push(Sign { cause: Cause::CpuSaturated, component: *component, kind: SignKind::Busy { share } });
        }
    }
    for (metric, cause) in TROUBLES {
        for ((component, _), points) in series.iter().filter(|((_, found), _)| *found == metric) {
            let by = rise(points, since);
            if by > 0.0 {
                found.push(Sign { cause, component: *component, kind: SignKind::Rose { metric, by } });
            }
        }
    }
    // Causes are listed in the order in which they are judged.
    found.sort_by_key(|sign| (sign.cause, sign.component));
    found
}

fn most(series: &Series, component: Component, metric: Metric, since: f64) -> Option<f64> {
    let points = series.get(&(component, metric))?.iter().filter(|(t_ms, _)| *t_ms >= since);
    points.map(|(_, value)| *value).reduce(f64::max)
}

/// How far a counter rose after a moment; a restart, at which it falls, is no rise.
fn rise(points: &[(f64, f64)], since: f64) -> f64 {
    let pairs = points.windows(2).filter(|pair| pair[1].0 >= since);
    pairs.map(|pair| (pair[1].1 - pair[0].1).max(0.0)).sum()
}

fn busiest(busy: &[(f64, f64)], idle: &[(f64, f64)], since: f64) -> Option<f64> {
    let pairs = busy.windows(2).zip(idle.windows(2)).filter(|(busy, _)| busy[1].0 >= since);
    let shares = pairs.filter_map(|(busy, idle)| {
        let (busy, idle) = (busy[1].1 - busy[0].1, idle[1].1 - idle[0].1);
        (busy >= 0.0 && idle >= 0.0 && busy + idle > 0.0).then(|| busy / (busy + idle))
    });
    shares.reduce(f64::max)
}
