//! The record of real visitors as load: `visitors.json`, a [`VisitorsHeader`], and `visitors.jsonl`, a [`VisitorsLine`] a
//! line. No field holds an address, a name or anything else of a single visitor.

mod names;
mod setting;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::component::Component;
use crate::record::FailureTally;
use crate::url::Url;

pub use names::{BrowserFamily, BrowserLimit, Lie, PausedBy, Refusal, StoppedBy};
pub use setting::{Change, SETTING_LIMITS, Setting, SettingError, SettingLimits, VisitorMessage};

/// Version of the format of `visitors.json` and `visitors.jsonl`.
pub const VISITORS_FORMAT: u32 = 1;

/// Buckets of round trips: bucket 0 is below 2 ms, each one ends at twice as much, the last has no end.
pub const ROUND_TRIP_BUCKETS: usize = 14;

/// Upper end of a bucket of round trips in milliseconds; the last has none.
pub fn round_trip_end_ms(bucket: usize) -> Option<u64> {
    (bucket + 1 < ROUND_TRIP_BUCKETS).then(|| 2 << bucket)
}

/// What is fixed for the whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VisitorsHeader {
    /// [`VISITORS_FORMAT`].
    pub format: u32,
    /// Version of the program.
    pub wsceiling: String,
    /// When it started, RFC 3339.
    pub started: String,
    /// Name of the run.
    pub name: String,
    /// What the visitors connect to.
    pub target: Url,
    /// Origins of pages that may take part; empty: any.
    pub sites: Vec<String>,
    /// Setting at the start.
    pub setting: Setting,
    /// Most bytes that one visitor sends and receives over its connections.
    pub byte_budget: u64,
    /// Time between two reports of a visitor, plus or minus a fifth.
    pub poll_ms: u64,
    /// Time after which a visitor without an answer closes its connections.
    pub valid_ms: u64,
    /// Time after which a visitor that says nothing counts as unknown.
    pub silent_ms: u64,
    /// Where the server's own numbers come from, without secrets.
    pub sources: Vec<String>,
}

/// A line of `visitors.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VisitorsLine {
    /// The counters at a moment.
    Tick(Tick),
    /// Something that the operator or the collector did.
    Mark(Mark),
    /// Numbers of the server, from a source of `--metrics`.
    Server(ServerRow),
    /// Everything that is not needed each second; the last one counts.
    Summary(Summary),
}

/// The counters at a moment, by visitors' word, and the generator's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// Since the start.
    pub t_ms: u64,
    /// What the operator wants at this moment; 0 while paused.
    pub goal: u32,
    /// Connections that visitors were told to hold.
    pub granted: u32,
    /// Connections that visitors say they hold.
    pub open: u32,
    /// Connections that visitors held when they were last heard of, some time ago: nobody knows.
    pub unknown: u32,
    /// Visitors with a page in sight, and heard of.
    pub visitors: u32,
    /// Visitors whose page is hidden; they hold nothing.
    pub hidden: u32,
    /// Visitors that fell silent.
    pub silent: u32,
    /// Connections opened so far.
    pub opened: u64,
    /// Connects that failed so far.
    pub failed: u64,
    /// Connects that were given up so far, because nothing had happened for long.
    pub stuck: u64,
    /// Open connections lost so far, without the visitor closing them.
    pub lost: u64,
    /// Messages sent so far.
    pub sent: u64,
    /// Messages that came back unchanged so far.
    pub answered: u64,
    /// The generator beside the visitors, of which nothing is in the other numbers; `None`: it was not asked for yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<GeneratorTick>,
}

/// The counters of the generator at a moment, as it saw them itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorTick {
    /// Connections that the operator wants of it at this moment; 0 while paused.
    pub goal: u32,
    /// Connections that it may have opened by now, at the run's rate.
    pub granted: u32,
    /// Connections that it holds.
    pub open: u32,
    /// Connects that failed so far, without those that its own machine had no port, descriptor or memory for.
    pub failed: u64,
    /// Open connections lost so far, without the generator closing them.
    pub lost: u64,
}

/// Something that was done at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Since the start.
    pub t_ms: u64,
    /// What.
    pub what: MarkKind,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkKind {
    /// The collector began to answer visitors.
    Started,
    /// The operator changed the setting.
    Changed {
        /// Before.
        from: Setting,
        /// After.
        to: Setting,
    },
    /// All were told to hold nothing.
    Paused {
        /// By whom.
        by: PausedBy,
    },
    /// The goal holds again.
    Resumed,
    /// The operator's own words.
    Note {
        /// One line.
        text: String,
    },
    /// The end.
    Stopped {
        /// By whom.
        by: StoppedBy,
    },
}

/// Numbers of the server at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerRow {
    /// Since the start.
    pub t_ms: f64,
    /// Whose.
    pub component: Component,
    /// By the metric's name.
    pub values: BTreeMap<String, f64>,
}

/// Everything that is not needed each second, so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Since the start.
    pub t_ms: u64,
    /// Visitors that began, by the family of their browser.
    pub browsers: BTreeMap<BrowserFamily, BrowserCounts>,
    /// Lost connections by close code.
    pub closes: BTreeMap<u16, u64>,
    /// Messages that came back, by how long that took.
    pub round_trips: [u64; ROUND_TRIP_BUCKETS],
    /// Reports and visitors that were not taken, by why.
    pub refused: BTreeMap<Refusal, u64>,
    /// Reports that claimed what cannot be, by what; the excess was not counted.
    pub lies: BTreeMap<Lie, u64>,
    /// Visitors that said goodbye.
    pub left: u64,
    /// Visitors that fell silent for good, and the connections they held when they were last heard of.
    pub vanished: u64,
    /// See `vanished`.
    pub vanished_connections: u64,
    /// Why numbers of the server are missing, one line each.
    pub notes: Vec<String>,
    /// What the generator met.
    #[serde(default, skip_serializing_if = "GeneratorSummary::is_empty")]
    pub generator: GeneratorSummary,
}

/// What the generator beside the visitors met, so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorSummary {
    /// Its connects that failed and its open connections that were lost, by cause; milliseconds since the start of the run.
    pub failures: Vec<FailureTally>,
    /// Why it did not do what was wanted, one line each.
    pub notes: Vec<String>,
}

impl GeneratorSummary {
    /// Whether it met nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the visitors with browsers of one family did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowserCounts {
    /// Visitors that began.
    pub visitors: u64,
    /// Most connections that one of them held.
    pub most_open: u32,
    /// Connections opened.
    pub opened: u64,
    /// Connects that failed.
    pub failed: u64,
    /// Connects that were given up.
    pub stuck: u64,
    /// Open connections that were lost.
    pub lost: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_of_round_trips_ends_at_twice_the_one_before_and_the_last_has_no_end() {
        assert_eq!((round_trip_end_ms(0), round_trip_end_ms(1)), (Some(2), Some(4)));
        let last = ROUND_TRIP_BUCKETS - 1;
        assert_eq!((round_trip_end_ms(last - 1), round_trip_end_ms(last)), (Some(1 << last), None));
    }
}
