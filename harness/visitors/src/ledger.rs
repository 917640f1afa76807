//! Who may hold how many connections, and what all visitors say together. It knows no clock, no socket and no key.
//!
//! The sum of what visitors may hold is never above the goal: each grant counts until its visitor has confirmed a smaller
//! one, said that it holds nothing, or been silent for longer than its dead man's switch allows. When the goal falls, the
//! sum follows as visitors report.

use std::collections::{BTreeMap, HashMap};

use wsceiling_model::visitors::{BrowserFamily, Lie, Refusal, Setting, Summary, Tick};

use crate::bucket::Bucket;
use crate::report::{PageState, Report};
use crate::visitor::{State, Taken, Visitor};
use crate::{POLL_MS, SILENT_MS};

/// Time between two reports of a visitor with a page in sight, at least.
const SOONEST_MS: u64 = 1_000;
/// Time for which the rate of opening may be saved up: until the next report of each visitor.
const RATE_KEPT_S: f64 = 1.2 * POLL_MS as f64 / 1e3;

/// What bounds the memory and the work of the collector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Visitors at a time.
    pub visitors: usize,
    /// New visitors a second.
    pub new_per_s: f64,
    /// Time after which a silent visitor is forgotten.
    pub forget_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { visitors: 100_000, new_per_s: 1_000.0, forget_ms: 60_000 }
    }
}

/// The accounts of all visitors.
#[derive(Debug)]
pub struct Ledger {
    limits: Limits,
    setting: Setting,
    /// The goal counts; else it is 0.
    running: bool,
    visitors: HashMap<u64, Visitor>,
    next: u64,
    sums: Sums,
    rate: Bucket,
    joins: Bucket,
    /// The counters that only rise.
    so_far: Tick,
    summary: Summary,
}

/// Sums over all visitors, kept up to date so that a report costs the same however many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    reserved: u64,
    granted: u64,
    open: u64,
    unknown: u64,
    visible: u32,
    hidden: u32,
    silent: u32,
}

impl Sums {
    fn of(visitor: &Visitor) -> Self {
        let (reserved, granted) = (u64::from(visitor.reserved()), u64::from(visitor.granted));
        let (open, state) = (u64::from(visitor.open), visitor.state);
        let silent = state == State::Silent;
        Self {
            reserved,
            granted,
            open: if silent { 0 } else { open },
            unknown: if silent { open } else { 0 },
            visible: u32::from(state == State::Visible),
            hidden: u32::from(state == State::Hidden),
            silent: u32::from(silent),
        }
    }

    fn add(&mut self, other: Self) {
        self.reserved += other.reserved;
        self.granted += other.granted;
        self.open += other.open;
        self.unknown += other.unknown;
        self.visible += other.visible;
        self.hidden += other.hidden;
        self.silent += other.silent;
    }

    fn take_away(&mut self, other: Self) {
        self.reserved -= other.reserved;
        self.granted -= other.granted;
        self.open -= other.open;
        self.unknown -= other.unknown;
        self.visible -= other.visible;
        self.hidden -= other.hidden;
        self.silent -= other.silent;
    }
}

impl Ledger {
    /// No visitors yet.
    pub fn new(setting: Setting, limits: Limits) -> Self {
        Self {
            limits,
            setting,
            running: true,
            visitors: HashMap::new(),
            next: 1,
            sums: Sums::default(),
            rate: Bucket::new(setting.rate_per_s, RATE_KEPT_S),
            joins: Bucket::new(limits.new_per_s, 2.0),
            so_far: Tick::default(),
            summary: Summary::default(),
        }
    }

    /// The setting that counts.
    pub fn setting(&self) -> Setting {
        self.setting
    }

    /// Another setting from now on.
    pub fn set(&mut self, now_ms: u64, setting: Setting) {
        self.rate.change(now_ms, setting.rate_per_s, RATE_KEPT_S);
        self.setting = setting;
    }

    /// Whether the goal counts; while it does not, all are told to hold nothing.
    pub fn run(&mut self, running: bool) {
        self.running = running;
    }

    /// Whether the goal counts.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// A new visitor, who counts from its first report on.
    pub fn join(&mut self, now_ms: u64, family: BrowserFamily) -> Result<u64, Refusal> {
        if self.visitors.len() >= self.limits.visitors || self.joins.take(now_ms, 1) == 0 {
            return Err(self.refuse(Refusal::TooMany));
        }
        let id = self.next;
        self.next += 1;
        self.visitors.insert(id, Visitor::new(family, now_ms));
        Ok(id)
    }

