//! The gates: the conditions that a step must meet to count as held. One list for the generator that measures them, the
//! validator that checks them and the pages that show them; [`Gates`] has their limits in the matrix.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::StepRecord;
use crate::format::Unit;
use crate::matrix::Gates;

/// One condition of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Which.
    pub name: GateName,
    /// Measured value, in the unit of [`GateName::unit`]; `None`: nothing to measure, which fails.
    pub value: Option<f64>,
    /// Limit of the matrix, in the same unit.
    pub limit: f64,
    /// Whether it passed.
    pub passed: bool,
}

/// The conditions that a step can be held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateName {
    /// Share of the wanted connections that are open at the end of the hold; those that are just being replaced count.
    Connected,
    /// Share of the open connections that are held.
    Echoed,
    /// 99th percentile of the replies, in microseconds; of those to the probe, where nothing of the load was due in the hold.
    P99Us,
}

/// The side of its limit on which a gate passes; the limit itself passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The value is the limit or more.
    AtLeast,
    /// The value is the limit or less.
    AtMost,
}

impl Rule {
    /// The sign between a value and its limit.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::AtLeast => "≥",
            Self::AtMost => "<",
        }
    }
}

impl GateName {
    /// All gates, in the order in which a step has them.
    pub const ALL: [Self; 3] = [Self::Connected, Self::Echoed, Self::P99Us];

    /// The word in the record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Echoed => "echoed",
            Self::P99Us => "p99_us",
        }
    }

    /// The word for people: the key in the matrix.
    pub const fn label(self) -> &'static str {
        match self {
            Self::P99Us => "p99",
            other => other.name(),
        }
    }

    /// The unit of value and limit.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Connected | Self::Echoed => Unit::Share,
            Self::P99Us => Unit::Micros,
        }
    }

    /// The side of its limit on which it passes.
    pub const fn rule(self) -> Rule {
        match self {
            Self::Connected | Self::Echoed => Rule::AtLeast,
            Self::P99Us => Rule::AtMost,
        }
    }

    /// What a step has to show for it; `None`: nothing that could be measured.
    pub fn measure(self, step: &StepRecord) -> Option<f64> {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        match self {
            Self::Connected => {
                share(step.open.saturating_add(step.replacing).min(step.target.into()), step.target.into())
            }
            Self::Echoed => share(step.held, step.open),
            Self::P99Us => {
                let replies = if step.messages_due == 0 { &step.probe } else { &step.reply };
                // A record of format 1 or 2 has replies without a probe, whatever was due.
                replies.p99_us.or(step.reply.p99_us).map(|us| us as f64)
            }
        }
    }

    /// The limit that the matrix sets.
    pub fn limit(self, gates: &Gates) -> f64 {
        match self {
            Self::Connected => gates.connected,
            Self::Echoed => gates.echoed,
            Self::P99Us => gates.p99.as_micros() as f64,
        }
    }
}

impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Gate {
    /// A value against a limit; no value fails.
    pub fn new(name: GateName, value: Option<f64>, limit: f64) -> Self {
        let passes = |value: f64| match name.rule() {
            Rule::AtLeast => value >= limit,
            Rule::AtMost => value <= limit,
        };
        Self { name, value, limit, passed: value.is_some_and(passes) }
    }
}

/// Every gate of a step whose numbers are known.
pub fn judge(step: &StepRecord, gates: &Gates) -> Vec<Gate> {
    GateName::ALL.into_iter().map(|name| Gate::new(name, name.measure(step), name.limit(gates))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Latency;
    use super::*;

    #[test]
    fn a_gate_passes_on_its_side_of_the_limit_and_never_without_a_value() {
        let passed = |name, value, limit| Gate::new(name, value, limit).passed;
        assert!(passed(GateName::Connected, Some(0.999), 0.999) && !passed(GateName::Connected, Some(0.998), 0.999));
        assert!(passed(GateName::P99Us, Some(500.0), 500.0) && !passed(GateName::P99Us, Some(501.0), 500.0));
        assert!(!passed(GateName::Echoed, None, 0.0));
    }

    #[test]
    fn the_probe_stands_for_the_load_only_where_nothing_of_the_load_was_due() {
        let latency = |us| Latency { count: 1, p99_us: Some(us), ..Latency::default() };
        let step = |messages_due| StepRecord {
            messages_due,
            reply: if messages_due > 0 { latency(9) } else { Latency::default() },
            probe: latency(5),
            ..StepRecord::default()
        };
        assert_eq!(GateName::P99Us.measure(&step(1)), Some(9.0));
        assert_eq!(GateName::P99Us.measure(&step(0)), Some(5.0));
        assert_eq!(GateName::P99Us.measure(&StepRecord { messages_due: 3, ..step(0) }), None);
        assert_eq!(GateName::P99Us.measure(&StepRecord { reply: latency(7), ..StepRecord::default() }), Some(7.0));
    }

    #[test]
    fn what_is_being_replaced_counts_as_connected_and_more_than_wanted_is_all() {
        let step = |open, replacing| StepRecord { target: 100, open, replacing, ..StepRecord::default() };
        assert_eq!(GateName::Connected.measure(&step(90, 5)), Some(0.95));
        assert_eq!(GateName::Connected.measure(&step(101, 5)), Some(1.0));
        assert_eq!(GateName::Echoed.measure(&step(0, 0)), None);
    }
}
