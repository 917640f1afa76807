//! Analysis: pure functions from a record to findings. No clock, no machine, no run: an old run folder can be analysed
//! again and gives the same findings.
//!
//! From the bottom up: `time_series` has the samples; `pattern` reads from them how a trial failed; `context` answers what
//! `rules` ask; `judge` picks the surest of those that fire, the [`Verdict`]; `confirm` plans experiments on it and reads
//! their outcome; `trial` and `cell` put one trial and one cell together, [`Analysis`] the run.

mod analysis;
mod ceiling;
mod cell;
mod cell_verdict;
pub mod compare;
pub mod confirm;
mod context;
mod cost;
mod edge;
mod endings;
mod findings;
mod growth;
mod headroom;
mod judge;
mod least_squares;
mod long;
mod next_experiment;
mod pattern;
mod plot_series;
mod prices;
mod remote;
mod rules;
mod scaling;
mod statistics;
#[cfg(test)]
mod testing;
mod time_series;
mod trial;
mod verdict;
mod walls;

pub use analysis::Analysis;
pub use compare::compare;
pub use cost::{Check, CostPoint, CpuCost, Estimate, Knee, MemoryCost, Part, Together, Traffic};
pub use edge::{EdgeFinding, EdgeReading, compare as compare_with_own_address};
pub use endings::Ending;
pub use findings::{
    Ceiling, CellFindings, Findings, InstancePrice, Reading, Scaling, ScalingPoint, SizeWords, TrialFindings,
};
pub use growth::{GrowsWith, Growth};
pub use long::LongFinding;
pub use next_experiment::next_experiment;
pub use pattern::FailurePattern;
pub use plot_series::{PlotSeries, SeriesName};
pub use rules::TimeoutKind;
pub use verdict::{Evidence, EvidenceName, Link, Verdict};
pub use walls::{Score, WallScore};
