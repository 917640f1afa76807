//! What is due when: a heap for what repeats or is random, queues for timeouts of one length.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::super::table::Handle;

/// Moments, each with what is due then; the earliest first.
#[derive(Debug)]
pub struct Due<T: Ord + Copy> {
    heap: BinaryHeap<Reverse<(u64, T)>>,
}

impl<T: Ord + Copy> Default for Due<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new() }
    }
}

impl<T: Ord + Copy> Due<T> {
    /// Adds one.
    pub fn push(&mut self, moment_ns: u64, what: T) {
        self.heap.push(Reverse((moment_ns, what)));
    }

    /// The earliest.
    pub fn first(&self) -> Option<(u64, T)> {
        self.heap.peek().map(|Reverse(first)| *first)
    }

    /// Moves the earliest to a later moment, cheaper than taking and adding it.
    pub fn postpone(&mut self, moment_ns: u64) {
        if let Some(mut first) = self.heap.peek_mut() {
            first.0.0 = moment_ns;
        }
    }

    /// Takes the earliest away.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        self.heap.pop().map(|Reverse(first)| first)
    }
}

/// Timeouts of one length, so that they end in the order in which they began.
#[derive(Debug)]
pub struct Timeouts {
    length_ns: u64,
    queue: VecDeque<(u64, Handle)>,
}

impl Timeouts {
    /// Timeouts of that length.
    pub fn new(length: Duration) -> Self {
        Self { length_ns: nanoseconds(length), queue: VecDeque::new() }
    }

    /// Begins one.
    pub fn begin(&mut self, now_ns: u64, handle: Handle) {
        self.queue.push_back((now_ns.saturating_add(self.length_ns), handle));
    }

    /// Drops those whose connection no longer waits, from the earliest on, and says when the next one ends.
    pub fn first(&mut self, mut waits: impl FnMut(Handle) -> bool) -> Option<(u64, Handle)> {
        while let Some(first) = self.queue.front() {
            if waits(first.1) {
                return Some(*first);
            }
            self.queue.pop_front();
        }
        None
    }
}

/// Nanoseconds of a duration; what is longer than 584 years counts as that.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_also_after_it_was_postponed() {
        let mut due = Due::default();
        for moment in [30, 10, 20] {
            due.push(moment, moment);
        }
        due.postpone(25);
        assert_eq!(
            [due.pop(), due.pop(), due.pop(), due.pop()],
            [Some((20, 20)), Some((25, 10)), Some((30, 30)), None]
        );
    }

    #[test]
    fn timeouts_of_connections_that_no_longer_wait_are_dropped() {
        let mut timeouts = Timeouts::new(Duration::from_nanos(5));
        let handle = |serial| Handle { index: 0, serial };
        for serial in 0..4 {
            timeouts.begin(u64::from(serial), handle(serial));
        }
        assert_eq!(timeouts.first(|waiting| waiting.serial >= 2), Some((7, handle(2))));
        assert_eq!(timeouts.first(|waiting| waiting.serial >= 2), Some((7, handle(2))));
        assert_eq!(timeouts.first(|_| false), None);
    }
}
