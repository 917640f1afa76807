use super::*;
use crate::VALID_MS;
use crate::report::Counts;
use proptest::prelude::*;

fn setting(goal: u32, per_visitor: u32) -> Setting {
    Setting { goal, per_visitor, rate_per_s: 100_000.0, message: None, generator: 0 }
}

/// What the snippet does, without its sockets: it opens at once what it may.
#[derive(Debug, Default)]
struct Page {
    id: u64,
    number: u32,
    answered: u32,
    holds: u32,
    valid_until_ms: u64,
    counts: Counts,
}

/// What becomes of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives,
    Lost,
    AnswerLost,
}

impl Page {
    fn join(ledger: &mut Ledger, now_ms: u64) -> Self {
        Self { id: ledger.join(now_ms, BrowserFamily::Chromium).unwrap(), ..Self::default() }
    }

    fn say(&mut self, page: PageState) -> Report {
        if page != PageState::Visible {
            self.hold(0);
        }
        self.number += 1;
        let (number, answered, open, counts) = (self.number, self.answered, self.holds, self.counts.clone());
        Report { token: String::new(), number, answered, page, open, counts }
    }

    fn hold(&mut self, connections: u32) {
        self.counts.opened += connections.saturating_sub(self.holds);
        self.holds = connections;
    }

    fn report(&mut self, ledger: &mut Ledger, now_ms: u64, page: PageState, fate: Fate) -> Result<u32, Refusal> {
        if self.valid_until_ms < now_ms {
            self.hold(0);
        }
        let report = self.say(page);
        if fate == Fate::Lost {
            return Ok(self.holds);
        }
        let granted = ledger.report(now_ms, self.id, &report)?;
        if fate == Fate::Arrives && page == PageState::Visible {
            self.answered = report.number;
            self.hold(granted);
            self.valid_until_ms = now_ms + VALID_MS;
        }
        Ok(granted)
    }

    fn dead_man(&mut self, now_ms: u64) {
        if self.valid_until_ms < now_ms {
            self.hold(0);
        }
    }
}

fn pages(ledger: &mut Ledger, count: usize) -> Vec<Page> {
    (0..count).map(|_| Page::join(ledger, 0)).collect()
}

fn round(ledger: &mut Ledger, pages: &mut [Page], now_ms: u64) {
    for page in pages {
        page.report(ledger, now_ms, PageState::Visible, Fate::Arrives).unwrap();
    }
}

#[test]
fn visitors_share_the_goal_and_never_exceed_it() {
    let mut ledger = Ledger::new(setting(20, 5), Limits::default());
    let mut three = pages(&mut ledger, 3);
    round(&mut ledger, &mut three, 5_000);
    round(&mut ledger, &mut three, 10_000);
    assert_eq!(three.iter().map(|page| page.holds).collect::<Vec<_>>(), [5, 5, 5], "the cap of each");
    let mut more = pages(&mut ledger, 3);
    for second in 3..8 {
        round(&mut ledger, &mut three, second * 5_000);
        round(&mut ledger, &mut more, second * 5_000);
        assert!(ledger.reserved() <= 20, "{}", ledger.reserved());
    }
    let held: Vec<u32> = three.iter().chain(&more).map(|page| page.holds).collect();
    assert_eq!(held.iter().sum::<u32>(), 20, "{held:?}");
    let tick = ledger.tick(40_000);
    assert_eq!((tick.visitors, tick.granted, tick.open, tick.goal), (6, 20, 20, 20));
}

