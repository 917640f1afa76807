//! How instances and cores add up, by Gunther's universal scalability law.
//!
//! ```text
//! held(k) = each * k / (1 + serial * (k - 1) + contention * k * (k - 1))
//! ```
//!
//! `serial` is the share of the work that takes turns (Amdahl's), `contention` what each pair spends on each other; both are 0
//! or more (N. Gunther, Guerrilla Capacity Planning, 2007, chapter 4). It is fitted from three numbers of `k` on, as the
//! least squares of `k / held = 1/each * (1 + serial * (k - 1) + contention * k * (k - 1))`; with fewer nothing is assumed.

use serde::Serialize;

use crate::least_squares::{Row, TERMS, non_negative};
use wsceiling_model::record::Cause;

/// Numbers of `k` that a fit needs.
pub(super) const POINTS: usize = 3;

/// What adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScaleOver {
    /// Instances of one size.
    Instances,
    /// CPUs of one instance, from one on.
    Cpus,
}

/// How they add up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scale {
    /// What adds up.
    pub over: ScaleOver,
    /// Share of the work that takes turns.
    pub serial: f64,
    /// What each pair spends on each other, a share of the work of one.
    pub contention: f64,
    /// What stopped the cells that it was fitted to; it says nothing of other limits.
    pub cause: Cause,
    /// Smallest and largest number that was measured.
    pub range: (f64, f64),
    /// Numbers that were measured.
    pub points: u32,
}

impl Scale {
    /// Fits `(k, connections held)`. `None`: fewer than three numbers, or a number that holds nothing.
    pub(super) fn fit(over: ScaleOver, cause: Cause, points: &[(f64, f64)]) -> Option<Self> {
        let mut distinct: Vec<f64> = points.iter().map(|(k, _)| *k).collect();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        if distinct.len() < POINTS || points.iter().any(|(_, held)| *held <= 0.0) {
            return None;
        }
        let row = |(k, held): &(f64, f64)| {
            let mut x = [0.0; TERMS];
            (x[0], x[1], x[2]) = (1.0, k - 1.0, k * (k - 1.0));
            Row { x, y: k / held, sigma: k / held }
        };
        let rows: Vec<Row> = points.iter().map(row).collect();
        let mut terms = [false; TERMS];
        terms[..3].fill(true);
        let [each, serial, contention, ..] = non_negative(&rows, terms)?.coefficients;
        (each > 0.0).then(|| Self {
            over,
            serial: serial / each,
            contention: contention / each,
            cause,
            range: (distinct[0], distinct[distinct.len() - 1]),
            points: distinct.len() as u32,
        })
    }

    /// What each of `k` holds, over what one alone would.
    pub(super) fn each(&self, k: f64) -> f64 {
        1.0 / (1.0 + self.serial * (k - 1.0) + self.contention * k * (k - 1.0)).max(1e-6)
    }

    /// Whether `k` lies between those that were measured.
    pub(super) fn covers(&self, k: f64) -> bool {
        (self.range.0..=self.range.1).contains(&k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law(serial: f64, contention: f64, ks: &[f64]) -> Vec<(f64, f64)> {
        let held = |k: f64| 1000.0 * k / (1.0 + serial * (k - 1.0) + contention * k * (k - 1.0));
        ks.iter().map(|k| (*k, held(*k))).collect()
    }

    fn fit(points: &[(f64, f64)]) -> Option<Scale> {
        Scale::fit(ScaleOver::Instances, Cause::CpuQuota, points)
    }

    #[test]
    fn its_own_law_is_found_and_two_numbers_say_nothing() {
        for (serial, contention) in [(0.0, 0.0), (0.1, 0.0), (0.05, 0.01), (0.0, 0.02)] {
            let found = fit(&law(serial, contention, &[1.0, 2.0, 4.0, 8.0])).unwrap();
            assert!((found.serial - serial).abs() < 1e-6 && (found.contention - contention).abs() < 1e-6, "{found:?}");
        }
        let both = fit(&law(0.05, 0.01, &[1.0, 2.0, 4.0])).unwrap();
        assert!((both.each(8.0) - 1.0 / 1.91).abs() < 1e-6, "{both:?}");
        assert_eq!(fit(&law(0.1, 0.0, &[1.0, 2.0, 2.0])), None);
        assert_eq!(fit(&[(1.0, 10.0), (2.0, 0.0), (3.0, 10.0)]), None);
    }

    #[test]
    fn more_than_twice_as_much_with_two_is_no_negative_contention() {
        let found = fit(&[(1.0, 1000.0), (2.0, 2100.0), (3.0, 3150.0)]).unwrap();
        assert!(found.serial >= 0.0 && found.contention >= 0.0);
        assert!((found.each(3.0) - 1.0).abs() < 1e-9 && found.covers(2.0) && !found.covers(4.0));
    }

    #[test]
    fn those_that_share_all_hold_no_more_together() {
        let found = fit(&law(1.0, 0.0, &[1.0, 2.0, 4.0])).unwrap();
        assert!((4.0 * found.each(4.0) - 1.0).abs() < 1e-6);
    }
}
