//! A run: what it needs is prepared, each trial of the plan runs, then the experiments, and each leaves a row.
//!
//! Whatever happens in a trial ends in its row of the record; one broken cell never stops the run. Only a record that
//! cannot be written does.
//!
//! Parts: `prepare`; `trial` is the story of one trial, told by `runner` with `servers` (instances and front),
//! `load_side` (the generator, with `swarm_side` where its workers are elsewhere) and `watching` (what is sampled);
//! `search` finds the ceiling through a `LoadDriver`, which `driver` implements; `remote` finds a server that somebody else
//! runs, and `remote_metrics` reads its numbers; `agreement` compares counts; `headroom` asks what the client had left; `row`
//! judges the end.

mod again;
mod agreement;
mod driver;
pub mod engines;
mod front_records;
mod headroom;
mod load_side;
mod long_side;
mod prepare;
pub mod progress;
mod remote;
pub mod remote_metrics;
mod row;
mod runner;
mod search;
mod servers;
mod setup;
pub mod swarm_side;
mod trial;
pub mod verify;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use tokio::sync::watch;

use prepare::Unprepared;
use progress::{Progress, ProgressEvent};
use setup::TrialSetup;
use wsceiling_launch::Launcher;
use wsceiling_machine::environment::{self, MachineFacts};
use wsceiling_machine::placement::{Placement, place};
use wsceiling_model::matrix::{Cell, Matrix};
use wsceiling_model::plan::{Plan, TrialId};
use wsceiling_model::record::{Experiment, Outcome, Sample, TrialRecord};
use wsceiling_runfolder::RunWriter;

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct Request {
    /// The matrix.
    pub matrix: Matrix,
    /// Path of the matrix file as the user gave it; `None`: there is none, and the run folder gets one.
    pub matrix_path: Option<PathBuf>,
    /// Trials in order.
    pub plan: Plan,
    /// Folder that run folders are made in.
    pub reports: PathBuf,
    /// A run folder to continue.
    pub resume: Option<PathBuf>,
}

/// What a run did.
#[derive(Debug)]
pub struct Done {
    /// The run folder.
    pub folder: PathBuf,
    /// How many trials ended in each way, those of a resumed run included.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// The user stopped it.
    pub stopped: bool,
}

/// Says after all trials of the plan, from the run folder, which experiment to carry out next; `None`: no more.
pub type NextExperiment<'a> = &'a mut (dyn FnMut(&Path) -> Result<Option<(TrialId, Experiment)>> + Send);

/// Runs every trial of the plan that has no row yet, then the experiments that `next` asks for, one after the other.
///
/// # Errors
/// When the record cannot be written, a run to resume cannot be read or was made from another matrix, or `next` fails.
pub async fn run(
    request: Request,
    progress: &Progress,
    cancel: watch::Receiver<bool>,
    next: NextExperiment<'_>,
) -> Result<Done> {
    let mut run = OpenRun::open(&request, progress, cancel).await?;
    let Request { matrix, plan, .. } = &request;
    for (order, trial) in (1..).zip(&plan.trials) {
        if run.finished.contains(trial) {
            continue;
        }
        if run.is_stopped() {
            break;
        }
        let Some(cell) = matrix.cells.iter().find(|cell| cell.id == trial.cell) else { continue };
        progress.tell(ProgressEvent::Trial(order, plan.trials.len(), trial));
        let (record, samples) = run.trial(matrix, cell, trial, order as u32).await;
        run.keep(&record, &samples)?;
        *run.outcomes.entry(record.outcome).or_insert(0) += 1;
    }
    // Source addresses are told apart by the order and the launches, of which trials before may have had several.
    let mut order = plan.trials.len() as u32 * (matrix.load.narrow + 1);
    while !run.is_stopped() {
        let Some((trial, experiment)) = next(run.writer.path())? else { break };
        let setup = matrix.cell(&trial.cell).and_then(|cell| matrix.setup(cell));
        let mut setup = setup.with_context(|| format!("{trial}: the matrix has no such cell"))?;
        experiment.apply(&mut setup);
        let cell = setup.cell.clone();
        order += 1;
        progress.tell(ProgressEvent::Experiment(&trial, &experiment));
        let (mut record, samples) = run.trial(&matrix.with(setup), &cell, &trial, order).await;
        // What becomes of it is no outcome of the run.
        record.experiment = Some(experiment);
        run.keep(&record, &samples)?;
    }
    Ok(run.close().await)
}

