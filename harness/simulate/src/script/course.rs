//! The course of a simulated trial: its steps on the time line, how the last one fails, and what is going on at a moment.

use super::Script;
use wsceiling_model::record::{FailedAt, FailureReason, StepKind};

/// What is going on at a moment of the trial.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub t_ms: f64,
    pub open: f64,
    /// Totals.
    pub opened: f64,
    pub due: f64,
    pub failed: f64,
    pub lost: f64,
    /// Within the step that fails.
    pub failing: bool,
    /// Seconds since that step began, and since its trouble began; negative before.
    pub since_failed_s: f64,
    pub since_trouble_s: f64,
}

/// How the failing step goes.
#[derive(Debug, Clone)]
pub(super) enum Course {
    /// Opens at the asked rate up to a number, then no further.
    Plateau(f64),
    /// Opens evenly, and too slowly, up to a number.
    Slope(f64),
    /// Opens at the asked rate up to a number, then all is lost.
    Collapse(f64),
    /// Opens all; replies are late.
    Late,
    /// Opens all; each connection is closed after so many seconds, by so large a share more or less.
    Lifetime(f64, f64),
    /// Opens all; those beyond a number are closed at once, and the older ones stay.
    ClosesNewest(f64),
}

/// The failing step.
#[derive(Debug, Clone)]
pub struct Fail {
    pub(super) course: Course,
    pub(super) errors: Vec<(FailedAt, FailureReason, u64)>,
    pub(super) p99_us: u64,
    pub(super) lag_us: u64,
    pub(super) issued: f64,
    pub(super) held: f64,
    pub(super) unanswered: bool,
    pub(super) slowest_reply_us: Option<u64>,
    pub(super) opened_after: Option<u64>,
    pub(super) spread: Vec<u64>,
}

impl Fail {
    fn new(course: Course) -> Self {
        Self {
            course,
            errors: Vec::new(),
            p99_us: 1500,
            lag_us: 900,
            issued: 1.0,
            held: 1.0,
            unanswered: false,
            slowest_reply_us: None,
            opened_after: None,
            spread: Vec::new(),
        }
    }

    pub fn plateau(open: u32) -> Self {
        Self::new(Course::Plateau(f64::from(open)))
    }

    pub fn slope(open: u32) -> Self {
        Self { p99_us: 2_000_000, ..Self::new(Course::Slope(f64::from(open))) }
    }

    pub fn collapse(peak: u32) -> Self {
        Self::new(Course::Collapse(f64::from(peak)))
    }

    pub fn late(p99_us: u64) -> Self {
        Self { p99_us, ..Self::new(Course::Late) }
    }

    pub fn lifetime(seconds: f64, how: &str) -> Self {
        Self::lifetimes(seconds, 0.0, how)
    }

    /// Lifetimes of which none is like the other: up to `jitter` of them more or less, each as likely.
    pub fn lifetimes(seconds: f64, jitter: f64, how: &str) -> Self {
        Self::new(Course::Lifetime(seconds, jitter)).error(FailedAt::Open, how, 1)
    }

    /// Of a whole step all are opened, and those beyond `open` are closed at once.
    pub fn closes_newest(open: u32, how: &str) -> Self {
        Self::new(Course::ClosesNewest(f64::from(open))).error(FailedAt::Open, how, 1)
    }

    pub fn error(mut self, at: FailedAt, reason: &str, count: u64) -> Self {
        self.errors.push((at, reason.to_owned().into(), count));
        self
    }

    pub fn lag_p99(mut self, us: u64) -> Self {
        self.lag_us = us;
        self
    }

    /// The 99th percentile of replies; what is unanswered counts with the time that it has waited.
    pub fn reply_p99(mut self, us: u64) -> Self {
        self.p99_us = us;
        self
    }

    /// No reply comes within the hold, so that there is nothing to measure.
    pub fn unanswered(mut self) -> Self {
        self.unanswered = true;
        self
    }

    /// Open connections of each instance; else they are spread evenly.
    pub fn spread(mut self, open: &[u64]) -> Self {
        self.spread = open.to_vec();
        self
    }

    /// The slowest answer took so long; where none came in the hold, of messages that were due before it.
    pub fn slowest_reply_us(mut self, slowest_us: u64) -> Self {
        self.slowest_reply_us = Some(slowest_us);
        self
    }

    /// Connections that were let in after the first failure; the default is none on a plateau and a collapse, else half.
    pub fn opened_after(mut self, count: u64) -> Self {
        self.opened_after = Some(count);
        self
    }

