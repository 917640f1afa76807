//! Client headroom: what the same client opened elsewhere after a plateau.

use serde::{Deserialize, Serialize};

/// What the client opened after the trial, when nothing else ran any more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HeadroomRecord {
    /// To the sink server: the harness's own, which accepts, upgrades and discards; `None`: the client could not reach it.
    #[serde(rename = "null")]
    pub sink: Option<DialRecord>,
    /// To the instances directly, where a front stood before them.
    pub direct: Option<DialRecord>,
}

/// Connections that were opened in one go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DialRecord {
    /// Connections asked for: those of the step that failed, or what its rate gives in three seconds.
    pub asked: u32,
    /// Upgrades that succeeded.
    pub opened: u64,
    /// Connects asked for per second.
    pub requested_per_s: f64,
    /// Upgrades achieved per second, with the time until the last connect was open or had failed.
    pub achieved_per_s: f64,
}
