//! What a run with real visitors as load found: how many connections were held, whether that was the server's ceiling, and
//! what its own numbers say about it.
//!
//! Visitors cannot tell why a connect failed: browsers hide it from pages. So a cause is only ever taken from the server's
//! own numbers, and without them it is not known. A generator beside them knows how its own connects failed. The server holds
//! the connections of both, so the ceiling is that of their sum.

mod ceiling;
mod signs;

use std::collections::BTreeMap;

use wsceiling_model::record::{Component, Metric};
use wsceiling_model::visitors::{BrowserCounts, BrowserFamily, Mark, Summary, Tick, VisitorsHeader, VisitorsLine};

pub use ceiling::{LoadEnd, VisitorsCeiling};
pub use signs::{Sign, SignKind};

/// Everything that a page shows of such a run.
#[derive(Debug, Clone, PartialEq)]
pub struct VisitorsFindings {
    /// What was fixed.
    pub header: VisitorsHeader,
    /// The counters over time.
    pub ticks: Vec<Tick>,
    /// What was done, in order.
    pub marks: Vec<Mark>,
    /// The last summary.
    pub summary: Summary,
    /// How many connections were held.
    pub ceiling: VisitorsCeiling,
    /// Most connections at a moment, by visitors' word, with those of the generator: see [`VisitorsFindings::has_generator`].
    pub peak: Option<Tick>,
    /// What the server's own numbers say about its ceiling, the strongest first.
    pub signs: Vec<Sign>,
    /// Series of the server's own numbers that count connections, or descriptors.
    pub counted: Vec<ServerSeries>,
    /// Whether the generator took part.
    pub has_generator: bool,
    /// Whether the server was asked for its numbers at all.
    pub has_metrics: bool,
    /// Each family of browsers that took part.
    pub browsers: Vec<BrowserFinding>,
}

/// A number of the server over time.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSeries {
    /// Whose.
    pub component: Component,
    /// Which.
    pub metric: Metric,
    /// Milliseconds and values.
    pub points: Vec<(f64, f64)>,
}

/// What is known of the limits of a family of browsers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrowserFinding {
    /// The family.
    pub family: BrowserFamily,
    /// What its visitors did.
    pub counts: BrowserCounts,
    /// Whether a limit of the browser itself was met.
    pub limit: LimitMet,
}

/// Whether a browser's own limit was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitMet {
    /// No visitor came near it, and its connects succeeded.
    No,
    /// Connects failed or were kept waiting while each visitor held few. Other tabs of the same browser may have used its
    /// connections up; a page cannot tell that from a server that refuses.
    Perhaps,
    /// A visitor held as many as the browser allows.
    Yes,
    /// The limit is not known.
    Unknown,
}

/// Analyses a run with visitors.
pub fn visitors(header: &VisitorsHeader, lines: &[VisitorsLine]) -> VisitorsFindings {
    let (mut ticks, mut marks, mut rows, mut summary) = (Vec::new(), Vec::new(), Vec::new(), Summary::default());
    for line in lines {
        match line {
            VisitorsLine::Tick(tick) => ticks.push(*tick),
            VisitorsLine::Mark(mark) => marks.push(mark.clone()),
            VisitorsLine::Server(row) => rows.push(row),
            VisitorsLine::Summary(found) => summary = found.clone(),
        }
    }
    let together: Vec<Tick> = ticks.iter().map(ceiling::together).collect();
    let ceiling = ceiling::ceiling(&together);
    let mut series: BTreeMap<(Component, Metric), Vec<(f64, f64)>> = BTreeMap::new();
    for row in &rows {
        for (name, value) in &row.values {
            let Some(metric) = Metric::from_name(name).filter(|_| value.is_finite() && row.t_ms.is_finite()) else {
                continue;
            };
            series.entry((row.component, metric)).or_default().push((row.t_ms, *value));
        }
    }
    VisitorsFindings {
        header: header.clone(),
        peak: ceiling::peak(&together).copied(),
        has_generator: ticks.iter().any(|tick| tick.generator.is_some()),
        signs: signs::signs(&series, ceiling.from_ms()),
        counted: counted(&series),
        has_metrics: !header.sources.is_empty(),
        browsers: summary.browsers.iter().map(|(family, counts)| browser(*family, *counts)).collect(),
        ticks,
        marks,
        summary,
        ceiling,
    }
}

/// Connections where somebody counts them, else descriptors, of which each connection is one.
fn counted(series: &BTreeMap<(Component, Metric), Vec<(f64, f64)>>) -> Vec<ServerSeries> {
    let of = |wanted: Metric| -> Vec<ServerSeries> {
        let found = series.iter().filter(|((_, metric), _)| *metric == wanted);
        found
            .map(|((component, metric), points)| ServerSeries {
                component: *component,
                metric: *metric,
                points: points.clone(),
            })
            .collect()
    };
    let found = [Metric::Established, Metric::FrontSessions, Metric::Descriptors].into_iter().map(of);
    found.into_iter().find(|series| !series.is_empty()).unwrap_or_default()
}

fn browser(family: BrowserFamily, counts: BrowserCounts) -> BrowserFinding {
    let most = family.limit().and_then(|limit| limit.to_a_host.or(limit.in_all));
    let attempts = counts.opened + counts.failed + counts.stuck;
    let limit = match most {
        None => LimitMet::Unknown,
        Some(most) if counts.most_open >= most => LimitMet::Yes,
        // One in a hundred may fail for anything.
        Some(_) if (counts.failed + counts.stuck) * 100 > attempts => LimitMet::Perhaps,
        Some(_) => LimitMet::No,
    };
    BrowserFinding { family, counts, limit }
}

#[cfg(test)]
mod tests;
