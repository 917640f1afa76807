//! Which of several limits comes first, where each is known with an error.

/// Standard normal quantile of 95 %: the upper end of a two-sided 90 % interval.
pub(super) const Z_90: f64 = 1.645;
/// Smallest spread: a number that arithmetic knows is not known better than this.
const LEAST_SPREAD: f64 = 1e-3;
/// Steps of the numerical integration.
const STEPS: u32 = 200;
/// Coefficients of the approximation of the normal distribution.
const NORMAL: [f64; 5] = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];

/// A number of connections that is known with an error: log-normal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Chance {
    /// Its median.
    pub connections: f64,
    /// Standard deviation of its logarithm.
    pub spread: f64,
}

/// The smallest of several.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct First {
    /// Its median.
    pub connections: f64,
    /// Its 5 % and 95 % quantiles.
    pub interval: (f64, f64),
    /// Probability of each to be the smallest, in the order given; together 1.
    pub probabilities: Vec<f64>,
}

impl Chance {
    /// Probability that it is at most `x`.
    fn at_most(self, x: f64) -> f64 {
        normal_cdf((x / self.connections).ln() / self.spread.max(LEAST_SPREAD))
    }

    /// It a number of times: of so many instances together.
    pub(super) fn times(self, factor: f64) -> Self {
        Self { connections: self.connections * factor, ..self }
    }
}

/// The smallest of `all`, as independent of each other: `P(smallest <= x) = 1 - product of (1 - P(each <= x))`. `None` for
/// nothing, or where one of them holds nothing.
pub(super) fn first(all: &[Chance]) -> Option<First> {
    if all.is_empty() || all.iter().any(|chance| chance.connections <= 0.0 || !chance.connections.is_finite()) {
        return None;
    }
    let at_most = |x: f64| 1.0 - all.iter().map(|chance| 1.0 - chance.at_most(x)).product::<f64>();
    let quantile = |p: f64| {
        let far = |chance: &Chance| 6.0 * chance.spread.max(LEAST_SPREAD);
        let mut low = all.iter().map(|one| one.connections.ln() - far(one)).fold(f64::INFINITY, f64::min);
        let mut high = all.iter().map(|one| one.connections.ln() + far(one)).fold(f64::INFINITY, f64::min);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if at_most(middle.exp()) < p { low = middle } else { high = middle }
        }
        f64::midpoint(low, high).exp()
    };
    let (from, to) = (quantile(1e-4).ln(), quantile(1.0 - 1e-4).ln());
    let mut probabilities = vec![0.0; all.len()];
    for step in 0..STEPS {
        let at = |part: f64| (from + (to - from) * (f64::from(step) + part) / f64::from(STEPS)).exp();
        for (index, own) in all.iter().enumerate() {
            let others = all.iter().enumerate().filter(|(other, _)| *other != index);
            let later: f64 = others.map(|(_, other)| 1.0 - other.at_most(at(0.5))).product();
            probabilities[index] += (own.at_most(at(1.0)) - own.at_most(at(0.0))) * later;
        }
    }
    let sum: f64 = probabilities.iter().sum();
    for probability in &mut probabilities {
        *probability /= sum.max(f64::MIN_POSITIVE);
    }
    Some(First { connections: quantile(0.5), interval: (quantile(0.05), quantile(0.95)), probabilities })
}

/// Distribution function of the standard normal distribution, to 1e-7 (Abramowitz and Stegun, 26.2.17).
fn normal_cdf(z: f64) -> f64 {
    if z.is_nan() {
        return 0.5;
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let sum = NORMAL.iter().rev().fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    let tail = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt() * sum;
    if z < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(connections: f64, spread: f64) -> Chance {
        Chance { connections, spread }
    }

    #[test]
    fn the_normal_distribution_is_that_of_the_tables() {
        for (z, p) in [(0.0, 0.5), (1.0, 0.841_345), (-1.644_854, 0.05), (1.959_964, 0.975), (8.0, 1.0)] {
            assert!((normal_cdf(z) - p).abs() < 1e-5, "{z}: {}", normal_cdf(z));
        }
    }

    #[test]
    fn one_alone_is_itself_and_a_far_one_changes_nothing() {
        let alone = first(&[chance(1000.0, 0.05)]).unwrap();
        assert!((alone.connections - 1000.0).abs() < 0.1, "{alone:?}");
        assert!((alone.interval.0 - 1000.0 * (-0.05 * Z_90).exp()).abs() < 0.5, "{alone:?}");
        assert!((alone.interval.1 - 1000.0 * (0.05 * Z_90).exp()).abs() < 0.5, "{alone:?}");
        let with_far = first(&[chance(1000.0, 0.05), chance(9000.0, 0.05)]).unwrap();
        assert!((with_far.connections - alone.connections).abs() < 0.1 && with_far.probabilities[0] > 0.999);
        assert_eq!((first(&[]), first(&[chance(0.0, 0.1)])), (None, None));
    }

    #[test]
    fn of_two_at_the_same_place_each_is_as_likely_and_the_smaller_of_them_is_smaller() {
        let both = first(&[chance(1000.0, 0.1), chance(1000.0, 0.1)]).unwrap();
        assert!(both.probabilities.iter().all(|p| (p - 0.5).abs() < 1e-6), "{both:?}");
        // P(smaller <= x) = 1/2 where each is above with sqrt(1/2): z = -0.5449.
        assert!((both.connections - 1000.0 * (-0.054_49_f64).exp()).abs() < 0.2, "{both:?}");
        let unsure = first(&[chance(1000.0, 0.01), chance(1100.0, 0.2)]).unwrap();
        assert!((0.6..0.8).contains(&unsure.probabilities[0]), "{unsure:?}");
        // P(X < Y) of two normal ones: the difference over the root of the sum of squares is 0.1604.
        let near = first(&[chance(1000.0, 0.05), chance(1050.0, 0.3)]).unwrap();
        assert!((near.probabilities[0] - 0.5637).abs() < 0.002, "{near:?}");
    }
}
