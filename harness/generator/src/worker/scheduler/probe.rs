//! A probe under way: after a hold, those that were not answered in it are asked once, so that each connection is known to
//! be held or not.

use std::collections::VecDeque;

use super::super::clock::SECOND_NS;
use super::super::table::Handle;

/// How long the probe waits for answers after it has asked the last one.
pub const GRACE_NS: u64 = SECOND_NS;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// A connection.
    Connection(Handle),
    /// The members of a room (broadcast).
    Room(u32),
}

/// A probe under way.
#[derive(Debug)]
pub struct Probe {
    /// Its beginning.
    from_ns: u64,
    /// Time over which the questions are spread evenly.
    within_ns: u64,
    /// Who is asked, in order.
    asks: Vec<Whom>,
    /// How many of them were.
    asked: usize,
    /// Those whose answers it waits for. Some may have come already.
    awaited: VecDeque<Whom>,
    /// When the last one was asked.
    last_ns: u64,
    /// It was ended early, and did not ask all.
    stopped: bool,
}

impl Probe {
    /// A probe that begins now. `awaited` still wait for answers to what they said before.
    pub fn new(now: u64, within_ns: u64, asks: Vec<Whom>, awaited: VecDeque<Whom>) -> Self {
        Self { from_ns: now, within_ns, asks, asked: 0, awaited, last_ns: now, stopped: false }
    }

    /// When the next one is to be asked; where all were, when it is over at the latest.
    pub fn next_moment(&self) -> u64 {
        if self.asked == self.asks.len() {
            return self.last_ns.saturating_add(GRACE_NS);
        }
        let after = self.within_ns as f64 * self.asked as f64 / self.asks.len() as f64;
        self.from_ns.saturating_add(after as u64)
    }

    /// Takes the next one, if it is to be asked by a tick.
    pub fn take(&mut self, tick: u64) -> Option<(u64, Whom)> {
        let whom = *self.asks.get(self.asked)?;
        let moment = self.next_moment();
        (moment <= tick).then(|| {
            self.asked += 1;
            (moment, whom)
        })
    }

    /// Somebody was asked now.
    pub fn asked(&mut self, whom: Whom, now: u64) {
        self.last_ns = self.last_ns.max(now);
        self.awaited.push_back(whom);
    }

    /// Asks nobody any more.
    pub fn cut_short(&mut self) {
        self.stopped |= self.asked < self.asks.len();
        self.asks.truncate(self.asked);
    }

    /// Whether it was ended before it had asked all.
    pub fn was_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether all were asked and nobody waits any more, or has waited too long.
    pub fn is_over(&mut self, now: u64, mut waits: impl FnMut(Whom) -> bool) -> bool {
        if self.asked < self.asks.len() {
            return false;
        }
        while self.awaited.front().is_some_and(|first| !waits(*first)) {
            self.awaited.pop_front();
        }
        self.awaited.is_empty() || now >= self.next_moment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(numbers: std::ops::Range<u32>) -> Vec<Whom> {
        numbers.map(Whom::Room).collect()
    }

    #[test]
    fn questions_are_spread_evenly() {
        let mut probe = Probe::new(1000, 400, rooms(0..4), VecDeque::new());
        let moments: Vec<_> = std::iter::from_fn(|| probe.take(1400)).collect();
        assert_eq!(moments, [0, 1, 2, 3].map(|room| (1000 + 100 * u64::from(room), Whom::Room(room))));
        let mut probe = Probe::new(1000, 400, rooms(0..4), VecDeque::new());
        assert_eq!((probe.take(1099).is_some(), probe.take(1099), probe.next_moment()), (true, None, 1100));
    }

    #[test]
    fn it_is_over_once_all_are_asked_and_answered() {
        let mut probe = Probe::new(0, 100, rooms(0..2), rooms(7..8).into());
        assert!(!probe.is_over(50, |_| false), "one is not asked yet");
        while let Some((_, whom)) = probe.take(50) {
            probe.asked(whom, 60);
        }
        assert!(!probe.is_over(60, |whom| whom == Whom::Room(7)), "what was said before is awaited too");
        assert!(!probe.is_over(60, |whom| whom == Whom::Room(1)));
        assert!(probe.is_over(60, |_| false));
    }

    #[test]
    fn it_waits_a_second_after_the_last_question() {
        let mut probe = Probe::new(0, 0, rooms(0..1), VecDeque::new());
        let (_, whom) = probe.take(0).unwrap();
        probe.asked(whom, 500);
        assert_eq!(probe.next_moment(), 500 + GRACE_NS);
        assert!(!probe.is_over(499 + GRACE_NS, |_| true) && probe.is_over(500 + GRACE_NS, |_| true));
    }

    #[test]
    fn one_that_is_cut_short_asks_nobody_and_says_so() {
        let mut probe = Probe::new(0, 100, rooms(0..2), VecDeque::new());
        probe.take(0);
        probe.cut_short();
        assert!(probe.was_stopped() && probe.take(100).is_none() && probe.is_over(100, |_| false));
        let mut done = Probe::new(0, 100, rooms(0..1), VecDeque::new());
        done.take(0);
        done.cut_short();
        assert!(!done.was_stopped(), "it had asked all");
    }
}
