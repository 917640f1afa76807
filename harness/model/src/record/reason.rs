//! Why a trial is not a measurement, as data. `Display` is the one place that makes words of it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ClientLimit, Component};
use crate::url::Url;

/// Why a trial ended as neither `ok` nor `ceiling`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reason {
    /// The user stopped the run.
    Stopped,
    /// The trial took longer than it may.
    TimedOut {
        /// `trial_within` of the matrix, in milliseconds.
        within_ms: u64,
    },
    /// The client could not do what was asked of it.
    ClientLimited {
        /// At least one.
        limits: Vec<ClientLimit>,
    },
    /// Counts that should agree do not.
    Contradictory {
        /// At least one.
        contradictions: Vec<Contradiction>,
    },
    /// Something that the trial needs is not there.
    Missing {
        /// What.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A program was started, or tried to be, and did not run.
    LaunchFailed {
        /// What was attempted and how it failed.
        what: String,
        /// Last lines of its log.
        log_tail: Vec<String>,
    },
    /// An instance, or the front, did not listen in time, ended, or answered wrongly.
    NotVerified {
        /// Which.
        who: Component,
        /// The check that failed and what it got.
        what: String,
        /// Last lines of its log.
        log_tail: Vec<String>,
    },
    /// A server that somebody else runs was not reached, or answered wrongly.
    RemoteNotVerified {
        /// Its URL.
        url: Box<Url>,
        /// The check that failed and what it got.
        what: String,
    },
    /// The generator did not start.
    GeneratorFailed {
        /// How.
        what: String,
    },
    /// The sampler did not start, or ended before the trial.
    NotSampled {
        /// How.
        what: String,
    },
    /// The search ended before any step had failed.
    SearchFailed {
        /// How.
        what: String,
    },
    /// Words alone: of a record of format 1.
    Words {
        /// Why.
        reason: String,
        /// What to do about it.
        hint: Option<Hint>,
    },
}

/// What helps with a [`Reason`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hint {
    /// What to do.
    Advice(String),
    /// The last lines of a log, which say more than any advice; at least one.
    LogTail(Vec<String>),
}

/// Counts of the same thing that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Contradiction {
    /// The front has fewer connections to the instances than the generator has to the front.
    FrontHasFewer {
        /// Open by the generator's count.
        open: u64,
        /// From the front to all instances, by its kernel's count.
        upstream: u64,
    },
    /// The kernel of an instance has fewer established connections than the generator has open to it.
    KernelHasFewer {
        /// Index of the instance.
        instance: u32,
        /// Open by the generator's count.
        open: u64,
        /// Established by the kernel's count.
        established: u64,
    },
}

impl Reason {
    /// Words alone.
    pub fn words(reason: &str, hint: Option<&str>) -> Self {
        Self::Words { reason: reason.to_owned(), hint: hint.map(Hint::from) }
    }

    /// What helps.
    pub fn hint(&self) -> Option<Hint> {
        let advice = match self {
            Self::Stopped | Self::GeneratorFailed { .. } => return None,
            Self::Words { hint, .. } => return hint.clone(),
            Self::LaunchFailed { log_tail, .. } | Self::NotVerified { log_tail, .. } if !log_tail.is_empty() => {
                return Some(Hint::LogTail(log_tail.clone()));
            }
            Self::LaunchFailed { .. } => "run the command by hand to see what it says",
            Self::RemoteNotVerified { url, .. } => {
                return Some(Hint::Advice(format!(
                    "try it by hand: wsceiling load {url} -n 1; where it answers in another way than an echo, say `expect`"
                )));
            }
            Self::NotVerified { .. } => "it wrote nothing to its output; run its command by hand",
            Self::Missing { hint, .. } => hint,
            Self::TimedOut { .. } => "raise `trial_within` in [run], or make the steps fewer or shorter",
            Self::SearchFailed { .. } => "the numbers until then are in the record; run the cell again",
            Self::NotSampled { .. } => "it needs one thread; look at `ulimit -u` and the pids limit of the harness",
            Self::Contradictory { .. } => "client, server and kernel must agree on a number; see docs/methodology.md",
            Self::ClientLimited { limits } if limits.iter().any(|it| matches!(it, ClientLimit::WorkerLost { .. })) => {
                "this says nothing about the server; look at the node (`docker node ls`) and run the cell again"
            }
            Self::ClientLimited { .. } => {
                "this says nothing about the server; lower the rate, or give the generator more cores"
            }
        };
        Some(Hint::Advice(advice.to_owned()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("the run was stopped"),
            Self::TimedOut { within_ms } => {
                write!(f, "the trial took longer than {:?}", Duration::from_millis(*within_ms))
            }
            Self::ClientLimited { limits } => write!(f, "client-limited: {}", joined(limits)),
            Self::Contradictory { contradictions } => f.write_str(&joined(contradictions)),
            Self::RemoteNotVerified { url, what } => write!(f, "{url}: {what}"),
            Self::NotVerified { who: Component::Instance(index), what, .. } => write!(f, "instance {index}: {what}"),
            Self::NotVerified { who: Component::Front(_), what, .. } => write!(f, "the front: {what}"),
            Self::NotVerified { who, what, .. } => write!(f, "{who}: {what}"),
            Self::Missing { what, .. }
            | Self::LaunchFailed { what, .. }
            | Self::GeneratorFailed { what }
            | Self::NotSampled { what }
            | Self::SearchFailed { what } => f.write_str(what),
            Self::Words { reason, .. } => f.write_str(reason),
        }
    }
}

impl From<&str> for Hint {
    fn from(advice: &str) -> Self {
        Self::Advice(advice.to_owned())
    }
}

impl Hint {
    /// The lines of a log, where it is one.
    pub fn log_tail(&self) -> Option<&[String]> {
        match self {
            Self::LogTail(lines) => Some(lines),
            Self::Advice(_) => None,
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advice(advice) => f.write_str(advice),
            Self::LogTail(lines) => write!(f, "its last lines: {}", lines.join(" | ")),
        }
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrontHasFewer { open, upstream } => write!(
                f,
                "the generator counts {open} open connections, the front has only {upstream} to the instances"
            ),
            Self::KernelHasFewer { instance, open, established } => write!(
                f,
                "the generator counts {open} open connections to instance {instance}, its kernel only {established}"
            ),
        }
    }
}

