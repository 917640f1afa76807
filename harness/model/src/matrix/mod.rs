//! The matrix: the file that says what is measured, parsed into a wire form and validated once into these types.
//!
//! Everything here is already checked: numbers are positive and sane, every name that a cell mentions exists, ids are
//! unique and safe as file names. Nobody checks again.
//!
//! [`parse`] reads a text: `read/` walks the TOML document into a wire form, `validate` resolves names, `expand`
//! makes the cells, and every fault on the way is a [`Diagnostic`] with its place; all of them are shown at once.

mod against;
mod cell;
mod change;
mod diagnostics;
mod environment;
mod expand;
mod front;
mod front_checks;
mod knob;
mod long;
mod message;
mod metric_source;
pub mod names;
mod order;
mod parse;
mod profile;
mod read;
mod remote;
mod remote_checks;
mod setup;
mod swarm_checks;
mod syntax;
mod target;
pub mod units;
mod unseen;
mod validate;
mod warn;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::platforms::PriceRecord;
pub use against::{Against, NotWritten, Shuffle};
pub use cell::{Cell, Runtime, Scenario, Size};
pub use change::Change;
pub use diagnostics::{Diagnostic, Faults, Warnings};
pub use environment::{BadPlaceholder, EnvText, MissingVariable};
pub use front::{Front, FrontKind, Spread};
pub use knob::Knob;
pub use long::LongConnections;
pub use message::{Message, Portion, ThinkTime};
pub use metric_source::{MetricSource, Reads, Template, TemplateError, Tls};
pub use order::Order;
#[cfg(test)]
pub(crate) use parse::parsed;
pub use parse::{Loaded, parse, parse_metrics, parse_with};
pub use profile::{Broadcast, Churn, GeneratorLimits, Load, LoadStage, Phase, WorkersIn};
pub use read::Gates;
pub use remote::{Expect, RemoteTarget, RemoteTls, UrlSpread, is_loopback};
pub use setup::CellSetup;
pub use target::{ConfirmArgs, DockerSpec, Image, ProcessSpec, Protocol, Start, Target};

/// A validated matrix with its cells expanded.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The `[run]` table.
    pub run: RunSettings,
    /// The `[load]` table.
    pub load: Load,
    /// Targets by name.
    pub targets: BTreeMap<String, Target>,
    /// Sizes by name.
    pub sizes: BTreeMap<String, Size>,
    /// The rows of the catalogue that sizes are named by.
    pub prices: Vec<PriceRecord>,
    /// The day on which the file was read, where somebody said so: ages of rows count from it.
    pub today: Option<String>,
    /// Fronts by name: those of `[fronts]`, and built-in ones that a cell has.
    pub fronts: BTreeMap<String, Front>,
    /// Every cell of the matrix, in the order of the axes.
    pub cells: Vec<Cell>,
    /// The file's text as it was read.
    pub text: String,
    /// Folder of the matrix file; relative paths of targets are relative to it.
    pub folder: PathBuf,
}

impl Matrix {
    /// The cell with this id.
    pub fn cell(&self, id: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.id == id)
    }

    /// The size of a cell; `None`: it has no limits.
    pub fn size(&self, cell: &Cell) -> Option<&Size> {
        self.sizes.get(cell.size.as_ref()?)
    }

    /// The front of a cell; `None`: its instances are reached directly.
    pub fn front(&self, cell: &Cell) -> Option<&Front> {
        self.fronts.get(cell.front.as_ref()?)
    }
}

/// How the run as a whole goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSettings {
    /// Name of the run: letters, digits, `-`, `_`, `.`; part of the run folder's name.
    pub name: String,
    /// Seed of everything random: the order of the trials, phases of messages, masks.
    pub seed: u64,
    /// In which order the trials go.
    #[serde(default, skip_serializing_if = "Order::is_default")]
    pub order: Order,
    /// Trials of each cell.
    pub repeats: u32,
    /// Time between two samples.
    pub sample_every: Duration,
    /// Longest time a target may take from its start to a verified handshake.
    pub ready_within: Duration,
    /// Longest time of one trial; past it the trial is stopped and recorded as timed out.
    pub trial_within: Duration,
    /// After its trials each suspected cause is put to the test: the cell is measured again with one thing changed.
    #[serde(default)]
    pub confirm: bool,
    /// Most such extra trials of a cell.
    #[serde(default)]
    pub confirm_max: u32,
}

impl Default for RunSettings {
    /// The settings of a file without `[run]`.
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            seed: 1,
            order: Order::default(),
            repeats: 3,
            sample_every: Duration::from_millis(250),
            ready_within: Duration::from_secs(10),
            trial_within: Duration::from_secs(120),
            confirm: false,
            confirm_max: 3,
        }
    }
}

impl RunSettings {
    /// Most experiments of a cell.
    pub fn experiments(&self) -> u32 {
        if self.confirm { self.confirm_max } else { 0 }
    }
}
