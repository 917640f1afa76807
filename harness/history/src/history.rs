//! All nights together, and the series that run through them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::Timestamp;

use crate::night::{self, CellLine, Experiment, Fault, Header, Kind, Metric, Night, What};
use crate::rules::Rules;
use crate::union::{Files, REFUSED};

/// All nights of a history.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Nights with cells, the oldest first.
    pub nights: Vec<Night>,
    /// Files of experiments, the oldest first.
    pub experiments: Vec<Night>,
    /// What was left out, and why.
    pub faults: Vec<Fault>,
}

/// Where a cell's line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Index of the night.
    pub night: usize,
    /// Index of the cell in it.
    pub cell: usize,
}

/// The nights of one measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// See [`crate::series`].
    pub key: String,
    /// Id of the cell that it is, the latest.
    pub cell: String,
    /// It is a control.
    pub control: bool,
    /// Class of its machine.
    pub class: String,
    /// Its lines, the oldest first, at most one a night.
    pub places: Vec<Place>,
    /// Lines of cells that are the same measurement again in a night: sentinels.
    pub again: Vec<Place>,
}

/// A value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Index of the night.
    pub night: usize,
    /// Its natural logarithm.
    pub ln: f64,
}

impl History {
    /// Reads the files of a history. `now` is the moment past which no run can have begun.
    pub fn read(files: &Files, now: Timestamp) -> Self {
        let (mut nights, mut faults) = (Vec::new(), Vec::new());
        for (path, bytes) in files {
            if path.starts_with(REFUSED) {
                faults.push(Fault { file: path.clone(), line: None, what: What::Refused });
                continue;
            }
            let (night, found) = night::read(path, bytes, now);
            faults.extend(found);
            nights.extend(night);
        }
        Self { faults, ..Self::of(nights) }
    }

    /// A history of these nights and experiments.
    pub fn of(nights: Vec<Night>) -> Self {
        let (mut experiments, mut nights): (Vec<Night>, Vec<Night>) =
            nights.into_iter().partition(|night| night.header.kind == Kind::Experiment);
        nights.sort_by_key(order);
        experiments.sort_by_key(order);
        Self { nights, experiments, faults: Vec::new() }
    }

    /// The line at a place.
    pub fn line(&self, place: Place) -> &CellLine {
        &self.nights[place.night].cells[place.cell]
    }

    /// The header of a night.
    pub fn header(&self, night: usize) -> &Header {
        &self.nights[night].header
    }

    /// All series, in the order of cell, first night and key. A cell that launched nothing is part of the series that it
    /// had before, since which limits were enforced is not known of it.
    pub fn series(&self) -> Vec<Series> {
        let mut all: BTreeMap<&str, Series> = BTreeMap::new();
        let mut latest: BTreeMap<&str, &str> = BTreeMap::new();
        for (night, of) in self.nights.iter().enumerate() {
            for (cell, line) in of.cells.iter().enumerate() {
                let known = all.contains_key(line.series.as_str());
                let key = match latest.get(line.id.as_str()) {
                    Some(before) if !known && !line.is_measured() => *before,
                    _ => line.series.as_str(),
                };
                let place = Place { night, cell };
                let series = all.entry(key).or_insert_with(|| Series {
                    key: key.to_owned(),
                    cell: line.id.clone(),
                    control: line.control,
                    class: of.header.machine.class(),
                    places: Vec::new(),
                    again: Vec::new(),
                });
                if series.places.last().is_some_and(|last| last.night == night) {
                    series.again.push(place);
                    continue;
                }
                series.places.push(place);
                series.cell.clone_from(&line.id);
                series.control = line.control;
                latest.insert(&line.id, key);
            }
        }
        let mut all: Vec<Series> = all.into_values().collect();
        let first = |series: &Series| series.places.first().map(|place| place.night);
        all.sort_by(|a, b| (&a.cell, first(a), &a.key).cmp(&(&b.cell, first(b), &b.key)));
        all
    }

    /// What of a series can be tested, the oldest first.
    pub fn points(&self, series: &Series, metric: Metric) -> Vec<Point> {
        let point = |place: &Place| Some(Point { night: place.night, ln: self.line(*place).tested(metric)?.ln() });
        series.places.iter().filter_map(point).collect()
    }

    /// What the last experiment on a number of a series found, of those that were made in these nights.
    pub fn experiment(&self, nights: RangeInclusive<usize>, series: &str, metric: Metric) -> Option<&Experiment> {
        let made_in = |file: &&Night| {
            let of_a_night = |night: usize| {
                let header = self.header(night);
                (&header.run, header.attempt) == (&file.header.run, file.header.attempt)
            };
            nights.clone().any(of_a_night)
        };
        let mut all = self.experiments.iter().filter(made_in).flat_map(|file| &file.experiments);
        all.rfind(|found| found.series == series && found.metric == metric)
    }
}

impl Series {
    /// Its line in a night.
    pub fn at(&self, night: usize) -> Option<Place> {
        at(&self.places, night)
    }

    /// The line of its sentinel in a night, the first if there are several.
    pub fn again_at(&self, night: usize) -> Option<Place> {
        at(&self.again, night)
    }
}

