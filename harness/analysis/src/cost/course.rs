//! The course of a trial: what was asked of the servers from the start of a launch up to any moment.

use super::result::Traffic;
use wsceiling_model::matrix::{Load, Scenario};
use wsceiling_model::record::{StepRecord, TrialRecord};

impl Traffic {
    /// What the matrix configures for each connection of a scenario.
    pub(crate) fn configured(load: &Load, scenario: Scenario) -> Self {
        let every = match scenario {
            Scenario::Broadcast => load.broadcast.every,
            Scenario::Idle | Scenario::Echo | Scenario::Churn => load.message.every,
        };
        let per_second = |time: std::time::Duration| if time.is_zero() { 0.0 } else { 1.0 / time.as_secs_f64() };
        Self {
            messages_per_s: per_second(every),
            openings_per_s: if scenario == Scenario::Churn { per_second(load.churn.lifetime) } else { 0.0 },
        }
    }
}

/// Totals since the start of a launch, or their difference over a window.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Asked {
    pub seconds: f64,
    /// Open connections times seconds.
    pub connection_seconds: f64,
    /// Messages, without the first of each connection.
    pub messages: f64,
    /// Connections opened, each with its first message.
    pub openings: f64,
}

impl Asked {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            seconds: self.seconds - before.seconds,
            connection_seconds: self.connection_seconds - before.connection_seconds,
            messages: self.messages - before.messages,
            openings: self.openings - before.openings,
        }
    }
}

/// A part of the time in which connections and messages come evenly.
#[derive(Debug, Clone, Copy)]
struct Segment {
    from_ms: f64,
    to_ms: f64,
    /// Connections open at its begin and its end, on a straight line between.
    open: (f64, f64),
    messages: f64,
    openings: f64,
}

/// A launch of a trial as a function of time. Between two steps the connections stay and say nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Course {
    segments: Vec<Segment>,
}

impl Course {
    /// The course of one launch; `configured` says what the record does not: the load while connections were opened, in
    /// records of format 2 and before, and the replacements of churn.
    pub(crate) fn new(record: &TrialRecord, launch: u32, configured: Traffic) -> Self {
        let mut course = Self::default();
        let mut before = 0.0;
        for step in record.steps.iter().filter(|step| step.launch == launch) {
            course.add(step, before, configured);
            before = step.open as f64;
        }
        course
    }

    fn add(&mut self, step: &StepRecord, before: f64, configured: Traffic) {
        let (open, opened) = (step.open as f64, step.opened as f64);
        let hold_ends = step.probe_from_ms.unwrap_or(step.ended_ms);
        let seconds = |from: f64, to: f64| (to - from).max(0.0) / 1e3;
        let opening_cs = f64::midpoint(before, open) * seconds(step.started_ms, step.opened_ms);
        // Each new connection says something at once, so fewer messages than that were not counted at all.
        let counted = step.messages_opening >= step.opened && step.messages_opening > 0;
        let while_opening =
            if counted { (step.messages_opening - step.opened) as f64 } else { opening_cs * configured.messages_per_s };
        // A replacement, and the first message that it sends, are an opening.
        let replaced = |connection_seconds: f64| connection_seconds * configured.openings_per_s;
        let hold_cs = open * seconds(step.opened_ms, hold_ends);
        self.segments.push(Segment {
            from_ms: step.started_ms,
            to_ms: step.opened_ms,
            open: (before, open),
            messages: (while_opening - replaced(opening_cs)).max(0.0),
            openings: opened + replaced(opening_cs),
        });
        self.segments.push(Segment {
            from_ms: step.opened_ms,
            to_ms: hold_ends,
            open: (open, open),
            messages: (step.messages_sent as f64 - replaced(hold_cs)).max(0.0),
            openings: replaced(hold_cs),
        });
        if hold_ends < step.ended_ms {
            let openings = replaced(open * seconds(hold_ends, step.ended_ms));
            let (open, messages) = ((open, open), step.probes as f64);
            self.segments.push(Segment { from_ms: hold_ends, to_ms: step.ended_ms, open, messages, openings });
        }
    }

    /// Totals up to a moment.
    pub(crate) fn at(&self, t_ms: f64) -> Asked {
        let mut asked = Asked { seconds: t_ms / 1e3, ..Asked::default() };
        let mut before: Option<&Segment> = None;
        for segment in self.segments.iter().take_while(|segment| segment.from_ms < t_ms) {
            if let Some(before) = before {
                asked.connection_seconds += before.open.1 * (segment.from_ms - before.to_ms).max(0.0) / 1e3;
            }
            let share = segment.share(t_ms);
            asked.connection_seconds += segment.connection_seconds(share);
            asked.messages += segment.messages * segment.talked(share);
            asked.openings += segment.openings * share;
            before = Some(segment);
        }
        if let Some(last) = before {
            asked.connection_seconds += last.open.1 * (t_ms - last.to_ms).max(0.0) / 1e3;
        }
        asked
    }

