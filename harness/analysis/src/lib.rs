//! Analysis: pure functions from a record to findings. No clock, no machine, no run: an old run folder can be analysed
//! again and gives the same findings.
//!
//! From the bottom up: `time_series` has the samples; `pattern` reads from them how a trial failed; `context` answers what
//! `rules` ask; `judge` picks the surest of those that fire, the [`Verdict`]; `confirm` plans experiments on it and reads
//! their outcome; `trial` and `cell` put one trial and one cell together, [`Analysis`] the run. [`compare`](compare()) puts two runs side
//! by side and [`ab`] two targets of one run, both with the test of `arms`. [`capacity`] predicts what was not measured,
//! [`visitors`](visitors()) reads a run with real visitors.

pub mod ab;
mod analysis;
mod arms;
pub mod capacity;
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
mod holm;
mod judge;
mod least_squares;
mod long;
mod next_experiment;
mod numbers;
mod pattern;
mod permutation;
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
mod visitors;
mod walls;

pub use analysis::Analysis;
pub use arms::{Change, FLOOR, Judgement, LEVEL, Silence};
pub use compare::compare;
pub use cost::{Check, CostPoint, CpuCost, Estimate, Knee, MemoryCost, Part, Together, Traffic};
pub use edge::{EdgeFinding, EdgeReading, compare as compare_with_own_address};
pub use endings::Ending;
pub use findings::{
    Ceiling, CellFindings, Findings, InstancePrice, Reading, Scaling, ScalingPoint, SizeWords, TrialFindings,
};
pub use growth::{GrowsWith, Growth};
pub use holm::adjusted as holm_adjusted;
pub use long::LongFinding;
pub use next_experiment::next_experiment;
pub use numbers::{Quantity, TrialNumbers};
pub use pattern::FailurePattern;
pub use permutation::{p_larger, provable_factor, smallest_p};
pub use plot_series::{PlotSeries, SeriesName};
pub use rules::TimeoutKind;
pub use verdict::{Evidence, EvidenceName, Link, Verdict};
pub use visitors::{
    BrowserFinding, LimitMet, LoadEnd, ServerSeries, Sign, SignKind, VisitorsCeiling, VisitorsFindings, visitors,
};
pub use walls::{Score, WallScore};
