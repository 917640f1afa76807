//! Before the first trial: targets and fronts are found, built or packed, and the record is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

use super::Request;
use super::progress::{Progress, ProgressEvent};
use wsceiling_launch::label::hex_sha256;
use wsceiling_launch::{LaunchError, Launcher};
use wsceiling_machine::environment;
use wsceiling_model::matrix::{Cell, Matrix, Runtime, Size, WorkersIn};
use wsceiling_model::platforms;
use wsceiling_model::record::{FORMAT_VERSION, RunHeader, TrialRecord};
use wsceiling_runfolder::RunWriter;

/// Name of the matrix in the run folder, where it is from no file.
const OWN_MATRIX: &str = "matrix.toml";

/// What cannot run, and why: targets and fronts by name and runtime.
#[derive(Default)]
pub struct Unprepared {
    targets: BTreeMap<(String, Runtime), LaunchError>,
    fronts: BTreeMap<(String, Runtime), LaunchError>,
    /// The swarm, where the workers are to run in one: then no cell can run.
    swarm: Option<LaunchError>,
}

impl Unprepared {
    /// Why a cell cannot run, if it cannot.
    pub fn of(&self, cell: &Cell) -> Option<&LaunchError> {
        let target = self.targets.get(&(cell.target.clone(), cell.runtime));
        let front = || self.fronts.get(&(cell.front.clone()?, cell.runtime));
        target.or_else(front).or(self.swarm.as_ref())
    }
}

/// Prepares each target and front that the plan needs, once for each runtime; what cannot be is a row later.
pub async fn prepare(launcher: &mut Launcher, request: &Request, progress: &Progress) -> Unprepared {
    let matrix = &request.matrix;
    let wanted: BTreeSet<&str> = request.plan.trials.iter().map(|trial| trial.cell.as_str()).collect();
    let cells = matrix.cells.iter().filter(|cell| wanted.contains(cell.id.as_str()));
    // Of somebody else's server there is nothing to prepare.
    let own = cells.clone().filter(|cell| cell.runtime != Runtime::Remote);
    let targets: BTreeSet<_> = own.map(|cell| (cell.target.clone(), cell.runtime)).collect();
    let fronts: BTreeSet<_> = cells.filter_map(|cell| Some((cell.front.clone()?, cell.runtime))).collect();
    let mut unprepared = Unprepared::default();
    // A target with a folder of its own is of another workspace, and is built when it is prepared.
    let here = targets.iter().filter(|(name, _)| matrix.targets[name].folder.is_none());
    let packages: BTreeSet<_> = here.filter_map(|(name, runtime)| matrix.targets[name].package(*runtime)).collect();
    if !packages.is_empty() {
        progress.tell(ProgressEvent::Building(&packages));
        launcher.build(&packages).await;
    }
    let mut made = BTreeSet::new();
    for (name, runtime) in targets {
        let command = matrix.targets[&name].command_of_build(runtime);
        if let (Some(command), true) = (command, made.insert(name.clone())) {
            progress.tell(ProgressEvent::Making(&name, command));
        }
        progress.tell(ProgressEvent::Target(&name, runtime));
        if let Err(error) = launcher.prepare(&matrix.targets[&name], runtime).await {
            progress.tell(ProgressEvent::Unprepared(&name, runtime, &error));
            unprepared.targets.insert((name, runtime), error);
        }
    }
    for (name, runtime) in fronts {
        progress.tell(ProgressEvent::Front(&name, runtime));
        if let Err(error) = launcher.prepare_front(&matrix.fronts[&name], runtime).await {
            progress.tell(ProgressEvent::Unprepared(&format!("the front {name}"), runtime, &error));
            unprepared.fronts.insert((name, runtime), error);
        }
    }
    if matrix.load.workers_in == Some(WorkersIn::Swarm) {
        progress.tell(ProgressEvent::Preparing("packing the generator's workers for the swarm"));
        unprepared.swarm = launcher.prepare_swarm(matrix.load.registry.as_deref()).await.err();
    }
    unprepared
}

/// Opens the record of a new run, or of the one to resume; returns the rows that it has already.
pub fn open_record(
    request: &Request,
    started: &str,
    run_id: &str,
    launcher: &Launcher,
) -> Result<(RunWriter, Vec<TrialRecord>)> {
    if let Some(folder) = &request.resume {
        return resume(folder, &request.matrix);
    }
    let own = || request.reports.join(run_id).join(OWN_MATRIX);
    let matrix_path = request.matrix_path.clone().unwrap_or_else(own);
    let writer = RunWriter::create(&request.reports, &header(request, &matrix_path, started, launcher))
        .with_context(|| format!("failed to make a run folder under {}", request.reports.display()))?;
    if request.matrix_path.is_none() {
        let path = writer.path().join(OWN_MATRIX);
        std::fs::write(&path, &request.matrix.text).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok((writer, Vec::new()))
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
    // The same text may mean other machines where the catalogue of plans has changed.
    let limits = |size: &Size| (size.name.clone(), size.cpus, size.memory_bytes);
    anyhow::ensure!(
        header.sizes.iter().map(limits).eq(matrix.sizes.values().map(limits)),
        "failed to resume {}: a `plan` of its sizes has other CPUs or memory by now; hint: start a new run",
        folder.display()
    );
    Ok((writer, rows))
}

fn header(request: &Request, matrix_path: &Path, started: &str, launcher: &Launcher) -> RunHeader {
    let matrix = &request.matrix;
    let mut environment = environment::capture();
    environment.facts.extend(launcher.engine().facts());
    let named = matrix.targets.values().filter_map(|target| target.remote.as_ref());
    let binaries = matrix.targets.keys().filter_map(|name| Some((name.clone(), launcher.binary_sha256(name)?)));
    RunHeader {
        format: FORMAT_VERSION,
        wsceiling: env!("CARGO_PKG_VERSION").to_owned(),
        started: started.to_owned(),
        matrix_path: matrix_path.display().to_string(),
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
        platforms: platforms::rows(named.filter_map(|remote| remote.platform.as_deref())),
        prices: matrix.prices.clone(),
    }
}
