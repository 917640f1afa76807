//! One trial: launch, verify, climb while sampling, stop; it always ends in a row.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::climber::Climber;
use super::staircase;
use wsceiling_generator::coordinator::GeneratorSetup;
use wsceiling_launch::{LaunchContext, LaunchError, Launcher};
use wsceiling_machine::environment::MachineFacts;
use wsceiling_machine::placement::Placement;
use wsceiling_machine::sample::Sampler;
use wsceiling_model::matrix::{Cell, Matrix};
use wsceiling_model::plan::{self, TrialId};
use wsceiling_model::record::{
    Bracket, Component, DemandRecord, GeneratorRecord, Metric, Outcome, Sample, TrialRecord, client,
};

/// What a trial needs of its run.
pub struct TrialContext<'a> {
    /// The matrix.
    pub matrix: &'a Matrix,
    /// The cell.
    pub cell: &'a Cell,
    /// Which trial.
    pub trial: &'a TrialId,
    /// Position in the plan.
    pub order: u32,
    /// Name of the run folder.
    pub run_id: &'a str,
    /// Folder of the logs; its parent is the run folder.
    pub logs: &'a Path,
    /// The machine's limits.
    pub machine: &'a MachineFacts,
    /// Cores of both sides.
    pub placement: &'a Placement,
    /// Starts instances.
    pub launcher: &'a mut Launcher,
    /// Turns true when the user wants the run to stop.
    pub cancel: watch::Receiver<bool>,
}

impl<'a> TrialContext<'a> {
    /// What the launcher needs to know for a launch.
    pub fn launch(&self, launch: u32, epoch: Instant) -> LaunchContext<'a> {
        LaunchContext {
            matrix: self.matrix,
            cell: self.cell,
            run_id: self.run_id,
            name: format!("{}.{launch}", self.trial),
            logs: self.logs.to_owned(),
            epoch,
            cpus: self.placement.servers.clone(),
        }
    }
}

impl TrialContext<'_> {
    /// What the generator needs to know to load `destinations`; `launch` tells its source addresses apart.
    pub fn generator(&self, launch: u32, destinations: Vec<SocketAddr>) -> GeneratorSetup<'_> {
        let load = &self.matrix.load;
        let machine: plan::Machine = self.machine.into();
        GeneratorSetup {
            load,
            cell: self.cell,
            target: &self.matrix.targets[&self.cell.target],
            destinations,
            sockets: Vec::new(),
            descriptor_limit: machine.nofile_hard,
            block: self.order * (load.narrow + 1) + launch,
            seed: self.matrix.run.seed.wrapping_add(u64::from(self.order) << 40),
            status_every: self.matrix.run.sample_every,
            cpus: self.placement.generator.clone(),
        }
    }
}

/// How a climb ended.
enum Ended {
    Done(anyhow::Result<()>),
    TimedOut,
    Killed,
}

/// A row for a trial of which nothing ran.
pub fn row(trial: &TrialId, outcome: Outcome, reason: Option<String>, hint: Option<String>) -> TrialRecord {
    TrialRecord { reason, hint, ..TrialRecord::unmeasured(trial.clone(), outcome) }
}

/// The row of a trial whose launch did not happen.
pub fn launch_row(trial: &TrialId, error: &LaunchError) -> TrialRecord {
    match error {
        LaunchError::Missing { reason, hint } => row(trial, Outcome::Skipped, Some(reason.clone()), Some(hint.clone())),
        LaunchError::Failed { reason, log_tail } => {
            let hint = if log_tail.is_empty() {
                "run the command by hand to see what it says".to_owned()
            } else {
                format!("its last lines: {}", log_tail.join(" | "))
            };
            row(trial, Outcome::FailedToStart, Some(reason.clone()), Some(hint))
        }
    }
}

/// Runs one trial to its end and frees everything it started.
pub async fn run(context: TrialContext<'_>) -> (TrialRecord, Vec<Sample>) {
    let started = jiff::Timestamp::now().to_string();
    let epoch = Instant::now();
    let (matrix, cell, trial) = (context.matrix, context.cell, context.trial);
    let walls = plan::walls(matrix, cell, &context.machine.into());
    let mut cancel = context.cancel.clone();
    let sampler = Sampler::start(matrix.run.sample_every, epoch, Vec::new());
    let mut climber = Climber::new(context, epoch, sampler);

    let mut bracket = Bracket { last_good: 0, first_bad: None, peak: 0 };
    let mut steps = Vec::new();
    let mut record = match start(&mut climber, &mut cancel).await {
        Ok(()) => {
            let ended = climb(&mut climber, matrix, &mut bracket, &mut steps, &mut cancel).await;
            judge(trial, ended, &climber, bracket, &steps)
        }
        Err(record) => *record,
    };
    let generator = generator_record(&climber, &record);
    record.demand = demand(&mut climber, &record, &steps, &mut cancel).await;
    let finished = climber.finish().await;
    record.started = Some(started);
    record.ceiling = (!steps.is_empty()).then_some(bracket);
    record.to_first_connect_ms = steps.first().map(|step| step.started_ms);
    record.steps = steps;
    record.generator = generator.map(|record| with_cpu(record, &finished.samples));
    record.last_close_ms = finished.last_close_ms;
    record.instances = finished.instances;
    record.fronts = finished.fronts;
    record.events = finished.events;
    record.sources = finished.sources;
    record.warnings.extend(finished.warnings);
    record.walls = walls;
    record.duration_ms = epoch.elapsed().as_secs_f64() * 1000.0;
    (record, finished.samples)
}

