//! The numbers of the limits: the usual ones, or others that a seed draws.

use std::ops::RangeInclusive;

/// Draws numbers.
#[derive(Debug)]
pub struct Numbers {
    seeded: Option<fastrand::Rng>,
}

impl Numbers {
    /// Without a seed every number is the usual one.
    pub fn new(seed: Option<u64>) -> Self {
        Self { seeded: seed.map(fastrand::Rng::with_seed) }
    }

    /// The usual number, or with a seed one of the range: a range within which the same limit is still the one that is
    /// met.
    pub fn pick(&mut self, usual: u32, range: RangeInclusive<u32>) -> u32 {
        debug_assert!(range.contains(&usual), "{usual} is not in {range:?}");
        self.seeded.as_mut().map_or(usual, |seeded| seeded.u32(range))
    }

    /// The same in hundredths, for shares of a CPU.
    pub fn pick_hundredths(&mut self, usual: u32, range: RangeInclusive<u32>) -> f64 {
        f64::from(self.pick(usual, range)) / 100.0
    }
}
