//! What became of the connections that were kept beside the load.

use serde::{Deserialize, Serialize};

use super::{FailureTally, LostAges};

/// The long connections of a trial (see [`crate::matrix::LongConnections`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LongRecord {
    /// Milliseconds since the trial's start at which they began to be opened.
    pub started_ms: f64,
    /// Moment at which the harness ended those that were left; with the instances, where those were launched anew.
    pub ended_ms: f64,
    /// Those that speak, and those that are silent.
    pub sides: Vec<LongSide>,
}

/// The long connections that speak, or those that are silent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LongSide {
    /// They say nothing at all; else they send the load's messages.
    pub silent: bool,
    /// How many were opened.
    pub opened: u64,
    /// How many were still open at the end.
    pub open: u64,
    /// How old the others were when they were lost, by reason.
    pub lost: Vec<LostAges>,
    /// What failed, as in a step.
    pub errors: Vec<FailureTally>,
}