    /// What was asked between two moments.
    pub(crate) fn between(&self, from_ms: f64, to_ms: f64) -> Asked {
        self.at(to_ms).since(self.at(from_ms))
    }
}

impl Segment {
    /// Share of it that is over at a moment.
    fn share(&self, t_ms: f64) -> f64 {
        let length = self.to_ms - self.from_ms;
        if length > 0.0 { ((t_ms - self.from_ms) / length).clamp(0.0, 1.0) } else { 1.0 }
    }

    fn connection_seconds(&self, share: f64) -> f64 {
        let (from, to) = self.open;
        share * (from + (to - from) * share / 2.0) * (self.to_ms - self.from_ms) / 1e3
    }

    /// Share of its messages that were sent: they come from the connections that are open.
    fn talked(&self, share: f64) -> f64 {
        let all = self.connection_seconds(1.0);
        if all > 0.0 { self.connection_seconds(share) / all } else { share }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use wsceiling_model::plan::TrialId;
    use wsceiling_model::record::Outcome;

    fn record() -> TrialRecord {
        let step = StepRecord {
            started_ms: 1000.0,
            opened_ms: 2000.0,
            probe_from_ms: Some(4000.0),
            ended_ms: 4500.0,
            opened: 100,
            open: 100,
            messages_opening: 110,
            messages_sent: 40,
            probes: 60,
            ..StepRecord::default()
        };
        let next = StepRecord {
            started_ms: 5500.0,
            opened_ms: 6500.0,
            probe_from_ms: None,
            ended_ms: 8500.0,
            open: 200,
            messages_opening: 0,
            ..step.clone()
        };
        let other = StepRecord { launch: 1, open: 7, ..step.clone() };
        TrialRecord { steps: vec![step, other, next], ..TrialRecord::unmeasured(TrialId::new("a", 1), Outcome::Ok) }
    }

    #[test]
    fn totals_are_those_of_the_phases_and_run_evenly_within_them() {
        let course = Course::new(&record(), 0, Traffic { messages_per_s: 0.2, openings_per_s: 0.0 });
        let check = |from, to, expected: [f64; 4]| {
            let asked = course.between(from, to);
            let found = [asked.seconds, asked.connection_seconds, asked.messages, asked.openings];
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {expected:?}");
        };
        check(0.0, 1000.0, [1.0, 0.0, 0.0, 0.0]);
        check(1000.0, 2000.0, [1.0, 50.0, 10.0, 100.0]);
        // The first half of an opening has a quarter of its connection-seconds, and of the load's messages.
        check(1000.0, 1500.0, [0.5, 12.5, 2.5, 50.0]);
        check(2000.0, 4000.0, [2.0, 200.0, 40.0, 0.0]);
        check(3000.0, 4250.0, [1.25, 125.0, 50.0, 0.0]);
        // Between two steps the connections stay; the record of the next one has no count, so the matrix says it.
        check(4500.0, 5500.0, [1.0, 100.0, 0.0, 0.0]);
        check(5500.0, 6500.0, [1.0, 150.0, 30.0, 100.0]);
        check(8500.0, 9500.0, [1.0, 200.0, 0.0, 0.0]);
    }

    #[test]
    fn a_replacement_is_an_opening_with_its_first_message() {
        let course = Course::new(&record(), 0, Traffic { messages_per_s: 0.2, openings_per_s: 0.1 });
        let hold = course.between(2000.0, 4000.0);
        assert_eq!((hold.openings.round(), hold.messages.round()), (20.0, 20.0));
    }

    #[test]
    fn the_matrix_configures_what_a_connection_does_in_a_second() {
        let load = Load {
            broadcast: wsceiling_model::matrix::Broadcast { room: 50, every: Duration::from_millis(500), bytes: 1 },
            ..wsceiling_simulate::script::load()
        };
        let of = |scenario| Traffic::configured(&load, scenario);
        assert_eq!((of(Scenario::Idle).messages_per_s, of(Scenario::Idle).openings_per_s), (1.0, 0.0));
        assert!((of(Scenario::Broadcast).messages_per_s - 2.0).abs() < 1e-12);
        assert!((of(Scenario::Churn).openings_per_s - 1.0 / 30.0).abs() < 1e-12);
    }
}
