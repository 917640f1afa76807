//! Sizes of messages: one, or a mix. The size of a message follows from the seed, its connection and its number, so that
//! the reply can be checked without a byte of state.

use wsceiling_model::matrix::Portion;

/// Sizes of a worker's messages.
#[derive(Debug)]
pub struct Sizes {
    longest: usize,
    /// Upper ends of the portions within 64 bits, each with its size; empty: all messages are the longest.
    table: Vec<(u64, usize)>,
    seed: u64,
}

impl Sizes {
    /// Messages of `longest` bytes, or of the sizes of a mix that is not empty.
    pub fn new(longest: u32, mix: &[Portion], seed: u64) -> Self {
        let whole: f64 = mix.iter().map(|portion| portion.share).sum();
        let mut sum = 0.0;
        let mut table: Vec<(u64, usize)> = mix
            .iter()
            .map(|portion| {
                sum += portion.share / whole;
                ((sum * u64::MAX as f64) as u64, portion.bytes as usize)
            })
            .collect();
        // Whatever is lost to rounding belongs to the last one.
        if let Some(last) = table.last_mut() {
            last.0 = u64::MAX;
        }
        let longest = mix.iter().map(|portion| portion.bytes).max().unwrap_or(longest);
        Self { longest: longest as usize, table, seed }
    }

    /// Bytes of the longest message.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Bytes of a message.
    #[inline]
    pub fn of(&self, serial: u32, sequence: u32) -> usize {
        if self.table.is_empty() {
            return self.longest;
        }
        let draw = mixed(self.seed ^ (u64::from(serial) << 32 | u64::from(sequence)));
        self.table.iter().find(|(end, _)| draw <= *end).map_or(self.longest, |(_, bytes)| *bytes)
    }
}

/// The output function of `SplitMix64` (Steele, Lea, Flood 2014): neighbours become independent of each other.
#[inline]
fn mixed(number: u64) -> u64 {
    let z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mix_has_its_shares_over_connections_and_over_messages() {
        let mix = [(64, 0.7), (4096, 0.2), (1, 0.1)].map(|(bytes, share)| Portion { bytes, share });
        let sizes = Sizes::new(9, &mix, 5);
        assert_eq!(sizes.longest(), 4096);
        let share = |bytes: usize, draws: &[usize]| {
            draws.iter().filter(|draw| **draw == bytes).count() as f64 / draws.len() as f64
        };
        let connections: Vec<usize> = (0..50_000).map(|serial| sizes.of(serial, 1)).collect();
        let messages: Vec<usize> = (0..50_000).map(|sequence| sizes.of(3, sequence)).collect();
        for draws in [connections, messages] {
            for portion in mix {
                let found = share(portion.bytes as usize, &draws);
                assert!((found - portion.share).abs() < 0.01, "{} bytes: {found}", portion.bytes);
            }
        }
    }

    proptest! {
        #[test]
        fn every_message_has_a_size_of_the_mix_and_always_the_same(
            shares in prop::collection::vec(0.001..1.0_f64, 1..9), serial: u32, sequence: u32, seed: u64,
        ) {
            let mix: Vec<_> = (1..).zip(shares).map(|(bytes, share)| Portion { bytes, share }).collect();
            let bytes = Sizes::new(1, &mix, seed).of(serial, sequence);
            prop_assert!(mix.iter().any(|portion| portion.bytes as usize == bytes));
            prop_assert_eq!(Sizes::new(1, &mix, seed).of(serial, sequence), bytes);
        }
    }
}
