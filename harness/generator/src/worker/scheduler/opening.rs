//! An open or reconnect command under way: which connect is due when.

use super::super::clock::SECOND_NS;

/// An open or reconnect command under way.
#[derive(Debug)]
pub struct Opening {
    count: u32,
    per_second: f64,
    /// The first moment.
    pub start_ns: u64,
    /// Reconnect: all moments, in order. Else none, and the rate says them.
    moments: Option<Vec<u64>>,
    /// Connects issued.
    issued: u32,
    /// Connects that were counted as due.
    counted: u32,
    /// Connects that are open or have failed.
    settled: u32,
}

impl Opening {
    /// So many connects at a rate above 0.
    pub fn new(count: u32, per_second: f64, start_ns: u64) -> Self {
        Self { count, per_second, start_ns, moments: None, issued: 0, counted: 0, settled: 0 }
    }

    /// Connects at random moments.
    pub fn storm(count: u32, jitter_ns: u64, start_ns: u64, random: &mut fastrand::Rng) -> Self {
        let mut moments: Vec<_> = (0..count).map(|_| start_ns.saturating_add(random.u64(..=jitter_ns))).collect();
        moments.sort_unstable();
        Self { moments: Some(moments), ..Self::new(count, 1.0, start_ns) }
    }

    /// Whether connections come back after they were closed.
    pub fn is_storm(&self) -> bool {
        self.moments.is_some()
    }

    /// A connection is open, or has failed.
    pub fn settle(&mut self) {
        self.settled += 1;
    }

    /// Whether every connection is open or has failed.
    pub fn is_settled(&self) -> bool {
        self.settled >= self.count
    }

    /// Intended moment of a connect.
    fn moment(&self, connect: u32) -> u64 {
        if let Some(moments) = &self.moments {
            return moments.get(connect as usize).copied().unwrap_or(u64::MAX);
        }
        let after = f64::from(connect) / self.per_second * SECOND_NS as f64;
        self.start_ns.saturating_add(after as u64)
    }

    /// Intended moment of the next connect.
    pub fn next_moment(&self) -> Option<u64> {
        (self.issued < self.count).then(|| self.moment(self.issued))
    }

    /// Takes the next connect, if it is due.
    pub fn take(&mut self, now: u64) -> Option<u64> {
        let moment = self.next_moment().filter(|moment| *moment <= now)?;
        self.issued += 1;
        Some(moment)
    }

    /// Connects that have become due since the last time.
    pub fn newly_due(&mut self, now: u64) -> u32 {
        let mut due = self.counted;
        if let Some(moments) = &self.moments {
            due = due.max(moments.partition_point(|moment| *moment <= now) as u32);
        } else if now >= self.start_ns {
            let passed = (now - self.start_ns) as f64 / SECOND_NS as f64 * self.per_second;
            due = due.max((passed as u32).saturating_add(1).min(self.count)).max(self.issued);
        }
        due - std::mem::replace(&mut self.counted, due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connects_are_due_at_the_rate_whether_they_are_issued_or_not() {
        let mut opening = Opening::new(3, 2.0, SECOND_NS);
        assert_eq!((opening.newly_due(SECOND_NS - 1), opening.take(SECOND_NS - 1)), (0, None));
        assert_eq!(opening.newly_due(SECOND_NS * 3 / 2), 2);
        assert_eq!(opening.take(SECOND_NS * 3 / 2), Some(SECOND_NS));
        assert_eq!(opening.next_moment(), Some(SECOND_NS * 3 / 2));
        assert_eq!(opening.newly_due(SECOND_NS * 9), 1);
        assert!(opening.take(SECOND_NS * 9).is_some() && opening.take(SECOND_NS * 9).is_some());
        assert_eq!((opening.take(SECOND_NS * 9), opening.next_moment()), (None, None));
        for _ in 0..3 {
            assert!(!opening.is_settled());
            opening.settle();
        }
        assert!(opening.is_settled());
    }

    #[test]
    fn a_storm_comes_within_its_jitter() {
        let mut storm = Opening::storm(100, 50, 1000, &mut fastrand::Rng::with_seed(1));
        let moments: Vec<u64> = std::iter::from_fn(|| storm.take(u64::MAX)).collect();
        assert!(moments.len() == 100 && moments.is_sorted());
        assert!(moments[0] >= 1000 && moments[99] <= 1050 && moments[0] < moments[99]);
        assert_eq!(storm.newly_due(1050), 100);
    }
}
