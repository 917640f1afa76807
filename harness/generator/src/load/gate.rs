//! Gates: conditions that the outcome must meet, as `connected>=99.9%`, `p99<200ms`, `lost==0`. A matrix has three of them
//! for each step (`connected`, `echoed`, `p99`); here the user writes any. On the command line they are called thresholds.

use std::fmt;

use serde::Serialize;

use wsceiling_model::format;
use wsceiling_model::matrix::units;

/// A condition on one measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// As the user wrote it.
    text: String,
    measure: Measure,
    comparison: Comparison,
    limit: f64,
    unit: Unit,
}

/// A condition with its outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgedGate {
    /// The condition.
    #[serde(rename = "threshold")]
    pub gate: String,
    /// The measured value; `None`: nothing was measured, which fails.
    pub value: Option<f64>,
    /// The limit, in the same unit.
    pub limit: f64,
    /// Unit of both.
    pub unit: Unit,
    /// Whether it is met.
    pub passed: bool,
}

/// Unit of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A number.
    Count,
    /// A share, from 0 to 1.
    Ratio,
    /// Microseconds.
    Us,
    /// Per second.
    PerSecond,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Connected,
    Held,
    Answered,
    Failed,
    Lost,
    Unanswered,
    Rate,
    Latency(Which, Percentile),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Reply,
    Connect,
    Tls,
    Handshake,
    Lag,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Percentile {
    P50,
    P90,
    P99,
    P999,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    Above,
    AtMost,
    Below,
    Equal,
    Not,
}

const COMPARISONS: [(&str, Comparison); 7] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    ("==", Comparison::Equal),
    ("!=", Comparison::Not),
    (">", Comparison::Above),
    ("<", Comparison::Below),
    ("=", Comparison::Equal),
];

const MEASURES: [(&str, Measure); 7] = [
    ("connected", Measure::Connected),
    ("held", Measure::Held),
    ("answered", Measure::Answered),
    ("failed", Measure::Failed),
    ("lost", Measure::Lost),
    ("unanswered", Measure::Unanswered),
    ("rate", Measure::Rate),
];

const WHICH: [(&str, Which); 5] = [
    ("reply", Which::Reply),
    ("connect", Which::Connect),
    ("tls", Which::Tls),
    ("handshake", Which::Handshake),
    ("lag", Which::Lag),
];

const PERCENTILES: [(&str, Percentile); 6] = [
    ("p50", Percentile::P50),
    ("median", Percentile::P50),
    ("p90", Percentile::P90),
    ("p99", Percentile::P99),
    ("p999", Percentile::P999),
    ("max", Percentile::Max),
];

/// What can stand before the comparison, for hints.
const NAMES: &str = "connected, held, answered, failed, lost, unanswered, rate, p50, p90, p99, p999, max, or connect.p99, \
                     tls.p99, handshake.p99, lag.p99";

fn named<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// What must hold where the user says nothing: every connect succeeds, none is lost, and each is answered.
pub fn defaults() -> Vec<Gate> {
    ["connected==100%", "lost==0", "held==100%"].iter().filter_map(|text| Gate::parse(text).ok()).collect()
}

/// What is wrong with a condition. `Display` is a fragment for a person, with a hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {fault}", text.escape_debug())]
pub struct BadGate {
    /// The condition as it was given.
    pub text: String,
    /// What is wrong with it.
    pub fault: GateFault,
}

/// See [`BadGate`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateFault {
    /// There is none of the signs.
    #[error("has no comparison (hint: NAME, then one of >= <= > < == !=, then a value: 'p99<200ms')")]
    NoComparison,
    /// What stands before the sign.
    #[error("is about `{}`, which is not measured (hint: {NAMES})", .0.escape_debug())]
    NotMeasured(String),
    /// A share or a number was expected.
    #[error("has `{}`, which is no number (hint: 'connected>=99.9%', 'lost==0')", .0.escape_debug())]
    NoNumber(String),
    /// A duration was expected.
    #[error("has no duration: {0} (hint: {hint})", hint = units::DURATION_HINT)]
    NoDuration(units::UnitError),
}