    /// Share of the connects due that were issued.
    pub fn issued(mut self, share: f64) -> Self {
        self.issued = share;
        self
    }

    /// Share of the open connections whose echo comes back.
    pub fn held(mut self, share: f64) -> Self {
        self.held = share;
        self
    }

    pub(super) fn failures(&self) -> f64 {
        self.errors.iter().filter(|(stage, ..)| *stage != FailedAt::Open).map(|(.., count)| *count).sum::<u64>() as f64
    }
}

/// One step on the time line.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    pub(super) kind: StepKind,
    pub(super) start: f64,
    pub(super) opened: f64,
    pub(super) end: f64,
    pub(super) before: f64,
    pub(super) target: f64,
    pub(super) fail: Option<Fail>,
}

impl Script {
    /// The first step that fails; others may follow it, past the edge.
    pub(super) fn failed(&self) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.fail.is_some())
    }

    /// When the trouble of the failing step begins.
    pub(super) fn trouble(&self) -> f64 {
        let Some((leg, fail)) = self.failed().and_then(|leg| Some((leg, leg.fail.as_ref()?))) else {
            return f64::MAX;
        };
        match fail.course {
            Course::Plateau(open) | Course::Collapse(open) | Course::ClosesNewest(open) => {
                leg.start + (open - leg.before) / self.load.rate * 1e3
            }
            _ => leg.start,
        }
    }

    /// The state of the generator at a moment.
    pub(super) fn moment(&self, t_ms: f64) -> Moment {
        let failing = self.failed();
        let since = |from: f64| (t_ms - from) / 1e3;
        let mut moment = Moment {
            t_ms,
            open: 0.0,
            opened: 0.0,
            due: 0.0,
            failed: 0.0,
            lost: 0.0,
            failing: failing.is_some_and(|leg| (leg.start..=leg.end).contains(&t_ms)),
            since_failed_s: failing.map_or(-1e6, |leg| since(leg.start)),
            since_trouble_s: failing.map_or(-1e6, |_| since(self.trouble())),
        };
        for leg in self.legs.iter().filter(|leg| t_ms >= leg.start) {
            let wanted = leg.target - leg.before;
            let asked = (since(leg.start) * self.load.rate).min(wanted);
            moment.due += asked;
            let (opened, lost) = match &leg.fail {
                None => (asked, 0.0),
                Some(fail) => self.failing(leg, fail, t_ms, asked),
            };
            moment.opened += opened;
            moment.lost += lost;
            if let Some(fail) = &leg.fail {
                let first = self.trouble() + if leg.opened - leg.start > 4000.0 { 5000.0 } else { 0.0 };
                moment.failed += fail.failures() * (since(first) / 0.5).clamp(0.0, 1.0);
            }
        }
        moment.open = (moment.opened - moment.lost).max(0.0);
        moment
    }

    /// Opened and lost in the failing step.
    fn failing(&self, leg: &Leg, fail: &Fail, t_ms: f64, asked: f64) -> (f64, f64) {
        match fail.course {
            Course::Plateau(open) => (asked.min(open - leg.before), 0.0),
            Course::Slope(open) => {
                let share = (t_ms - leg.start) / (leg.opened - 500.0 - leg.start);
                ((open - leg.before) * share.clamp(0.0, 1.0), 0.0)
            }
            Course::Collapse(peak) => {
                let lost = peak * ((t_ms - self.trouble()) / 60.0).clamp(0.0, 1.0);
                (asked.min(peak - leg.before), lost)
            }
            Course::Late => (asked * fail.issued, 0.0),
            Course::Lifetime(seconds, jitter) => {
                let since = (t_ms - leg.start) / 1e3;
                let opening = (leg.target - leg.before) / self.load.rate;
                let (least, most) = (seconds * (1.0 - jitter), seconds * (1.0 + jitter));
                // Seconds of opening whose connections are gone: the integral of the share that is gone by an age.
                let gone = |age: f64| match age {
                    _ if age <= least => 0.0,
                    _ if age >= most => age - seconds,
                    _ => (age - least).powi(2) / (2.0 * (most - least)),
                };
                (asked, self.load.rate * (gone(since) - gone(since - opening)))
            }
            Course::ClosesNewest(open) => (asked, (leg.before + asked - open).max(0.0)),
        }
    }
}

/// A counter that rises by `total` within a second of the trouble's begin.
pub fn rising(total: f64) -> impl Fn(&Moment) -> Option<f64> {
    move |moment| Some((total * moment.since_trouble_s.clamp(0.0, 1.0)).round())
}
