//! Launches for real: processes on this machine, containers where there is an engine.

mod bare;
mod docker;
mod killed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;
use wsceiling_model::matrix::{
    Broadcast, Churn, DockerSpec, Gates, Load, Message, ProcessSpec, Protocol, RunSettings, Runtime, Scenario, Size,
    Start, Target,
};
use wsceiling_model::record::Exit;

/// A world for a test: a folder for the matrix, the logs, and what is launched.
struct World {
    folder: tempfile::TempDir,
    matrix: Matrix,
    run_id: String,
}

fn load() -> Load {
    let second = Duration::from_secs(1);
    Load {
        step: 1,
        rate: 1.0,
        hold: second,
        max: 1,
        stages: vec![],
        message: Message::plain(1, second),
        gates: Gates::default(),
        resolution: 0.1,
        narrow: 0,
        connect_timeout: second,
        handshake_timeout: second,
        workers: None,
        workers_in: None,
        broadcast: Broadcast { room: 1, every: second, bytes: 1 },
        churn: Churn { lifetime: second },
        generator: wsceiling_model::matrix::GeneratorLimits::default(),
    }
}

/// A folder that is not below `/tmp`, over which a container gets an empty one.
fn scratch() -> tempfile::TempDir {
    let beside = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    tempfile::Builder::new().prefix("scratch-").tempdir_in(beside).or_else(|_| tempfile::tempdir()).unwrap()
}

impl World {
    /// A world whose only target `t` is `program` with `args`.
    fn new(runtime: Runtime, program: &str, args: &[&str]) -> Self {
        let folder = scratch();
        let process = ProcessSpec {
            start: Start::Program(program.to_owned()),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: BTreeMap::new(),
            files: vec![],
        };
        let target = Target {
            name: "t".to_owned(),
            protocol: Protocol::Echo,
            path: "/".to_owned(),
            token: None,
            process: Some(process),
            docker: None,
            confirm: wsceiling_model::matrix::ConfirmArgs::default(),
        };
        let cell = Cell {
            id: format!("t-{runtime}"),
            target: "t".to_owned(),
            runtime,
            instances: 1,
            front: None,
            size: None,
            scenario: Scenario::Idle,
        };
        let second = Duration::from_secs(1);
        let matrix = Matrix {
            run: RunSettings {
                name: "test".to_owned(),
                seed: 1,
                repeats: 1,
                sample_every: second,
                ready_within: second,
                trial_within: second,
                confirm: false,
                confirm_max: 3,
            },
            load: load(),
            targets: BTreeMap::from([("t".to_owned(), target)]),
            sizes: BTreeMap::new(),
            fronts: BTreeMap::new(),
            cells: vec![cell],
            text: String::new(),
            folder: folder.path().to_owned(),
        };
        let run_id = format!("test-{}", folder.path().file_name().unwrap().to_string_lossy().replace('.', ""));
        Self { folder, matrix, run_id }
    }

    fn process(&mut self) -> &mut ProcessSpec {
        self.matrix.targets.get_mut("t").unwrap().process.as_mut().unwrap()
    }

    fn instances(mut self, instances: u32) -> Self {
        self.matrix.cells[0].instances = instances;
        self
    }

    fn size(mut self, size: Size) -> Self {
        self.matrix.cells[0].size = Some(size.name.clone());
        self.matrix.sizes.insert(size.name.clone(), size);
        self
    }

    fn context(&self) -> LaunchContext<'_> {
        LaunchContext {
            matrix: &self.matrix,
            cell: &self.matrix.cells[0],
            run_id: &self.run_id,
            name: format!("{}.1.0", self.matrix.cells[0].id),
            logs: self.folder.path().join("logs"),
            epoch: Instant::now(),
            cpus: vec![],
        }
    }

    async fn launcher(&self) -> Launcher {
        Launcher::new(&self.matrix, &self.run_id, &|_| {}).await
    }

    async fn launch(&self) -> Group {
        self.launcher().await.launch(&self.context()).await.unwrap()
    }
}

fn no_limits() -> Size {
    Size::unlimited("small")
}

/// Waits until a condition holds; every test that calls this fails where it never does.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn end_of(group: &mut Group, index: usize) -> Exit {
    eventually("the instance ended", || group.exits()[index].is_some()).await;
    group.exits()[index].clone().unwrap()
}

/// A small program built from `tests/fixture.rs`, once.
fn fixture() -> PathBuf {
    static FIXTURE: std::sync::OnceLock<(tempfile::TempDir, PathBuf)> = std::sync::OnceLock::new();
    let built = FIXTURE.get_or_init(|| {
        let folder = scratch();
        let (source, program) = (folder.path().join("fixture.rs"), folder.path().join("fixture"));
        std::fs::write(&source, include_str!("tests/fixture.txt")).unwrap();
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = std::process::Command::new(rustc);
        command.args(["--edition", "2021", "-C", "strip=symbols", "-o"]).arg(&program).arg(&source);
        assert!(command.status().unwrap().success());
        (folder, program)
    });
    built.1.clone()
}

fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
        && !std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default().contains(") Z ")
}
