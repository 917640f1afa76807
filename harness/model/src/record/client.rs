//! Facts of a step that show, without any judgement, that the client could not do what was asked of it. The run stops
//! narrowing on them and the analysis judges with them: one implementation for both.
//!
//! Signs that need judging (lag, a busy core: a server's collapse makes a client busy too) are the analysis' alone.

use super::{Errno, FailedAt, FailureTally, StepRecord};

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

/// Why a failed step says nothing about the server, in words; empty: it may say something. `ended` is whether an
/// instance ended in it, which no client's slowness makes one do.
pub fn limits(step: &StepRecord, ended: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    if own_share(step) >= OWN_SHARE {
        let own = step.errors.iter().filter(|error| is_own(error));
        reasons.extend(
            own.map(|error| format!("{} of the generator's connects failed with {}", error.count, error.reason)),
        );
    }
    if !ended && issued_share(step).is_some_and(|share| share < ISSUED_SHARE) {
        reasons.push(format!("only {} of {} scheduled connects were issued", step.issued, step.due));
    }
    reasons
}

/// [`limits`], with signs that the client may have been the limit, for where no analysis judges them: its loop was over
/// 100 ms late, or a worker used 90 % of a core (`busiest_worker` is the largest share of one over a sampling interval).
pub fn signs(step: &StepRecord, busiest_worker: Option<f64>) -> Vec<String> {
    let mut reasons = limits(step, false);
    if step.lag_us_p99 > LAG_US {
        reasons.push(format!("the generator's loop lagged {} ms (p99) behind its schedule", step.lag_us_p99 / 1000));
    }
    if let Some(ratio) = busiest_worker.filter(|&ratio| ratio > CORE) {
        reasons.push(format!("a worker used {:.0} % of a core", ratio * 100.0));
    }
    reasons
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
        assert_eq!(limits(&mixed(10), false), ["10 of the generator's connects failed with errno EADDRNOTAVAIL"]);
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
        assert_eq!(limits(&behind, false), ["only 940 of 1000 scheduled connects were issued"]);
        assert!(limits(&behind, true).is_empty());
    }
}
