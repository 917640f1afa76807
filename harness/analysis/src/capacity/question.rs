//! What a capacity plan is asked for, and why one cannot be made.

use std::time::Duration;

use serde::Serialize;

use crate::findings::InstancePrice;
use wsceiling_model::matrix::{Size, names};
use wsceiling_model::record::{PriceRecord, RunHeader};

/// Share of a size that stays free, unless asked otherwise.
pub const RESERVE: f64 = 0.3;
/// Most instances that a plan has, unless asked otherwise.
pub(super) const INSTANCES: u32 = 32;
/// Names that an error lists at most.
const NAMES: usize = 3;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Connections to hold.
    pub goal: u64,
    /// What each connection sends; `None`: as in the run.
    pub message: Option<Message>,
    /// Share of what an instance holds that stays free, 0 to below 1.
    pub reserve: f64,
    /// Sizes to choose from; empty: those of the matrix.
    pub sizes: Vec<PlanSize>,
    /// Set-ups with this in their names only; `None`: all.
    pub only: Option<String>,
    /// Most instances.
    pub instances_max: u32,
}

impl Question {
    /// For so many connections, all else as in the run.
    pub fn about(goal: u64) -> Self {
        Self { goal, message: None, reserve: RESERVE, sizes: Vec::new(), only: None, instances_max: INSTANCES }
    }

    /// Connections that must fit, with the reserve: `goal / (1 - reserve)`.
    pub fn needed(&self) -> f64 {
        self.goal as f64 / (1.0 - self.reserve)
    }
}

/// What each connection sends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Message {
    /// Time between two messages of a connection; zero: it sends none.
    pub every: Duration,
    /// Payload in bytes.
    pub bytes: u32,
}

impl Message {
    /// Messages of a connection per second.
    pub fn per_second(self) -> f64 {
        let seconds = self.every.as_secs_f64();
        if seconds > 0.0 { 1.0 / seconds } else { 0.0 }
    }
}

/// How messages that are asked for lie to those that were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageRange {
    /// As many and as long as measured, or fewer and no longer.
    Within,
    /// More often.
    MoreOften,
    /// Longer: their CPU is that of the shorter ones, so it is too little.
    Longer,
    /// Both.
    MoreOftenAndLonger,
}

/// A size to choose, with its price.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanSize {
    /// Its limits.
    pub size: Size,
    /// What an instance of it costs; `None`: nobody says.
    pub price: Option<InstancePrice>,
}

impl PlanSize {
    /// A plan of a provider.
    pub fn of_row(row: &PriceRecord) -> Self {
        let size = Size {
            cpus: Some(row.cpus),
            memory_bytes: Some(row.memory_bytes),
            price_per_month: Some(row.price),
            currency: Some(row.currency.clone()),
            plan: Some(row.full_name()),
            ..Size::unlimited(&row.full_name())
        };
        Self { size, price: Some(InstancePrice { per_month: row.price, row: Some(row.clone()) }) }
    }

    /// A size of a matrix, or one that was given by hand.
    pub fn of_size(header: &RunHeader, size: &Size) -> Self {
        let row = header.prices.iter().find(|row| Some(row.full_name()) == size.plan);
        let row = row.filter(|_| !size.has_own_price()).cloned();
        let price = size.price_per_month.map(|per_month| InstancePrice { per_month, row });
        Self { size: size.clone(), price }
    }
}

/// The sizes that the cells of a run have, in the order of the matrix, or one without limits where cells have none.
pub fn sizes_of(header: &RunHeader) -> Vec<PlanSize> {
    header.sizes.iter().map(|size| PlanSize::of_size(header, size)).collect()
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// Nothing to hold.
    #[error("a plan for 0 connections\nhint: `--connections 100000` asks for 100,000")]
    NoGoal,
    /// The reserve leaves nothing.
    #[error(
        "a reserve is a share from 0 % to below 100 %\nhint: `--reserve 30%` keeps almost a third of each instance free"
    )]
    Reserve,
    /// No trial of the run gave a cost or a ceiling.
    #[error(
        "the run has no coefficients: no trial of it that is valid tells a cost or a ceiling\n\
         hint: `wsceiling report RUN` says what became of its cells; a plan needs a cell with two steps that passed"
    )]
    NoCoefficients,
    /// `only` matches no set-up.
    #[error("no set-up of the run has `{only}` in its name\nhint: {hint}")]
    NoSuchSetUp {
        /// What was asked for.
        only: String,
        /// What there is.
        hint: String,
    },
    /// The run has no size, and none was given.
    #[error("the matrix of the run has no sizes\nhint: give some: `--sizes '1cpu,512MiB'`, or `--sizes hetzner/cx23`")]
    NoSizes,
    /// Another rate of messages than that of the run, whose cost it does not tell apart from that of connections.
    #[error(
        "what {messages} cost was not measured: in this run messages came in proportion to connections, so the two are not told \
         apart\nhint: ask for the messages of the run ({measured}), or measure again with a `message.every` several times \
         as long as `hold`"
    )]
    MessagesNotTold {
        /// What was asked for, in words.
        messages: String,
        /// What was measured, in words.
        measured: String,
    },
}

impl NoPlan {
    pub(super) fn no_such_set_up(only: &str, known: &[String]) -> Self {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let hint = names::nearest(only, known.iter().copied()).map_or_else(
            || format!("it has {}", names::listed(known.into_iter().take(NAMES))),
            |near| format!("did you mean `{near}`?"),
        );
        Self::NoSuchSetUp { only: only.to_owned(), hint }
    }
}
