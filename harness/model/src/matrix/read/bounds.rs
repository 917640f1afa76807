//! Bounds that several tables share.

use std::time::Duration;

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
/// Largest payload: tungstenite's own default for one frame.
pub(super) const LARGEST_MESSAGE: u64 = 16 << 20;
/// Most connections of a cell.
pub(super) const MOST_CONNECTIONS: u32 = 10_000_000;
/// Most steps of a staircase, or stages; each one is a row with four histograms.
pub(super) const MOST_STEPS: u32 = 1000;