/// A run whose record is open.
struct OpenRun<'a> {
    writer: RunWriter,
    launcher: Launcher,
    unprepared: Unprepared,
    finished: BTreeSet<TrialId>,
    outcomes: BTreeMap<Outcome, usize>,
    machine: MachineFacts,
    placement: Placement,
    progress: &'a Progress,
    cancel: watch::Receiver<bool>,
    run_id: String,
    logs: PathBuf,
}

impl<'a> OpenRun<'a> {
    /// Prepares what the plan needs, then opens the record.
    async fn open(request: &Request, progress: &'a Progress, mut cancel: watch::Receiver<bool>) -> Result<Self> {
        let matrix = &request.matrix;
        let started = jiff::Timestamp::now();
        let run_id = run_id(&started, &matrix.run.name, request.resume.as_deref());
        let tell = |what: &str| progress.tell(ProgressEvent::Preparing(what));
        let mut launcher = Launcher::new(matrix, &run_id, &tell).await;
        let unprepared = tokio::select! {
            unprepared = prepare::prepare(&mut launcher, request, progress) => unprepared,
            _ = cancel.wait_for(|&stop| stop) => {
                launcher.finish().await;
                anyhow::bail!("stopped before the first trial; nothing was recorded");
            }
        };
        let (writer, rows) = prepare::open_record(request, &started.to_string(), &run_id, &launcher)?;
        progress.tell(ProgressEvent::Recording(writer.path()));
        let mut outcomes = BTreeMap::new();
        for row in rows.iter().filter(|row| !row.trial.confirm) {
            *outcomes.entry(row.outcome).or_insert(0) += 1;
        }
        // A proxy is started in a folder of its own and finds its configuration from there.
        let logs = std::path::absolute(writer.path().join("logs")).context("failed to find the current folder")?;
        Ok(Self {
            writer,
            launcher,
            unprepared,
            finished: rows.into_iter().map(|row| row.trial).collect(),
            outcomes,
            machine: environment::machine(),
            placement: place(),
            progress,
            cancel,
            run_id,
            logs,
        })
    }

    fn is_stopped(&self) -> bool {
        *self.cancel.borrow()
    }

    async fn trial(&mut self, matrix: &Matrix, cell: &Cell, trial: &TrialId, order: u32) -> (TrialRecord, Vec<Sample>) {
        if let Some(error) = self.unprepared.of(cell) {
            return (row::unprepared(trial, error), Vec::new());
        }
        trial::run(TrialSetup {
            matrix,
            cell,
            trial,
            order,
            run_id: &self.run_id,
            logs: &self.logs,
            machine: &self.machine,
            placement: &self.placement,
            launcher: &mut self.launcher,
            cancel: self.cancel.clone(),
            epoch: Instant::now(),
        })
        .await
    }

    fn keep(&mut self, record: &TrialRecord, samples: &[Sample]) -> Result<()> {
        self.progress.tell(ProgressEvent::Ended(record));
        self.writer.append(record, samples).context("failed to write the record; the run stops here")
    }

    /// Removes what was launched for all trials.
    async fn close(self) -> Done {
        let (folder, stopped) = (self.writer.path().to_owned(), self.is_stopped());
        self.launcher.finish().await;
        Done { folder, outcomes: self.outcomes, stopped }
    }
}

/// Name that labels what the run makes: the run folder's name, or of a resumed run's folder.
fn run_id(started: &jiff::Timestamp, name: &str, resume: Option<&Path>) -> String {
    let folder = resume.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    folder.unwrap_or_else(|| format!("{}-{name}", started.strftime("%Y-%m-%dT%H-%M-%SZ")))
}