/// `a; b`
fn joined(all: &[impl fmt::Display]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_from_its_json() {
        let lines = vec!["panic".to_owned()];
        let what = || "cannot run it".to_owned();
        let reasons = [
            Reason::Stopped,
            Reason::TimedOut { within_ms: 90_000 },
            Reason::ClientLimited {
                limits: vec![ClientLimit::NotIssued { issued: 940, due: 1000 }, ClientLimit::WorkerSilent],
            },
            Reason::Contradictory { contradictions: vec![Contradiction::FrontHasFewer { open: 9, upstream: 2 }] },
            Reason::Missing { what: what(), hint: "install it".into() },
            Reason::LaunchFailed { what: what(), log_tail: lines.clone() },
            Reason::NotVerified { who: Component::Instance(1), what: what(), log_tail: lines.clone() },
            Reason::RemoteNotVerified { url: Box::new(Url::parse("wss://example.com/ws").unwrap()), what: what() },
            Reason::GeneratorFailed { what: what() },
            Reason::NotSampled { what: what() },
            Reason::SearchFailed { what: what() },
            Reason::Words { reason: what(), hint: Some(Hint::LogTail(lines)) },
        ];
        for reason in reasons {
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), reason, "{json}");
        }
    }

    #[test]
    fn a_reason_says_in_words_what_happened_and_what_helps() {
        let told = |reason: Reason| {
            let hint = reason.hint().map(|hint| hint.to_string());
            (reason.to_string(), hint.unwrap_or_default())
        };
        let (reason, hint) = told(Reason::TimedOut { within_ms: 90_000 });
        assert_eq!(reason, "the trial took longer than 90s");
        assert_eq!(hint, "raise `trial_within` in [run], or make the steps fewer or shorter");
        let limits = vec![
            ClientLimit::NotIssued { issued: 940, due: 1000 },
            ClientLimit::Words { words: "source ports".into() },
        ];
        let (reason, _) = told(Reason::ClientLimited { limits });
        assert_eq!(reason, "client-limited: only 940 of 1000 scheduled connects were issued; source ports");
        let contradiction = Contradiction::KernelHasFewer { instance: 1, open: 900, established: 12 };
        let (reason, _) = told(Reason::Contradictory { contradictions: vec![contradiction] });
        assert_eq!(reason, "the generator counts 900 open connections to instance 1, its kernel only 12");
        let log_tail = vec!["one".to_owned(), "two".to_owned()];
        let (reason, hint) =
            told(Reason::NotVerified { who: Component::Front(0), what: "ping failed".into(), log_tail });
        assert_eq!((reason.as_str(), hint.as_str()), ("the front: ping failed", "its last lines: one | two"));
        let (_, hint) = told(Reason::LaunchFailed { what: String::new(), log_tail: Vec::new() });
        assert_eq!(hint, "run the command by hand to see what it says");
    }
}
