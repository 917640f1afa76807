//! The record of a run: a folder that holds everything that was measured and from which alone reports are rendered.
//!
//! Files: `run.json` ([`RunHeader`]), `trials.jsonl` (a [`TrialRecord`] a line, appended and synced when known),
//! `samples.csv` (a [`Sample`] a row), `logs/` (standard output and error of each instance).
//! `docs/record-format.md` documents the format.

mod ages;
pub mod answer;
pub mod cause;
pub mod client_limits;
mod event;
mod experiment;
pub mod failure;
mod front;
pub mod gate;
mod headroom;
mod json;
pub mod log_patterns;
mod long;
pub mod metric;
mod reason;
mod scrape;
pub mod trial;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use ages::{AgeCounts, Ages, LostAges};
pub use answer::Answer;
pub use cause::Cause;
pub use client_limits::ClientLimit;
pub use event::{Event, EventKind, Warning};
pub use experiment::{Experiment, Measure, Tolerance};
pub use failure::{Errno, FailedAt, FailureReason, FailureTally};
pub use front::{FrontRecord, HopKind, KnownLine};
pub use gate::{Gate, GateName};
pub use headroom::{DialRecord, HeadroomRecord};
pub use long::{LongRecord, LongSide};
pub use metric::Metric;
pub use reason::{Contradiction, Hint, Reason};
pub use scrape::{ContainerSeen, RestartSign, ScrapeFault};
pub use trial::*;

pub use crate::component::Component;
use crate::matrix::{Cell, Front, Load, RunSettings, Size, Target};
pub use crate::platforms::{PlatformRecord, PriceRecord};
use crate::trial_id::TrialId;
pub use crate::wall::{Wall, WallName};

/// Version of the record's format. It is raised whenever a reader of the last release would misread a record.
pub const FORMAT_VERSION: u32 = 3;

/// `run.json`: what was asked for and where it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// [`FORMAT_VERSION`] of the writer.
    pub format: u32,
    /// Version of `wsceiling` that wrote it.
    pub wsceiling: String,
    /// Start of the run, RFC 3339, UTC.
    pub started: String,
    /// Path of the matrix file as the user gave it, for the command that repeats a cell.
    pub matrix_path: String,
    /// Text of the matrix file.
    pub matrix_text: String,
    /// SHA-256 of that text, hex.
    pub matrix_sha256: String,
    /// The `[run]` table, validated.
    pub run: RunSettings,
    /// The `[load]` table, validated.
    pub load: Load,
    /// Targets of the matrix.
    pub targets: Vec<Target>,
    /// Sizes of the matrix.
    pub sizes: Vec<Size>,
    /// Fronts of the matrix.
    #[serde(default)]
    pub fronts: Vec<Front>,
    /// Cells of the matrix in the order of the axes.
    pub cells: Vec<Cell>,
    /// Trials in the order they were to run.
    pub plan: Vec<TrialId>,
    /// The machine.
    pub environment: Environment,
    /// SHA-256 of each target's program, hex, by target name.
    pub binaries: BTreeMap<String, String>,
    /// What was documented of the platforms that the targets run on, and of those that their traffic passes, when the run was
    /// made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<PlatformRecord>,
    /// The prices of the plans that sizes are named by, when the run was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<PriceRecord>,
}

/// The machine of a run, as flat facts: `kernel.release` -> `6.18.0`. A fact that could not be read is absent.
///
/// Names are grouped by their first word (`kernel`, `cpu`, `memory`, `limits`, `sysctl`, `cgroup`, `engine`, `source`,
/// `toolchain`), so that two environments can be compared fact by fact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Facts by dotted name.
    pub facts: BTreeMap<String, String>,
}

/// One sample of one component. A metric that is absent could not be read; it is never 0 or -1 in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Milliseconds since the trial's start, on the monotonic clock.
    pub t_ms: f64,
    /// What was sampled.
    pub component: Component,
    /// The numbers, in the order of [`Metric::ALL`].
    pub values: Vec<(Metric, f64)>,
}
