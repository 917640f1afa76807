//! Running: launch -> ready -> verify -> drive + sample -> stop, for every trial of the plan.
//!
//! Whatever happens in a trial ends in its row of the record; one broken cell never stops the run. Only a record that
//! cannot be written does.

pub mod climber;
pub mod demand;
mod fronted;
pub mod progress;
pub mod staircase;
pub mod trial;
pub mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::sync::watch;

use progress::Progress;
use trial::TrialContext;
use wsceiling_launch::label::hex_sha256;
use wsceiling_launch::{LaunchError, Launcher};
use wsceiling_machine::environment;
use wsceiling_machine::placement::Placement;
use wsceiling_model::matrix::{Cell, Matrix, Runtime};
use wsceiling_model::plan::{Plan, TrialId};
use wsceiling_model::record::{Experiment, FORMAT_VERSION, Outcome, RunHeader, Sample, TrialRecord};
use wsceiling_runfolder::RunWriter;

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct Request {
    /// The matrix.
    pub matrix: Matrix,
    /// Path of the matrix file as the user gave it.
    pub matrix_path: PathBuf,
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
pub type More<'a> = &'a mut (dyn FnMut(&Path) -> Result<Option<(TrialId, Experiment)>> + Send);

/// Runs every trial of the plan that has no row yet, then the experiments that `more` asks for, one after the other.
///
/// # Errors
/// When the record cannot be written, a run to resume cannot be read or was made from another matrix, or `more` fails.
pub async fn run(request: Request, progress: &Progress, cancel: watch::Receiver<bool>, more: More<'_>) -> Result<Done> {
    let Request { matrix, plan, .. } = &request;
    let mut runner = Runner::open(&request, progress, cancel).await?;
    let mut order = 0;
    for trial in &plan.trials {
        order += 1;
        if runner.finished.contains(trial) {
            continue;
        }
        if *runner.cancel.borrow() {
            break;
        }
        let Some(cell) = matrix.cells.iter().find(|cell| cell.id == trial.cell) else { continue };
        progress.trial(order, plan.trials.len(), trial);
        let (record, samples) = runner.trial(matrix, cell, trial, order as u32).await;
        progress.ended(trial, &record);
        runner.keep(&record, &samples)?;
        *runner.outcomes.entry(record.outcome).or_insert(0) += 1;
    }
    runner.experiments(matrix, order as u32, progress, more).await?;
    let stopped = *runner.cancel.borrow();
    let folder = runner.writer.path().to_owned();
    runner.launcher.finish().await;
    Ok(Done { folder, outcomes: runner.outcomes, stopped })
}

/// What cannot run, by kind (`target` or `front`), name and runtime.
type Unprepared = BTreeMap<(&'static str, String, Runtime), LaunchError>;

struct Runner {
    writer: RunWriter,
    launcher: Launcher,
    /// Why a target, or a front, cannot run in a runtime.
    unprepared: Unprepared,
    finished: BTreeSet<TrialId>,
    outcomes: BTreeMap<Outcome, usize>,
    machine: environment::MachineFacts,
    placement: Placement,
    cancel: watch::Receiver<bool>,
    run_id: String,
    logs: PathBuf,
}

impl Runner {
    /// Carries out experiments until there are no more of them. What becomes of one is no outcome of the run.
    async fn experiments(
        &mut self,
        matrix: &Matrix,
        mut order: u32,
        progress: &Progress,
        more: More<'_>,
    ) -> Result<()> {
        // Source addresses are told apart by the order and the launches, of which trials before may have had several.
        order *= matrix.load.narrow + 1;
        while !*self.cancel.borrow() {
            let Some((trial, experiment)) = more(self.writer.path())? else { break };
            let setup = matrix.cell(&trial.cell).and_then(|cell| matrix.setup(cell));
            let mut setup = setup.with_context(|| format!("{trial}: the matrix has no such cell"))?;
            experiment.apply(&mut setup);
            let cell = setup.cell.clone();
            order += 1;
            progress.experiment(&trial, &experiment);
            let (mut record, samples) = self.trial(&matrix.with(setup), &cell, &trial, order).await;
            record.experiment = Some(experiment);
            progress.ended(&trial, &record);
            self.keep(&record, &samples)?;
        }
        Ok(())
    }

    fn keep(&mut self, record: &TrialRecord, samples: &[Sample]) -> Result<()> {
        self.writer.append(record, samples).context("failed to write the record; the run stops here")
    }

    async fn open(request: &Request, progress: &Progress, mut cancel: watch::Receiver<bool>) -> Result<Self> {
        let matrix = &request.matrix;
        let started = jiff::Timestamp::now();
        let run_id = run_id(&started, &matrix.run.name, request.resume.as_deref());
        let mut launcher = Launcher::new(matrix, &run_id, &|text| progress.note(text)).await;
        let unprepared = tokio::select! {
            unprepared = prepare(&mut launcher, request, progress) => unprepared,
            _ = cancel.wait_for(|&stop| stop) => {
                launcher.finish().await;
                anyhow::bail!("stopped before the first trial; nothing was recorded");
            }
        };
        let (writer, rows) = if let Some(folder) = &request.resume {
            resume(folder, matrix)?
        } else {
            let header = header(request, &started.to_string(), &launcher);
            let writer = RunWriter::create(&request.reports, &header)
                .with_context(|| format!("failed to make a run folder under {}", request.reports.display()))?;
            (writer, Vec::new())
        };
        progress.note(&format!("recording to {}", writer.path().display()));
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
            placement: wsceiling_machine::placement::place(),
            cancel,
            run_id,
            logs,
        })
    }

    async fn trial(&mut self, matrix: &Matrix, cell: &Cell, trial: &TrialId, order: u32) -> (TrialRecord, Vec<Sample>) {
        let target = ("target", cell.target.clone(), cell.runtime);
        let front = cell.front.as_ref().map(|front| ("front", front.clone(), cell.runtime));
        let missing = [Some(target), front].into_iter().flatten().find_map(|what| self.unprepared.get(&what));
        if let Some(error) = missing {
            return (trial::launch_row(trial, error), Vec::new());
        }
        trial::run(TrialContext {
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
        })
        .await
    }
}

