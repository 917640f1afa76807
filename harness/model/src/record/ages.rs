//! How old connections were when the other side ended them. A lifetime ends all at one age, whether they say something or
//! not; an idle timeout ends those that have been quiet for one time.

use std::collections::BTreeMap;
use std::iter::Sum;

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

/// A distribution of times in milliseconds. Percentiles are exact within 0.1 %.
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
    /// How many had which time.
    pub counts: AgeCounts,
}

impl Ages {
    /// How far the middle 80 % are apart, as a share of the median: near 0 where all have one age. `None`: the median is 0.
    pub fn spread(&self) -> Option<f64> {
        (self.median_ms > 0).then(|| self.p90_ms.saturating_sub(self.p10_ms) as f64 / self.median_ms as f64)
    }
}

impl From<AgeCounts> for Ages {
    /// Percentiles as far as the counts tell.
    fn from(counts: AgeCounts) -> Self {
        let at = |share| counts.quantile(share).unwrap_or(0).into();
        let (min_ms, p10_ms, median_ms, p90_ms, max_ms) = (at(0.0), at(0.1), at(0.5), at(0.9), at(1.0));
        Self { min_ms, p10_ms, median_ms, p90_ms, max_ms, counts }
    }
}

/// Binary digits of an age that are kept, so that it is off by a thirty-second at most.
const DIGITS: u32 = 6;

/// Ages in milliseconds, rounded down to six binary digits, each with how many connections had it. In the record a list of
/// pairs: `[[1984, 3], [2048, 7]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u32, u64)>", into = "Vec<(u32, u64)>")]
pub struct AgeCounts(BTreeMap<u32, u64>);

impl AgeCounts {
    /// Counts a connection of that age.
    pub fn add(&mut self, age_ms: u32) {
        self.add_all(age_ms, 1);
    }

    /// Counts so many connections of that age.
    pub fn add_all(&mut self, age_ms: u32, count: u64) {
        *self.0.entry(age_ms >> dropped(age_ms) << dropped(age_ms)).or_default() += count;
    }

    /// Each age in milliseconds with its count, youngest first.
    pub fn each(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.0.iter().map(|(age_ms, count)| (*age_ms, *count))
    }

    /// The same with the middle of what was rounded to that age.
    pub fn middles(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let middle = |age_ms: u32| f64::from(age_ms) + f64::from(1_u32 << dropped(age_ms)) / 2.0;
        self.each().map(move |(age_ms, count)| (middle(age_ms), count))
    }

    /// Whether none was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Connections that were counted.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The age that so much of all had not passed, `share` from 0 to 1; `None`: none was counted.
    pub fn quantile(&self, share: f64) -> Option<u32> {
        let wanted = share * self.count() as f64;
        let mut seen = 0.0;
        self.each().find_map(|(age_ms, count)| {
            seen += count as f64;
            (seen >= wanted).then_some(age_ms)
        })
    }
}

/// Binary digits of an age that are not kept.
fn dropped(age_ms: u32) -> u32 {
    (u32::BITS - age_ms.leading_zeros()).saturating_sub(DIGITS)
}

impl From<Vec<(u32, u64)>> for AgeCounts {
    fn from(pairs: Vec<(u32, u64)>) -> Self {
        let mut ages = Self::default();
        for (age_ms, count) in pairs {
            ages.add_all(age_ms, count);
        }
        ages
    }
}

impl From<AgeCounts> for Vec<(u32, u64)> {
    fn from(ages: AgeCounts) -> Self {
        ages.0.into_iter().collect()
    }
}

impl<'a> Sum<&'a AgeCounts> for AgeCounts {
    fn sum<I: Iterator<Item = &'a AgeCounts>>(all: I) -> Self {
        all.flat_map(AgeCounts::each).fold(AgeCounts::default(), |mut sum, (age_ms, count)| {
            sum.add_all(age_ms, count);
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_the_middle_and_a_share_of_the_median() {
        let ages =
            Ages { min_ms: 1, p10_ms: 59_000, median_ms: 60_000, p90_ms: 62_000, max_ms: 90_000, ..Ages::default() };
        assert!((ages.spread().unwrap() - 0.05).abs() < 1e-9);
        assert_eq!(Ages::default().spread(), None);
    }

    #[test]
    fn ages_are_counted_within_a_thirty_second_and_come_back_from_the_record() {
        let mut ages = AgeCounts::default();
        for age_ms in [3, 63, 2000, 2001, 5000] {
            ages.add(age_ms);
        }
        let json = serde_json::to_string(&ages).unwrap();
        assert_eq!(json, "[[3,1],[63,1],[1984,2],[4992,1]]");
        assert_eq!(serde_json::from_str::<AgeCounts>(&json).unwrap(), ages);
        assert_eq!((ages.count(), ages.quantile(0.5), ages.quantile(1.0)), (5, Some(1984), Some(4992)));
        assert_eq!(AgeCounts::default().quantile(0.5), None);
        assert_eq!(ages.middles().nth(2), Some((2000.0, 2)));
    }

    #[test]
    fn the_sum_of_two_has_all_of_both() {
        let (mut one, mut other) = (AgeCounts::default(), AgeCounts::default());
        one.add_all(100, 2);
        other.add_all(100, 3);
        other.add(7);
        assert_eq!([&one, &other].into_iter().sum::<AgeCounts>().each().collect::<Vec<_>>(), [(7, 1), (100, 5)]);
    }
}
