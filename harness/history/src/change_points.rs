//! Change points: nights from which on a number is another one.
//!
//! E-divisive (Matteson and James, arXiv 1306.4933) splits a series where the energy distance of both sides is largest, and
//! goes on in each part while the split is larger than chance. With x = ln value and n nights, a split before night t gives
//!
//! ```text
//! Q(t) = t(n-t)/n x [ 2/(t(n-t)) sum_{i<=t<j} |xi-xj| - C(t,2)^-1 sum_{i<j<=t} |xi-xj| - C(n-t,2)^-1 sum_{t<i<j} |xi-xj| ]
//! ```
//!
//! Chance is what shuffles of the same nights give. Nights resemble the nights before them, so blocks of three are shuffled;
//! single ones would find too much.

use std::ops::Range;

use serde::Serialize;

use crate::robust;

/// How change points are searched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Shuffles that a split is compared with.
    pub permutations: u32,
    /// Most probability of a split by chance.
    pub p: f64,
    /// Nights that are shuffled together.
    pub block: usize,
    /// Fewest nights between two change points, and before and after them.
    pub least: usize,
    /// Seed of the shuffles.
    pub seed: u64,
}

impl Search {
    /// The search of a series: blocks and segments of three nights.
    pub const fn new(permutations: u32, p: f64, seed: u64) -> Self {
        Self { permutations, p, block: 3, least: 3, seed }
    }
}

/// A night from which on a number is another one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ChangePoint {
    /// Index of the first value after the change.
    pub at: usize,
    /// Probability of such a split by chance: shuffles that split as well, this order among them, of all.
    pub p: f64,
    /// Median of the values since the change point before.
    pub before: f64,
    /// Median of the values until the change point after.
    pub after: f64,
}

impl ChangePoint {
    /// By how much the number changed.
    pub fn change(&self) -> f64 {
        self.after - self.before
    }
}

/// All change points of a series, in order.
pub fn change_points(values: &[f64], search: &Search) -> Vec<ChangePoint> {
    found(values, search, 0)
}

/// The change points among the last `recent` values, in order. Older ones are looked for only as far as they end the part
/// that the recent ones are compared with.
pub fn recent_change_points(values: &[f64], recent: usize, search: &Search) -> Vec<ChangePoint> {
    found(values, search, values.len().saturating_sub(recent))
}

/// Whether a change point among the last `recent` values can be larger than `floor` at all: both of its sides are runs of at
/// least so many values next to it, whatever ends them, and the medians of all such runs are quickly known. Most series
/// need no shuffle at all.
pub fn can_change_by(values: &[f64], recent: usize, floor: f64, search: &Search) -> bool {
    let least = search.least.max(1);
    let from = values.len().saturating_sub(recent).max(least);
    (from..(values.len() + 1).saturating_sub(least)).any(|at| {
        let (before, after) = values.split_at(at);
        let before = extremes(before.iter().rev(), least);
        let after = extremes(after.iter(), least);
        before
            .zip(after)
            .is_some_and(|((low, high), (then_low, then_high))| (then_high - low).max(high - then_low) > floor)
    })
}

/// The smallest and the largest median of runs that begin with the first of these values and have at least `least` of them.
fn extremes<'a>(values: impl Iterator<Item = &'a f64>, least: usize) -> Option<(f64, f64)> {
    let mut sorted: Vec<f64> = Vec::new();
    let mut found: Option<(f64, f64)> = None;
    for value in values {
        sorted.insert(sorted.partition_point(|other| other < value), *value);
        if sorted.len() < least {
            continue;
        }
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        found = Some(found.map_or((median, median), |(low, high)| (low.min(median), high.max(median))));
    }
    found
}

/// The change points of a long series, as a page draws it: searched in windows that overlap by half, each of which begins at
/// the last change point of the one before (as Hunter does, Fleming et al., doi 10.1145/3578244.3583719).
pub fn change_points_in_windows(values: &[f64], window: usize, search: &Search) -> Vec<ChangePoint> {
    if values.len() <= window {
        return change_points(values, search);
    }
    let mut all: Vec<(usize, f64)> = Vec::new();
    let mut start = 0;
    loop {
        let end = (start + window).min(values.len());
        let mut splits = Vec::new();
        Splitter::new(&values[start..end], search, 0).split(0..end - start, &mut splits);
        for (at, p) in splits {
            let at = at + start;
            if all.iter().all(|(known, _)| known.abs_diff(at) >= search.least) {
                all.push((at, p));
            }
        }
        if end == values.len() {
            break;
        }
        all.sort_by_key(|(at, _)| *at);
        let last = all.last().map_or(0, |(at, _)| *at);
        start = last.max(start + window / 2).min(values.len() - search.least.max(1));
    }
    with_levels(values, all, 0)
}

