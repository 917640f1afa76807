//! Think times: the time between two messages of a connection.

use std::time::Duration;

use super::due::nanoseconds;
use wsceiling_model::matrix::ThinkTime;

/// Shortest time drawn, so that a schedule always gets on.
const LEAST_NS: u64 = 1000;

/// A distribution of think times.
#[derive(Debug, Clone, Copy)]
pub struct ThinkTimes {
    /// Mean in nanoseconds.
    pub mean_ns: u64,
    spread: ThinkTime,
}

impl ThinkTimes {
    /// Times of that mean and distribution.
    pub fn new(mean: Duration, spread: ThinkTime) -> Self {
        Self { mean_ns: nanoseconds(mean), spread }
    }

    /// Whether a connection may stay silent for longer than the mean.
    pub fn is_random(self) -> bool {
        self.spread != ThinkTime::Fixed
    }

    /// The next time in nanoseconds.
    #[inline]
    pub fn draw(self, random: &mut fastrand::Rng) -> u64 {
        match self.spread {
            ThinkTime::Fixed => self.mean_ns,
            ThinkTime::Uniform => random.u64(..=self.mean_ns.saturating_mul(2)).max(LEAST_NS),
            // Inverse of the distribution function; the argument of the logarithm is never 0.
            ThinkTime::Exponential => ((self.mean_ns as f64 * -(1.0 - random.f64()).ln()) as u64).max(LEAST_NS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean, and share above the mean, of many draws.
    fn drawn(spread: ThinkTime) -> (f64, f64) {
        let think = ThinkTimes::new(Duration::from_millis(5), spread);
        let mut random = fastrand::Rng::with_seed(7);
        let draws: Vec<f64> = (0..100_000).map(|_| think.draw(&mut random) as f64 / 5e6).collect();
        let above = draws.iter().filter(|draw| **draw > 1.0).count() as f64 / 1e5;
        (draws.iter().sum::<f64>() / 1e5, above)
    }

    #[test]
    fn every_distribution_keeps_the_mean_in_its_own_shape() {
        assert_eq!(drawn(ThinkTime::Fixed), (1.0, 0.0));
        for (spread, above) in [(ThinkTime::Uniform, 0.5), (ThinkTime::Exponential, (-1.0_f64).exp())] {
            let (mean, share) = drawn(spread);
            assert!((mean - 1.0).abs() < 0.02, "{spread}: {mean}");
            assert!((share - above).abs() < 0.01, "{spread}: {share}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_times() {
        let think = ThinkTimes::new(Duration::from_secs(1), ThinkTime::Exponential);
        let times = |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            (0..9).map(|_| think.draw(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(times(3), times(3));
        assert_ne!(times(3), times(4));
    }
}
