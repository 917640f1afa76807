//! A run folder on disk: everything that was measured, and all that a report is rendered from.
//!
//! Files: `run.json` ([`RunHeader`]), `trials.jsonl` (a [`TrialRecord`] a line, appended and synced when known),
//! `samples.csv` (a [`Sample`] a row), `logs/` (standard output and error of each instance).
//! A run with real visitors as load has `visitors.json` and `visitors.jsonl` in their place ([`VisitorsRun`]).
//! `docs/record-format.md` documents both formats.

pub mod error;
mod format1;
pub mod reader;
mod rows;
pub mod validate;
mod visitors;
pub mod writer;

pub use error::RecordError;
pub use reader::Run;
pub use validate::{Problem, validate};
pub use visitors::{VisitorsRun, VisitorsWriter};
pub use writer::RunWriter;

use wsceiling_model::record::{Component, FORMAT_VERSION, Metric, Outcome, RunHeader, Sample, TrialRecord};
