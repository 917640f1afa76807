//! `[load.gates]`: what a step must meet to count as held. What is measured for each is in [`crate::record::gate`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::table::{Table, set};
use super::value::{HOUR, MS, duration, number};

/// Limits of the gates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gates {
    /// Least share of the requested connections that must be open at the end of the hold, 0 to 1.
    pub connected: f64,
    /// Least share of the open connections whose last message must have come back, 0 to 1.
    pub echoed: f64,
    /// Longest 99th percentile of the time from a message's intended sending to its reply.
    pub p99: Duration,
}

impl Default for Gates {
    fn default() -> Self {
        Self { connected: 0.999, echoed: 0.999, p99: Duration::from_millis(500) }
    }
}

/// Reads the table; a key that is absent keeps its default.
pub(super) fn read(mut table: Table<'_, '_>, gates: &mut Gates) {
    set(&mut gates.connected, table.get("connected", number(0.0, 1.0)));
    set(&mut gates.echoed, table.get("echoed", number(0.0, 1.0)));
    set(&mut gates.p99, table.get("p99", duration(MS, HOUR)));
    table.finish();
}
