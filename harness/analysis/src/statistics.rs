//! Medians and Student's t.

/// Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom (Abramowitz and Stegun, table 26.10).
const T_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// Two-sided 90 % quantiles of Student's t for 1 to 30 degrees of freedom (the same table).
const T_90: [f64; 30] = [
    6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753, 1.746,
    1.740, 1.734, 1.729, 1.725, 1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701, 1.699, 1.697,
];

/// Two-sided 95 % quantile of Student's t.
pub(crate) fn t_95(degrees: usize) -> f64 {
    quantile(&T_95, 1.960, degrees)
}

/// Two-sided 90 % quantile of Student's t.
pub(crate) fn t_90(degrees: usize) -> f64 {
    quantile(&T_90, 1.645, degrees)
}

/// Beyond its table a quantile is linear in 1/degrees to three digits, down to that of the normal distribution.
fn quantile(table: &[f64; 30], normal: f64, degrees: usize) -> f64 {
    match degrees {
        0 => f64::INFINITY,
        1..=30 => table[degrees - 1],
        _ => normal + (table[29] - normal) * 30.0 / degrees as f64,
    }
}

/// The middle value; of an even number the mean of the two in the middle. `None` for nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[9.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_quantile_falls_towards_the_normal_one() {
        assert!((t_95(60) - 2.000).abs() < 0.002 && (t_95(120) - 1.980).abs() < 0.002);
        assert!((1..200).all(|degrees| t_95(degrees) >= t_95(degrees + 1)));
        assert!((t_90(60) - 1.671).abs() < 0.002 && (1..200).all(|degrees| t_90(degrees) >= t_90(degrees + 1)));
    }
}