/// The order of time.
fn order(night: &Night) -> (Timestamp, String, u32) {
    (night.header.started, night.header.run.clone(), night.header.attempt)
}

/// Places are in the order of nights.
fn at(places: &[Place], night: usize) -> Option<Place> {
    let found = places.partition_point(|place| place.night < night);
    places.get(found).copied().filter(|place| place.night == night)
}

/// A seed that depends on nothing but the series, so that nothing else changes what is found in it.
pub fn seed(series: &str, metric: Metric) -> u64 {
    let start = u64::from_str_radix(series.get(..16).unwrap_or_default(), 16).unwrap_or_default();
    start ^ (metric as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Rules {
    /// How change points of a series are searched to judge it.
    pub fn search(&self, series: &str, metric: Metric) -> crate::change_points::Search {
        crate::change_points::Search::new(self.permutations, self.p, seed(series, metric))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::night::tests::night;
    use wsceiling_model::record::Outcome;

    fn nights(count: i64) -> Vec<Night> {
        let at = |day: i64| {
            let mut one = night();
            one.header.started = Timestamp::from_second(1_700_000_000 + day * 86_400).unwrap();
            one.header.run = format!("{day}");
            one
        };
        (0..count).map(at).collect()
    }

    #[test]
    fn the_second_cell_of_a_series_in_a_night_is_a_sentinel() {
        let mut all = nights(2);
        let again = CellLine { id: "echo-again-bare-x1-small".into(), ..all[1].cells[0].clone() };
        all[1].cells.push(again);
        let history = History::of(all);
        let series = history.series();
        assert_eq!(series.len(), 1);
        assert_eq!((series[0].places.len(), series[0].again.len()), (2, 1));
        assert_eq!(series[0].cell, "echo-bare-x1-small");
        assert_eq!(history.line(series[0].again[0]).id, "echo-again-bare-x1-small");
    }

    #[test]
    fn an_edited_matrix_starts_a_series_and_a_cell_that_did_not_start_stays_in_its_own() {
        let mut all = nights(4);
        let other = format!("{:064x}", 8);
        all[2].cells[0].series.clone_from(&other);
        all[2].cells[0].outcome = Outcome::FailedToStart;
        all[2].cells[0].ceiling = None;
        all[3].cells[0].series.clone_from(&other);
        let history = History::of(all);
        let series = history.series();
        let lengths: Vec<usize> = series.iter().map(|series| series.places.len()).collect();
        assert_eq!(lengths, [3, 1]);
        assert_eq!(history.points(&series[0], Metric::Ceiling).len(), 2, "what did not start has no value");
    }

    #[test]
    fn a_renamed_cell_goes_on_under_its_new_name() {
        let mut all = nights(2);
        (all[1].cells[0].id, all[1].cells[0].control) = ("new-bare-x1-small".into(), true);
        let series = History::of(all).series();
        assert_eq!((series.len(), series[0].cell.as_str(), series[0].control), (1, "new-bare-x1-small", true));
    }

    #[test]
    fn files_are_read_in_the_order_of_time_and_a_refused_one_is_named() {
        let all = nights(3);
        let mut files = Files::new();
        for one in &all {
            files.insert(one.file_name(), one.to_bytes().unwrap());
        }
        files.insert("refused/2023/11/x-0123456789abcdef.jsonl".into(), Vec::new());
        let history = History::read(&files, "2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(history.nights, all);
        assert_eq!(history.faults.len(), 1);
        assert!(history.faults[0].to_string().contains("different bytes"));
    }

    #[test]
    fn the_last_experiment_on_a_number_of_a_series_counts_for_the_attempt_that_it_was_made_in() {
        let mut all = nights(2);
        all.reverse();
        let found = |attempt, series: &str, metric, value_after| Night {
            header: Header { kind: Kind::Experiment, attempt, ..all[0].header.clone() },
            cells: Vec::new(),
            selftests: Vec::new(),
            experiments: vec![Experiment {
                cell: "echo-bare-x1-small".into(),
                series: series.into(),
                metric,
                before: "0123456".into(),
                after: "1234567".into(),
                value_before: 1.0,
                value_after,
                p: 0.5,
                confirmed: false,
            }],
        };
        let files = [
            found(1, "a", Metric::Cpu, 2.0),
            found(1, "a", Metric::Cpu, 3.0),
            found(1, "b", Metric::Cpu, 4.0),
            found(1, "a", Metric::Memory, 5.0),
            found(2, "a", Metric::Cpu, 6.0),
        ];
        let history = History::of(all.iter().cloned().chain(files).collect());
        assert!(history.header(0).started < history.header(1).started);
        let value = |nights| history.experiment(nights, "a", Metric::Cpu).map(|found| found.value_after);
        assert_eq!((value(0..=1), value(1..=1), value(0..=0)), (Some(3.0), Some(3.0), None));
    }

    #[test]
    fn a_seed_is_that_of_the_series_and_the_metric() {
        let key = "0123456789abcdef".repeat(4);
        assert_ne!(seed(&key, Metric::Memory), seed(&key, Metric::Cpu));
        assert_eq!(seed(&key, Metric::Ceiling), 0x0123_4567_89ab_cdef);
    }
}
