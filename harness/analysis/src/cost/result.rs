//! What a connection costs, as the report shows it.

use serde::Serialize;

use crate::growth::Growth;

/// A fitted number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Over all trials.
    pub value: f64,
    /// Lower and upper end of its 95 % interval over the trials; `None`: there is only one trial to fit.
    pub interval: Option<(f64, f64)>,
}

/// What the CPU of a cell is spent on: coefficients of one fit over its steps, summed over all instances.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CpuCost {
    /// Of a connection that is open and silent, in CPU microseconds per second (micro-cores). Each `None` here: the load
    /// does not tell, see [`Self::untold`].
    pub idle: Option<Estimate>,
    /// Of a message and its answer, in CPU microseconds.
    pub message: Option<Estimate>,
    /// Of opening a connection with its first message, in CPU microseconds.
    pub opening: Option<Estimate>,
    /// Of the servers without connections, in CPU microseconds per second (micro-cores).
    pub baseline: Option<Estimate>,
    /// Of a connection under the load that the matrix configures, in CPU microseconds per second (micro-cores): idle, its
    /// messages, and in churn its replacements.
    pub per_connection: Option<Estimate>,
    /// That load.
    pub configured: Traffic,
    /// Idle connections and messages together, where the load does not tell them apart.
    pub together: Option<Together>,
    /// What the load does not tell apart and what would, a sentence each.
    pub untold: Vec<String>,
    /// How well the fit holds.
    pub check: Check,
    /// Windows of the trials that were fitted.
    pub windows: usize,
    /// CPU of each hold in CPU microseconds per second (micro-cores), converted to the configured load.
    pub points: Vec<CostPoint>,
    /// Where the numbers were read.
    pub source: String,
}

/// What a connection does in a second, beside being open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Traffic {
    /// Messages per second.
    pub messages_per_s: f64,
    /// Openings per second, in its place (churn).
    pub openings_per_s: f64,
}

/// The cost of a connection under the load that was driven, its messages with it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Together {
    /// CPU microseconds per second (micro-cores) and connection.
    pub cost: Estimate,
    /// Messages per second and connection of that load.
    pub messages_per_s: f64,
}

/// How well a fit holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Check {
    /// Where the cost stops being linear; `None`: it is, as far as the steps go.
    pub knee: Option<Knee>,
    /// Residual standard error as a share of what was observed; `None`: no degree of freedom is left.
    pub residual: Option<f64>,
    /// The last step within the knee against what the others predict for it, `observed / predicted - 1`; `None`: there are
    /// too few others.
    pub held_out: Option<f64>,
}

/// The end of the range in which a cost is linear.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Knee {
    /// Connections of the last step within it.
    pub linear_up_to: u32,
    /// Connections of the first step beyond.
    pub beyond: u32,
    /// What that step took, over what the smaller ones predict for it.
    pub ratio: f64,
}

/// What one more connection takes of the memory of all instances.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemoryCost {
    /// Bytes.
    pub per_connection: Estimate,
    /// Bytes without connections.
    pub baseline: f64,
    /// The same by part, where the kernel tells them apart.
    pub parts: Vec<Part>,
    /// What grew while the connections stayed as many, in most of the trials; it is not billed to connections.
    pub growth: Option<Growth>,
    /// How well the fit holds.
    pub check: Check,
    /// Bytes of each step, less growth.
    pub points: Vec<CostPoint>,
    /// Where the numbers were read.
    pub source: String,
}

/// A part of memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// `anonymous`, `sockets`, `kernel` or `page cache`.
    pub name: String,
    /// Bytes per connection; 0 where it falls.
    pub per_connection: f64,
    /// It was less with more connections.
    pub falls: bool,
}

/// One step of one trial.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CostPoint {
    /// Connections open.
    pub connections: f64,
    /// Value over all instances.
    pub value: f64,
    /// Repetition.
    pub repeat: u32,
}
