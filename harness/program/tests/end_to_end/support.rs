//! Runs the program on a matrix in a folder of its own and reads the record it leaves.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a matrix and, later, its reports.
pub struct Bench {
    pub folder: TempDir,
    pub matrix: PathBuf,
}

/// Short steps, so that a trial takes about a second.
pub const LOAD: &str = r#"
[load]
step = 50
rate = "1000/s"
hold = "300ms"
max = 100
narrow = 2
connect_timeout = "4s"
handshake_timeout = "4s"
message = { bytes = 32, every = "200ms" }
gates = { p99 = "2s" }
"#;

impl Bench {
    /// A folder with this matrix; `[load]` is the short one unless the text has its own.
    pub fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let matrix = folder.path().join("matrix.toml");
        let load = if text.contains("[load]") { "" } else { LOAD };
        std::fs::write(&matrix, format!("{text}\n{load}")).unwrap();
        Self { folder, matrix }
    }

    /// A matrix with one bare target: `misbehave` with this fault.
    pub fn misbehaving(fault: &str, number: u32) -> Self {
        let program = misbehave();
        Self::new(&format!(
            r#"
            [run]
            name = "test"
            repeats = 1
            ready_within = "10s"
            sample_every = "50ms"
            [targets.server.process]
            program = "{}"
            args = ["{fault}", "{{address}}", "{number}"]
            [axes]
            target = ["server"]
            "#,
            program.display()
        ))
    }

    /// `wsceiling matrix` on the matrix, reports in the folder.
    pub fn command(&self) -> Command {
        self.command_to(self.reports())
    }

    /// The same with the folder of the reports named in this way.
    pub fn command_to(&self, reports: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsceiling"));
        command.arg("matrix").arg(&self.matrix).arg("--reports").arg(reports);
        command
    }

    pub fn run(&self) -> Output {
        self.command().output().unwrap()
    }

    pub fn reports(&self) -> PathBuf {
        self.folder.path().join("reports")
    }

    /// Runs it: the findings of the only run, from a record that the validator found nothing wrong with.
    pub fn findings(&self) -> Value {
        let output = self.command().args(["--format", "json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        self.trials();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The only run folder.
    pub fn run_folder(&self) -> PathBuf {
        let mut folders: Vec<_> = std::fs::read_dir(self.reports()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(folders.len(), 1, "one run folder");
        folders.remove(0)
    }

    /// The trials of the only run, after the validator has found nothing wrong with the record.
    pub fn trials(&self) -> Vec<Value> {
        let folder = self.run_folder();
        assert_valid(&folder);
        trials_of(&folder)
    }
}

pub fn trials_of(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("trials.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn assert_valid(folder: &Path) {
    let problems = wsceiling_runfolder::validate(folder);
    assert!(problems.is_empty(), "{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

/// The example server, which `cargo test` builds beside the tests.
pub fn misbehave() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_wsceiling")).with_file_name("examples").join("misbehave");
    assert!(program.is_file(), "{} is built by `cargo test`", program.display());
    program
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The program of a shipped target, built where it is not there: `cargo test -p wsceiling` builds no other package's.
pub fn shipped(name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    // As `--workspace` builds it: other features of what it depends on would build all of that again.
    let status = cargo.args(["build", "--quiet", "--workspace", "--bin", name]).current_dir(workspace).status();
    assert!(status.unwrap().success());
    Path::new(env!("CARGO_BIN_EXE_wsceiling")).with_file_name(name)
}
