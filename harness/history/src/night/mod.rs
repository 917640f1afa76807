//! The file of one night: JSON lines, immutable once written.
//!
//! The first line is the [`Header`]. A line for each [`CellLine`] and for each [`Selftest`] of the night follows. What
//! experiments on its suspects found comes later and has a file of its own, with a line for each [`Experiment`].
//! [`Night::to_bytes`] writes them, [`read`] reads them and trusts none of them.

mod check;
mod fault;
mod line;
mod read;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use fault::{Fault, What};
pub use read::read;

use wsceiling_model::matrix::{Runtime, Scenario};
use wsceiling_model::record::{Cause, Outcome};

/// Version of the file. It is raised whenever a reader of the last release would misread a file; every older one stays
/// readable.
pub const SCHEMA: u32 = 1;

/// Folder of the files of nights, inside a history.
pub const RUNS: &str = "runs";

/// The file of one night.
#[derive(Debug, Clone, PartialEq)]
pub struct Night {
    /// Who measured, when and where.
    pub header: Header,
    /// A line for each cell of the run.
    pub cells: Vec<CellLine>,
    /// What the selftests of the night found: a short one each night, a whole one each week.
    pub selftests: Vec<Selftest>,
    /// What experiments on suspects found, in a file of experiments.
    pub experiments: Vec<Experiment>,
}

/// What a file is about. It ends the file's name, so that a night can have one of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The cells of a run, and its selftests.
    #[default]
    Run,
    /// Experiments on suspects.
    Experiment,
}

impl Kind {
    /// What the file's name ends with.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Run => "",
            Self::Experiment => "-experiment",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    fn is_run(&self) -> bool {
        *self == Self::Run
    }
}

/// The first line: who measured, when and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// Version of `wsceiling` that wrote it.
    pub wsceiling: String,
    /// What the file is about.
    #[serde(default, skip_serializing_if = "Kind::is_run")]
    pub kind: Kind,
    /// Start of the run.
    #[serde(with = "line::moment")]
    pub started: Timestamp,
    /// Id of the job's run: letters, digits, `.`, `_` and `-`.
    pub run: String,
    /// Attempt of that run, from 1.
    pub attempt: u32,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its branch or tag (`refs/heads/main`).
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Name of the matrix.
    pub matrix: String,
    /// SHA-256 of its text, hex.
    pub matrix_sha256: String,
    /// Address of the job, `https://...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Where it ran.
    pub machine: Machine,
}

/// The facts of a machine that a history needs; what could not be read is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Model of its CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Its cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Version of its cgroups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Release of its kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Version of rustc that built the harness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rustc: Option<String>,
    /// Version of the runner's image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl Machine {
    /// Machines of one class may be compared: CPU, cores and version of cgroups are the same. In words: `AMD EPYC 7763, 4
    /// cores, cgroup 2`.
    pub fn class(&self) -> String {
        let cores = self.cores.map_or_else(|| "unknown cores".to_owned(), |cores| format!("{cores} cores"));
        let cgroup =
            self.cgroup.as_deref().map_or_else(|| "unknown cgroups".into(), |version| format!("cgroup {version}"));
        format!("{}, {cores}, {cgroup}", self.cpu.as_deref().unwrap_or("unknown CPU"))
    }
}

/// What one cell gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellLine {
    /// Id of the cell.
    pub id: String,
    /// What was measured and where, see [`crate::series`]. Two cells of a night with the same one are the same measurement.
    pub series: String,
    /// The axes of the cell.
    pub axes: Axes,
    /// It is a control: its target never changes, so that only the machine can move it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub control: bool,
    /// The outcome that most trials had.
    pub outcome: Outcome,
    /// Why, where nothing was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// How sure that is, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The limits of its size by name, and whether the machine enforced them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, bool>,
    /// Connections at which it stopped: the median of the valid trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<f64>,
    /// The ceiling is a lower bound.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
    /// Bytes of memory of a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<f64>,
    /// CPU of a connection at the configured load, in micro-cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// CPU of an opening, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<f64>,
    /// Its trials.
    pub trials: Vec<TrialLine>,
}