impl Gate {
    /// Reads a condition.
    ///
    /// # Errors
    /// When it is none, or about nothing that is measured.
    pub fn parse(text: &str) -> Result<Self, BadGate> {
        let bad = |fault| BadGate { text: text.to_owned(), fault };
        let at = text.find(['<', '>', '=', '!']).ok_or_else(|| bad(GateFault::NoComparison))?;
        let (name, rest) = text.split_at(at);
        let found = COMPARISONS.iter().find(|(sign, _)| rest.starts_with(sign));
        let (sign, comparison) = found.ok_or_else(|| bad(GateFault::NoComparison))?;
        let name = name.trim();
        let measure = measure(name).ok_or_else(|| bad(GateFault::NotMeasured(name.to_owned())))?;
        let value = rest[sign.len()..].trim();
        let (limit, unit) = limit(measure, value).map_err(bad)?;
        Ok(Self { text: format!("{name}{sign}{value}"), measure, comparison: *comparison, limit, unit })
    }

    /// What it is about.
    pub(super) fn measure(&self) -> Measure {
        self.measure
    }

    /// Whether its value is a share of a whole, and not a number.
    pub(super) fn is_share(&self) -> bool {
        self.unit == Unit::Ratio
    }

    /// Judges the measured value, in the unit of the limit; `None`: nothing was measured, which fails.
    pub(super) fn judge(&self, value: Option<f64>) -> JudgedGate {
        // 99.9 % is not 0.999 to the last bit.
        let same = |value: f64| (value - self.limit).abs() < 1e-9;
        let passed = value.is_some_and(|value| match self.comparison {
            Comparison::AtLeast => value >= self.limit || same(value),
            Comparison::Above => value > self.limit && !same(value),
            Comparison::AtMost => value <= self.limit || same(value),
            Comparison::Below => value < self.limit && !same(value),
            Comparison::Equal => same(value),
            Comparison::Not => !same(value),
        });
        JudgedGate { gate: self.text.clone(), value, limit: self.limit, unit: self.unit, passed }
    }
}

fn measure(name: &str) -> Option<Measure> {
    if let Some(measure) = named(&MEASURES, name) {
        return Some(measure);
    }
    let (which, percentile) = name.split_once('.').unwrap_or(("reply", name));
    Some(Measure::Latency(named(&WHICH, which)?, named(&PERCENTILES, percentile)?))
}

fn limit(measure: Measure, text: &str) -> Result<(f64, Unit), GateFault> {
    let number = |text: &str| {
        let value = text.trim().parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
        value.ok_or_else(|| GateFault::NoNumber(text.to_owned()))
    };
    match measure {
        Measure::Latency(..) => {
            let duration = units::parse_duration(text).map_err(GateFault::NoDuration)?;
            Ok((duration.as_nanos() as f64 / 1000.0, Unit::Us))
        }
        Measure::Rate => Ok((number(text.strip_suffix("/s").unwrap_or(text))?, Unit::PerSecond)),
        _ => match text.strip_suffix('%') {
            Some(percent) => Ok((number(percent)? / 100.0, Unit::Ratio)),
            None => Ok((number(text)?, Unit::Count)),
        },
    }
}

impl fmt::Display for JudgedGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.passed { "PASS" } else { "FAIL" };
        write!(f, "{word}  {}  ", self.gate)?;
        match (self.value, self.unit) {
            (None, _) => write!(f, "(nothing was measured)"),
            (Some(value), Unit::Count) => write!(f, "({value})"),
            (Some(value), Unit::Ratio) => write!(f, "({})", format::percent(value)),
            (Some(value), Unit::Us) => write!(f, "({})", format::micros(value.trunc())),
            (Some(value), Unit::PerSecond) => write!(f, "({value:.1}/s)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_conditions_are_said_with_a_hint() {
        for (text, says) in [
            ("p99", "no comparison"),
            ("p99!200ms", "no comparison"),
            ("speed>1", "is not measured"),
            ("lag.speed>1", "is not measured"),
            ("p99<200", "no unit"),
            ("lost==none", "no number"),
            ("lost>=-1", "no number"),
            ("connected>=NaN%", "no number"),
        ] {
            let error = Gate::parse(text).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("hint"), "{text}: {error}");
        }
    }

    #[test]
    fn the_defaults_are_three() {
        assert_eq!(defaults().len(), 3);
    }
}
