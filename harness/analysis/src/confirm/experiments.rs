//! The table of experiments: for each cause the one thing to change, and what that must do.

use super::subject::Subject;
use super::{client, front, limits, pace};
use crate::cause::Facts;
use wsceiling_model::matrix::Knob;
use wsceiling_model::record::{Experiment, Measure, RunHeader, Tolerance};

/// Causes for which there can be an experiment.
pub const CAUSES: [&str; 14] = [
    "client-limited",
    "server-descriptors",
    "memory-limit",
    "pids-limit",
    "runtime-heap",
    "port-exhaustion",
    "proxy-cap",
    "path-died",
    "cpu-quota",
    "single-thread",
    "cpu-saturated",
    "accept-queue",
    "lifetime-limit",
    "application-cap",
];

/// The experiments for a suspected cause of a trial, the best first; the later ones are for where those before them said
/// no. Empty: nothing that may be changed moves this cause.
pub(crate) fn experiments(header: &RunHeader, facts: &Facts<'_>, suspect: &str) -> Vec<Experiment> {
    let Some(subject) = Subject::new(header, facts, suspect) else { return Vec::new() };
    match suspect {
        "client-limited" => client::experiments(&subject),
        "server-descriptors" => limits::descriptors(&subject).into_iter().collect(),
        "memory-limit" => limits::memory(&subject).into_iter().collect(),
        "pids-limit" => limits::pids(&subject).into_iter().collect(),
        "runtime-heap" => limits::heap(&subject).into_iter().collect(),
        "port-exhaustion" => front::ports(&subject).into_iter().collect(),
        "proxy-cap" => front::cap(&subject).into_iter().collect(),
        "path-died" => front::bypass(&subject).into_iter().collect(),
        "cpu-quota" => pace::quota(&subject).into_iter().collect(),
        "single-thread" => pace::threads(&subject).into_iter().collect(),
        "cpu-saturated" => pace::slower(&subject).into_iter().collect(),
        "accept-queue" => pace::backlog(&subject).or_else(|| pace::slower(&subject)).into_iter().collect(),
        "lifetime-limit" => pace::lifetime(&subject),
        "application-cap" => again(&subject).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Nothing of ours moves a limit in the server's own configuration; that it comes again at the same number is all that
/// can be seen.
fn again(subject: &Subject<'_>) -> Option<Experiment> {
    subject.experiment(Knob::Again, (1.0, 1.0), Measure::Connections, Tolerance::Same, |before| before)
}
