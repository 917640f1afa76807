//! Everything that a site shows of a history.

use std::collections::BTreeMap;

use crate::fence::Deviations;
use crate::history::{History, Series};
use crate::judge::{Judgement, judge_with};
use crate::night::Metric;
use crate::noise::{FalseAlarms, Noise, false_alarms, noise};
use crate::rules::Rules;
use crate::selftests::{Pooled, pooled};
use crate::series::Seam;
use crate::trend::{Trend, seams_of, trend};

/// Everything that a site shows of a history.
#[derive(Debug, Clone)]
pub struct Assessment<'a> {
    /// The history.
    pub history: &'a History,
    /// Its series.
    pub series: Vec<Drawn>,
    /// The last night; `None`: there is none yet.
    pub tonight: Option<Judgement>,
    /// The noise of each class of machines that has sentinels, and each metric, the class of the last night first.
    pub noise: Vec<Noise>,
    /// How often the judge was wrong; `None`: there is no night yet.
    pub false_alarms: Option<FalseAlarms>,
    /// How often the diagnosis was right; `None`: no night has a selftest.
    pub selftests: Option<Pooled>,
}

/// A series with what is drawn of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The series.
    pub series: Series,
    /// Its numbers; those that no night has are not among them.
    pub trends: Vec<Trend>,
    /// Nights in which something beside the code is another.
    pub seams: Vec<(usize, Vec<Seam>)>,
}

impl<'a> Assessment<'a> {
    /// Assesses a history.
    pub fn new(history: &'a History, rules: &Rules) -> Self {
        let series = history.series();
        let last = history.nights.len().checked_sub(1);
        let noise = last.map(|night| of_classes(history, &series, night, rules)).unwrap_or_default();
        Self {
            tonight: last.map(|night| judge_with(history, &series, night, rules)),
            false_alarms: last.map(|night| false_alarms(history, &series, night, rules)),
            selftests: pooled(history, rules),
            series: drawn(history, series, &noise, rules),
            noise,
            history,
        }
    }

    /// The series of each cell, the latest last; sentinels have no series of their own.
    pub fn by_cell(&self) -> BTreeMap<&str, Vec<&Drawn>> {
        let mut cells: BTreeMap<&str, Vec<&Drawn>> = BTreeMap::new();
        for drawn in &self.series {
            cells.entry(&drawn.series.cell).or_default().push(drawn);
        }
        let last = |drawn: &&Drawn| drawn.series.places.last().map(|place| place.night);
        for own in cells.values_mut() {
            own.sort_by_key(last);
        }
        cells
    }

    /// The floor of a metric on a class of machines; `None`: it is not known.
    pub fn floor(&self, class: &str, metric: Metric) -> Option<f64> {
        self.noise.iter().find(|noise| noise.class == class && noise.metric == metric)?.floor
    }
}

/// The noise of each class, as of its last night.
fn of_classes(history: &History, series: &[Series], last: usize, rules: &Rules) -> Vec<Noise> {
    let mut classes: Vec<(String, usize)> = Vec::new();
    for night in (0..=last).rev() {
        let class = history.header(night).machine.class();
        if classes.iter().all(|(known, _)| *known != class) {
            classes.push((class, night));
        }
    }
    let all = classes.iter().flat_map(|(class, night)| {
        Metric::ALL.into_iter().map(|metric| noise(history, series, *night, class, metric, rules))
    });
    all.filter(|noise| noise.nights > 0).collect()
}

fn drawn(history: &History, series: Vec<Series>, noise: &[Noise], rules: &Rules) -> Vec<Drawn> {
    let deviations = Deviations::new(series.len() * Metric::ALL.len(), rules);
    let floor = |class: &str, metric: Metric| {
        let own = noise.iter().find(|noise| noise.class == class && noise.metric == metric);
        own.and_then(|noise| noise.floor).unwrap_or(rules.floor_least)
    };
    let one = |series: Series| {
        let trends = Metric::ALL
            .into_iter()
            .map(|metric| trend(history, &series, metric, floor(&series.class, metric), &deviations, rules))
            .filter(|trend| !trend.values.is_empty())
            .collect();
        Drawn { trends, seams: seams_of(history, &series), series }
    };
    series.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Plan, demo};

    #[test]
    fn the_demo_has_everything_that_a_site_shows() {
        let rules = Rules { permutations: 199, ..Rules::default() };
        let history = History::of(demo(&Plan::site(1)));
        let found = Assessment::new(&history, &rules);
        let cells = found.by_cell();
        let series = |cell: &str| cells[cell].len();
        assert_eq!(series("app-bare-x2-small"), 2, "another CPU is another series");
        assert_eq!(series("app-bare-x1-medium-broadcast"), 3, "an edited matrix, too");
        assert_eq!(found.noise.iter().filter(|noise| noise.floor.is_some()).count(), 8, "two classes");
        let changes = |cell: &str, metric: Metric| -> Vec<usize> {
            let own = cells[cell].iter().flat_map(|drawn| &drawn.trends).filter(|trend| trend.metric == metric);
            own.flat_map(|trend| &trend.changes).map(|change| change.to).collect()
        };
        assert_eq!(changes("app-bare-x2-small", Metric::Memory), [60, 96], "by index among the nights that are there");
        assert!(changes("app-bare-x1-medium", Metric::Opening).is_empty());
        let tonight = found.tonight.unwrap();
        assert!(tonight.suspects.iter().any(|suspect| suspect.cell == "app-bare-x1-medium"), "{:?}", tonight.suspects);
        assert!(found.selftests.is_some() && found.false_alarms.is_some());
    }

    #[test]
    fn no_night_is_no_fault() {
        let history = History::default();
        let found = Assessment::new(&history, &Rules::default());
        assert!(found.tonight.is_none() && found.series.is_empty() && found.false_alarms.is_none());
    }
}
