//! What a visitor says, and what it is told. Names are one letter long: there are many of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wsceiling_model::visitors::ROUND_TRIP_BUCKETS;

/// Longest body of a report.
pub const REPORT_MAX: usize = 2048;

/// Whether a visitor's page can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageState {
    /// It can, and this tab leads.
    #[serde(rename = "v")]
    Visible,
    /// It cannot: nothing is held.
    #[serde(rename = "h")]
    Hidden,
    /// It is left: nothing is held, and nothing more will be said.
    #[serde(rename = "b")]
    Bye,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Its token.
    #[serde(rename = "i")]
    pub token: String,
    /// Its number, from 1.
    #[serde(rename = "q")]
    pub number: u32,
    /// Number of the last report whose answer came; 0: none did.
    #[serde(rename = "e")]
    pub answered: u32,
    /// Its page.
    #[serde(rename = "z")]
    pub page: PageState,
    /// Connections that are open.
    #[serde(rename = "n")]
    pub open: u32,
    /// Counters since the token was given out.
    #[serde(rename = "c")]
    pub counts: Counts,
}

/// Counters of a visitor; they only rise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Connections opened.
    #[serde(rename = "o")]
    pub opened: u32,
    /// Connects that failed.
    #[serde(rename = "f")]
    pub failed: u32,
    /// Connects given up after 20 s.
    #[serde(rename = "t")]
    pub stuck: u32,
    /// Open connections lost.
    #[serde(rename = "l")]
    pub lost: u32,
    /// Messages sent.
    #[serde(rename = "s")]
    pub sent: u32,
    /// Messages that came back.
    #[serde(rename = "a")]
    pub answered: u32,
    /// Close codes of lost connections.
    #[serde(rename = "k")]
    pub codes: BTreeMap<u16, u32>,
    /// Round trips, by bucket.
    #[serde(rename = "h")]
    pub round_trips: [u32; ROUND_TRIP_BUCKETS],
}

/// What a visitor is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Its token; told once, when it begins.
    #[serde(rename = "i", skip_serializing_if = "Option::is_none", default)]
    pub token: Option<String>,
    /// Connections to hold.
    #[serde(rename = "n")]
    pub connections: u32,
    /// Most new ones a second.
    #[serde(rename = "r")]
    pub rate_per_s: f64,
    /// Bytes of a message; 0: say nothing.
    #[serde(rename = "m")]
    pub message_bytes: u32,
    /// Time between two messages of a connection, ms.
    #[serde(rename = "e")]
    pub message_every_ms: u64,
    /// How long this holds, ms.
    #[serde(rename = "v")]
    pub valid_ms: u64,
    /// Time to the next report, ms.
    #[serde(rename = "p")]
    pub poll_ms: u64,
    /// What to connect to; never another one.
    #[serde(rename = "w")]
    pub target: String,
    /// Most bytes to send and receive.
    #[serde(rename = "b")]
    pub byte_budget: u64,
}
