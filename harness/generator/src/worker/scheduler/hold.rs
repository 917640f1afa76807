//! A hold under way.

/// A hold under way. The load goes on in it as it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Its end.
    pub to_ns: u64,
}

impl Hold {
    /// A hold that begins now.
    pub fn new(now: u64, length_ns: u64) -> Self {
        Self { to_ns: now.saturating_add(length_ns) }
    }

    /// Ends it early.
    pub fn cut_short(&mut self, now: u64) {
        self.to_ns = self.to_ns.min(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_that_is_cut_short_ends_now_and_never_later_than_it_would() {
        let mut hold = Hold::new(100, 1000);
        hold.cut_short(500);
        assert_eq!(hold.to_ns, 500);
        hold.cut_short(700);
        assert_eq!(hold.to_ns, 500);
    }
}
