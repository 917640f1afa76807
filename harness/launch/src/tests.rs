//! Launches for real: processes on this machine, containers where there is an engine.

mod bare;
mod docker;
mod killed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;
use wsceiling_model::matrix::{DockerSpec, ProcessSpec, Runtime, Size, Start, parse};
use wsceiling_model::record::Exit;

/// A world for a test: a folder for the matrix, the logs, and what is launched.
struct World {
    folder: tempfile::TempDir,
    matrix: Matrix,
    run_id: String,
}

/// A folder that is not below `/tmp`, over which a container gets an empty one.
fn scratch() -> tempfile::TempDir {
    let beside = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    tempfile::Builder::new().prefix("scratch-").tempdir_in(beside).or_else(|_| tempfile::tempdir()).unwrap()
}

impl World {
    /// A world whose only target `t` is `program` with `args`.
    fn new(runtime: Runtime, program: &str, args: &[&str]) -> Self {
        Self::in_folder(scratch(), runtime, program, args)
    }

    fn in_folder(folder: tempfile::TempDir, runtime: Runtime, program: &str, args: &[&str]) -> Self {
        let text = format!("[targets.t.process]\ncargo = \"t\"\n[axes]\ntarget = [\"t\"]\nruntime = [\"{runtime}\"]\n");
        let mut matrix = parse(&text, &folder.path().join("matrix.toml")).unwrap().matrix;
        let run_id = format!("test-{}", folder.path().file_name().unwrap().to_string_lossy().replace('.', ""));
        let process = matrix.targets.get_mut("t").unwrap().process.as_mut().unwrap();
        process.start = Start::Program(program.to_owned());
        process.args = args.iter().map(|&arg| arg.to_owned()).collect();
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
