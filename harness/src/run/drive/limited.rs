//! Judging the client before the server: whether the generator, and not what it measures, was the limit of a trial.
//!
//! The thresholds are rule 1 of the decision procedure in `docs/limits.md`. A trial that failed while one of them was
//! passed says nothing about the server.

use crate::record::{Stage, StepRecord};

/// Share of a core above which a worker counts as busy all the time.
const BUSY_WORKER: f64 = 0.9;
/// 99th percentile of the loop's delay above which latencies are the client's own.
const LAG_US: u64 = 100_000;
/// Share of the scheduled connects that must have been issued.
const ISSUED: f64 = 0.95;
/// Share of failures at the client's own system calls above which they explain the step.
const OWN_ERRORS: f64 = 0.01;

/// Errors of the client's own system calls: the server has no part in them.
const OWN_ERRNOS: [&str; 6] = ["EMFILE", "ENFILE", "EADDRNOTAVAIL", "EADDRINUSE", "ENOBUFS", "ENOMEM"];

/// Why the client was the limit of `failed`, a step whose gates did not pass; empty: it was not.
///
/// `busiest_worker` is the largest share of a core that one worker used over a whole sampling interval.
pub fn client_limits(failed: &StepRecord, busiest_worker: Option<f64>) -> Vec<String> {
    let mut reasons = Vec::new();
    let failures: u64 = failed.errors.iter().map(|tally| tally.count).sum();
    for tally in &failed.errors {
        let own = matches!(tally.stage, Stage::Socket | Stage::Bind | Stage::Connect)
            && !tally.cause.contains("retried")
            && OWN_ERRNOS.iter().any(|errno| tally.cause.ends_with(errno));
        if own && tally.count as f64 >= OWN_ERRORS * failures as f64 {
            reasons.push(format!("{} of the generator's connects failed with {}", tally.count, tally.cause));
        }
    }
    if (failed.issued as f64) < ISSUED * failed.due as f64 {
        reasons.push(format!("only {} of {} scheduled connects were issued", failed.issued, failed.due));
    }
    // One worker that is behind spoils its share of the connections, however punctual the others are.
    if let Some(slow) = failed.slowest_worker.filter(|slow| slow.lag_us_p99 > LAG_US) {
        reasons.push(format!(
            "the loop of worker {} lagged {} ms (p99) behind its schedule",
            slow.worker,
            slow.lag_us_p99 / 1000
        ));
    }
    if let Some(ratio) = busiest_worker.filter(|&ratio| ratio > BUSY_WORKER) {
        reasons.push(format!("a worker used {:.0} % of a core", ratio * 100.0));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::SlowestWorker;

    #[test]
    fn one_worker_that_is_behind_is_named_although_all_together_are_punctual() {
        let slowest_worker = Some(SlowestWorker { worker: 3, lag_us_max: 700_000, lag_us_p99: 300_000 });
        let step = StepRecord { lag_us_p99: 900, slowest_worker, ..crate::run::drive::step::empty() };
        assert_eq!(client_limits(&step, None), ["the loop of worker 3 lagged 300 ms (p99) behind its schedule"]);
        assert!(client_limits(&StepRecord { slowest_worker: None, ..step }, None).is_empty());
    }
}
