//! What is too slow, or asked too fast: twice the CPU, a quarter of the rate, a longer queue, pings.

use super::experiment_plan::ExperimentPlan;
use crate::context::Admissions;
use wsceiling_model::matrix::Knob;
use wsceiling_model::record::{Experiment, Measure, Metric, Tolerance};

/// A move that is less than this cannot be told from noise.
const VISIBLE: f64 = 1.3;

/// What is held once nothing is closed any more, of what was the most before: enough to tell them apart.
const MORE: f64 = 1.25;

/// Twice the quota serves twice as much, or all that is asked; where the machine has no such cores, a slower ramp shows
/// that it was the rate.
pub(super) fn quota(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let from = plan.setup.size.as_ref()?.cpus?;
    let all = 2.0 * from * f64::from(plan.setup.cell.instances);
    if all > plan.cores() {
        return slower(plan);
    }
    twice(plan, Knob::Cpus, (from, 2.0 * from)).or_else(|| slower(plan))
}

/// Two threads where the server was told to have one; else twice the instances, which have a thread each.
pub(super) fn threads(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let target = &plan.setup.target;
    let alone = target.argument(&target.confirm.threads) == Some(1.0);
    if alone {
        return twice(plan, Knob::Threads, (1.0, 2.0));
    }
    instances(plan)
}

/// Twice the instances: each has a thread, and a lock, of its own.
pub(super) fn instances(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let instances = f64::from(plan.setup.cell.instances);
    twice(plan, Knob::Instances, (instances, 2.0 * instances))
}

/// Well below the rate at which connections were let in, none is refused, and more are held than before.
pub(super) fn admitted(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let let_in = plan.trial.admissions().iter().filter_map(Admissions::per_second).fold(f64::INFINITY, f64::min);
    let from = plan.setup.load.rate;
    let to = (from / 4.0).min(let_in / 2.0).max(1.0).round();
    plan.passes(Knob::Rate, (from, to))
}

/// A quarter of the rate: what was only too fast is then held. Late answers are those of messages, so those come slower.
pub(super) fn slower(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    if plan.too_few_open() {
        let (from, managed) = (plan.setup.load.rate, plan.failed.achieved_per_s);
        // Well below what the server was seen to manage, and no longer than half of a trial.
        let least = f64::from(plan.failed.target) / plan.header.run.trial_within.as_secs_f64() * 2.0;
        let to = (from / 4.0).min(managed / 2.0).max(least).max(1.0).round();
        let asked = f64::from(plan.failed.target);
        let held = || plan.experiment(Knob::Rate, (from, to), Measure::Connections, Tolerance::Half, |_| asked);
        return (to < managed.min(from)).then(held).flatten();
    }
    let every = plan.setup.load.message.every.as_secs_f64();
    plan.passes(Knob::MessageEvery, (every, 4.0 * every))
}

/// With a queue that takes the whole burst the step passes.
pub(super) fn backlog(plan: &ExperimentPlan<'_>) -> Option<Experiment> {
    let target = &plan.setup.target;
    if target.confirm.backlog.is_empty() {
        return None;
    }
    let sampled = plan.trial.most(plan.instance()?, Metric::ListenBacklog).map(|(_, backlog)| backlog);
    let from = target.argument(&target.confirm.backlog).or(sampled)?;
    let most = plan.trial.setting("somaxconn").first().copied().unwrap_or(4096.0);
    let to = (8.0 * from).max(f64::from(plan.failed.target)).min(most);
    (to > from).then(|| plan.passes(Knob::Backlog, (from, to))).flatten()
}

/// Pings keep alive what was silent for longer than the timeout; where nobody was silent, twice the rate makes twice as
/// many.
pub(super) fn lifetime(plan: &ExperimentPlan<'_>) -> Vec<Experiment> {
    let Some(life_s) = plan.trial.lifetime_ms().map(|ms| ms / 1e3).filter(|life| *life > 0.3) else {
        return Vec::new();
    };
    let every = plan.setup.load.message.every.as_secs_f64();
    let pings = || {
        let often = (life_s / 3.0 * 1e3).floor() / 1e3;
        let more = |before: f64| (MORE * before).round();
        let (measure, exact) = (Measure::Connections, Tolerance::Exact);
        let mut found = plan.experiment(Knob::MessageEvery, (every, often), measure, exact, more)?;
        if found.load.stages.is_empty() {
            found.load.max = found.predicted as u32;
            found.load.step = found.load.max;
        }
        Some(found)
    };
    let rate = plan.setup.load.rate;
    let twice = || {
        let double = |before: f64| (2.0 * before).round();
        let mut found =
            plan.experiment(Knob::Rate, (rate, 2.0 * rate), Measure::Connections, Tolerance::Half, double)?;
        // They come and go while they are opened: in one step, or those of the first are gone before the last.
        if found.load.stages.is_empty() {
            found.load.max = found.load.max.max((3.0 * rate * 2.0 * life_s) as u32);
            found.load.step = found.load.max;
        }
        Some(found)
    };
    let silent = (every >= life_s).then(pings).flatten();
    silent.into_iter().chain(twice()).collect()
}

/// Twice of what it lacks: twice as much a second, or all that is asked.
fn twice(plan: &ExperimentPlan<'_>, knob: Knob, change: (f64, f64)) -> Option<Experiment> {
    let step = plan.failed;
    let hold_s = ((step.hold_end_ms() - step.opened_ms) / 1e3).max(1e-3);
    let (measure, asked) = if plan.too_few_open() {
        (Measure::Opened, step.requested_per_s)
    } else {
        (Measure::Answered, step.messages_due as f64 / hold_s)
    };
    let found = plan.experiment(knob, change, measure, Tolerance::Half, |before| (2.0 * before).min(asked))?;
    // Twice nothing predicts nothing.
    (found.before > 0.0 && found.predicted >= VISIBLE * found.before).then_some(found)
}
