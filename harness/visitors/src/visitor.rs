//! One visitor: what it was granted, and what of its word is taken.

use wsceiling_model::visitors::{BrowserFamily, Lie, ROUND_TRIP_BUCKETS, SETTING_LIMITS};

use crate::report::{Counts, Report};

/// Connects a second that the snippet makes at most.
const CONNECTS_PER_S: u64 = 2;
/// Reports may come late by so much; what they tell of is bounded with it.
const SLACK_MS: u64 = 10_000;
/// Close codes of a visitor that are told apart.
const CODES: usize = 8;

/// What a visitor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has a token and has not reported yet.
    New,
    /// It reports, and its page can be seen.
    Visible,
    /// Its page is hidden.
    Hidden,
    /// It said nothing for too long.
    Silent,
}

/// A visitor; nothing in it tells who it is.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub family: BrowserFamily,
    pub state: State,
    /// When it was last heard of.
    pub heard_ms: u64,
    /// Number of its last report; 0: none yet.
    pub number: u32,
    /// What it was told to hold last.
    pub granted: u32,
    /// The most it may hold if it has not heard that.
    pub earlier: u32,
    /// What it says it holds.
    pub open: u32,
    claimed: Counts,
    opened: u64,
    lost: u64,
    unanswered: u64,
}

/// What a report adds to all counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub opened: u64,
    pub failed: u64,
    pub stuck: u64,
    pub lost: u64,
    pub sent: u64,
    pub answered: u64,
    pub codes: Vec<(u16, u64)>,
    pub round_trips: [u64; ROUND_TRIP_BUCKETS],
    /// What it claimed that cannot be, each kind once.
    pub lies: Vec<Lie>,
}

impl Taken {
    fn lie(&mut self, lie: Lie) {
        if !self.lies.contains(&lie) {
            self.lies.push(lie);
        }
    }

    /// The rise of a counter, at most `most`.
    fn rise(&mut self, claimed: &mut u32, now: u32, most: u64, lie: Lie) -> u64 {
        let Some(rise) = now.checked_sub(*claimed) else {
            self.lie(Lie::Fell);
            return 0;
        };
        *claimed = now;
        if u64::from(rise) > most {
            self.lie(lie);
        }
        u64::from(rise).min(most)
    }
}

impl Visitor {
    pub fn new(family: BrowserFamily, now_ms: u64) -> Self {
        Self {
            family,
            state: State::New,
            heard_ms: now_ms,
            number: 0,
            granted: 0,
            earlier: 0,
            open: 0,
            claimed: Counts::default(),
            opened: 0,
            lost: 0,
            unanswered: 0,
        }
    }

    /// The most connections that it may hold by what it was told, whatever it has heard of it.
    pub fn reserved(&self) -> u32 {
        self.granted.max(self.earlier)
    }

    /// It holds nothing, by its own word or because its time is over.
    pub fn rest(&mut self, state: State) {
        self.state = state;
        (self.granted, self.earlier) = (0, 0);
        if state == State::Hidden {
            self.open = 0;
        }
    }

    /// Tells it to hold so many from now on.
    pub fn grant(&mut self, connections: u32) {
        self.earlier = self.reserved();
        self.granted = connections;
    }

    /// Takes what can be of a report that is newer than the last one.
    pub fn take(&mut self, now_ms: u64, report: &Report) -> Taken {
        let mut taken = Taken::default();
        let heard_last_answer = report.answered == self.number;
        let most_open = self.reserved();
        if heard_last_answer {
            self.earlier = self.granted;
        }
        let passed_ms = now_ms.saturating_sub(self.heard_ms) + SLACK_MS;
        self.counters(&mut taken, &report.counts, passed_ms);
        let still_open = self.opened.saturating_sub(self.lost);
        if u64::from(report.open) > u64::from(most_open).min(still_open) {
            taken.lie(Lie::Open);
        }
        self.open = u64::from(report.open).min(u64::from(most_open)).min(still_open) as u32;
        self.number = report.number;
        self.heard_ms = now_ms;
        taken
    }

