//! Quantiles of the beta distribution, and what is made of them: exact intervals of shares, and tails of Student's t.
//!
//! statrs has the regularised incomplete beta function; it is inverted here by bisection, which cannot diverge.

use serde::Serialize;
use statrs::function::beta::beta_reg;

/// Steps of the bisection: each halves an interval of length 1.
const STEPS: u32 = 100;

/// A share that was counted, with the interval in which the true one lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// How many had it.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// Lower end of its 95 % interval (Clopper and Pearson 1934).
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Share {
    /// A share with its exact interval. Without a case it may be anything.
    pub fn new(count: u64, of: u64) -> Self {
        let count = count.min(of);
        let (low, high) = clopper_pearson(count, of, 0.05);
        Self { count, of, low, high }
    }

    /// As a number; `None` without a case.
    pub fn value(self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }
}

/// The interval of Clopper and Pearson for `count` of `of`, which holds the true share in at least `1 - alpha` of all cases:
/// its ends are the quantiles `alpha / 2` of Beta(k, n - k + 1) and `1 - alpha / 2` of Beta(k + 1, n - k).
fn clopper_pearson(count: u64, of: u64, alpha: f64) -> (f64, f64) {
    let (k, n) = (count as f64, of as f64);
    let low = if count == 0 { 0.0 } else { beta_quantile(k, n - k + 1.0, alpha / 2.0) };
    let high = if count == of { 1.0 } else { beta_quantile(k + 1.0, n - k, 1.0 - alpha / 2.0) };
    (low, high)
}

/// The value below which Beta(a, b) lies with that probability.
fn beta_quantile(a: f64, b: f64, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if beta_reg(a, b, middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The value that the size of a variable of Student's t exceeds with that probability, both sides together.
pub fn t_beyond(degrees: f64, probability: f64) -> f64 {
    // P(|T| > t) is the regularised incomplete beta function of degrees / (degrees + t^2).
    let x = beta_quantile(degrees / 2.0, 0.5, probability);
    (degrees * (1.0 - x) / x).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, within: f64) -> bool {
        (a - b).abs() < within
    }

    #[test]
    fn the_interval_is_that_of_clopper_and_pearson() {
        // Newcombe (1998), table I, method 5.
        for (count, of, low, high) in
            [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)]
        {
            let share = Share::new(count, of);
            assert!(close(share.low, low, 6e-5) && close(share.high, high, 6e-5), "{share:?}");
        }
        assert_eq!((Share::new(0, 0).low, Share::new(0, 0).high, Share::new(0, 0).value()), (0.0, 1.0, None));
        assert!(close(Share::new(20, 20).low, 1.0 - 0.1684, 6e-5));
    }

    #[test]
    fn the_interval_covers_the_true_share_often_enough() {
        // Exactly, by adding up the binomial distribution.
        for (of, true_share) in [(10_u64, 0.05_f64), (30, 0.1), (30, 0.5)] {
            let mut covered = 0.0;
            let mut probability = (1.0 - true_share).powi(of as i32);
            for count in 0..=of {
                let share = Share::new(count, of);
                if (share.low..=share.high).contains(&true_share) {
                    covered += probability;
                }
                probability *= (of - count) as f64 / (count + 1) as f64 * true_share / (1.0 - true_share);
            }
            assert!(covered >= 0.95, "{of} x {true_share}: {covered}");
        }
    }

    #[test]
    fn tails_of_student_are_those_of_the_tables() {
        for (degrees, probability, t) in
            [(1.0, 0.05, 12.706), (10.0, 0.05, 2.228), (10.0, 0.001, 4.587), (30.0, 0.01, 2.750), (1e6, 0.05, 1.960)]
        {
            let found = t_beyond(degrees, probability);
            assert!(close(found, t, 6e-4 * t), "{degrees} {probability}: {found}");
        }
    }
}
