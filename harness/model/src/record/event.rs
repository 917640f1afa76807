//! What happened at a moment of a trial, and remarks that do not change its outcome; `Display` makes words of both.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Component, Exit, HopKind};

/// Something that happened at a moment of the trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the trial's start.
    pub t_ms: f64,
    /// Where; `None`: the trial itself.
    pub component: Option<Component>,
    /// What happened.
    pub what: EventKind,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum EventKind {
    /// An instance ended by itself.
    InstanceEnded {
        /// How.
        exit: Exit,
    },
    /// A hop of the front ended by itself.
    FrontEnded {
        /// Which.
        front: HopKind,
        /// How.
        exit: Exit,
    },
    /// A worker of the generator on a node of a swarm left: its task ended, or the connection to its node.
    WorkerLost {
        /// Index of the worker.
        worker: u32,
        /// Name of its node.
        node: String,
        /// Connections that went with it, as it had last said.
        connections: u64,
        /// How that was seen.
        why: String,
    },
    /// Everything was stopped and launched anew, to narrow the bracket.
    Relaunched,
    /// Words alone: of a record of format 1.
    Words {
        /// What happened.
        words: String,
    },
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstanceEnded { exit } => write!(f, "the instance ended: {exit}"),
            Self::FrontEnded { front, exit } => write!(f, "{front} ended: {exit}"),
            Self::WorkerLost { worker, node, connections, why } => {
                write!(f, "worker {worker} on node {node} left, and {connections} connections with it: {why}")
            }
            Self::Relaunched => f.write_str("relaunched to narrow the bracket"),
            Self::Words { words } => f.write_str(words),
        }
    }
}

/// A remark that does not change the outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Warning {
    /// The machine did not let the harness apply a limit of the size.
    LimitNotEnforced {
        /// `cpus`, `memory_bytes`, `pids` or `nofile`.
        limit: String,
        /// What was asked for, in the unit of the name.
        value: f64,
        /// Why not, where that is known.
        why: Option<String>,
    },
    /// The clock of a worker's node could not be related to the coordinator's closely enough: its first connects and the
    /// moments of what it saw may be wrong by so much. Latencies are not: each has one clock.
    ClockUncertain {
        /// Index of the worker.
        worker: u32,
        /// Name of its node.
        node: String,
        /// Largest uncertainty in microseconds.
        uncertainty_us: u64,
    },
    /// A relaunch or a step within the bracket failed, so that the bracket is wider than it need be.
    NarrowingEnded {
        /// How.
        why: String,
    },
    /// Words alone: of a record of format 1.
    Words {
        /// The remark.
        words: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LimitNotEnforced { limit, value, why } => {
                let why = why.as_deref().unwrap_or("no reason known");
                write!(f, "the limit {limit} = {value} is not enforced: {why}")
            }
            Self::ClockUncertain { worker, node, uncertainty_us } => write!(
                f,
                "the clock of node {node} (worker {worker}) is known to within {:.1} ms only: moments of its connections \
                 may be wrong by that, latencies are not",
                *uncertainty_us as f64 / 1000.0
            ),
            Self::NarrowingEnded { why } => write!(f, "the bracket was not narrowed further: {why}"),
            Self::Words { words } => f.write_str(words),
        }
    }
}

impl From<&str> for EventKind {
    fn from(words: &str) -> Self {
        Self::Words { words: words.to_owned() }
    }
}

impl From<&str> for Warning {
    fn from(words: &str) -> Self {
        Self::Words { words: words.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_warnings_read_back_and_have_words() {
        let exit = Exit { code: None, signal: Some(9), oom_killed: Some(true), requested: false, t_ms: 12.5 };
        let events = [
            (EventKind::InstanceEnded { exit: exit.clone() }, "the instance ended: signal 9 (killed for memory)"),
            (EventKind::FrontEnded { front: HopKind::Balancer, exit }, "balancer ended: signal 9 (killed for memory)"),
            (
                EventKind::WorkerLost {
                    worker: 1,
                    node: "b".into(),
                    connections: 900,
                    why: "it closed its output".into(),
                },
                "worker 1 on node b left, and 900 connections with it: it closed its output",
            ),
            (EventKind::Relaunched, "relaunched to narrow the bracket"),
            (EventKind::Words { words: "verified".into() }, "verified"),
        ];
        for (event, words) in events {
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<EventKind>(&json).unwrap(), event, "{json}");
            assert_eq!(event.to_string(), words);
        }
        let limit = Warning::LimitNotEnforced { limit: "cpus".into(), value: 0.5, why: Some("no cgroup".into()) };
        let json = serde_json::to_string(&limit).unwrap();
        assert_eq!(serde_json::from_str::<Warning>(&json).unwrap(), limit, "{json}");
        let clock = Warning::ClockUncertain { worker: 2, node: "c".into(), uncertainty_us: 7_250 };
        let clock_json = serde_json::to_string(&clock).unwrap();
        assert_eq!(serde_json::from_str::<Warning>(&clock_json).unwrap(), clock, "{clock_json}");
        assert!(clock.to_string().contains("within 7.2 ms only"), "{clock}");
        assert_eq!(limit.to_string(), "the limit cpus = 0.5 is not enforced: no cgroup");
    }
}
