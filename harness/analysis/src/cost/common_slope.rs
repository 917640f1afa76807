//! The fit of memory: one slope for all, an intercept for each start of the servers.

use std::collections::BTreeMap;

use super::knee::Surprise;

/// Trial and launch: the points of one share an intercept, since each start has an idle footprint of its own.
pub(super) type Group = (u32, u32);

/// A point of a fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub group: Group,
    pub x: f64,
    pub y: f64,
}

/// One slope for all groups, an intercept for each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    /// Never negative.
    pub slope: f64,
    /// The best slope would be negative.
    pub falls: bool,
    /// Residual standard error; `None`: no degree of freedom is left.
    pub residual: Option<f64>,
    /// Mean of x and y of each group, and how many points it has.
    groups: BTreeMap<Group, (f64, f64, usize)>,
    /// Sum of the squares of x about the means of the groups.
    spread: f64,
}

impl Fit {
    /// Mean of the groups' intercepts.
    pub(super) fn intercept(&self) -> f64 {
        self.groups.values().map(|(x, y, _)| y - self.slope * x).sum::<f64>() / self.groups.len() as f64
    }

    /// Points of another step against what this fit predicts for them, above the intercept of their group. Groups that it
    /// does not know say nothing.
    pub(super) fn surprise(&self, step: &[Point]) -> Option<Surprise> {
        let known = || step.iter().filter_map(|point| Some((point, self.groups.get(&point.group)?)));
        let n = known().count() as f64;
        let (mut observed, mut predicted, mut away, mut intercepts) = (0.0, 0.0, 0.0, 0.0);
        for (point, (x, y, points)) in known() {
            observed += point.y - (y - self.slope * x);
            predicted += self.slope * point.x;
            away += point.x - x;
            intercepts += 1.0 / *points as f64;
        }
        let error = self.residual.map(|residual| residual * (n + intercepts + away.powi(2) / self.spread).sqrt());
        let errors = error.map(|error| (observed - predicted).abs() / error);
        (predicted > 0.0).then_some(Surprise { ratio: observed / predicted, errors })
    }
}

/// Least squares with a common slope of at least 0 and an intercept for each group (analysis of covariance). `None` where
/// no group has two different x: nothing can be said about a slope then.
pub(super) fn fit(points: &[Point]) -> Option<Fit> {
    let mut members: BTreeMap<Group, Vec<&Point>> = BTreeMap::new();
    for point in points {
        members.entry(point.group).or_default().push(point);
    }
    let mean = |of: &[&Point], pick: fn(&Point) -> f64| of.iter().map(|p| pick(p)).sum::<f64>() / of.len() as f64;
    let groups: BTreeMap<Group, (f64, f64, usize)> =
        members.iter().map(|(group, own)| (*group, (mean(own, |p| p.x), mean(own, |p| p.y), own.len()))).collect();
    let (mut spread, mut sxy, mut syy) = (0.0, 0.0, 0.0);
    for point in points {
        let (x, y, _) = groups[&point.group];
        spread += (point.x - x).powi(2);
        sxy += (point.x - x) * (point.y - y);
        syy += (point.y - y).powi(2);
    }
    if spread <= 0.0 {
        return None;
    }
    let slope = (sxy / spread).max(0.0);
    let freedom = points.len().checked_sub(groups.len() + 1).filter(|freedom| *freedom > 0);
    let residual = freedom.map(|freedom| ((syy - slope * sxy).max(0.0) / freedom as f64).sqrt());
    Some(Fit { slope, falls: sxy < 0.0, residual, groups, spread })
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
        assert!((fit.slope - 2.0).abs() < 1e-9 && !fit.falls);
        assert!((fit.intercept() - 510.0).abs() < 1e-9);
        assert!(fit.residual.unwrap() < 1e-6);
    }

    #[test]
    fn errors_are_those_of_a_textbook() {
        // x 1..5, y 2 4 5 4 5: slope 0.6, residual standard error 0.8944; at x = 6 the prediction is 5.8 with a standard
        // error of 0.8944 * sqrt(1 + 1/5 + 9/10) = 1.296.
        let ys = [2.0, 4.0, 5.0, 4.0, 5.0];
        let points: Vec<_> = ys.iter().zip(1..).map(|(y, x)| point(1, f64::from(x), *y)).collect();
        let fit = fit(&points).unwrap();
        assert!((fit.slope - 0.6).abs() < 1e-9 && (fit.intercept() - 2.2).abs() < 1e-9);
        assert!((fit.residual.unwrap() - 0.894_427).abs() < 1e-5);
        let found = fit.surprise(&[point(1, 6.0, 5.8 + 1.296_148)]).unwrap();
        assert!((found.errors.unwrap() - 1.0).abs() < 1e-4, "{found:?}");
        // Above the intercept 3.6 were predicted and 4.9 observed.
        assert!((found.ratio - (3.6 + 1.296_148) / 3.6).abs() < 1e-4, "{found:?}");
        assert_eq!(fit.surprise(&[point(2, 6.0, 5.8)]), None);
    }

    #[test]
    fn what_falls_has_no_slope_and_its_mean_is_the_baseline() {
        let fit = fit(&[point(1, 1.0, 30.0), point(1, 2.0, 20.0), point(1, 3.0, 10.0)]).unwrap();
        assert_eq!((fit.slope, fit.falls, fit.intercept()), (0.0, true, 20.0));
        assert!((fit.residual.unwrap() - 200.0_f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn one_point_a_trial_says_nothing_about_a_slope() {
        assert_eq!(fit(&[point(1, 1.0, 5.0), point(2, 9.0, 50.0)]), None);
        assert_eq!(fit(&[]), None);
        let two = fit(&[point(1, 1.0, 5.0), point(1, 3.0, 9.0)]).unwrap();
        assert_eq!((two.slope, two.residual), (2.0, None));
    }
}
