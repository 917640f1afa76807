//! The generator itself: more of what it ran out of.

use super::experiment_plan::{ExperimentPlan, half_more};
use super::rate;
use wsceiling_model::matrix::Knob;
use wsceiling_model::record::{Errno, Experiment, client_limits};

pub(super) fn experiments(plan: &ExperimentPlan<'_>) -> Vec<Experiment> {
    let own = plan.failed.errors.iter().filter(|error| client_limits::is_own(error)).max_by_key(|error| error.count);
    let share = client_limits::own_share(plan.failed);
    let found = match own.filter(|_| share >= client_limits::OWN_SHARE) {
        Some(error) if error.reason.errno().is_some_and(Errno::is_descriptors) => descriptors(plan),
        Some(_) => ports(plan),
        None => cpu(plan),
    };
    found.into_iter().collect()
}

fn descriptors(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    if let Some(limit) = plan.setup.load.generator.descriptors {
        let from = limit as f64;
        return plan.scaled(Knob::GeneratorDescriptors, (from, half_more(from, plan.most_descriptors())));
    }
    one_more_worker(plan)
}

fn ports(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    match plan.setup.load.generator.ports {
        Some(ports) => plan.scaled(Knob::GeneratorPorts, (f64::from(ports), 2.0 * f64::from(ports))),
        None => one_more_worker(plan),
    }
}

/// With enough of its own the step must pass; where it has no limit of its own that can be raised, the step must pass
/// when less is asked in a second.
fn cpu(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let slower = || rate::slower(plan);
    let Some(cpus) = plan.setup.load.generator.cpus else { return slower() };
    let more = (4.0 * cpus).max(1.0).min(plan.cores());
    if more > cpus { plan.passes(Knob::GeneratorCpus, (cpus, more)) } else { slower() }
}

/// Each worker has descriptors of its own, and an address of its own on loopback.
fn one_more_worker(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let workers = f64::from(plan.trial.record.generator.as_ref()?.workers);
    plan.scaled(Knob::Workers, (workers, workers + 1.0))
}
