//! Facts of a step that show, without any judgement, that the client could not do what was asked of it. The run stops
//! narrowing on them and the analysis judges with them: one implementation for both.
//!
//! Signs that need judging (lag, a busy core: a server's collapse makes a client busy too) are the analysis' alone.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Errno, FailedAt, FailureReason, FailureTally, StepRecord};

/// Why the client, and not the server, was the limit of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ClientLimit {
    /// Connects failed with an error of the client's own kernel.
    ConnectsFailed {
        /// How many.
        count: u64,
        /// With what.
        reason: FailureReason,
    },
    /// The schedule was not kept.
    NotIssued {
        /// Connects issued.
        issued: u64,
        /// Connects due.
        due: u64,
    },
    /// The generator's loop was late.
    Lagged {
        /// 99th percentile of its delay, in microseconds.
        lag_us_p99: u64,
    },
    /// A worker had no CPU left.
    WorkerBusy {
        /// Share of a core that it used.
        core_ratio: f64,
    },
    /// A worker lived and did not answer.
    WorkerSilent,
    /// A worker on a node of a swarm left, and its connections with it.
    WorkerLost {
        /// Index of the worker.
        worker: u32,
        /// Name of its node.
        node: String,
        /// Connections that went with it.
        connections: u64,
        /// How that was seen.
        why: String,
    },
    /// Words alone: of a record of format 1.
    Words {
        /// Why.
        words: String,
    },
}

impl fmt::Display for ClientLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectsFailed { count, reason } => {
                write!(f, "{count} of the generator's connects failed with {reason}")
            }
            Self::NotIssued { issued, due } => write!(f, "only {issued} of {due} scheduled connects were issued"),
            Self::Lagged { lag_us_p99 } => {
                write!(f, "the generator's loop lagged {} ms (p99) behind its schedule", lag_us_p99 / 1000)
            }
            Self::WorkerBusy { core_ratio } => write!(f, "a worker used {:.0} % of a core", core_ratio * 100.0),
            Self::WorkerSilent => f.write_str("a worker of the generator did not answer in time"),
            Self::WorkerLost { worker, node, connections, why } => {
                write!(f, "worker {worker} on node {node} left, and {connections} connections with it: {why}")
            }
            Self::Words { words } => f.write_str(words),
        }
    }
}

impl From<&str> for ClientLimit {
    fn from(words: &str) -> Self {
        Self::Words { words: words.to_owned() }
    }
}

/// What the client's own kernel says when it has no more descriptors, ports or memory.
const ERRNOS: [Errno; 6] = [
    Errno::ProcessFiles,
    Errno::SystemFiles,
    Errno::AddressNotAvailable,
    Errno::AddressInUse,
    Errno::NoBufferSpace,
    Errno::NoMemory,
];
/// Share of a step's failures from which such errors count.
pub const OWN_SHARE: f64 = 0.01;
/// Delay of the generator's loop (99th percentile) from which its latencies are its own, in microseconds.
pub const LAG_US: u64 = 100_000;
/// Share of a core that a worker may use.
pub const CORE: f64 = 0.9;
/// Share of the connects due that must have been issued.
pub const ISSUED_SHARE: f64 = 0.95;

/// An attempt that was made again with another port: it cost time, and no connection.
pub fn is_retried(error: &FailureTally) -> bool {
    error.reason.is_retried()
}

/// An error of the client's own system calls: the server has no part in it.
pub fn is_own(error: &FailureTally) -> bool {
    match error.at {
        _ if is_retried(error) => false,
        FailedAt::Socket | FailedAt::Bind => true,
        FailedAt::Connect => error.reason.errno().is_some_and(|errno| ERRNOS.contains(errno)),
        FailedAt::Handshake | FailedAt::Open => false,
    }
}

/// Share of a step's failures that are the client's own; 0 where nothing failed.
pub fn own_share(step: &StepRecord) -> f64 {
    let count = |holds: &dyn Fn(&FailureTally) -> bool| -> f64 {
        step.errors.iter().filter(|error| holds(error)).map(|error| error.count as f64).sum()
    };
    let own = count(&is_own);
    if own > 0.0 { own / count(&|error| !is_retried(error)) } else { 0.0 }
}

/// Share of the connects due that were issued; `None` where none was due.
pub fn issued_share(step: &StepRecord) -> Option<f64> {
    (step.due > 0).then(|| step.issued as f64 / step.due as f64)
}

/// Why a failed step says nothing about the server; empty: it may say something. `ended` is whether an instance ended in
/// it, which no client's slowness makes one do.
pub fn limits(step: &StepRecord, ended: bool) -> Vec<ClientLimit> {
    let mut found = Vec::new();
    if own_share(step) >= OWN_SHARE {
        let own = step.errors.iter().filter(|error| is_own(error));
        found.extend(own.map(|error| ClientLimit::ConnectsFailed { count: error.count, reason: error.reason.clone() }));
    }
    if !ended && issued_share(step).is_some_and(|share| share < ISSUED_SHARE) {
        found.push(ClientLimit::NotIssued { issued: step.issued, due: step.due });
    }
    found
}

/// [`limits`], with signs that the client may have been the limit, for where no analysis judges them: its loop was over
/// 100 ms late, or a worker used 90 % of a core (`busiest_worker` is the largest share of one over a sampling interval).
pub fn signs(step: &StepRecord, busiest_worker: Option<f64>) -> Vec<ClientLimit> {
    let mut found = limits(step, false);
    if step.lag_us_p99 > LAG_US {
        found.push(ClientLimit::Lagged { lag_us_p99: step.lag_us_p99 });
    }
    found.extend(busiest_worker.filter(|&ratio| ratio > CORE).map(|core_ratio| ClientLimit::WorkerBusy { core_ratio }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(errors: &[(FailedAt, &str, u64)]) -> StepRecord {
        let tally = |(at, reason, count): &(FailedAt, &str, u64)| FailureTally {
            at: *at,
            reason: (*reason).to_owned().into(),
            count: *count,
            first_ms: 0,
        };
        StepRecord {
            target: 1000,
            due: 1000,
            issued: 1000,
            requested_per_s: 1.0,
            achieved_per_s: 1.0,
            errors: errors.iter().map(tally).collect(),
            ..StepRecord::default()
        }
    }

    #[test]
    fn own_errors_are_the_clients_from_a_hundredth_of_the_failures_on() {
        let mixed = |own| step(&[(FailedAt::Connect, "errno EADDRNOTAVAIL", own), (FailedAt::Handshake, "eof", 990)]);
        let words = |step: &StepRecord| limits(step, false).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(words(&mixed(10)), ["10 of the generator's connects failed with errno EADDRNOTAVAIL"]);
        assert!(limits(&mixed(9), false).is_empty());
        assert!(limits(&step(&[(FailedAt::Connect, "errno ECONNREFUSED", 500)]), false).is_empty());
    }

    #[test]
    fn a_bind_that_was_made_again_failed_nobody() {
        let retried = step(&[(FailedAt::Bind, "errno EADDRINUSE (retried)", 50), (FailedAt::Handshake, "reset", 1)]);
        assert!(limits(&retried, false).is_empty());
    }

    #[test]
    fn connects_that_were_not_issued_count_unless_the_server_ended() {
        let behind = StepRecord { issued: 940, ..step(&[]) };
        assert_eq!(limits(&behind, false), [ClientLimit::NotIssued { issued: 940, due: 1000 }]);
        assert!(limits(&behind, true).is_empty());
    }
}
