//! Which trial: what the plan orders, and what the record keeps a line of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One repetition of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrialId {
    /// Id of the cell.
    pub cell: String,
    /// Repetition, from 1; of an experiment its number among those of the cell.
    pub repeat: u32,
    /// It is an experiment that confirms a cause, and so no repetition of the cell. No plan has one: what was measured
    /// decides on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirm: bool,
}

impl TrialId {
    /// Repetition of a cell.
    pub fn new(cell: &str, repeat: u32) -> Self {
        Self { cell: cell.to_owned(), repeat, confirm: false }
    }

    /// Experiment of a cell.
    pub fn confirm(cell: &str, number: u32) -> Self {
        Self { cell: cell.to_owned(), repeat: number, confirm: true }
    }
}

impl fmt::Display for TrialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.confirm { "confirm-" } else { "" };
        write!(f, "{}.{kind}{}", self.cell, self.repeat)
    }
}
