//! What stopped a trial, and what proves it.

use std::fmt;

use serde::Serialize;

use crate::pattern::FailurePattern;
use wsceiling_model::platforms::LimitKind;
use wsceiling_model::record::{Cause, Component, FailedAt, FailureReason, KnownLine, Metric};

/// How sure a verdict is. The procedure of `docs/limits.md`.
pub(crate) mod confidence {
    /// The symptom alone.
    pub(crate) const SYMPTOM: f64 = 0.30;
    /// Its counter moved.
    pub(crate) const MOVED: f64 = 0.60;
    /// Arithmetic, onset and share of the failures match as well. A trial alone gives no more.
    pub(crate) const MATCHED: f64 = 0.85;
    /// An experiment did what the cause predicts.
    pub(crate) const CONFIRMED: f64 = 0.97;
    /// An experiment did not: the most that is left.
    pub(crate) const REJECTED: f64 = 0.20;
}

/// What stopped a trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// How the connections went.
    #[serde(rename = "shape")]
    pub pattern: FailurePattern,
    /// What it was.
    pub cause: Cause,
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
    pub runner_up: Option<(Cause, f64)>,
    /// What followed from the cause, in the order in which it began: each fired a rule of its own, and was dropped since
    /// the cause explains it.
    pub chain: Vec<Link>,
    /// What the client saw in the end: `378 connect timeout, 129 handshake timeout`.
    pub seen: Option<String>,
}

/// A consequence of a cause.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    /// What it looks like by itself.
    pub cause: Cause,
    /// Moment of its counter, milliseconds since the trial's start.
    pub onset_ms: Option<f64>,
}

impl Verdict {
    /// `cpu-quota, so accept-queue`: the cause and what followed, for a table or a line.
    pub fn chain_words(&self) -> String {
        let names = std::iter::once(self.cause).chain(self.chain.iter().map(|link| link.cause));
        names.map(Cause::name).collect::<Vec<_>>().join(", so ")
    }
}

/// A counter that speaks for a cause.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// Whose.
    pub component: Component,
    /// What it is.
    pub name: EvidenceName,
    /// Before and after, as text with units; `None`: not read at that moment.
    pub before: Option<String>,
    /// See [`Self::before`].
    pub after: Option<String>,
    /// Where it was read.
    pub source: String,
}

impl Evidence {
    /// Whether it is a line of a log.
    pub(crate) fn is_log(&self) -> bool {
        matches!(self.name, EvidenceName::LogLine | EvidenceName::LogLines(_))
    }

    /// A line of the log of an instance.
    pub(crate) fn log_line(component: Component, line: &str) -> Self {
        Self {
            component,
            name: EvidenceName::LogLine,
            before: None,
            after: Some(line.to_owned()),
            source: "log of the instance".into(),
        }
    }
}

/// What a piece of evidence is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum EvidenceName {
    /// A sampled number.
    Metric(Metric),
    /// Failures of one kind.
    Failures(FailedAt, FailureReason),
    /// How a process ended.
    Exit,
    /// A line of a log.
    LogLine,
    /// How often a front's log has one of the lines that are counted.
    LogLines(KnownLine),
    /// What the generator says it was limited by.
    LimitedBy,
    /// Connects issued of those that were due.
    IssuedOfDue,
    /// What the client opened to a server that does nothing.
    OpenedToSink,
    /// What the client opened without the front.
    OpenedDirectly,
    /// How memory grew while the connections stayed as many.
    Growth,
    /// What was let in after the first refusal of a step.
    OpenedAfterRefusal,
    /// What upgrades were answered with that did not succeed; the status.
    Answer(u16),
    /// A limit that the target's platform documents.
    Documented(LimitKind),
    /// What the server's own address held, beside its public one.
    HeldByOwnAddress,
    /// How old connections were when they were lost.
    Ages,
    /// Connections that were open when the server refused more, in each trial.
    HeldInEachTrial,
}

impl fmt::Display for EvidenceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(metric) => f.write_str(metric.name()),
            Self::Failures(at, reason) => write!(f, "{at}: {reason}"),
            Self::Exit => f.write_str("exit"),
            Self::LogLine => f.write_str("log"),
            Self::LogLines(name) => write!(f, "log lines `{name}`"),
            Self::LimitedBy => f.write_str("limited by"),
            Self::IssuedOfDue => f.write_str("issued / due"),
            Self::OpenedToSink => f.write_str("opened to a server that does nothing"),
            Self::OpenedDirectly => f.write_str("opened without the front"),
            Self::Growth => f.write_str("growth without a connection added"),
            Self::OpenedAfterRefusal => f.write_str("let in after the first refusal"),
            Self::Answer(status) => write!(f, "answered with {status}"),
            Self::Documented(kind) => write!(f, "documented {kind}"),
            Self::HeldByOwnAddress => f.write_str("held by the public address, then by the server's own"),
            Self::Ages => f.write_str("age of lost connections"),
            Self::HeldInEachTrial => f.write_str("held at the refusal in each trial"),
        }
    }
}

impl From<EvidenceName> for String {
    fn from(name: EvidenceName) -> Self {
        name.to_string()
    }
}
