//! The noise: by how much a measurement differs from itself.
//!
//! Sentinels are cells that run twice a night under other ids, with the same bytes. What differs between both is noise by
//! construction: d = ln(A'/A). The floor of a metric on a class of machines is the larger of 2 % and the 95th percentile of
//! |d| over the last 30 nights. No smaller change is believed. With fewer than ten nights the noise is not known, and
//! nothing is said at all.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::change_points::{ChangePoint, can_change_by, recent_change_points};
use crate::fence::{Deviations, fence};
use crate::history::{History, Place, Series};
use crate::interval::Share;
use crate::night::Metric;
use crate::robust;
use crate::rules::Rules;

/// Share of all differences that are within the noise.
const WITHIN: f64 = 0.95;

/// The noise of a metric on a class of machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Noise {
    /// The class.
    pub class: String,
    /// The metric.
    pub metric: Metric,
    /// Nights with a sentinel that tells of it.
    pub nights: usize,
    /// Differences d = ln(A'/A) of all sentinels, the oldest first.
    pub differences: Vec<f64>,
    /// 95th percentile of their sizes; `None`: there is none.
    pub percentile: Option<f64>,
    /// The floor, as a difference of logarithms; `None`: too few nights, so that it is not known.
    pub floor: Option<f64>,
}

/// The noise as it was known after a night.
pub fn noise(history: &History, series: &[Series], night: usize, class: &str, metric: Metric, rules: &Rules) -> Noise {
    let mut found: Vec<(usize, f64)> = Vec::new();
    for of in series.iter().filter(|series| series.class == class) {
        for again in of.again.iter().filter(|again| again.night <= night) {
            let Some(first) = of.at(again.night) else { continue };
            let value = |place| history.line(place).tested(metric);
            if let Some((a, other)) = value(first).zip(value(*again)) {
                found.push((again.night, (other / a).ln()));
            }
        }
    }
    found.sort_by_key(|(night, _)| *night);
    let mut nights: Vec<usize> = found.iter().map(|(night, _)| *night).collect();
    nights.dedup();
    let from = nights.len().saturating_sub(rules.nights);
    let since = nights.get(from).copied().unwrap_or_default();
    let differences: Vec<f64> = found.into_iter().filter(|(night, _)| *night >= since).map(|(_, d)| d).collect();
    let nights = nights.len() - from;
    let sizes: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
    let percentile = robust::quantile(&sizes, WITHIN);
    let floor = percentile.filter(|_| nights >= rules.noise_least).map(|most| most.max(rules.floor_least));
    Noise { class: class.to_owned(), metric, nights, differences, percentile, floor }
}

/// How often the judge suspects what is known to be the same: its whole procedure on A until ten nights ago and A' from then
/// on. Where it suspects that and not A alone, it was wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FalseAlarms {
    /// Nights with a false alarm, of those in which sentinels were judged.
    pub nights: Share,
    /// False alarms, of all sentinels and metrics that were judged.
    pub tests: Share,
}

/// The false alarms of the last nights until this one.
pub fn false_alarms(history: &History, series: &[Series], night: usize, rules: &Rules) -> FalseAlarms {
    let mut pairs: Vec<Pair> = Vec::new();
    for of in series.iter().filter(|series| !series.again.is_empty()) {
        for metric in Metric::ALL {
            pairs.push(Pair::new(history, of, metric));
        }
    }
    let deviations = Deviations::new(Metric::ALL.len(), rules);
    let (mut nights, mut alarmed, mut tests, mut alarms) = (0, 0, 0, 0);
    for at in (night + 1).saturating_sub(rules.nights)..=night {
        // Sentinels of one class and metric share their floor.
        let mut floors: BTreeMap<(&str, Metric), Option<f64>> = BTreeMap::new();
        let mut judged: Vec<bool> = Vec::new();
        for pair in &pairs {
            let class = pair.series.class.as_str();
            let floor = floors
                .entry((class, pair.metric))
                .or_insert_with(|| noise(history, series, at, class, pair.metric, rules).floor);
            judged.extend(floor.and_then(|floor| pair.alarms(at, floor, &deviations, rules)));
        }
        let wrong = judged.iter().filter(|wrong| **wrong).count() as u64;
        nights += u64::from(!judged.is_empty());
        alarmed += u64::from(wrong > 0);
        tests += judged.len() as u64;
        alarms += wrong;
    }
    FalseAlarms { nights: Share::new(alarmed, nights), tests: Share::new(alarms, tests) }
}

/// A sentinel: the nights that have both of its measurements.
struct Pair<'a> {
    series: &'a Series,
    metric: Metric,
    /// Night, ln A, ln A'.
    nights: Vec<(usize, f64, f64)>,
}

