//! The capacity plan: from what a run measured to what sizes that it did not measure would hold, what would stop them, what
//! a restart of everyone takes and what it costs a month.
//!
//! `set_up` puts the cells together that differ in size and number of instances only, with their costs (`coefficients`) and the
//! numbers at which they stopped. `limits` says where each limit of a size stands: a resource of the size (`line`), arithmetic
//! (`walls`), or a number that was seen (`caps`). `first` says which of them comes first, since each is known with an error. `scaling` fits how
//! instances and cores add up, and [`plan()`] looks for the cheapest number of instances that holds a goal. [`validate()`] leaves
//! cells out, predicts them from the others, and compares.
//!
//! # Units
//! Memory is in bytes, CPU in CPU microseconds per second (micro-cores), an opening and a message in CPU microseconds, errors
//! of numbers of connections are shares (standard deviations of their logarithm).
//!
//! # Where the 90 % intervals come from
//! A line (see `line`) has the errors of its two coefficients, the scatter of trials and the error of the model itself: how
//! far cells are from the line. Each wall is log-normal with these errors, widened by Student's t; the number held is the
//! smallest of all walls, so its distribution is `1 - product of (1 - F)` of theirs, and the interval is its 5 % and 95 %
//! quantiles.

mod caps;
mod coefficients;
mod first;
mod limits;
mod line;
mod plan;
mod predict;
mod question;
mod restart;
mod scaling;
mod set_up;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod told;
mod validate;
mod walls;

pub use coefficients::{Coefficients, Known};
pub use limits::{Beyond, Origin};
pub use plan::{CapacityPlan, Plan, SetUpPlan, SizePlan, overview, plan, round_goals};
pub use predict::{Basis, Measured, Prediction};
pub use question::{Message, MessageRange, NoPlan, PlanSize, Question, RESERVE, sizes_of};
pub use restart::Restart;
pub use scaling::{Scale, ScaleOver};
pub use set_up::SetUpId;
pub use validate::{Bar, NoValidation, Shares, ValidatedCell, Validation, validate};
