//! How old connections were when the other side ended them. A lifetime ends all at one age, whether they say something or
//! not; an idle timeout ends those that have been quiet for one time.

use serde::{Deserialize, Serialize};

use super::FailureReason;

/// Connections of one step that were lost for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LostAges {
    /// Why they were lost.
    #[serde(rename = "cause")]
    pub reason: FailureReason,
    /// How many.
    pub count: u64,
    /// Of those, the ones that had said nothing since the message that they begin with.
    pub silent: u64,
    /// Time from the accepted upgrade to the loss.
    pub age: Ages,
    /// Time from the connection's last message, or in a broadcast from the last one that it received, to the loss.
    pub quiet: Ages,
}

/// A distribution of times in milliseconds. Percentiles are exact within 0.1 %, buckets are for a plot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ages {
    /// Shortest.
    pub min_ms: u64,
    /// 10th percentile.
    pub p10_ms: u64,
    /// 50th percentile.
    pub median_ms: u64,
    /// 90th percentile.
    pub p90_ms: u64,
    /// Longest.
    pub max_ms: u64,
    /// How many are in each bucket, see [`bucket`]; empty buckets at the end are left out.
    pub buckets: Vec<u64>,
}

/// Number of buckets at most.
pub const BUCKETS: usize = 24;
/// Times below this are in the first bucket; each further one reaches twice as far, the last has no end.
pub const FIRST_BUCKET_MS: u64 = 16;

/// The bucket of a time: `0` is below 16 ms, `1` below 32 ms, ..., `22` below 18.6 h, `23` everything longer.
pub fn bucket(ms: u64) -> usize {
    let doublings = (ms / FIRST_BUCKET_MS).checked_ilog2().map_or(0, |log| log as usize + 1);
    doublings.min(BUCKETS - 1)
}

impl Ages {
    /// How far the middle 80 % are apart, as a share of the median: near 0 where all have one age. `None`: the median is 0.
    pub fn spread(&self) -> Option<f64> {
        (self.median_ms > 0).then(|| self.p90_ms.saturating_sub(self.p10_ms) as f64 / self.median_ms as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_double_and_every_time_has_one() {
        assert_eq!([0, 15, 16, 31, 32, 63, 64].map(bucket), [0, 0, 1, 1, 2, 2, 3]);
        let longest_of_22 = (FIRST_BUCKET_MS << 22) - 1;
        assert_eq!([longest_of_22, longest_of_22 + 1, u64::MAX].map(bucket), [22, 23, 23]);
    }

    #[test]
    fn the_spread_is_that_of_the_middle_and_a_share_of_the_median() {
        let ages =
            Ages { min_ms: 1, p10_ms: 59_000, median_ms: 60_000, p90_ms: 62_000, max_ms: 90_000, ..Ages::default() };
        assert!((ages.spread().unwrap() - 0.05).abs() < 1e-9);
        assert_eq!(Ages::default().spread(), None);
    }
}
