//! Intervals over trials. The windows of one trial share a process, a heap and a state of the machine, so they are not
//! independent of each other; trials are.

use super::result::Estimate;
use crate::statistics::t_95;

/// An estimate of all trials with its 95 % interval by the delete-one jackknife: `without` are the estimates that leave one
/// trial out each. Its standard error is `sqrt((n - 1) / n * sum of (each - their mean)^2)` (Efron and Tibshirani, An
/// Introduction to the Bootstrap, 1993, chapter 11), the quantile that of Student's t with n - 1 degrees of freedom. No
/// cost is below 0, and no interval goes there. One trial, or one that cannot be left out: no interval.
pub(super) fn estimate(value: f64, without: &[Option<f64>]) -> Estimate {
    Estimate { value, interval: half_width(without).map(|half| ((value - half).max(0.0), value + half)) }
}

fn half_width(without: &[Option<f64>]) -> Option<f64> {
    let each = without.iter().copied().collect::<Option<Vec<f64>>>()?;
    let n = each.len() as f64;
    if each.len() < 2 {
        return None;
    }
    let mean = each.iter().sum::<f64>() / n;
    let squares: f64 = each.iter().map(|value| (value - mean).powi(2)).sum();
    Some(t_95(each.len() - 1) * ((n - 1.0) / n * squares).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_mean_it_is_the_interval_of_a_textbook() {
        // 10, 12, 17: mean 13, standard deviation 3.606, standard error 2.082, t(2) 4.303.
        let found = estimate(13.0, &[Some(14.5), Some(13.5), Some(11.0)]);
        let (low, high) = found.interval.unwrap();
        assert!((low - (13.0 - 4.303 * 2.081_666)).abs() < 1e-3, "{low}");
        assert!((high - (13.0 + 4.303 * 2.081_666)).abs() < 1e-3, "{high}");
    }

    #[test]
    fn one_trial_has_no_interval_and_none_goes_below_nothing() {
        assert_eq!(estimate(13.0, &[Some(13.0)]).interval, None);
        assert_eq!(estimate(13.0, &[Some(13.0), None]).interval, None);
        // Two trials: the quantile is 12.7.
        let (low, high) = estimate(10.0, &[Some(9.0), Some(11.0)]).interval.unwrap();
        assert!(low == 0.0 && (high - 22.706).abs() < 1e-3, "{low} {high}");
    }
}
