//! How a worker's clock relates to the coordinator's: the difference, measured by pings, and how well it is known.
//!
//! A ping that leaves at `s` and whose answer arrives at `r` was answered at a moment between the two, so the worker's clock
//! then less `(s + r) / 2` is off by at most `(r - s) / 2`: the shortest round trip tells most (Cristian 1989, "Probabilistic
//! clock synchronization"). Two clocks drift apart by [`DRIFT`] at most, so an old answer counts for less.

use crate::ipc::{Failure, Report, Window};

/// Rate at which two clocks may drift apart: 100 ppm, twice the error of a common crystal (50 ppm).
const DRIFT: f64 = 100e-6;

/// How a worker's `CLOCK_MONOTONIC` relates to the coordinator's.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Clock {
    /// It is the same one: the worker runs on the same kernel.
    #[default]
    Same,
    /// It is another one.
    Apart {
        /// What is known of it; `None`: nothing yet.
        known: Option<Offset>,
        /// Largest uncertainty at a moment at which it was relied on, in nanoseconds.
        worst_ns: u64,
    },
}

/// A measured difference of two clocks.
#[expect(clippy::struct_field_names, reason = "the unit stands last in a name")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offset {
    /// The worker's clock less the coordinator's.
    pub offset_ns: i64,
    /// By how much that may be wrong at `at_ns`.
    pub within_ns: u64,
    /// When it was measured, by the coordinator's clock.
    pub at_ns: u64,
}

impl Offset {
    /// From the answer `theirs_ns` to a ping that left and came back at these moments.
    pub fn of(sent_ns: u64, theirs_ns: u64, received_ns: u64) -> Self {
        let half = received_ns.saturating_sub(sent_ns).div_ceil(2);
        Self { offset_ns: theirs_ns.wrapping_sub(sent_ns + half).cast_signed(), within_ns: half, at_ns: received_ns }
    }

    /// By how much it may be wrong at a moment.
    fn uncertainty_ns(self, now_ns: u64) -> u64 {
        self.within_ns + (now_ns.saturating_sub(self.at_ns) as f64 * DRIFT) as u64
    }
}

impl Clock {
    /// One of which nothing is known yet.
    pub const UNKNOWN: Self = Self::Apart { known: None, worst_ns: 0 };

    /// Takes what tells more at the moment of `new`.
    pub fn learn(&mut self, new: Offset) {
        if let Self::Apart { known, .. } = self
            && known.is_none_or(|known| new.within_ns <= known.uncertainty_ns(new.at_ns))
        {
            *known = Some(new);
        }
    }

    /// Remembers how well it is known now, when it is relied on.
    pub fn rely(&mut self, now_ns: u64) {
        if let Self::Apart { known: Some(known), worst_ns } = self {
            *worst_ns = known.uncertainty_ns(now_ns).max(*worst_ns);
        }
    }

    /// Whether it has to be measured.
    pub fn is_apart(self) -> bool {
        matches!(self, Self::Apart { .. })
    }

    /// The worker's clock less the coordinator's, and the most by which that was wrong when it was relied on, in
    /// nanoseconds; `None`: they are one clock, or nothing is known.
    pub fn measured(self) -> Option<(i64, u64)> {
        match self {
            Self::Apart { known: Some(known), worst_ns } => Some((known.offset_ns, worst_ns.max(known.within_ns))),
            _ => None,
        }
    }

    fn offset_ns(self) -> i64 {
        self.measured().map_or(0, |(offset_ns, _)| offset_ns)
    }

    /// A moment of the coordinator's clock, on the worker's.
    pub fn to_worker(self, own_ns: u64) -> u64 {
        own_ns.saturating_add_signed(self.offset_ns())
    }

    /// A moment of the worker's clock, on the coordinator's; 0 stays 0, which says that there is none.
    pub fn to_own(self, theirs_ns: u64) -> u64 {
        if theirs_ns == 0 { 0 } else { theirs_ns.saturating_add_signed(self.offset_ns().saturating_neg()).max(1) }
    }