    /// Takes a report; what its visitor may hold from now on.
    pub fn report(&mut self, now_ms: u64, id: u64, report: &Report) -> Result<u32, Refusal> {
        let Some(mut visitor) = self.visitors.remove(&id) else { return Err(self.refuse(Refusal::Forgotten)) };
        let soon = now_ms.saturating_sub(visitor.heard_ms) < SOONEST_MS;
        let refused = if report.number <= visitor.number {
            Some(Refusal::Replayed)
        } else if soon && visitor.state == State::Visible && report.page == PageState::Visible {
            Some(Refusal::TooFast)
        } else {
            None
        };
        if let Some(refusal) = refused {
            self.visitors.insert(id, visitor);
            return Err(self.refuse(refusal));
        }
        self.sums.take_away(Sums::of(&visitor));
        let began = visitor.state == State::New;
        let taken = visitor.take(now_ms, report);
        self.count(&visitor, began, &taken);
        match report.page {
            PageState::Bye => {
                self.summary.left += 1;
                return Ok(0);
            }
            PageState::Hidden => visitor.rest(State::Hidden),
            PageState::Visible => {
                visitor.state = State::Visible;
                let connections = self.share(now_ms, &visitor);
                visitor.grant(connections);
            }
        }
        let granted = visitor.granted;
        self.sums.add(Sums::of(&visitor));
        self.visitors.insert(id, visitor);
        Ok(granted)
    }

    /// What a visitor may hold, which is in no sum at this moment.
    fn share(&mut self, now_ms: u64, visitor: &Visitor) -> u32 {
        let (goal, visitors) = (self.goal(), self.sums.visible + 1);
        let equal = goal.div_ceil(visitors).min(self.setting.per_visitor);
        let room = u64::from(goal).saturating_sub(self.sums.reserved);
        // After the goal fell there is no room for a while; nobody gives up more than its share for that.
        let kept = (goal / visitors).min(visitor.granted);
        let wanted = u64::from(equal).min(room.max(u64::from(kept))) as u32;
        let more = wanted.saturating_sub(visitor.granted);
        wanted.min(visitor.granted) + self.rate.take(now_ms, more)
    }

    fn goal(&self) -> u32 {
        if self.running { self.setting.goal } else { 0 }
    }

    fn count(&mut self, visitor: &Visitor, began: bool, taken: &Taken) {
        let totals = &mut self.so_far;
        totals.opened += taken.opened;
        totals.failed += taken.failed;
        totals.stuck += taken.stuck;
        totals.lost += taken.lost;
        totals.sent += taken.sent;
        totals.answered += taken.answered;
        let family = self.summary.browsers.entry(visitor.family).or_default();
        family.visitors += u64::from(began);
        family.most_open = family.most_open.max(visitor.open);
        family.opened += taken.opened;
        family.failed += taken.failed;
        family.stuck += taken.stuck;
        family.lost += taken.lost;
        for (code, count) in &taken.codes {
            *self.summary.closes.entry(*code).or_default() += count;
        }
        for (all, more) in self.summary.round_trips.iter_mut().zip(taken.round_trips) {
            *all += more;
        }
        for lie in &taken.lies {
            *self.summary.lies.entry(*lie).or_default() += 1;
        }
    }

    /// Counts what was not taken.
    pub fn refuse(&mut self, refusal: Refusal) -> Refusal {
        *self.summary.refused.entry(refusal).or_default() += 1;
        refusal
    }

    /// The counters at this moment. Visitors that say nothing become unknown, and later are forgotten.
    pub fn tick(&mut self, now_ms: u64) -> Tick {
        let (sums, summary) = (&mut self.sums, &mut self.summary);
        let forget_ms = self.limits.forget_ms.max(SILENT_MS);
        self.visitors.retain(|_, visitor| {
            let silent_ms = now_ms.saturating_sub(visitor.heard_ms);
            match visitor.state {
                State::New => silent_ms <= SILENT_MS,
                // A hidden page says nothing, and may come back.
                State::Hidden if silent_ms > 10 * forget_ms => {
                    sums.take_away(Sums::of(visitor));
                    summary.left += 1;
                    false
                }
                State::Visible if silent_ms > SILENT_MS => {
                    sums.take_away(Sums::of(visitor));
                    visitor.rest(State::Silent);
                    sums.add(Sums::of(visitor));
                    true
                }
                State::Silent if silent_ms > forget_ms => {
                    sums.take_away(Sums::of(visitor));
                    summary.vanished += 1;
                    summary.vanished_connections += u64::from(visitor.open);
                    false
                }
                _ => true,
            }
        });
        let narrow = |sum: u64| u32::try_from(sum).unwrap_or(u32::MAX);
        Tick {
            t_ms: now_ms,
            goal: self.goal(),
            granted: narrow(self.sums.granted),
            open: narrow(self.sums.open),
            unknown: narrow(self.sums.unknown),
            visitors: self.sums.visible,
            hidden: self.sums.hidden,
            silent: self.sums.silent,
            ..self.so_far
        }
    }

    /// Everything else, so far.
    pub fn summary(&self, now_ms: u64) -> Summary {
        Summary { t_ms: now_ms, ..self.summary.clone() }
    }

    /// Reports of each kind that claimed what cannot be.
    pub fn lies(&self) -> &BTreeMap<Lie, u64> {
        &self.summary.lies
    }

    /// The most that all visitors together may hold at this moment, whatever they have heard.
    pub fn reserved(&self) -> u64 {
        self.sums.reserved
    }
}

#[cfg(test)]
mod tests;
