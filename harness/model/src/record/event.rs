//! What happened at a moment of a trial, and remarks that do not change its outcome; `Display` makes words of both.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Component, Exit, HopKind, RestartSign, ScrapeFault};
use crate::format;

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
    /// So many connects of a step had failed that the harness made no more of them: a remote target's `stop_at_failures`.
    OpenedNoMore {
        /// Connects that had failed.
        failed: u64,
        /// Connects that had been made.
        issued: u64,
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
    /// Every connection to a remote target was closed and the generator started anew, to narrow the bracket.
    Reconnected,
    /// A server that the harness did not start began anew: its counters started from 0.
    Restarted {
        /// What shows it.
        sign: RestartSign,
        /// Where that was read, without secrets.
        source: String,
    },
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
            Self::OpenedNoMore { failed, issued } => write!(
                f,
                "{} of {} connects had failed, so no more were made in this step",
                format::count(*failed),
                format::count(*issued)
            ),
            Self::WorkerLost { worker, node, connections, why } => {
                write!(f, "worker {worker} on node {node} left, and {connections} connections with it: {why}")
            }
            Self::Relaunched => f.write_str("relaunched to narrow the bracket"),
            Self::Reconnected => f.write_str("all connections closed, to narrow the bracket"),
            Self::Restarted { sign, source } => write!(f, "restarted: {sign} ({source})"),
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
    /// There are no connections beside the load, though there were to be some.
    NoLongConnections {
        /// Why.
        why: String,
    },
    /// Numbers of a server that the harness did not start could not be read, so that they are missing.
    MetricsMissing {
        /// Whose.
        component: Component,
        /// Where they were to be read, without secrets.
        source: String,
        /// Why not: the first failure of this kind.
        why: ScrapeFault,
        /// Milliseconds since the trial's start when that was seen first.
        first_ms: f64,
        /// How often that happened.
        times: u64,
        /// How often the source was asked in all.
        of: u64,
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
            Self::NoLongConnections { why } => write!(f, "there were no long connections beside the load: {why}"),
            Self::MetricsMissing { component, source, why, times, of, .. } => {
                write!(f, "numbers of {component} are missing from {source}, {times} times of {of}: {why}")
            }
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
            (EventKind::Reconnected, "all connections closed, to narrow the bracket"),
            (
                EventKind::OpenedNoMore { failed: 60, issued: 1100 },
                "60 of 1,100 connects had failed, so no more were made in this step",
            ),
            (
                EventKind::Restarted { sign: RestartSign::StartTime, source: "prometheus http://h/metrics".into() },
                "restarted: it has a new start time (prometheus http://h/metrics)",
            ),
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
        let missing = Warning::MetricsMissing {
            component: Component::Host,
            source: "prometheus http://h/metrics".into(),
            why: ScrapeFault::Unauthorised { status: 401 },
            first_ms: 12.0,
            times: 3,
            of: 9,
        };
        let json = serde_json::to_string(&missing).unwrap();
        assert_eq!(serde_json::from_str::<Warning>(&json).unwrap(), missing, "{json}");
        assert_eq!(
            missing.to_string(),
            "numbers of host are missing from prometheus http://h/metrics, 3 times of 9: the answer is status 401: not let in"
        );
    }
}
