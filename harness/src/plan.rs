//! The plan: every trial of a matrix in the order it will run, shuffled by the recorded seed.

use serde::{Deserialize, Serialize};

/// One repetition of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrialId {
    /// Id of the cell.
    pub cell: String,
    /// Repetition, from 1.
    pub repeat: u32,
}

impl std::fmt::Display for TrialId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.cell, self.repeat)
    }
}
