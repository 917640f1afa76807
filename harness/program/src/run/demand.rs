//! Demand or capacity: at a plateau the same client dials a server that does nothing but upgrade, and the instances
//! without their front. What it opens there it had to give.

use std::time::{Duration, Instant};

use anyhow::Result;

use wsceiling_generator::coordinator::{Generator, GeneratorSetup, Watching, workers_needed};
use wsceiling_model::record::{DialRecord, FailedAt, GateName, StepRecord, client};

/// Longest time that connections are asked for.
const SCHEDULE: Duration = Duration::from_secs(3);
/// Descriptors that are left to the sink server for itself.
const OWN_DESCRIPTORS: u64 = 100;

/// Whether a failed step is a plateau whose client is worth a question: connections did not open, nothing ended, and the
/// client's own kernel refused it nothing.
pub fn is_open(step: &StepRecord, ended: bool) -> bool {
    let before_open =
        |error: &wsceiling_model::record::FailureTally| error.at != FailedAt::Open && !client::is_retried(error);
    let short = step.gates.iter().any(|gate| gate.name == GateName::Connected && !gate.passed);
    !ended && short && step.errors.iter().any(before_open) && client::own_share(step) < client::OWN_SHARE
}

/// Opens as many connections as the failed step wanted, at its rate, and closes them again.
///
/// # Errors
/// When a worker does not start or ends.
pub async fn dial(setup: &GeneratorSetup<'_>, step: &StepRecord, cores: u32) -> Result<DialRecord> {
    let in_time = (step.requested_per_s * SCHEDULE.as_secs_f64()).ceil() as u32;
    let most = u32::try_from(setup.descriptor_limit.saturating_sub(OWN_DESCRIPTORS)).unwrap_or(u32::MAX);
    let asked = step.target.min(in_time).min(most).max(1);
    let mut generator = Generator::start(setup, workers_needed(setup.load, setup.descriptor_limit, cores)).await?;
    let begun = Instant::now();
    let windows = generator.open_to(asked, step.requested_per_s, &mut |_| Watching::GoOn).await?;
    let seconds = begun.elapsed().as_secs_f64();
    generator.quit().await;
    let opened = windows.workers.iter().map(|window| window.opened).sum();
    Ok(DialRecord {
        asked,
        opened,
        requested_per_s: step.requested_per_s,
        achieved_per_s: opened as f64 / seconds.max(1e-9),
    })
}