impl CellLine {
    /// Whether a ceiling may be read from it.
    pub fn is_measured(&self) -> bool {
        self.ceiling.is_some() && matches!(self.outcome, Outcome::Ok | Outcome::Ceiling)
    }

    /// A number of it; `None`: it was not measured, or is zero, which has no logarithm.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        let value = match metric {
            Metric::Ceiling => self.ceiling,
            Metric::Memory => self.memory,
            Metric::Cpu => self.cpu,
            Metric::Opening => self.opening,
        };
        value.filter(|value| self.is_measured() && *value > 0.0)
    }

    /// The same, where it may be compared with another night's: of a ceiling that was not met only a bound is known.
    pub fn tested(&self, metric: Metric) -> Option<f64> {
        self.value(metric).filter(|_| metric != Metric::Ceiling || !self.at_least)
    }
}

/// The axes of a cell, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axes {
    /// Name of the target.
    pub target: String,
    /// How the instances run.
    pub runtime: Runtime,
    /// How many.
    pub instances: u32,
    /// Name of the front.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub front: Option<String>,
    /// Name of the size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// What the connections do.
    pub scenario: Scenario,
}

/// What one trial gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialLine {
    /// Repetition, from 1.
    pub repeat: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Connections at which it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<f64>,
    /// Largest number whose gates passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<u64>,
    /// Smallest number that failed; absent: none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bad: Option<u64>,
    /// Bytes of memory of a connection, from this trial alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<f64>,
    /// CPU of a connection in micro-cores, from this trial alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// CPU of an opening in microseconds, from this trial alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<f64>,
}

/// What a selftest found about the diagnosis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selftest {
    /// What the injected numbers were drawn by.
    pub seeds: Vec<String>,
    /// Whether the diagnosis was as good as it has to be.
    pub passed: bool,
    /// Trials of each kind of limit that were right.
    pub kinds: Vec<Right>,
    /// Verdicts of each confidence that were right.
    pub confidence: Vec<Right>,
    /// Wrong causes that were named with high confidence, as `limit.repeat`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sure_and_wrong: Vec<String>,
    /// Clean cells that were accused, as `limit.repeat`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clean_accused: Vec<String>,
}

/// How many were right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Right {
    /// Of what.
    pub name: String,
    /// Those that were right.
    pub right: u32,
    /// All.
    pub of: u32,
}

/// What an experiment on a suspect found: the last good commit against the new one, on one machine in one job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Id of the cell.
    pub cell: String,
    /// Its series.
    pub series: String,
    /// The number.
    pub metric: Metric,
    /// The last good commit.
    pub before: String,
    /// The new one.
    pub after: String,
    /// Median of the trials of each.
    pub value_before: f64,
    /// See [`Self::value_before`].
    pub value_after: f64,
    /// Probability of such a difference if there were none, corrected for all hypotheses of the night.
    pub p: f64,
    /// It was convicted: `p` is small enough and the change is above the noise.
    pub confirmed: bool,
}

/// A number that a history follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Connections at which the trials stopped.
    Ceiling,
    /// Bytes of memory of a connection.
    Memory,
    /// CPU of a connection at the configured load, in micro-cores.
    Cpu,
    /// CPU of an opening, in microseconds.
    Opening,
}

