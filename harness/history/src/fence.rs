//! The fence: what a number has been in the last nights, and how far outside it is news.

use serde::Serialize;

use crate::interval::t_beyond;
use crate::robust::{self, MAD_TO_SIGMA};
use crate::rules::Rules;

/// Deviations of a fence at least: the usual rule for a robust outlier.
const DEVIATIONS: f64 = 3.0;
/// What a median of absolute deviations is worth beside a standard deviation: its efficiency for normal noise (Rousseeuw and
/// Croux 1993).
const EFFICIENCY: f64 = 0.37;

/// A fence around the logarithm of a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fence {
    /// Median of the nights.
    pub median: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Fence {
    /// Whether a value is outside.
    pub fn is_beyond(&self, value: f64) -> bool {
        value < self.low || value > self.high
    }
}

/// How many deviations are news, by the number of nights that they are known from.
#[derive(Debug, Clone, PartialEq)]
pub struct Deviations(Vec<f64>);

impl Deviations {
    /// 3, or more where so many numbers are tested in a night, or a deviation is known from so few nights, that 3 would alarm
    /// more often than [`Rules::alarms`] on nights without a change. The ratio of a normal number to a deviation estimated
    /// from n nights follows Student's t; that of a median of absolute deviations one with 0.37 n degrees of freedom,
    /// nearly.
    pub fn new(tests: usize, rules: &Rules) -> Self {
        let of = |nights: usize| {
            let degrees = (EFFICIENCY * nights as f64).max(1.0);
            t_beyond(degrees, rules.alarms / tests.max(1) as f64).max(DEVIATIONS)
        };
        Self((0..=rules.nights).map(of).collect())
    }

    fn of(&self, nights: usize) -> f64 {
        self.0.get(nights).or(self.0.last()).copied().unwrap_or(DEVIATIONS)
    }
}

/// The fence of the nights before this one: their median plus and minus a number of deviations, where a deviation is 1.4826
/// times the median of the absolute deviations. `values` are logarithms, the oldest first. `None`: too few nights.
pub fn fence(values: &[f64], deviations: &Deviations, rules: &Rules) -> Option<Fence> {
    let last = &values[values.len().saturating_sub(rules.nights)..];
    if last.len() < rules.fence_least {
        return None;
    }
    let (median, mad) = robust::median_and_mad(last)?;
    let half = deviations.of(last.len()) * MAD_TO_SIGMA * mad;
    Some(Fence { median, low: median - half, high: median + half })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_needs_eight_nights_and_looks_back_thirty() {
        let rules = Rules::default();
        let one = Deviations::new(1, &rules);
        assert_eq!(fence(&[1.0; 7], &one, &rules), None);
        assert!(fence(&[1.0; 8], &one, &rules).is_some());
        let mut values = vec![900.0; 100];
        values.extend((0..30).map(|at| f64::from(at % 3)));
        let found = fence(&values, &one, &rules).unwrap();
        assert!((found.median - 1.0).abs() < 1e-9);
        assert!((found.high - (1.0 + 3.0 * 1.4826)).abs() < 1e-9, "{found:?}");
        assert!(found.is_beyond(5.5) && found.is_beyond(-3.5) && !found.is_beyond(5.4));
    }

    #[test]
    fn more_numbers_and_fewer_nights_make_a_wider_fence() {
        let rules = Rules::default();
        let (one, many) = (Deviations::new(1, &rules), Deviations::new(136, &rules));
        assert!((one.of(30) - 3.0).abs() < 1e-9);
        assert!(many.of(30) > 4.0 && many.of(30) < 6.0, "{}", many.of(30));
        assert!(many.of(8) > many.of(20) && (many.of(31) - many.of(30)).abs() < 1e-9);
    }
}