#[test]
fn the_goal_goes_up_and_down_and_stops() {
    let mut ledger = Ledger::new(setting(4, 5), Limits::default());
    let mut four = pages(&mut ledger, 4);
    let mut at = 0;
    let mut rounds = |ledger: &mut Ledger, four: &mut [Page]| {
        for _ in 0..4 {
            at += 5_000;
            round(ledger, four, at);
        }
        four.iter().map(|page| page.holds).sum::<u32>()
    };
    assert_eq!(rounds(&mut ledger, &mut four), 4);
    ledger.set(20_000, setting(16, 5));
    assert_eq!(rounds(&mut ledger, &mut four), 16);
    ledger.set(40_000, setting(10, 5));
    four[0].report(&mut ledger, 44_000, PageState::Visible, Fate::Arrives).unwrap();
    assert_eq!(four[0].holds, 2, "and not nothing, although there is no room yet");
    assert_eq!(rounds(&mut ledger, &mut four), 10);
    ledger.set(60_000, setting(3, 5));
    assert_eq!(rounds(&mut ledger, &mut four), 3);
    ledger.run(false);
    assert_eq!(rounds(&mut ledger, &mut four), 0);
    ledger.run(true);
    assert_eq!(rounds(&mut ledger, &mut four), 3);
}

#[test]
fn connections_are_granted_no_faster_than_the_rate() {
    let slow = Setting { rate_per_s: 2.0, ..setting(1_000, 5) };
    let mut ledger = Ledger::new(slow, Limits::default());
    let mut hundred = pages(&mut ledger, 100);
    for second in 1..=12 {
        round(&mut ledger, &mut hundred, second * 5_000);
        let granted = ledger.reserved();
        assert!(granted <= 2 + second * 10, "{granted} after {second} rounds");
    }
    assert!(ledger.reserved() > 100, "and not much slower");
}

#[test]
fn of_a_crowd_nothing_is_lost() {
    let mut ledger = Ledger::new(setting(20_000, 5), Limits { new_per_s: 1e9, ..Limits::default() });
    let mut crowd = pages(&mut ledger, 5_000);
    for second in 1..=6 {
        round(&mut ledger, &mut crowd, second * 5_000);
        ledger.tick(second * 5_000);
    }
    let opened: u64 = crowd.iter().map(|page| u64::from(page.counts.opened)).sum();
    let tick = ledger.tick(31_000);
    assert_eq!((tick.visitors, tick.open, tick.granted), (5_000, 20_000, 20_000));
    assert_eq!(tick.opened, opened);
    assert!(ledger.summary(0).refused.is_empty() && ledger.lies().is_empty());
}

#[test]
fn a_hidden_page_holds_nothing_and_gives_room_at_once() {
    let mut ledger = Ledger::new(setting(5, 5), Limits::default());
    let mut two = pages(&mut ledger, 2);
    two[0].report(&mut ledger, 1_000, PageState::Visible, Fate::Arrives).unwrap();
    assert_eq!(two[0].holds, 5);
    two[0].report(&mut ledger, 1_100, PageState::Hidden, Fate::Arrives).unwrap();
    two[1].report(&mut ledger, 1_200, PageState::Visible, Fate::Arrives).unwrap();
    assert_eq!((two[0].holds, two[1].holds), (0, 5));
    let tick = ledger.tick(2_000);
    assert_eq!((tick.visitors, tick.hidden, tick.granted), (1, 1, 5));
    two[1].report(&mut ledger, 2_300, PageState::Bye, Fate::Arrives).unwrap();
    assert_eq!(two[1].report(&mut ledger, 4_000, PageState::Visible, Fate::Arrives), Err(Refusal::Forgotten));
    assert_eq!((ledger.tick(5_000).visitors, ledger.summary(5_000).left), (0, 1));
}

#[test]
fn a_silent_visitor_is_unknown_and_not_lost() {
    let mut ledger = Ledger::new(setting(5, 5), Limits::default());
    let mut two = pages(&mut ledger, 2);
    two[0].report(&mut ledger, 1_000, PageState::Visible, Fate::Arrives).unwrap();
    two[0].report(&mut ledger, 6_000, PageState::Visible, Fate::Arrives).unwrap();
    two[1].report(&mut ledger, 6_000, PageState::Visible, Fate::Arrives).unwrap();
    assert_eq!(two[1].holds, 0, "the other one may still hold them");
    let tick = ledger.tick(6_000 + SILENT_MS + 1);
    assert_eq!((tick.open, tick.unknown, tick.silent, tick.lost, tick.granted), (0, 5, 2, 0, 0));
    let tick = ledger.tick(6_000 + 60_001);
    assert_eq!((tick.unknown, tick.silent), (0, 0));
    let summary = ledger.summary(70_000);
    assert_eq!((summary.vanished, summary.vanished_connections), (2, 5));
}