fn found(values: &[f64], search: &Search, from: usize) -> Vec<ChangePoint> {
    let mut splits = Vec::new();
    Splitter::new(values, search, from).split(0..values.len(), &mut splits);
    with_levels(values, splits, from)
}

/// The change points from `from` on, with the medians of the parts on both sides.
fn with_levels(values: &[f64], mut splits: Vec<(usize, f64)>, from: usize) -> Vec<ChangePoint> {
    splits.sort_by_key(|(at, _)| *at);
    let borders: Vec<usize> =
        std::iter::once(0).chain(splits.iter().map(|(at, _)| *at)).chain([values.len()]).collect();
    let level = |part: usize| robust::median(&values[borders[part]..borders[part + 1]]).unwrap_or(0.0);
    let point = |(number, (at, p)): (usize, &(usize, f64))| ChangePoint {
        at: *at,
        p: *p,
        before: level(number),
        after: level(number + 1),
    };
    splits.iter().enumerate().map(point).filter(|point| point.at >= from).collect()
}

/// The distances of a series, once for all shuffles.
struct Splitter<'a> {
    count: usize,
    distances: Vec<f64>,
    search: &'a Search,
    rng: fastrand::Rng,
    /// Parts that end before are of no interest.
    from: usize,
}

impl<'a> Splitter<'a> {
    fn new(values: &[f64], search: &'a Search, from: usize) -> Self {
        let distances = values.iter().flat_map(|a| values.iter().map(move |b| (a - b).abs())).collect();
        Self { count: values.len(), distances, search, rng: fastrand::Rng::with_seed(search.seed), from }
    }

    /// Splits a part as long as that is more than chance.
    fn split(&mut self, part: Range<usize>, splits: &mut Vec<(usize, f64)>) {
        if part.len() < 2 * self.search.least || part.end <= self.from {
            return;
        }
        let order: Vec<usize> = part.clone().collect();
        let sums = self.sums(&order);
        let Some((offset, q)) = self.best(&order, &sums) else { return };
        let Some(p) = self.chance(&order, &sums, q) else { return };
        let at = part.start + offset;
        splits.push((at, p));
        self.split(part.start..at, splits);
        self.split(at..part.end, splits);
    }

    /// For each value of a part the sum of its distances to the others of the part, by its index in the series.
    fn sums(&self, order: &[usize]) -> Vec<f64> {
        let mut sums = vec![0.0; self.count];
        for &one in order {
            sums[one] = order.iter().map(|&other| self.distances[one * self.count + other]).sum();
        }
        sums
    }

    /// The offset of the best split in this order, and its Q.
    fn best(&self, order: &[usize], sums: &[f64]) -> Option<(usize, f64)> {
        let (n, least) = (order.len(), self.search.least.max(1));
        let mut best: Option<(usize, f64)> = None;
        self.each_split(order, sums, |t, q| {
            if (least..=n - least).contains(&t) && best.is_none_or(|(_, most)| q > most) {
                best = Some((t, q));
            }
        });
        best
    }

    /// Calls with each split and its Q. As t grows by one, a value goes from the right side to the left: what it adds to the
    /// sum inside the left side and takes from that inside the right is known from its own sums, and all pairs together stay.
    fn each_split(&self, order: &[usize], sums: &[f64], mut each: impl FnMut(usize, f64)) {
        let n = order.len();
        let all: f64 = order.iter().map(|&one| sums[one]).sum::<f64>() / 2.0;
        let (mut left, mut right) = (0.0, all);
        for t in 1..n {
            let moved = order[t - 1];
            let row = &self.distances[moved * self.count..(moved + 1) * self.count];
            let to_left = gathered(row, &order[..t - 1]);
            left += to_left;
            right -= sums[moved] - to_left;
            each(t, energy(t, n, left, right, all));
        }
    }