    /// Puts every moment of a report on the coordinator's clock.
    pub fn translate(self, report: &mut Report) {
        if self.offset_ns() == 0 {
            return;
        }
        match report {
            Report::Opened(window) | Report::Held(window) | Report::Probed(window) => self.translate_window(window),
            Report::Status(status) => {
                status.now_ns = self.to_own(status.now_ns);
                status.top_failure.iter_mut().for_each(|failure| self.translate_failure(failure));
            }
            Report::Ready { .. } | Report::Closed { .. } | Report::Pong { .. } | Report::Fatal { .. } => {}
        }
    }

    fn translate_window(self, window: &mut Window) {
        for moment in [&mut window.from_ns, &mut window.to_ns, &mut window.last_issued_ns, &mut window.last_opened_ns] {
            *moment = self.to_own(*moment);
        }
        window.failures.iter_mut().for_each(|failure| self.translate_failure(failure));
    }

    fn translate_failure(self, failure: &mut Failure) {
        failure.first_ns = self.to_own(failure.first_ns);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use wsceiling_model::record::{FailedAt, FailureReason};

    const MS: u64 = 1_000_000;

    fn apart(offset_ns: i64) -> Clock {
        Clock::Apart { known: Some(Offset { offset_ns, within_ns: 0, at_ns: 0 }), worst_ns: 0 }
    }

    #[test]
    fn the_shortest_round_trip_tells_most_until_it_is_old() {
        let mut clock = Clock::UNKNOWN;
        clock.learn(Offset::of(0, 5_000 * MS + 2 * MS, 4 * MS));
        clock.learn(Offset::of(10 * MS, 5_010 * MS + MS, 11 * MS));
        clock.learn(Offset::of(20 * MS, 5_020 * MS + 30 * MS, 60 * MS));
        let (offset, within) = clock.measured().unwrap();
        assert_eq!((offset, within), (5_000 * MS.cast_signed() + 500_000, MS / 2));
        // A minute later it may be wrong by 6 ms, and a round trip of 4 ms tells more.
        clock.rely(60_000 * MS);
        assert_eq!(clock.measured().unwrap().1 / MS, 6);
        clock.learn(Offset::of(60_000 * MS, 65_003 * MS, 60_004 * MS));
        assert_eq!(clock.measured().unwrap().0, 5_001 * MS.cast_signed());
        assert_eq!(clock.measured().unwrap().1 / MS, 6, "the worst is kept");
    }

    #[test]
    fn every_moment_of_a_window_and_a_status_is_put_on_the_coordinators_clock() {
        let failure = Failure { at: FailedAt::Open, reason: FailureReason::Eof, count: 1, first_ns: 1_050 };
        let window = Window {
            from_ns: 1_010,
            to_ns: 1_090,
            last_opened_ns: 1_080,
            failures: vec![failure],
            ..Window::default()
        };
        let mut report = Report::Held(Box::new(window));
        apart(1_000).translate(&mut report);
        let Report::Held(window) = report else { unreachable!() };
        assert_eq!(
            (window.from_ns, window.to_ns, window.last_opened_ns, window.failures[0].first_ns),
            (10, 90, 80, 50)
        );
        assert_eq!(window.last_issued_ns, 0, "none stays none");
        let mut report = Report::Status(crate::ipc::Status { now_ns: 1_100, ..Default::default() });
        apart(1_000).translate(&mut report);
        assert!(matches!(report, Report::Status(status) if status.now_ns == 100));
    }

    proptest! {
        #[test]
        fn the_true_offset_is_within_what_a_ping_tells(
            offset in -1_000_000_000_i64..1_000_000_000, there in 0..50_000_000_u64, back in 0..50_000_000_u64
        ) {
            let (sent, start) = (2_000_000_000, 2_000_000_000_u64);
            let theirs = (start + there).checked_add_signed(offset).unwrap();
            let measured = Offset::of(sent, theirs, sent + there + back);
            prop_assert!(measured.offset_ns.abs_diff(offset) <= measured.within_ns, "{measured:?}");
        }

        #[test]
        fn a_moment_survives_the_way_there_and_back(offset in any::<i32>(), moment in 1..1_u64 << 60) {
            let clock = apart(i64::from(offset));
            let there = clock.to_worker(moment);
            prop_assume!(there > 1);
            prop_assert_eq!(clock.to_own(there), moment);
        }
    }
}
