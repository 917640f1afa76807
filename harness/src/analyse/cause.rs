//! What stopped a trial, with the evidence.

use serde::{Deserialize, Serialize};

use crate::record::Component;

/// What stopped a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How the connections went.
    pub shape: Shape,
    /// Short, stable name of the cause: `memory-limit`, `cpu-quota`, `client-limited`, `none`, `unknown`, ...
    pub cause: String,
    /// The sentence for a person.
    pub sentence: String,
    /// What to do about it.
    pub fix: Option<String>,
    /// 0.30 symptom only, 0.60 its counter moved, 0.85 arithmetic and onset match, 0.97 confirmed by an intervention.
    pub confidence: f64,
    /// Counters that prove it.
    pub evidence: Vec<Evidence>,
    /// Moment of the cause, milliseconds since the trial's start.
    pub onset_ms: Option<f64>,
    /// The next best cause and its confidence.
    pub runner_up: Option<(String, f64)>,
}

/// How the connections of a trial went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// All that was asked for was held.
    Reached,
    /// As many close as open, without failures.
    Churn,
    /// Open stays level while attempts fail.
    Plateau,
    /// Open still rises, far slower than asked.
    Slope,
    /// At least half of the open connections are lost within 2 s.
    Collapse,
    /// A collapse, then a rise.
    Sawtooth,
}

/// A counter that speaks for a cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Whose.
    pub component: Component,
    /// Name of the counter or fact.
    pub name: String,
    /// Before and after, as text with units; `None`: not read at that moment.
    pub before: Option<String>,
    /// See [`Self::before`].
    pub after: Option<String>,
    /// Where it was read.
    pub source: String,
}