    /// The probability of a Q at least as large by chance; `None`: more than is allowed, which is known as soon as too many
    /// shuffles reach it.
    fn chance(&mut self, order: &[usize], sums: &[f64], q: f64) -> Option<f64> {
        let all = f64::from(self.search.permutations) + 1.0;
        let allowed = (self.search.p * all + 1e-9).floor();
        let blocks = Blocks::new(self, order);
        let mut shuffled: Vec<usize> = (0..blocks.members.len()).collect();
        // The order that was seen is one of all.
        let mut reached = 1.0;
        // Sums in another order differ in their last digits.
        let least = q - 1e-9 * q.abs();
        for _ in 0..self.search.permutations {
            if reached > allowed {
                return None;
            }
            self.rng.shuffle(&mut shuffled);
            if blocks.reach(self, &shuffled, sums, least) {
                reached += 1.0;
            }
        }
        (reached <= allowed).then_some(reached / all)
    }
}

/// The blocks of a part, with the sum of distances from each value to each block: a shuffle moves whole blocks, so that a
/// third of the additions is enough.
struct Blocks<'a> {
    members: Vec<&'a [usize]>,
    /// By value of the series, then by block.
    distances: Vec<f64>,
    values: usize,
}

impl<'a> Blocks<'a> {
    fn new(splitter: &Splitter<'_>, order: &'a [usize]) -> Self {
        let blocks: Vec<&[usize]> = order.chunks(splitter.search.block.max(1)).collect();
        let mut distances = vec![0.0; splitter.count * blocks.len()];
        for &one in order {
            let row = &splitter.distances[one * splitter.count..(one + 1) * splitter.count];
            for (at, block) in blocks.iter().enumerate() {
                distances[one * blocks.len() + at] = block.iter().map(|&other| row[other]).sum();
            }
        }
        Self { members: blocks, distances, values: order.len() }
    }

    /// Whether any split in this order of the blocks has a Q of at least so much. See [`Splitter::each_split`].
    fn reach(&self, splitter: &Splitter<'_>, shuffled: &[usize], sums: &[f64], q: f64) -> bool {
        let (n, least) = (self.values, splitter.search.least.max(1));
        let all: f64 = self.members.iter().flat_map(|block| block.iter()).map(|&one| sums[one]).sum::<f64>() / 2.0;
        let (mut left, mut right, mut t) = (0.0, all, 0);
        for (position, &block) in shuffled.iter().enumerate() {
            for (inside, &moved) in self.members[block].iter().enumerate() {
                let row = &self.distances[moved * self.members.len()..(moved + 1) * self.members.len()];
                let own = &splitter.distances[moved * splitter.count..(moved + 1) * splitter.count];
                let to_left = gathered(row, &shuffled[..position]) + gathered(own, &self.members[block][..inside]);
                left += to_left;
                right -= sums[moved] - to_left;
                t += 1;
                if (least..=n - least).contains(&t) && energy(t, n, left, right, all) >= q {
                    return true;
                }
            }
        }
        false
    }
}

/// Q of a split after t of n values, from the sums of distances inside both sides and of all pairs.
fn energy(t: usize, n: usize, left: f64, right: f64, all: f64) -> f64 {
    let (a, b) = (t as f64, (n - t) as f64);
    let inside = |sum: f64, count: f64| if count < 2.0 { 0.0 } else { sum / (count * (count - 1.0) / 2.0) };
    let between = 2.0 * (all - left - right) / (a * b);
    a * b / n as f64 * (between - inside(left, a) - inside(right, b))
}

