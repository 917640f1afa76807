//! Medians, Student's t and the fit of a common slope.

/// Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom (Abramowitz and Stegun, table 26.10).
const T_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// Two-sided 95 % quantile of Student's t.
pub(super) fn t_95(degrees: usize) -> f64 {
    match degrees {
        0 => f64::INFINITY,
        1..=30 => T_95[degrees - 1],
        // Beyond the table the quantile is linear in 1/degrees to three digits: 2.042 at 30, 1.960 at infinity.
        _ => 1.960 + (2.042 - 1.960) * 30.0 / degrees as f64,
    }
}

/// The middle value; of an even number the mean of the two in the middle. `None` for nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Mean with the half-width of its 95 % interval; the latter needs two values.
pub(super) fn mean(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let half = (n >= 2).then(|| {
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        t_95(n - 1) * (variance / n as f64).sqrt()
    });
    Some((mean, half))
}

/// A point of a fit. Points of one group share an intercept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    /// Trial and launch.
    pub group: (u32, u32),
    pub x: f64,
    pub y: f64,
}

/// One slope for all groups, an intercept for each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    pub slope: f64,
    /// Half-width of the 95 % interval of the slope; `None`: no degree of freedom is left.
    pub half_width: Option<f64>,
    /// Mean of the groups' intercepts.
    pub intercept: f64,
}

/// Least squares with a common slope and an intercept per group (analysis of covariance). `None` where no group has two
/// different x: nothing can be said about a slope then.
pub(super) fn fit(points: &[Point]) -> Option<Fit> {
    let mut groups: std::collections::BTreeMap<(u32, u32), Vec<&Point>> = std::collections::BTreeMap::new();
    for point in points {
        groups.entry(point.group).or_default().push(point);
    }
    let means: Vec<(f64, f64)> = groups
        .values()
        .map(|group| {
            let n = group.len() as f64;
            (group.iter().map(|p| p.x).sum::<f64>() / n, group.iter().map(|p| p.y).sum::<f64>() / n)
        })
        .collect();
    let (mut sxx, mut sxy, mut syy) = (0.0, 0.0, 0.0);
    for (group, (mx, my)) in groups.values().zip(&means) {
        for point in group {
            sxx += (point.x - mx).powi(2);
            sxy += (point.x - mx) * (point.y - my);
            syy += (point.y - my).powi(2);
        }
    }
    if sxx <= 0.0 {
        return None;
    }
    let slope = sxy / sxx;
    let freedom = points.len().checked_sub(groups.len() + 1).filter(|freedom| *freedom > 0);
    let half_width = freedom.map(|freedom| {
        let residual = (syy - slope * sxy).max(0.0);
        t_95(freedom) * (residual / freedom as f64 / sxx).sqrt()
    });
    let intercept = means.iter().map(|(mx, my)| my - slope * mx).sum::<f64>() / means.len() as f64;
    Some(Fit { slope, half_width, intercept })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(repeat: u32, x: f64, y: f64) -> Point {
        Point { group: (repeat, 0), x, y }
    }

    #[test]
    fn trials_with_different_baselines_share_one_slope() {
        // Without an intercept for each trial the slope would be bent by the 1000 between the two.
        let points = [point(1, 1.0, 12.0), point(1, 2.0, 14.0), point(2, 3.0, 1016.0), point(2, 4.0, 1018.0)];
        let fit = fit(&points).unwrap();
        assert!((fit.slope - 2.0).abs() < 1e-9);
        assert!((fit.intercept - 510.0).abs() < 1e-9);
        assert!(fit.half_width.unwrap() < 1e-6);
    }

    #[test]
    fn the_interval_is_that_of_a_textbook() {
        // x 1..5, y 2 4 5 4 5: slope 0.6, standard error 0.2828, t(3) 3.182.
        let ys = [2.0, 4.0, 5.0, 4.0, 5.0];
        let points: Vec<_> = ys.iter().zip(1..).map(|(y, x)| point(1, f64::from(x), *y)).collect();
        let fit = fit(&points).unwrap();
        assert!((fit.slope - 0.6).abs() < 1e-9);
        assert!((fit.half_width.unwrap() - 0.282_843 * 3.182).abs() < 1e-4);
        assert!((fit.intercept - 2.2).abs() < 1e-9);
    }

    #[test]
    fn one_point_a_trial_says_nothing_about_a_slope() {
        assert_eq!(fit(&[point(1, 1.0, 5.0), point(2, 9.0, 50.0)]), None);
        assert_eq!(fit(&[]), None);
        let two = fit(&[point(1, 1.0, 5.0), point(1, 3.0, 9.0)]).unwrap();
        assert_eq!((two.slope, two.half_width), (2.0, None));
    }

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
    }
}
