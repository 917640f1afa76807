//! Plain echo: text that names connection and message, and comes back as it is.

use super::sizes::Sizes;
use super::{Last, Reply};

/// Bytes at the start of a payload that name connection and message.
const NAME_LENGTH: usize = 16;

/// Writes messages and reads replies.
#[derive(Debug)]
pub struct Echo {
    sizes: Sizes,
    /// The payload that was written last, as long as the longest; its end never changes.
    payload: Vec<u8>,
}

impl Echo {
    /// Messages of these sizes.
    pub fn new(sizes: Sizes) -> Self {
        let filler = b"the quick brown fox jumps over the lazy dog, ";
        let payload = filler.iter().copied().cycle().take(sizes.longest()).collect();
        Self { sizes, payload }
    }

    /// The message of that number.
    #[inline]
    pub fn message(&mut self, serial: u32, sequence: u32) -> &[u8] {
        let bytes = self.sizes.of(serial, sequence);
        let name = name(serial, sequence);
        let named = bytes.min(NAME_LENGTH);
        self.payload[..named].copy_from_slice(&name[NAME_LENGTH - named..]);
        &self.payload[..bytes]
    }

    /// What a received message means to a connection that said that last.
    #[inline]
    pub fn reply(&self, text: bool, payload: &[u8], last: Last) -> Reply {
        let bytes = self.sizes.of(last.serial, last.sequence);
        let named = bytes.min(NAME_LENGTH);
        let same = text
            && last.waiting
            && payload.len() == bytes
            && payload[..named] == name(last.serial, last.sequence)[NAME_LENGTH - named..]
            && payload[named..] == self.payload[named..bytes];
        if same { Reply::Answer } else { Reply::Wrong }
    }
}

/// Serial and sequence in 16 hexadecimal digits; the last digits change fastest, so a short payload takes those.
#[inline]
fn name(serial: u32, sequence: u32) -> [u8; NAME_LENGTH] {
    let number = u64::from(serial) << 32 | u64::from(sequence);
    std::array::from_fn(|digit| b"0123456789abcdef"[(number >> (60 - 4 * digit) & 0xF) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(serial: u32, sequence: u32, waiting: bool) -> Last {
        Last { serial, sequence, at_ns: 0, waiting }
    }

    #[test]
    fn an_echo_is_its_own_answer_and_no_other_is() {
        for bytes in [0, 1, 15, 16, 17, 64, 1000] {
            let mut echo = Echo::new(Sizes::new(bytes, &[], 1));
            let sent = echo.message(0xABC, 7).to_vec();
            assert_eq!(sent.len(), bytes as usize);
            assert!(sent.is_ascii());
            assert_eq!(echo.reply(true, &sent, last(0xABC, 7, true)), Reply::Answer);
            assert_eq!(echo.reply(false, &sent, last(0xABC, 7, true)), Reply::Wrong);
            assert_eq!(echo.reply(true, &sent, last(0xABC, 7, false)), Reply::Wrong);
            for at in 0..sent.len() {
                let mut other = sent.clone();
                other[at] ^= 1;
                assert_eq!(echo.reply(true, &other, last(0xABC, 7, true)), Reply::Wrong, "byte {at}");
            }
            if bytes > 0 {
                assert_eq!(echo.reply(true, &sent, last(0xABC, 8, true)), Reply::Wrong);
                assert_eq!(echo.reply(true, &sent[1..], last(0xABC, 7, true)), Reply::Wrong);
            }
        }
    }

    #[test]
    fn echoes_of_a_mix_are_told_apart_by_their_sizes() {
        let mix = [(3, 0.5), (100, 0.5)].map(|(bytes, share)| wsceiling_model::matrix::Portion { bytes, share });
        let mut echo = Echo::new(Sizes::new(0, &mix, 1));
        let mut seen = std::collections::BTreeSet::new();
        for sequence in 0..100 {
            let sent = echo.message(2, sequence).to_vec();
            // A short message in between must not disturb what a long one ends with.
            echo.message(9, sequence);
            assert_eq!(echo.reply(true, &sent, last(2, sequence, true)), Reply::Answer);
            assert_eq!(echo.reply(true, &sent[1..], last(2, sequence, true)), Reply::Wrong);
            seen.insert(sent.len());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [3, 100]);
    }
}