/// The sum of some values of a row, in four sums at once, none of which waits for another.
fn gathered(row: &[f64], at: &[usize]) -> f64 {
    let mut sums = [0.0; 4];
    let (fours, rest) = at.as_chunks::<4>();
    for four in fours {
        for (sum, &index) in sums.iter_mut().zip(four) {
            *sum += row[index];
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&index| row[index]).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q of every split as the formula has it, term by term.
    fn by_the_formula(values: &[f64]) -> Vec<f64> {
        let n = values.len();
        let pairs = |a: &[f64], b: &[f64]| -> f64 { a.iter().flat_map(|x| b.iter().map(move |y| (x - y).abs())).sum() };
        let choose_2 = |count: usize| (count * count.saturating_sub(1) / 2) as f64;
        (1..n)
            .map(|t| {
                let (left, right) = values.split_at(t);
                let (a, b) = (t as f64, (n - t) as f64);
                // Each pair of one side is counted twice, and itself with itself is 0.
                let inside = |side: &[f64]| {
                    if side.len() < 2 { 0.0 } else { pairs(side, side) / 2.0 / choose_2(side.len()) }
                };
                a * b / n as f64 * (2.0 / (a * b) * pairs(left, right) - inside(left) - inside(right))
            })
            .collect()
    }

    fn quick(values: &[f64]) -> Vec<f64> {
        let search = Search::new(0, 0.01, 1);
        let splitter = Splitter::new(values, &search, 0);
        let order: Vec<usize> = (0..values.len()).collect();
        let mut all = Vec::new();
        splitter.each_split(&order, &splitter.sums(&order), |_, q| all.push(q));
        all
    }

    fn close(a: &[f64], b: &[f64], within: f64) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= within * (1.0 + b.abs()))
    }

    fn noise(seed: u64, count: usize) -> Vec<f64> {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..count).map(|_| (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0).collect()
    }

    fn indices(found: &[ChangePoint]) -> Vec<usize> {
        found.iter().map(|point| point.at).collect()
    }

    #[test]
    fn sums_that_are_carried_on_give_what_the_formula_gives() {
        for (seed, count) in [(1, 2), (2, 3), (3, 9), (4, 40), (5, 101)] {
            let values = noise(seed, count);
            assert!(close(&quick(&values), &by_the_formula(&values), 1e-9), "{count} values");
        }
    }

    /// The series and the values of Q in `tests/test_algorithm_continuity.py` of mongodb/signal-processing-algorithms.
    #[test]
    fn q_is_that_of_another_implementation() {
        let values = [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0];
        let expected = [
            1.033_333_33,
            2.296_296_3,
            3.875,
            5.904_761_9,
            4.333_333_33,
            3.6,
            3.416_666_67,
            3.809_523_81,
            5.25,
            3.111_111_11,
            1.4,
        ];
        assert!(close(&quick(&values), &expected, 1e-8), "{:?}", quick(&values));
    }

    /// The series of `tests/change_point_divisive_test.py` of Apache Otava: two changes, as there.
    #[test]
    fn the_change_points_are_those_of_otava() {
        let values = [0.3, 2.4, 1.5, -0.9, -0.5, 99.7, 98.3, 99.1, 149.0, 149.7, 149.5, 149.1, 148.8, 150.0];
        // Fourteen nights have five blocks of three, which cannot be shuffled often enough; Otava shuffles single values. Of
        // the nine after the first change, two in 84 orders split as well as the second does.
        let search = Search { block: 1, ..Search::new(999, 0.05, 1) };
        assert_eq!(indices(&change_points(&values, &search)), [5, 8]);
    }

    #[test]
    fn the_change_points_of_a_real_series_are_those_of_otava() {
        let text = include_str!("../tests/data/tigerbeetle.txt");
        let numbers = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
        let values: Vec<f64> = numbers.map(|word| word.parse::<f64>().unwrap().ln()).collect();
        assert_eq!(values.len(), 120);
        let found = indices(&change_points(&values, &Search::new(999, 0.01, 1)));
        assert_eq!(found, [15, 61, 71, 95]);
    }

    /// The series of `tests/analysis_test.py` of Apache Otava: one change, as there.
    #[test]
    fn a_halved_number_is_one_change() {
        let values = [
            1.02, 0.95, 0.99, 1.00, 1.12, 1.00, 1.01, 0.98, 1.01, 0.96, 0.50, 0.51, 0.48, 0.48, 0.55, 0.50, 0.49, 0.51,
            0.50, 0.49,
        ];
        let search = Search { block: 1, ..Search::new(999, 0.01, 1) };
        let found = change_points(&values, &search);
        assert_eq!(indices(&found), [10]);
        assert!((found[0].before - 1.0).abs() < 1e-9 && (found[0].after - 0.5).abs() < 1e-9, "{found:?}");
        assert!((found[0].change() + 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_shuffle_of_blocks_is_judged_as_the_order_that_it_makes() {
        let values = noise(9, 25);
        let search = Search::new(0, 0.01, 1);
        let splitter = Splitter::new(&values, &search, 0);
        let order: Vec<usize> = (2..25).collect();
        let (sums, blocks) = (splitter.sums(&order), Blocks::new(&splitter, &order));
        let mut shuffled: Vec<usize> = (0..blocks.members.len()).collect();
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..20 {
            rng.shuffle(&mut shuffled);
            let made: Vec<usize> = shuffled.iter().flat_map(|&block| blocks.members[block].iter().copied()).collect();
            let (_, q) = splitter.best(&made, &sums).unwrap();
            assert!(blocks.reach(&splitter, &shuffled, &sums, q - 1e-9));
            assert!(!blocks.reach(&splitter, &shuffled, &sums, q + 1e-9));
        }
    }

    #[test]
    fn noise_has_no_change_point_more_often_than_stated() {
        let runs = 200;
        let found = (0..runs).filter(|seed| {
            !change_points(&noise(*seed, 40), &Search { block: 1, ..Search::new(199, 0.05, *seed) }).is_empty()
        });
        // 10 are expected of 200 at 0.05, and 18 or more come in one of a hundred.
        let found = found.count();
        assert!((1..18).contains(&found), "{found} of {runs}");
    }

    #[test]
    fn nights_without_any_difference_have_none() {
        assert!(change_points(&[2.0; 60], &Search::new(999, 0.01, 1)).is_empty());
        assert!(change_points(&[], &Search::new(999, 0.01, 1)).is_empty());
        assert!(change_points(&[1.0, 2.0, 3.0], &Search::new(999, 0.01, 1)).is_empty());
    }

    #[test]
    fn one_spike_is_no_change() {
        let mut values = noise(7, 60);
        values[40] = 60.0;
        assert!(change_points(&values, &Search::new(999, 0.01, 1)).is_empty());
    }

    #[test]
    fn only_recent_changes_are_news_and_an_older_one_does_not_hide_them() {
        let mut values = noise(3, 60);
        values.iter_mut().skip(20).for_each(|value| *value += 40.0);
        values.iter_mut().skip(54).for_each(|value| *value += 20.0);
        let search = Search { block: 1, ..Search::new(999, 0.01, 1) };
        assert_eq!(indices(&change_points(&values, &search)), [20, 54]);
        let recent = recent_change_points(&values, 10, &search);
        assert_eq!(indices(&recent), [54]);
        assert!((recent[0].change() - 20.0).abs() < 2.0, "{recent:?}");
        assert!(recent_change_points(&values[..50], 10, &search).is_empty());
    }

    #[test]
    fn what_can_change_by_the_floor_holds_every_change_that_is_found() {
        let search = Search { block: 1, ..Search::new(99, 0.5, 1) };
        let mut sure = 0;
        for seed in 0..60 {
            let values = noise(seed, 40);
            let found = recent_change_points(&values, 10, &search);
            let largest = found.iter().map(|point| point.change().abs()).fold(0.0, f64::max);
            for floor in [0.5, 1.0, 2.0, 4.0] {
                let can = can_change_by(&values, 10, floor, &search);
                assert!(can || largest <= floor, "{seed}: {largest} > {floor}");
                sure += usize::from(!can);
            }
        }
        assert!(sure > 60, "it rules something out: {sure}");
        assert!(!can_change_by(&[1.0, 2.0], 10, 0.1, &search) && !can_change_by(&[], 10, 0.1, &search));
    }

    #[test]
    fn windows_find_what_lies_years_apart_and_find_it_once() {
        let mut values = noise(11, 400);
        values.iter_mut().skip(60).for_each(|value| *value += 10.0);
        values.iter_mut().skip(200).for_each(|value| *value -= 10.0);
        values.iter_mut().skip(330).for_each(|value| *value += 10.0);
        let found = indices(&change_points_in_windows(&values, 120, &Search::new(199, 0.01, 1)));
        let near = |at: usize| found.iter().filter(|found| found.abs_diff(at) <= 2).count();
        assert_eq!([near(60), near(200), near(330)], [1, 1, 1], "{found:?}");
        assert!(found.len() <= 5, "{found:?}");
    }

    #[test]
    fn the_same_seed_finds_the_same() {
        let mut values = noise(5, 50);
        values.iter_mut().skip(30).for_each(|value| *value += 1.2);
        let search = Search::new(199, 0.2, 42);
        assert_eq!(change_points(&values, &search), change_points(&values, &search));
    }
}
