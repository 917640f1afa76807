//! How long a plan takes: arithmetic on the staircase, not a measurement.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Plan;
use crate::matrix::{Cell, Load, Matrix, Runtime};

/// Launch, verification and clean-up of the instances of one trial, as seen for the shipped targets.
const BARE_OVERHEAD: Duration = Duration::from_millis(1500);
/// The same for containers.
const DOCKER_OVERHEAD: Duration = Duration::from_secs(3);

/// Resolving, verification and the time to settle of a remote target.
const REMOTE_OVERHEAD: Duration = Duration::from_secs(3);

/// Longest time until a remote target that refused so many that the load ended early was asked for a few again: the wait that
/// it may ask for, and their opening. They are held like others.
const ASKED_AGAIN: Duration = Duration::from_secs(7);

/// Longest time that the client takes after a plateau to show what it opens elsewhere.
const DEMAND: Duration = Duration::from_secs(4);

/// Shortest and longest time of one trial that climbs to `max`. A cell that meets its ceiling earlier skips the steps
/// above it, but has its bracket narrowed: the longest time has every narrowing step relaunch the instances, climb
/// again, and wait for the failing connects to time out.
pub(super) fn trial(load: &Load, runtime: Runtime, within: Duration) -> (Duration, Duration) {
    let overhead = match runtime {
        Runtime::Bare => BARE_OVERHEAD,
        Runtime::Docker => DOCKER_OVERHEAD,
        Runtime::Remote => REMOTE_OVERHEAD,
    };
    let climb = Duration::from_secs_f64(load.max as f64 / load.rate);
    let low = overhead.saturating_add(load.shortest());
    let timeouts = load.connect_timeout.max(load.handshake_timeout);
    let again = overhead
        .saturating_add(climb)
        .saturating_add(load.hold)
        .saturating_add(load.probe(load.phase(load.max)))
        .saturating_add(timeouts);
    let high = low.saturating_add(timeouts).saturating_add(again.saturating_mul(load.narrow));
    let early_end = match runtime {
        Runtime::Remote => ASKED_AGAIN.saturating_add(load.hold).saturating_add(load.hold),
        Runtime::Bare | Runtime::Docker => Duration::ZERO,
    };
    let high = high.saturating_add(early_end);
    let stay = load.long.map_or(Duration::ZERO, |long| long.stay);
    (low.min(within).saturating_add(stay), high.min(within).saturating_add(stay).saturating_add(DEMAND))
}

/// Shortest and longest time of the whole plan, without building targets and images.
pub(super) fn plan(matrix: &Matrix, plan: &Plan) -> (Duration, Duration) {
    let runtimes: BTreeMap<&str, &Cell> = matrix.cells.iter().map(|cell| (cell.id.as_str(), cell)).collect();
    let times = plan.trials.iter().filter_map(|planned| runtimes.get(planned.cell.as_str()));
    times
        .map(|cell| trial(&matrix.load, cell.runtime, matrix.run.trial_within))
        .fold((Duration::ZERO, Duration::ZERO), |(low, high), (one_low, one_high)| {
            (low.saturating_add(one_low), high.saturating_add(one_high))
        })
}

#[cfg(test)]
mod tests {
    use super::super::tests::matrix;
    use super::*;

    #[test]
    fn a_trial_is_overhead_climb_and_holds() {
        let matrix = matrix(
            "[load]\nstep = 2000\nrate = \"4000/s\"\nhold = \"1s\"\nmessage = { every = \"1s\" }\nmax = 8000\nnarrow = 0",
        );
        let (low, high) = trial(&matrix.load, Runtime::Bare, Duration::from_secs(120));
        assert_eq!(low, Duration::from_millis(1500 + 2000 + 4000));
        assert_eq!(high, low + Duration::from_secs(5) + DEMAND);
        assert_eq!(trial(&matrix.load, Runtime::Docker, Duration::from_secs(120)).0, low + Duration::from_millis(1500));
    }

    #[test]
    fn narrowing_costs_a_relaunch_and_a_climb_each_and_no_trial_outlasts_its_limit() {
        let matrix = matrix(
            "[load]\nstep = 2000\nrate = \"4000/s\"\nhold = \"1s\"\nmessage = { every = \"1s\" }\nmax = 8000\nnarrow = 2",
        );
        let (low, high) = trial(&matrix.load, Runtime::Bare, Duration::from_secs(120));
        let twice = Duration::from_millis(1500 + 2000 + 1000 + 5000) * 2;
        assert_eq!(high, low + Duration::from_secs(5) + twice + DEMAND);
        assert_eq!(trial(&matrix.load, Runtime::Bare, Duration::from_secs(10)).1, Duration::from_secs(10) + DEMAND);
    }

    #[test]
    fn a_plan_is_the_sum_of_its_trials() {
        let matrix = matrix("[load]\nnarrow = 0");
        let whole = Plan::new(&matrix);
        let (low, _) = plan(&matrix, &whole);
        let bare = trial(&matrix.load, Runtime::Bare, matrix.run.trial_within).0;
        let docker = trial(&matrix.load, Runtime::Docker, matrix.run.trial_within).0;
        assert_eq!(low, bare * 12 + docker * 12);
    }
}
