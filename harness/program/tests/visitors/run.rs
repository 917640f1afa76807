//! A run of the program, and what is asked of it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::target::Target;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_wsceiling");

/// A run that is served until it is dropped.
pub struct Run {
    child: Child,
    /// Where visitors' browsers reach it.
    pub visitors: String,
    /// Where its operator does.
    pub operator: String,
    pub reports: tempfile::TempDir,
}

impl Run {
    /// Starts it, and puts the line into the target's file as its owner would.
    pub fn start(target: &Target, arguments: &[&str]) -> Self {
        let reports = tempfile::tempdir().unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["visitors", "--target", &target.url(), "--listen", "127.0.0.1:0", "--operator", "127.0.0.1:0"]);
        command.arg("--reports").arg(reports.path()).args(arguments);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut visitors, mut operator) = (None, None);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        while operator.is_none() {
            let line = lines.next().expect("it says where it listens").unwrap();
            if line.starts_with("  wsceiling-visitors ") {
                target.agree(line.trim());
            }
            visitors = visitors.or(line.strip_prefix("visitors: ").map(str::to_owned));
            operator = line.strip_prefix("operator: http://").map(|address| address.trim_end_matches('/').to_owned());
        }
        // What else it says is not waited for.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, visitors: visitors.unwrap(), operator: operator.unwrap(), reports }
    }

    /// An operator's command.
    pub fn operate(&self, arguments: &[&str]) -> Output {
        let (verb, rest) = arguments.split_first().unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["visitors", verb, "--operator", &self.operator]).args(rest);
        command.output().unwrap()
    }

    pub fn status(&self) -> Value {
        let output = self.operate(&["status", "--format", "json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Its processes that hold the generator's connections.
    pub fn workers(&self) -> Vec<u32> {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let tasks = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
        let others = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok());
        let all: Vec<String> = others.chain([children]).collect();
        let mut ids: Vec<u32> =
            all.iter().flat_map(|ids| ids.split_whitespace()).map(|id| id.parse().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Ends it as if its machine had lost power.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its exit code and standard output, once it has ended.
    pub fn wait(&mut self) -> (i32, String) {
        use std::io::Read as _;
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), out)
    }

    pub fn folder(&self) -> PathBuf {
        std::fs::read_dir(self.reports.path()).unwrap().next().unwrap().unwrap().path()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until it holds; how long that took. Fails after a minute and a half.
pub async fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(90), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    start.elapsed()
}