/// Brings the instances and the generator up; the error is the row that says why not.
async fn start(climber: &mut Climber<'_>, cancel: &mut watch::Receiver<bool>) -> Result<(), Box<TrialRecord>> {
    let trial = climber.trial().clone();
    tokio::select! {
        started = climber.start() => started.map_err(|failure| Box::new(failure.into_row(&trial))),
        () = cancelled(cancel) => Err(Box::new(row(&trial, Outcome::Killed, Some(STOPPED.to_owned()), None))),
    }
}

/// What the client had to give, where the trial tells of a ceiling; none where the user wants the run to stop.
async fn demand(
    climber: &mut Climber<'_>,
    record: &TrialRecord,
    steps: &[wsceiling_model::record::StepRecord],
    cancel: &mut watch::Receiver<bool>,
) -> Option<DemandRecord> {
    if record.outcome != Outcome::Ceiling {
        return None;
    }
    tokio::select! {
        found = climber.demand(steps) => found,
        () = cancelled(cancel) => None,
    }
}

const STOPPED: &str = "the run was stopped";

async fn climb(
    climber: &mut Climber<'_>,
    matrix: &Matrix,
    bracket: &mut Bracket,
    steps: &mut Vec<wsceiling_model::record::StepRecord>,
    cancel: &mut watch::Receiver<bool>,
) -> Ended {
    let mut done = |step| steps.push(step);
    tokio::select! {
        ended = staircase::climb(climber, &matrix.load, bracket, &mut done) => Ended::Done(ended),
        () = tokio::time::sleep(matrix.run.trial_within) => Ended::TimedOut,
        () = cancelled(cancel) => Ended::Killed,
    }
}

/// Resolves when the user wants the run to stop, never otherwise.
async fn cancelled(cancel: &mut watch::Receiver<bool>) {
    if cancel.wait_for(|&stop| stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The outcome of a trial whose instances came up.
fn judge(
    trial: &TrialId,
    ended: Ended,
    climber: &Climber<'_>,
    bracket: Bracket,
    steps: &[wsceiling_model::record::StepRecord],
) -> TrialRecord {
    let limits = client_limits(climber, steps);
    let contradictions = climber.contradictions();
    match ended {
        Ended::Killed => row(trial, Outcome::Killed, Some(STOPPED.to_owned()), None),
        Ended::TimedOut => row(
            trial,
            Outcome::TimedOut,
            Some(format!("the trial took longer than {:?}", climber.trial_within())),
            Some("raise `trial_within` in [run], or make the steps fewer or shorter".to_owned()),
        ),
        Ended::Done(Err(error)) if bracket.first_bad.is_none() => row(
            trial,
            Outcome::Invalid,
            Some(format!("{error:#}")),
            Some("the numbers until then are in the record; run the cell again".to_owned()),
        ),
        Ended::Done(_) if !contradictions.is_empty() => row(
            trial,
            Outcome::Invalid,
            Some(contradictions.join("; ")),
            Some("client, server and kernel must agree on a number; see docs/methodology.md".to_owned()),
        ),
        Ended::Done(_) if !limits.is_empty() => row(
            trial,
            Outcome::Invalid,
            Some(format!("client-limited: {}", limits.join("; "))),
            Some("this says nothing about the server; lower the rate, or give the generator more cores".to_owned()),
        ),
        Ended::Done(result) => {
            let outcome = if bracket.first_bad.is_some() { Outcome::Ceiling } else { Outcome::Ok };
            let mut record = row(trial, outcome, None, None);
            record
                .warnings
                .extend(result.err().map(|error| format!("the bracket was not narrowed further: {error:#}")));
            record
        }
    }
}

fn client_limits(climber: &Climber<'_>, steps: &[wsceiling_model::record::StepRecord]) -> Vec<String> {
    let failed = steps.iter().find(|step| !step.passed);
    failed.map_or_else(Vec::new, |step| client::limits(step, climber.ended_in(step)))
}

fn generator_record(climber: &Climber<'_>, record: &TrialRecord) -> Option<GeneratorRecord> {
    let limited_by = record
        .reason
        .as_deref()
        .and_then(|reason| reason.strip_prefix("client-limited: "))
        .map_or_else(Vec::new, |reasons| reasons.split("; ").map(str::to_owned).collect());
    climber.generator_record(limited_by)
}

fn with_cpu(mut record: GeneratorRecord, samples: &[Sample]) -> GeneratorRecord {
    let usage = samples
        .iter()
        .filter(|sample| sample.component == Component::Generator)
        .flat_map(|sample| &sample.values)
        .filter(|(metric, _)| *metric == Metric::CpuUsage)
        .map(|(_, value)| *value);
    record.cpu_us = usage.reduce(f64::max).map(|us| us as u64);
    record
}

/// Time that instances and fronts, processes and containers alike, get between SIGTERM and SIGKILL. `docs/targets.md`
/// states it.
pub const GRACE: Duration = Duration::from_millis(500);
