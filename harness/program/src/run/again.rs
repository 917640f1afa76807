//! What to ask for again, where so many connects were refused that the step was ended early to spare the server. Such an end
//! comes with the first refusals, which look alike for a limit of number and one of rate. A moment later the first still lets
//! nobody in, and the second does.

use std::time::Duration;

use wsceiling_model::matrix::{Load, Phase};
use wsceiling_model::record::StepRecord;

/// Connects: enough that chance does not decide, and few for a server that refuses.
const CONNECTS: u32 = 20;
/// Connects a second: below any rate that is worth a limit.
const PER_SECOND: f64 = 10.0;
/// From the last refusal until it is asked again: a limit of rate counts by the second.
const REST: Duration = Duration::from_secs(1);
/// Longest of that, whatever `Retry-After` says.
const REST_MAX: Duration = Duration::from_secs(5);
/// What must still be held of what is open, and what may have been lost of it: else it is no limit that was met, but a fall.
const HELD_SHARE: f64 = 0.9;
/// See [`HELD_SHARE`].
const LOST_SHARE: f64 = 0.05;

/// What to ask for after a step that ended early: never faster than the load, and never beyond its end. `None`: nothing is
/// open, it was not held, or there is nothing more to ask for.
pub(super) fn phase(load: &Load, failed: &StepRecord) -> Option<Phase> {
    let open = u32::try_from(failed.open).ok().filter(|open| *open > 0)?;
    let stands = failed.held as f64 >= HELD_SHARE * f64::from(open);
    let lost = failed.lost as f64 > LOST_SHARE * f64::from(open);
    let to = open.saturating_add(CONNECTS).min(load.max);
    let asks = stands && !lost && to > open;
    asks.then(|| Phase { per_second: load.rate.min(PER_SECOND), ..load.phase(to) })
}

/// How long to wait before that. Its hold and its probe are a part of it, as nobody connects in them.
pub(super) fn rest_before(failed: &StepRecord) -> Duration {
    let seconds = failed.answers.iter().filter_map(|answer| answer.header("retry-after")?.trim().parse().ok());
    let asked = seconds.max().map_or(REST, Duration::from_secs).clamp(REST, REST_MAX);
    let waited = Duration::try_from_secs_f64((failed.ended_ms - failed.opened_ms) / 1e3).unwrap_or_default();
    asked.saturating_sub(waited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_model::record::Answer;

    fn load(rate: f64) -> Load {
        Load { step: 600, max: 1200, rate, hold: Duration::from_secs(2), ..Load::default() }
    }

    fn refused(open: u64, held: u64, lost: u64) -> StepRecord {
        StepRecord { target: 600, open, held, lost, opened_ms: 600.0, ended_ms: 800.0, ..StepRecord::default() }
    }

    #[test]
    fn a_few_are_asked_for_slowly_and_never_beyond_the_load() {
        let asked = phase(&load(300.0), &refused(90, 90, 0)).unwrap();
        assert_eq!((asked.to, asked.per_second, asked.hold, asked.storm), (110, 10.0, Duration::from_secs(2), None));
        let slow = phase(&load(4.0), &refused(1190, 1190, 0)).unwrap();
        assert_eq!((slow.to, slow.per_second), (1200, 4.0));
        assert_eq!(phase(&load(300.0), &refused(1200, 1200, 0)), None);
    }

    #[test]
    fn who_lost_what_was_open_is_not_asked_again() {
        assert_eq!(phase(&load(300.0), &refused(0, 0, 0)), None);
        assert_eq!(phase(&load(300.0), &refused(90, 40, 0)), None);
        assert_eq!(phase(&load(300.0), &refused(90, 90, 450)), None);
    }

    #[test]
    fn the_wait_is_what_the_server_asks_for_within_bounds() {
        let wait = |after: &str| {
            let headers = [("retry-after".to_owned(), after.to_owned())].into();
            let answers = vec![Answer { count: 9, status: 503, headers, ..Answer::default() }];
            rest_before(&StepRecord { answers, ..refused(90, 90, 0) })
        };
        // 200 ms of it are over with the hold.
        assert_eq!(rest_before(&refused(90, 90, 0)), Duration::from_millis(800));
        assert_eq!(wait("3"), Duration::from_millis(2800));
        assert_eq!(wait("86400"), Duration::from_millis(4800));
        assert_eq!(wait("Wed, 21 Oct 2026 07:28:00 GMT"), Duration::from_millis(800));
        assert_eq!(rest_before(&StepRecord { ended_ms: 9000.0, ..refused(90, 90, 0) }), Duration::ZERO);
    }
}
