//! Client headroom: at a plateau the same client dials a sink server, which does nothing but upgrade, and the instances
//! without their front. What it opens there it had to give.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::servers::Servers;
use super::setup::TrialSetup;
use wsceiling_generator::coordinator::{self, Generator, GeneratorSetup, Watching, workers_needed};
use wsceiling_generator::sink::SinkServer;
use wsceiling_model::matrix::WorkersIn;
use wsceiling_model::record::{DialRecord, FailedAt, FailureTally, GateName, StepRecord, client_limits};

/// Longest time that connections are asked for.
const SCHEDULE: Duration = Duration::from_secs(3);
/// Descriptors that are left to the sink server for itself.
const OWN_DESCRIPTORS: u64 = 100;
/// Keep the source addresses apart from those of the trial's launches.
const DIRECT_APART: u32 = 100;
const SINK_APART: u32 = 101;

/// Whether a failed step is a plateau whose client is worth a question: connections did not open, nothing ended, and the
/// client's own kernel refused it nothing.
pub fn is_open(step: &StepRecord, ended: bool) -> bool {
    let before_open = |error: &FailureTally| error.at != FailedAt::Open && !error.reason.is_retried();
    let short = step.gates.iter().any(|gate| gate.name == GateName::Connected && !gate.passed);
    let own = client_limits::own_share(step) >= client_limits::OWN_SHARE;
    !ended && short && step.errors.iter().any(before_open) && !own
}

/// What the client opens to the instances, once the front before them is gone; `None`: it cannot be asked.
pub async fn direct(setup: &TrialSetup<'_>, servers: &Servers, launch: u32, failed: &StepRecord) -> Option<DialRecord> {
    // Workers in a swarm are another client than processes of this host.
    if !servers.sockets().is_empty() || setup.matrix.load.workers_in == Some(WorkersIn::Swarm) {
        return None;
    }
    dial(setup, &setup.generator(launch + DIRECT_APART, servers.addresses()), failed).await.ok()
}

/// What the client opens to a sink server; `None`: it cannot be asked.
pub async fn sink(setup: &TrialSetup<'_>, launch: u32, failed: &StepRecord) -> Option<DialRecord> {
    if !is_on_host(setup) {
        return None;
    }
    let sink = SinkServer::start().await.ok()?;
    dial(setup, &setup.generator(launch + SINK_APART, vec![sink.address()]), failed).await.ok()
}

/// Whether the workers are processes of this host.
fn is_on_host(setup: &TrialSetup<'_>) -> bool {
    coordinator::place_of_workers(&setup.matrix.load, setup.cell) == WorkersIn::Host
}

/// Opens as many connections as the failed step wanted, at its rate, and closes them again.
async fn dial(trial: &TrialSetup<'_>, setup: &GeneratorSetup<'_>, step: &StepRecord) -> Result<DialRecord> {
    let in_time = (step.requested_per_s * SCHEDULE.as_secs_f64()).ceil() as u32;
    let most = u32::try_from(setup.descriptor_limit.saturating_sub(OWN_DESCRIPTORS)).unwrap_or(u32::MAX);
    let asked = step.target.min(in_time).min(most).max(1);
    let workers = workers_needed(setup.load, setup.descriptor_limit, trial.limits().cores);
    let mut generator = Generator::start(setup, workers).await?;
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
