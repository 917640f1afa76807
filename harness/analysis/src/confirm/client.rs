//! The generator itself: more of what it ran out of.

use super::pace;
use super::subject::{Subject, half_more};
use wsceiling_model::matrix::Knob;
use wsceiling_model::record::{Errno, Experiment, client_limits};

pub(super) fn experiments(subject: &Subject<'_>) -> Vec<Experiment> {
    let own = subject.failed.errors.iter().filter(|error| client_limits::is_own(error)).max_by_key(|error| error.count);
    let share = client_limits::own_share(subject.failed);
    let found = match own.filter(|_| share >= client_limits::OWN_SHARE) {
        Some(error) if error.reason.errno().is_some_and(Errno::is_descriptors) => descriptors(subject),
        Some(_) => ports(subject),
        None => cpu(subject),
    };
    found.into_iter().collect()
}

fn descriptors(subject: &Subject<'_>) -> Option<Experiment> {
    if let Some(limit) = subject.setup.load.generator.descriptors {
        let from = limit as f64;
        return subject.scaled(Knob::GeneratorDescriptors, (from, half_more(from, subject.most_descriptors())));
    }
    one_more_worker(subject)
}

fn ports(subject: &Subject<'_>) -> Option<Experiment> {
    match subject.setup.load.generator.ports {
        Some(ports) => subject.scaled(Knob::GeneratorPorts, (f64::from(ports), 2.0 * f64::from(ports))),
        None => one_more_worker(subject),
    }
}

/// With enough of its own the step must pass; where it has no limit of its own that can be raised, the step must pass
/// when less is asked in a second.
fn cpu(subject: &Subject<'_>) -> Option<Experiment> {
    let slower = || pace::slower(subject);
    let Some(cpus) = subject.setup.load.generator.cpus else { return slower() };
    let more = (4.0 * cpus).max(1.0).min(subject.cores());
    if more > cpus { subject.passes(Knob::GeneratorCpus, (cpus, more)) } else { slower() }
}

/// Each worker has descriptors of its own, and an address of its own on loopback.
fn one_more_worker(subject: &Subject<'_>) -> Option<Experiment> {
    let workers = f64::from(subject.facts.record.generator.as_ref()?.workers);
    subject.scaled(Knob::Workers, (workers, workers + 1.0))
}
