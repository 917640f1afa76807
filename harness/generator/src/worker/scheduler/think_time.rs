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
    mean_ns: u64,
    spread: ThinkTime,
}

impl ThinkTimes {
    /// Times of that mean and distribution.
    pub fn new(mean: Duration, spread: ThinkTime) -> Self {
        Self { mean_ns: nanoseconds(mean), spread }
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

    /// The time in nanoseconds from any moment to the next message of a connection that has been talking for ever. So
    /// connections that are opened together do not talk together, and from the start as many messages are due as later.
    pub fn draw_first(self, random: &mut fastrand::Rng) -> u64 {
        let mean = self.mean_ns as f64;
        match self.spread {
            ThinkTime::Fixed => random.u64(..self.mean_ns.max(1)) + 1,
            // A moment falls rather into a long time than into a short one, so its rest has the density (1 - t / 2m) / m.
            ThinkTime::Uniform => ((2.0 * mean * (1.0 - random.f64().sqrt())) as u64).max(LEAST_NS),
            // Without memory.
            ThinkTime::Exponential => self.draw(random),
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

    /// Mean messages per connection in consecutive fifths of a mean, from the moment at which it was opened.
    fn rates(spread: ThinkTime) -> Vec<f64> {
        let think = ThinkTimes::new(Duration::from_millis(5), spread);
        let mut random = fastrand::Rng::with_seed(7);
        let mut counts = vec![0.0; 10];
        for _ in 0..200_000 {
            let mut at = think.draw_first(&mut random);
            while let Some(count) = counts.get_mut((at / 1_000_000) as usize) {
                *count += 1.0 / 200_000.0;
                at += think.draw(&mut random);
            }
        }
        counts
    }

    #[test]
    fn from_the_start_as_many_messages_are_due_as_later() {
        for spread in [ThinkTime::Fixed, ThinkTime::Uniform, ThinkTime::Exponential] {
            for (fifth, rate) in rates(spread).into_iter().enumerate() {
                assert!((rate - 0.2).abs() < 0.006, "{spread}: {rate} in fifth {fifth}");
            }
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
