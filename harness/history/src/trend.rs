//! What a page draws of a series: its values, the band in which it moved, and its changes.

use serde::Serialize;

use crate::change_points::{Search, change_points_in_windows};
use crate::fence::{Deviations, fence};
use crate::history::{History, Point, Series, seed};
use crate::night::Metric;
use crate::rules::Rules;
use crate::series::{Seam, seams};

/// Most nights at which a band is computed.
const BAND_MAX: usize = 120;

/// A number of a series over all nights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trend {
    /// Which.
    pub metric: Metric,
    /// Its values, the oldest first.
    pub values: Vec<Value>,
    /// The fence as it was in some of the nights, evenly spread.
    pub band: Vec<Band>,
    /// Nights from which on it is another number, the oldest first.
    pub changes: Vec<Change>,
}

/// A value of a night.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Value {
    /// Index of the night.
    pub night: usize,
    /// The value.
    pub value: f64,
    /// It is a lower bound.
    pub at_least: bool,
}

/// A fence of a night.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Band {
    /// Index of the night.
    pub night: usize,
    /// Median of the nights before.
    pub median: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A change of a number for good.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Index of the last night that had the old number.
    pub from: usize,
    /// Index of the first that has the new one.
    pub to: usize,
    /// Median of the nights before it, since the change before.
    pub before: f64,
    /// Median of the nights after it, until the next change.
    pub after: f64,
    /// Probability by chance.
    pub p: f64,
    /// It is for the worse.
    pub worse: bool,
    /// What changed between both nights beside the code.
    pub seams: Vec<Seam>,
}

impl Change {
    /// By which share it changed.
    pub fn ratio(&self) -> f64 {
        self.after / self.before - 1.0
    }
}

/// A number of a series over all nights. `floor` is the smallest change that is one, as a difference of logarithms.
pub fn trend(
    history: &History,
    series: &Series,
    metric: Metric,
    floor: f64,
    deviations: &Deviations,
    rules: &Rules,
) -> Trend {
    let value = |place: &crate::history::Place| {
        let line = history.line(*place);
        let at_least = metric == Metric::Ceiling && line.at_least;
        Some(Value { night: place.night, value: line.value(metric)?, at_least })
    };
    let points = history.points(series, metric);
    Trend {
        metric,
        values: series.places.iter().filter_map(value).collect(),
        band: band(&points, deviations, rules),
        changes: changes(history, series, metric, &points, floor, rules),
    }
}

fn band(points: &[Point], deviations: &Deviations, rules: &Rules) -> Vec<Band> {
    let values: Vec<f64> = points.iter().map(|point| point.ln).collect();
    let step = points.len().div_ceil(BAND_MAX).max(1);
    let last = points.len().saturating_sub(1);
    let at = (0..points.len()).filter(|at| at % step == 0 || *at == last);
    let one = |at: usize| {
        let fence = fence(&values[..at], deviations, rules)?;
        let night = points[at].night;
        Some(Band { night, median: fence.median.exp(), low: fence.low.exp(), high: fence.high.exp() })
    };
    at.filter_map(one).collect()
}

fn changes(
    history: &History,
    series: &Series,
    metric: Metric,
    points: &[Point],
    floor: f64,
    rules: &Rules,
) -> Vec<Change> {
    let values: Vec<f64> = points.iter().map(|point| point.ln).collect();
    let search = Search::new(rules.permutations_drawn, rules.p, seed(&series.key, metric));
    let all = change_points_in_windows(&values, rules.window, &search);
    all.into_iter()
        .filter(|point| point.change().abs() > floor)
        .map(|point| {
            let (from, to) = (points[point.at - 1].night, points[point.at].night);
            Change {
                from,
                to,
                before: point.before.exp(),
                after: point.after.exp(),
                p: point.p,
                worse: metric.is_worse(point.change()),
                seams: seams(history.header(from), history.header(to)),
            }
        })
        .collect()
}

/// Seams between the nights of a series, each with the first night after it.
pub fn seams_of(history: &History, series: &Series) -> Vec<(usize, Vec<Seam>)> {
    let pairs = series.places.windows(2).map(|pair| (pair[0].night, pair[1].night));
    let found = pairs.map(|(before, after)| (after, seams(history.header(before), history.header(after))));
    found.filter(|(_, seams)| !seams.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Plan, What, demo};

    #[test]
    fn a_trend_has_its_values_its_band_and_dated_changes() {
        let rules = Rules::default();
        let cell = "echo-bare-x1-small";
        let plan = Plan::quiet(2, 300)
            .with(150, cell, What::Step(Metric::Memory, 1.25))
            .with(200, "", What::Kernel("6.19.0"))
            .with(240, cell, What::Step(Metric::Memory, 0.8));
        let history = History::of(demo(&plan));
        let series = history.series();
        let own = series.iter().find(|series| series.cell == cell).unwrap();
        let found = trend(&history, own, Metric::Memory, 0.05, &Deviations::new(8, &rules), &rules);
        assert_eq!(found.values.len(), 300);
        assert!((60..=BAND_MAX + 1).contains(&found.band.len()), "{}", found.band.len());
        assert!(found.band.iter().all(|band| band.low < band.median && band.median < band.high));
        let nights: Vec<usize> = found.changes.iter().map(|change| change.to).collect();
        assert_eq!(nights, [150, 240], "{:?}", found.changes);
        assert!((found.changes[0].ratio() - 0.25).abs() < 0.02 && found.changes[0].worse && !found.changes[1].worse);
        assert_eq!(seams_of(&history, own).iter().map(|(night, _)| *night).collect::<Vec<_>>(), [200]);
    }
}
