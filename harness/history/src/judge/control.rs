//! What the controls did: targets that never change, so that only the machine can move them.
//!
//! A machine that is slower for a few nights moves every number of it. So a change is asked for twice: as it was measured,
//! and less what the controls did in the same nights. What the controls did as well is the machine's.

use std::collections::BTreeMap;

use crate::history::{History, Point, Series};
use crate::night::Metric;
use crate::robust;

/// How far a number of the controls was from its usual in each night, as a difference of logarithms.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Control(BTreeMap<usize, f64>);

impl Control {
    /// The mean of these controls until a night, each beside its own median.
    pub(super) fn new(history: &History, controls: &[&Series], metric: Metric, night: usize) -> Self {
        let mut moves: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for series in controls {
            let mut points = history.points(series, metric);
            points.retain(|point| point.night <= night);
            let values: Vec<f64> = points.iter().map(|point| point.ln).collect();
            let Some((median, _)) = robust::median_and_mad(&values) else { continue };
            for point in points {
                moves.entry(point.night).or_default().push(point.ln - median);
            }
        }
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        Self(moves.into_iter().map(|(night, values)| (night, mean(values))).collect())
    }

    /// These points less what the controls did, in the nights that have both. `None`: no control tells of the last one.
    pub(super) fn rest(&self, points: &[Point]) -> Option<Vec<Point>> {
        self.0.get(&points.last()?.night)?;
        let rest = |point: &Point| Some(Point { ln: point.ln - self.0.get(&point.night)?, ..*point });
        Some(points.iter().filter_map(rest).collect())
    }
}

/// Whether the controls explain a change of which so much is left without theirs; `None`: nothing that is news. What is left
/// has to be in the same direction, and larger than what the controls did: one server feels a bad machine more than another.
pub(super) fn explains(change: f64, rest: Option<f64>) -> bool {
    rest.is_none_or(|rest| rest.abs() <= (change - rest).abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Plan, demo};

    #[test]
    fn a_control_explains_what_it_did_as_well_and_no_more() {
        assert!(explains(0.4, None), "nothing is left");
        assert!(explains(0.4, Some(0.15)), "the control made most of it");
        assert!(explains(0.4, Some(-0.2)), "the control did more");
        assert!(!explains(0.4, Some(0.35)), "the control made little of it");
        assert!(!explains(-0.4, Some(-0.4)), "the control did nothing");
    }

    #[test]
    fn only_nights_with_a_control_are_told_apart() {
        let control = Control(BTreeMap::from([(1, 0.1), (3, -0.2)]));
        let point = |night| Point { night, ln: 1.0 };
        let rest = control.rest(&[point(1), point(2), point(3)]).unwrap();
        assert_eq!(rest, [Point { night: 1, ln: 0.9 }, Point { night: 3, ln: 1.2 }]);
        assert_eq!(control.rest(&[point(1), point(2)]), None);
        assert_eq!(control.rest(&[]), None);
    }

    #[test]
    fn controls_are_beside_their_own_usual_number_and_their_mean_counts() {
        let mut nights = demo(&Plan { noise: 0.0, ..Plan::quiet(1, 20) });
        let mut dearer = |night: usize, cell: &str, by: f64| {
            let cell = nights[night].cells.iter_mut().find(|found| found.id == cell).unwrap();
            cell.cpu = cell.cpu.map(|cpu| cpu * by.exp());
        };
        dearer(10, "control-bare-x1-small", 0.2);
        dearer(10, "echo-bare-x1-small", 0.4);
        dearer(15, "echo-bare-x1-small", 9.0);
        let history = History::of(nights);
        let series = history.series();
        let both = |series: &&Series| series.control || series.cell == "echo-bare-x1-small";
        let both: Vec<&Series> = series.iter().filter(both).collect();
        let control = Control::new(&history, &both, Metric::Cpu, 10);
        assert!((control.0[&10] - 0.3).abs() < 1e-3 && control.0[&9].abs() < 1e-3, "{control:?}");
        assert_eq!(control.0.len(), 11, "what comes later is not known yet");
    }
}
