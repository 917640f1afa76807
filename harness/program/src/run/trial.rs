//! One trial, from its start to its row. Whatever happens ends in a row, and nothing that was started is left.

use tokio::sync::watch;
use tokio::time::timeout;

use super::load_side::LoadSide;
use super::row::{self, End};
use super::runner::TrialRunner;
use super::search::{Found, find_ceiling};
use super::setup::TrialSetup;
use wsceiling_model::plan;
use wsceiling_model::record::{Outcome, Sample, TrialRecord};

/// Runs one trial: launch, verify, load until something gives, ask what the client had left, stop, write the row.
pub async fn run(setup: TrialSetup<'_>) -> (TrialRecord, Vec<Sample>) {
    let started = jiff::Timestamp::now().to_string();
    let (epoch, load, within) = (setup.epoch, &setup.matrix.load, setup.matrix.run.trial_within);
    let mut record = TrialRecord::unmeasured(setup.trial.clone(), Outcome::Ok);
    record.walls = plan::walls(setup.matrix, setup.cell, &setup.limits());
    let mut cancel = setup.cancel.clone();
    let mut found = Found::default();
    let mut runner = TrialRunner::new(setup);

    // The instances are launched, waited for and verified; then come the front and the generator.
    let end = match unless_stopped(&mut cancel, Box::pin(runner.start())).await {
        None => End::Stopped,
        Some(Err(failure)) => End::NotStarted(failure),
        Some(Ok(())) => {
            // Connections are opened, held and measured until a step fails; then the ceiling is narrowed down.
            let search = Box::pin(find_ceiling(&mut runner, load, &mut found));
            match unless_stopped(&mut cancel, timeout(within, search)).await {
                None => End::Stopped,
                Some(Err(_)) => End::TimedOut { within },
                Some(Ok(searched)) => End::Searched(searched),
            }
        }
    };
    row::judge(&mut record, end, &found, runner.client_limits(&found), runner.contradictions());
    record.generator = runner.generator_record(record.reason.as_ref());
    let nodes = record.generator.as_ref().map_or(&[][..], |generator| &generator.nodes);
    record.warnings.extend(LoadSide::clock_warnings(nodes));

    if matches!(record.outcome, Outcome::Ok | Outcome::Ceiling) {
        let _ = unless_stopped(&mut cancel, runner.stay()).await;
    }

    if record.outcome == Outcome::Ceiling {
        record.headroom = unless_stopped(&mut cancel, runner.headroom(&found)).await.flatten();
    }

    let samples = runner.finish(&mut record).await;
    row::add_found(&mut record, found);
    row::add_cpu(&mut record, &samples);
    // A trial that was skipped has run nothing.
    record.started = Some(started).filter(|_| record.outcome != Outcome::Skipped);
    record.duration_ms = epoch.elapsed().as_secs_f64() * 1000.0;
    (record, samples)
}

/// What comes of `work`; `None` where the user stops the run before.
async fn unless_stopped<T>(cancel: &mut watch::Receiver<bool>, work: impl Future<Output = T>) -> Option<T> {
    let stopped = async {
        if cancel.wait_for(|&stop| stop).await.is_err() {
            // Nobody is left who could stop it.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        done = work => Some(done),
        () = stopped => None,
    }
}