impl Metric {
    /// All of them, in the order of pages.
    pub const ALL: [Self; 4] = [Self::Ceiling, Self::Memory, Self::Cpu, Self::Opening];

    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Opening => "opening",
        }
    }

    /// Whether a change, as the difference of logarithms, is for the worse.
    pub fn is_worse(self, change: f64) -> bool {
        if self == Self::Ceiling { change < 0.0 } else { change > 0.0 }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Night {
    /// The path of its file inside a history: `runs/2026/11/2026-11-29T02-17-05Z-123456-1.jsonl`.
    pub fn file_name(&self) -> String {
        let header = &self.header;
        let moment = header.started.strftime("%Y-%m-%dT%H-%M-%SZ");
        let folder = header.started.strftime("%Y/%m");
        format!("{RUNS}/{folder}/{moment}-{}-{}{}.jsonl", header.run, header.attempt, header.kind.suffix())
    }

    /// The bytes of its file.
    ///
    /// # Errors
    /// None with the types as they are; JSON has no other way to say so.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut out = Vec::new();
        line::write(&mut out, "night", &self.header)?;
        for cell in &self.cells {
            line::write(&mut out, "cell", cell)?;
        }
        for selftest in &self.selftests {
            line::write(&mut out, "selftest", selftest)?;
        }
        for experiment in &self.experiments {
            line::write(&mut out, "experiment", experiment)?;
        }
        Ok(out)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A night with one cell.
    pub(crate) fn night() -> Night {
        let trial = TrialLine {
            repeat: 1,
            outcome: Outcome::Ceiling,
            stopped: Some(4_010.0),
            last_good: Some(4_000),
            first_bad: Some(4_200),
            memory: Some(7_300.5),
            cpu: Some(11.8),
            opening: None,
        };
        let cell = CellLine {
            id: "echo-bare-x1-small".into(),
            series: format!("{:064x}", 7),
            axes: Axes {
                target: "echo".into(),
                runtime: Runtime::Bare,
                instances: 1,
                front: None,
                size: Some("small".into()),
                scenario: Scenario::Echo,
            },
            control: false,
            outcome: Outcome::Ceiling,
            reason: None,
            cause: Some(Cause::MemoryLimit),
            confidence: Some(0.85),
            limits: BTreeMap::from([("memory_bytes".into(), true)]),
            ceiling: Some(4_010.0),
            at_least: false,
            memory: Some(7_300.5),
            cpu: Some(11.8),
            opening: Some(55.25),
            trials: vec![trial],
        };
        let header = Header {
            schema: SCHEMA,
            wsceiling: "0.1.0".into(),
            kind: Kind::Run,
            started: "2026-11-29T02:17:05Z".parse().unwrap(),
            run: "4711".into(),
            attempt: 1,
            commit: Some("0123456789abcdef".into()),
            reference: Some("refs/heads/main".into()),
            matrix: "nightly".into(),
            matrix_sha256: format!("{:064x}", 9),
            job: Some("https://example.org/job/4711".into()),
            machine: Machine { cpu: Some("Example CPU".into()), cores: Some(4), ..Machine::default() },
        };
        Night { header, cells: vec![cell], selftests: Vec::new(), experiments: Vec::new() }
    }

    #[test]
    fn the_name_of_a_file_has_its_moment_its_run_and_what_it_is_about() {
        let mut night = night();
        assert_eq!(night.file_name(), "runs/2026/11/2026-11-29T02-17-05Z-4711-1.jsonl");
        night.header.kind = Kind::Experiment;
        assert_eq!(night.file_name(), "runs/2026/11/2026-11-29T02-17-05Z-4711-1-experiment.jsonl");
    }

    #[test]
    fn a_line_is_small_and_its_keys_are_in_order() {
        let text = String::from_utf8(night().to_bytes().unwrap()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].starts_with(r#"{"line":"night","schema":1,"wsceiling":"0.1.0","started":"2026-11-29T02:17:05Z""#)
        );
        assert!(lines[1].starts_with(r#"{"line":"cell","id":"echo-bare-x1-small""#), "{}", lines[1]);
        assert!(lines[1].len() < 600, "{} bytes", lines[1].len());
    }

    #[test]
    fn a_lower_bound_is_shown_and_never_tested() {
        let mut cell = night().cells.remove(0);
        assert_eq!(cell.tested(Metric::Ceiling), Some(4_010.0));
        cell.at_least = true;
        assert_eq!((cell.value(Metric::Ceiling), cell.tested(Metric::Ceiling)), (Some(4_010.0), None));
        assert_eq!(cell.tested(Metric::Memory), Some(7_300.5));
        cell.memory = Some(0.0);
        assert_eq!(cell.value(Metric::Memory), None, "it has no logarithm");
        cell.outcome = Outcome::Invalid;
        assert_eq!(cell.value(Metric::Cpu), None);
    }

    #[test]
    fn fewer_connections_are_worse_and_less_of_anything_else_is_better() {
        assert!(Metric::ALL.into_iter().all(|metric| metric.is_worse(-0.1) == (metric == Metric::Ceiling)));
        assert!(Metric::ALL.into_iter().all(|metric| metric.is_worse(0.1) != (metric == Metric::Ceiling)));
    }
}
