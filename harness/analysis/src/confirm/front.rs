//! The proxy before the instances: one more source address, half as much again of its cap, or none at all.

use super::experiment_plan::{ExperimentPlan, half_more};
use wsceiling_model::matrix::{Front, FrontKind, Knob, Runtime};
use wsceiling_model::record::{Component, Experiment, Measure, Metric};

/// How near a cap must be to where it stopped to be the one that was met.
const NEAR: f64 = 0.1;

/// One more source address, each with all ports; else more ports, where it was given few.
pub(super) fn ports(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let front = plan.setup.front.as_ref()?;
    if front.kind == FrontKind::DockerPublish {
        return bypass(plan);
    }
    let sources = f64::from(front.sources);
    if plan.setup.cell.runtime == Runtime::Bare {
        return plan.scaled(Knob::FrontSources, (sources, sources + 1.0));
    }
    match front.ports {
        Some(ports) => plan.scaled(Knob::FrontPorts, (f64::from(ports), 2.0 * f64::from(ports))),
        None => bypass(plan),
    }
}

/// The cap that it stopped at, half as much again.
pub(super) fn cap(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let front = plan.setup.front.as_ref()?;
    let before = super::measure::measured(plan.trial, Measure::Connections)?;
    let near = |(_, _, connections): &(Knob, f64, f64)| (connections - before).abs() <= NEAR * before;
    let met = caps(plan, front).into_iter().find(near);
    let Some((knob, from, _)) = met else { return bypass(plan) };
    let most = if knob == Knob::FrontNofile { plan.most_descriptors() } else { f64::INFINITY };
    plan.scaled(knob, (from, half_more(from, most)))
}

/// Each limit of the front itself, and the connections at which it stands.
fn caps(plan: &ExperimentPlan<'_>, front: &Front) -> Vec<(Knob, f64, f64)> {
    let one = |knob, cap: Option<u32>, each: f64| cap.map(|cap| (knob, f64::from(cap), f64::from(cap) * each));
    let workers = front.workers.map_or_else(|| plan.cores(), f64::from);
    let mut caps = Vec::new();
    if front.kind == FrontKind::Nginx {
        let each = f64::from(front.worker_connections);
        caps.push((Knob::WorkerConnections, each, workers * (each - 2.0) / 2.0));
    }
    caps.extend(one(Knob::ServerMaxconn, front.server_maxconn, f64::from(plan.setup.cell.instances)));
    caps.extend(one(Knob::FrontendMaxconn, front.frontend_maxconn, 1.0));
    caps.extend(one(Knob::Maxconn, front.maxconn, 1.0));
    let limit = plan.trial.series.near(Component::Front(0), Metric::DescriptorLimit, plan.trial.to);
    let processes = if front.kind.has_worker_processes() { workers } else { 1.0 };
    caps.extend(limit.map(|(_, limit)| (Knob::FrontNofile, limit, processes * limit / 2.0)));
    caps
}

/// Without the front the ceiling must be gone.
pub(super) fn bypass(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    plan.setup.front.as_ref()?;
    plan.passes(Knob::Front, (1.0, 0.0))
}