impl<'a> Pair<'a> {
    fn new(history: &History, series: &'a Series, metric: Metric) -> Self {
        let both = |place: &Place| {
            let value = |place| history.line(place).tested(metric).map(f64::ln);
            Some((place.night, value(*place)?, value(series.again_at(place.night)?)?))
        };
        Self { series, metric, nights: series.places.iter().filter_map(both).collect() }
    }

    /// Whether a night alarms falsely; `None`: it was not judged in it.
    fn alarms(&self, night: usize, floor: f64, deviations: &Deviations, rules: &Rules) -> Option<bool> {
        let until = self.nights.iter().position(|(at, ..)| *at == night)? + 1;
        if until <= rules.fence_least {
            return None;
        }
        let nights = &self.nights[..until];
        let pure: Vec<f64> = nights.iter().map(|(_, a, _)| *a).collect();
        let mixed = |at: usize| if at + rules.recent < until { nights[at].1 } else { nights[at].2 };
        let mixed: Vec<f64> = (0..until).map(mixed).collect();
        let suspects = |values: &[f64]| self.is_suspicious(values, floor, deviations, rules);
        Some(suspects(&mixed) && !suspects(&pure))
    }

    /// Whether the last value of a series is outside of its fence or behind a recent change point, by more than the floor.
    fn is_suspicious(&self, values: &[f64], floor: f64, deviations: &Deviations, rules: &Rules) -> bool {
        let Some((last, before)) = values.split_last() else { return false };
        let beyond = fence(before, deviations, rules)
            .is_some_and(|fence| fence.is_beyond(*last) && (last - fence.median).abs() > floor);
        if beyond {
            return true;
        }
        let window = &values[values.len().saturating_sub(rules.window)..];
        let search = rules.search(&self.series.key, self.metric);
        let found = |point: &ChangePoint| point.change().abs() > floor;
        can_change_by(window, rules.recent, floor, &search)
            && recent_change_points(window, rules.recent, &search).iter().any(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Plan, demo};

    fn of(plan: &Plan) -> History {
        History::of(demo(plan))
    }

    fn last(history: &History, metric: Metric) -> Noise {
        let series = history.series();
        let night = history.nights.len() - 1;
        let class = history.header(night).machine.class();
        noise(history, &series, night, &class, metric, &Rules::default())
    }

    #[test]
    fn under_ten_nights_nothing_is_known() {
        let history = of(&Plan::quiet(1, 9));
        assert_eq!(last(&history, Metric::Memory).nights, 9);
        assert_eq!(last(&history, Metric::Memory).floor, None);
        let history = of(&Plan::quiet(1, 10));
        assert!(last(&history, Metric::Memory).floor.is_some());
        let history = of(&Plan::quiet(1, 20));
        let at = |night, class: &str| {
            noise(&history, &history.series(), night, class, Metric::Memory, &Rules::default()).nights
        };
        let class = history.header(0).machine.class();
        assert_eq!((at(12, &class), at(12, "another")), (13, 0), "of this class until that night");
    }

    #[test]
    fn the_floor_is_what_a_measurement_differs_from_itself_and_at_least_two_percent() {
        let still = Plan { noise: 0.001, ..Plan::quiet(2, 40) };
        assert_eq!(last(&of(&still), Metric::Memory).floor, Some(0.02));
        let loud = Plan { noise: 0.05, ..Plan::quiet(2, 40) };
        let found = last(&of(&loud), Metric::Memory);
        assert_eq!((found.nights, found.differences.len()), (30, 60), "thirty nights of two sentinels");
        // Both sides have the noise: the 95th percentile of |d| is 1.96 x sqrt(2) deviations.
        let floor = found.floor.unwrap();
        assert!((0.09..0.20).contains(&floor), "{floor}");
    }

    #[test]
    fn false_alarms_are_counted_with_their_interval() {
        let rules = Rules { permutations: 199, ..Rules::default() };
        let history = of(&Plan { noise: 0.02, ..Plan::quiet(3, 50) });
        let found = false_alarms(&history, &history.series(), 49, &rules);
        assert_eq!(found.nights.of, 30);
        assert!(found.tests.of >= 200, "{found:?}");
        assert!(found.tests.low < 0.02 && found.nights.count < 6, "{found:?}");
    }

    #[test]
    fn sentinels_that_are_not_the_same_alarm() {
        let rules = Rules { permutations: 199, ..Rules::default() };
        let mut nights = demo(&Plan { noise: 0.01, ..Plan::quiet(3, 50) });
        for cell in nights.iter_mut().skip(45).flat_map(|night| &mut night.cells) {
            if cell.id.starts_with("echo-again") {
                cell.memory = cell.memory.map(|memory| memory * 1.5);
            }
        }
        let history = History::of(nights);
        let found = false_alarms(&history, &history.series(), 49, &rules);
        assert!(found.nights.count >= 3, "{found:?}");
    }
}
