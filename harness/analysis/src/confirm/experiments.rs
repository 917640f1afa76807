//! The table of experiments: for each cause the one thing to change, and what that must do.

use super::experiment_plan::ExperimentPlan;
use super::{client, front, limits, rate};
use crate::context::TrialContext;
use wsceiling_model::matrix::Knob;
use wsceiling_model::record::{Cause, Experiment, Measure, RunHeader, Tolerance};

/// Plans the experiments on a trial, the best first.
type Planner = fn(&ExperimentPlan<'_>) -> Vec<Experiment>;

/// What plans the experiments for a cause; `None`: nothing that may be changed moves it.
fn planner(cause: Cause) -> Option<Planner> {
    Some(match cause {
        Cause::ClientLimited => client::experiments,
        Cause::ServerDescriptors => |plan| limits::descriptors(plan).into_iter().collect(),
        Cause::MemoryLimit => |plan| limits::memory(plan).into_iter().collect(),
        Cause::PidsLimit => |plan| limits::pids(plan).into_iter().collect(),
        Cause::RuntimeHeap => |plan| limits::heap(plan).into_iter().collect(),
        Cause::PortExhaustion => |plan| front::ports(plan).into_iter().collect(),
        Cause::ProxyCap => |plan| front::cap(plan).into_iter().collect(),
        Cause::PathDied => |plan| front::bypass(plan).into_iter().collect(),
        Cause::CpuQuota => |plan| rate::quota(plan).into_iter().collect(),
        Cause::SingleThread => |plan| rate::threads(plan).into_iter().collect(),
        Cause::GlobalLock => |plan| rate::instances(plan).into_iter().collect(),
        Cause::RateLimit => |plan| rate::admitted(plan).into_iter().collect(),
        Cause::CpuSaturated => |plan| rate::slower(plan).into_iter().collect(),
        Cause::AcceptQueue => |plan| rate::backlog(plan).or_else(|| rate::slower(plan)).into_iter().collect(),
        Cause::Lifetime => rate::lifetime,
        Cause::ApplicationCap => |plan| again(plan).into_iter().collect(),
        _ => return None,
    })
}

/// Whether there can be an experiment that confirms a cause.
pub fn has_experiment(cause: Cause) -> bool {
    planner(cause).is_some()
}

/// The experiments for a suspected cause of a trial, the best first; the later ones are for where those before them said
/// no. Empty: nothing that may be changed moves this cause.
pub(crate) fn experiments(header: &RunHeader, trial: &TrialContext<'_>, suspect: Cause) -> Vec<Experiment> {
    let planned = planner(suspect).zip(ExperimentPlan::new(header, trial, suspect));
    let mut experiments = planned.map_or_else(Vec::new, |(experiments, plan)| experiments(&plan));
    let target = header.targets.iter().find(|target| target.name == trial.cell.target);
    if let Some(remote) = target.and_then(|target| target.remote.as_ref()) {
        // Nothing of somebody else's server can be changed, and no more may be asked of it than its owner allows.
        experiments.retain(|it| it.change.knob.is_of_the_client() && remote.allows(&it.load));
    }
    experiments
}

/// Nothing of ours moves a limit in the server's own configuration; that it comes again at the same number is all that
/// can be seen.
fn again(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    plan.experiment(Knob::Again, (1.0, 1.0), Measure::Connections, Tolerance::Same, |before| before)
}