    fn counters(&mut self, taken: &mut Taken, counts: &Counts, passed_ms: u64) {
        let mut claimed = std::mem::take(&mut self.claimed);
        let mut connects = CONNECTS_PER_S * passed_ms / 1_000;
        taken.opened = taken.rise(&mut claimed.opened, counts.opened, connects, Lie::Attempts);
        connects -= taken.opened;
        taken.failed = taken.rise(&mut claimed.failed, counts.failed, connects, Lie::Attempts);
        connects -= taken.failed;
        taken.stuck = taken.rise(&mut claimed.stuck, counts.stuck, connects, Lie::Attempts);
        self.opened += taken.opened;
        taken.lost = taken.rise(&mut claimed.lost, counts.lost, self.opened - self.lost, Lie::Sums);
        self.lost += taken.lost;
        let messages = u64::from(SETTING_LIMITS.per_visitor) * passed_ms / SETTING_LIMITS.message_every_ms.0;
        taken.sent = taken.rise(&mut claimed.sent, counts.sent, messages, Lie::Messages);
        self.unanswered += taken.sent;
        taken.answered = taken.rise(&mut claimed.answered, counts.answered, self.unanswered, Lie::Sums);
        self.unanswered -= taken.answered;
        let mut left = taken.answered;
        for (bucket, now) in counts.round_trips.iter().enumerate() {
            let rise = taken.rise(&mut claimed.round_trips[bucket], *now, left, Lie::Sums);
            taken.round_trips[bucket] = rise;
            left -= rise;
        }
        let mut left = taken.lost;
        for (code, now) in &counts.codes {
            let known = claimed.codes.contains_key(code);
            if !(1_000..5_000).contains(code) || (!known && claimed.codes.len() == CODES) {
                continue;
            }
            let rise = taken.rise(claimed.codes.entry(*code).or_default(), *now, left, Lie::Sums);
            left -= rise;
            if rise > 0 {
                taken.codes.push((*code, rise));
            }
        }
        self.claimed = claimed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::PageState;
    use proptest::prelude::*;

    fn report(number: u32, answered: u32, open: u32, counts: Counts) -> Report {
        Report { token: String::new(), number, answered, page: PageState::Visible, open, counts }
    }

    fn counts(opened: u32, lost: u32) -> Counts {
        Counts { opened, lost, codes: [(1006, lost)].into(), ..Counts::default() }
    }

    #[test]
    fn an_honest_visitor_is_taken_at_its_word() {
        let mut visitor = Visitor::new(BrowserFamily::Firefox, 0);
        assert_eq!(visitor.take(1_000, &report(1, 0, 0, Counts::default())), Taken::default());
        visitor.grant(5);
        let taken = visitor.take(6_000, &report(2, 1, 4, counts(5, 1)));
        assert_eq!((taken.opened, taken.lost, visitor.open), (5, 1, 4));
        assert_eq!((taken.codes, taken.lies), (vec![(1006, 1)], vec![]));
    }

    #[test]
    fn what_was_granted_counts_until_the_next_answer_was_heard() {
        let mut visitor = Visitor::new(BrowserFamily::Firefox, 0);
        visitor.take(0, &report(1, 0, 0, Counts::default()));
        visitor.grant(5);
        visitor.take(5_000, &report(2, 1, 5, counts(5, 0)));
        visitor.grant(2);
        assert_eq!(visitor.reserved(), 5, "it may not have heard yet");
        let taken = visitor.take(10_000, &report(3, 1, 5, counts(5, 0)));
        assert_eq!((visitor.reserved(), visitor.open), (5, 5), "it has not");
        assert!(taken.lies.is_empty());
        visitor.grant(2);
        visitor.take(15_000, &report(4, 3, 2, counts(5, 0)));
        assert_eq!(visitor.reserved(), 2, "now it has");
    }

    #[test]
    fn a_lie_is_cut_and_named() {
        let mut visitor = Visitor::new(BrowserFamily::Other, 0);
        visitor.take(0, &report(1, 0, 0, Counts::default()));
        visitor.grant(3);
        let taken = visitor.take(5_000, &report(2, 1, 1_000, counts(1_000, 0)));
        assert_eq!((visitor.open, taken.opened), (3, 30));
        assert_eq!(taken.lies, [Lie::Attempts, Lie::Open]);
        let taken = visitor.take(10_000, &report(3, 2, 3, counts(2, 0)));
        assert_eq!((taken.lies, taken.opened), (vec![Lie::Fell], 0));
        let wrong = Counts { answered: 9, lost: 4_000_000, ..counts(2, 0) };
        let taken = visitor.take(15_000, &report(4, 3, 0, wrong));
        assert_eq!((taken.answered, taken.lost), (0, 30));
        assert!(taken.lies.contains(&Lie::Sums));
    }

    proptest! {
        #[test]
        fn no_word_exceeds_what_can_be(
            claims in prop::collection::vec((any::<[u32; 6]>(), any::<u32>(), any::<[u32; 3]>(), 0_u64..30_000), 1..20),
            granted in 0_u32..=30,
        ) {
            let mut visitor = Visitor::new(BrowserFamily::Other, 0);
            let (mut now, mut all) = (0, Taken::default());
            for (number, (c, open, trips, passed)) in (1..).zip(claims) {
                now += passed;
                let mut counts = Counts {
                    opened: c[0], failed: c[1], stuck: c[2], lost: c[3], sent: c[4], answered: c[5],
                    codes: (0..20).map(|code| (code * 300, c[3])).collect(), ..Counts::default()
                };
                counts.round_trips[..3].copy_from_slice(&trips);
                let taken = visitor.take(now, &report(number, number - 1, open, counts));
                prop_assert!(visitor.open <= visitor.reserved());
                all.opened += taken.opened + taken.failed + taken.stuck;
                all.lost += taken.lost;
                all.sent += taken.sent;
                all.answered += taken.answered;
                let codes: u64 = taken.codes.iter().map(|(_, count)| count).sum();
                prop_assert!(codes <= taken.lost && taken.codes.len() <= CODES);
                prop_assert!(taken.round_trips.iter().sum::<u64>() <= taken.answered);
                visitor.grant(granted);
            }
            let slack = u64::from(visitor.number) * SLACK_MS;
            prop_assert!(all.opened <= CONNECTS_PER_S * (now + slack) / 1_000);
            prop_assert!(all.lost <= all.opened && all.answered <= all.sent);
        }
    }
}
