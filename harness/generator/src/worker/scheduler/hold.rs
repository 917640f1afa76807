//! A hold under way: until when something new is said, and when it ends.

use super::super::clock::SECOND_NS;

/// Longest part of a hold in which nothing new is said, unless messages are spread over it.
const QUIET_MAX_NS: u64 = SECOND_NS / 2;

/// A hold under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// From here on nothing new is said, so that every message has time to come back.
    pub quiet_ns: u64,
    /// Its end.
    pub to_ns: u64,
    /// Whether messages are spread over it, because not each connection's would fall into it.
    pub spread: bool,
}

impl Hold {
    /// A hold that begins now, of connections that say something every so often.
    pub fn new(now: u64, length_ns: u64, every_ns: u64) -> Self {
        let fifth = length_ns / 5;
        let short = fifth.min(QUIET_MAX_NS);
        let spread = every_ns > length_ns - short;
        let to_ns = now.saturating_add(length_ns);
        Self { quiet_ns: to_ns - if spread { fifth } else { short }, to_ns, spread }
    }

    /// Ends it early. What was said a moment ago still has its time to come back.
    pub fn cut_short(&mut self, now: u64) {
        self.quiet_ns = self.quiet_ns.min(now);
        self.to_ns = self.to_ns.min(now.saturating_add(QUIET_MAX_NS));
    }

    /// Time that the last message has to come back.
    pub fn grace_ns(&self) -> u64 {
        self.to_ns - self.quiet_ns
    }

    /// Whether what is due at a moment is left out.
    #[inline]
    pub fn is_quiet(&self, moment_ns: u64) -> bool {
        (self.quiet_ns..self.to_ns).contains(&moment_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_hold_is_quiet_for_half_a_second_and_one_that_spreads_messages_for_a_fifth() {
        let often = Hold::new(100, 10 * SECOND_NS, SECOND_NS);
        assert_eq!((often.spread, often.grace_ns()), (false, QUIET_MAX_NS));
        assert!(!often.is_quiet(often.quiet_ns - 1) && often.is_quiet(often.quiet_ns) && !often.is_quiet(often.to_ns));
        let seldom = Hold::new(100, 10 * SECOND_NS, 60 * SECOND_NS);
        assert_eq!((seldom.spread, seldom.grace_ns()), (true, 2 * SECOND_NS));
    }

    #[test]
    fn a_hold_that_is_cut_short_still_waits_for_what_was_said() {
        let mut hold = Hold::new(0, 10 * SECOND_NS, SECOND_NS);
        hold.cut_short(SECOND_NS);
        assert_eq!((hold.quiet_ns, hold.to_ns, hold.grace_ns()), (SECOND_NS, SECOND_NS * 3 / 2, QUIET_MAX_NS));
        let late = 10 * SECOND_NS - 1;
        let mut hold = Hold::new(0, 10 * SECOND_NS, SECOND_NS);
        hold.cut_short(late);
        assert_eq!(hold, Hold::new(0, 10 * SECOND_NS, SECOND_NS));
    }
}