/// Builds and packs each target that the plan needs, once for each runtime; what cannot be is a row later.
async fn prepare(launcher: &mut Launcher, request: &Request, progress: &Progress) -> Unprepared {
    let wanted: BTreeSet<&str> = request.plan.trials.iter().map(|trial| trial.cell.as_str()).collect();
    let cells = request.matrix.cells.iter().filter(|cell| wanted.contains(cell.id.as_str()));
    let pairs: BTreeSet<_> = cells.clone().map(|cell| (cell.target.clone(), cell.runtime)).collect();
    let fronts: BTreeSet<_> = cells.filter_map(|cell| Some((cell.front.clone()?, cell.runtime))).collect();
    let mut unprepared = BTreeMap::new();
    for (name, runtime) in pairs {
        progress.note(&format!("preparing {name} for {runtime}"));
        if let Err(error) = launcher.prepare(&request.matrix.targets[&name], runtime).await {
            progress.note(&format!("{name} cannot run in {runtime}: {error}"));
            unprepared.insert(("target", name, runtime), error);
        }
    }
    for (name, runtime) in fronts {
        progress.note(&format!("preparing the front {name} for {runtime}"));
        if let Err(error) = launcher.prepare_front(&request.matrix.fronts[&name], runtime).await {
            progress.note(&format!("the front {name} cannot run in {runtime}: {error}"));
            unprepared.insert(("front", name, runtime), error);
        }
    }
    unprepared
}

fn header(request: &Request, started: &str, launcher: &Launcher) -> RunHeader {
    let matrix = &request.matrix;
    let mut environment = environment::capture();
    for (name, value) in launcher.engine().facts() {
        environment.facts.insert(name, value);
    }
    let binaries = matrix.targets.keys().filter_map(|name| Some((name.clone(), launcher.binary_sha256(name)?)));
    RunHeader {
        format: FORMAT_VERSION,
        wsceiling: env!("CARGO_PKG_VERSION").to_owned(),
        started: started.to_owned(),
        matrix_path: request.matrix_path.display().to_string(),
        matrix_text: matrix.text.clone(),
        matrix_sha256: hex_sha256(matrix.text.as_bytes()),
        run: matrix.run.clone(),
        load: matrix.load.clone(),
        targets: matrix.targets.values().cloned().collect(),
        sizes: matrix.sizes.values().cloned().collect(),
        fronts: matrix.fronts.values().cloned().collect(),
        cells: matrix.cells.clone(),
        plan: request.plan.trials.clone(),
        environment,
        binaries: binaries.collect(),
    }
}

/// Name that labels what the run makes: the run folder's name, or of a resumed run's folder.
fn run_id(started: &jiff::Timestamp, name: &str, resume: Option<&Path>) -> String {
    let folder = resume.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    folder.unwrap_or_else(|| format!("{}-{name}", started.strftime("%Y-%m-%dT%H-%M-%SZ")))
}

fn resume(folder: &Path, matrix: &Matrix) -> Result<(RunWriter, Vec<TrialRecord>)> {
    let (writer, header, rows) =
        RunWriter::resume(folder).with_context(|| format!("failed to resume {}", folder.display()))?;
    anyhow::ensure!(
        header.matrix_text == matrix.text,
        "failed to resume {}: its matrix is not the one given; hint: resume with the file as it was (the run's own \
         copy is `matrix_text` in run.json), or start a new run",
        folder.display()
    );
    Ok((writer, rows))
}