#[test]
fn replayed_reports_and_crowds_are_refused_and_counted() {
    let mut ledger = Ledger::new(setting(5, 5), Limits { visitors: 2, ..Limits::default() });
    let mut page = Page::join(&mut ledger, 0);
    let report = page.say(PageState::Visible);
    assert_eq!(ledger.report(1_000, page.id, &report), Ok(5));
    assert_eq!(ledger.report(9_000, page.id, &report), Err(Refusal::Replayed));
    let report = page.say(PageState::Visible);
    assert_eq!(ledger.report(1_001, page.id, &report), Err(Refusal::TooFast));
    assert_eq!(ledger.report(1_001, 99, &report), Err(Refusal::Forgotten));
    Page::join(&mut ledger, 0);
    assert_eq!(ledger.join(0, BrowserFamily::Other), Err(Refusal::TooMany));
    let refused = ledger.summary(9_000).refused;
    for refusal in [Refusal::Replayed, Refusal::TooFast, Refusal::Forgotten, Refusal::TooMany] {
        assert_eq!(refused.get(&refusal), Some(&1), "{refusal}");
    }
}

proptest! {
    /// Whatever gets lost on the way, and whoever leaves or hides: the pages together never hold more than the goal.
    #[test]
    fn the_pages_never_hold_more_than_the_goal(
        steps in prop::collection::vec((0_usize..8, 0_u64..7_000, 0_u8..12), 1..300),
        goal in 0_u32..40,
        per_visitor in 1_u32..=15,
    ) {
        let mut ledger = Ledger::new(setting(goal, per_visitor), Limits::default());
        let mut pages = pages(&mut ledger, 8);
        let mut now = 0;
        for (which, passed, what) in steps {
            now += passed;
            for page in &mut pages {
                page.dead_man(now);
            }
            ledger.tick(now);
            let (state, fate) = match what {
                0 => (PageState::Hidden, Fate::Arrives),
                1 => (PageState::Hidden, Fate::Lost),
                2 => (PageState::Bye, Fate::Arrives),
                3 | 4 => (PageState::Visible, Fate::Lost),
                5 | 6 => (PageState::Visible, Fate::AnswerLost),
                _ => (PageState::Visible, Fate::Arrives),
            };
            if pages[which].report(&mut ledger, now, state, fate) == Err(Refusal::Forgotten) {
                pages[which] = Page::join(&mut ledger, now);
            }
            let held: u32 = pages.iter().map(|page| page.holds).sum();
            prop_assert!(held <= goal, "{held} of {goal}");
            prop_assert!(ledger.reserved() <= u64::from(goal));
            prop_assert!(ledger.lies().is_empty(), "an honest page was called a liar: {:?}", ledger.lies());
        }
    }

    /// Visitors that say anything move no sum beyond what they were granted.
    #[test]
    fn liars_are_bounded(words in prop::collection::vec((1_u64..6, any::<u32>(), any::<u32>(), any::<u32>(), 0_u64..9_000), 1..100)) {
        let mut ledger = Ledger::new(setting(12, 5), Limits::default());
        for _ in 0..5 {
            ledger.join(0, BrowserFamily::Other).unwrap();
        }
        let mut now = 0;
        for (id, number, answered, claim, passed) in words {
            now += passed;
            let counts = Counts { opened: claim, lost: answered, sent: claim, answered: number, ..Counts::default() };
            let report = Report { token: String::new(), number, answered, page: PageState::Visible, open: claim, counts };
            let _ = ledger.report(now, id, &report);
            let tick = ledger.tick(now);
            prop_assert!(u64::from(tick.open) <= 12 && ledger.reserved() <= 12);
            prop_assert!(tick.lost <= tick.opened && tick.answered <= tick.sent);
        }
    }
}
