//! A history made from a seed: what the tests simulate, and what the demo of the site shows. No number of it was measured.

mod cells;
mod make;
mod site;

use crate::night::Metric;
pub use cells::DemoCell;
pub use make::demo;

/// A history to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Seed of everything random.
    pub seed: u64,
    /// Nights.
    pub nights: usize,
    /// Standard deviation of the logarithm of a number, of each measurement by itself.
    pub noise: f64,
    /// Standard deviation of what a night does to all of its measurements.
    pub shared: f64,
    /// How much of a deviation is left in the next night: the coefficient of AR(1).
    pub carry: f64,
    /// What is measured.
    pub cells: Vec<DemoCell>,
    /// What happens.
    pub events: Vec<Event>,
}

/// Something that happens in a night, or from a night on.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Index of the night.
    pub night: usize,
    /// Id of the cell that it happens to, and to its sentinel; empty: all.
    pub cells: &'static str,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A number is so many times as large from then on.
    Step(Metric, f64),
    /// A number is so many times as large in this night.
    Spike(Metric, f64),
    /// A number grows by this share each night, for so many nights.
    Drift(Metric, f64, usize),
    /// Another CPU from then on, for so many nights, which makes CPU so many times as expensive.
    Cpu(&'static str, f64, usize),
    /// The matrix is edited: the cells are another measurement from then on.
    Edited,
    /// So many nights are missing.
    Gap(usize),
    /// The machine is bad in this night: CPU is so many times as expensive, the control's too.
    Machine(f64),
    /// The target does not start in this night.
    DoesNotStart,
    /// Something else stops it from then on.
    Cause(wsceiling_model::record::Cause),
    /// The kernel is another one from then on.
    Kernel(&'static str),
    /// The harness is another one from then on.
    Harness(&'static str),
    /// An experiment in this night confirms a change of a number by this factor.
    Confirmed(Metric, f64),
    /// An experiment in this night shows no change.
    NotConfirmed(Metric),
}

impl What {
    /// Whether it comes with a commit.
    const fn is_code(&self) -> bool {
        matches!(self, Self::Step(..) | Self::Drift(..) | Self::DoesNotStart | Self::Cause(_))
    }
}

impl Plan {
    /// Two measured cells, a sentinel for each, a control, and nothing that happens.
    pub fn quiet(seed: u64, nights: usize) -> Self {
        Self { seed, nights, noise: 0.01, shared: 0.0, carry: 0.3, cells: cells::few(), events: Vec::new() }
    }

    /// The same with the cells of the nightly matrix, 34 that are measured.
    pub fn matrix(seed: u64, nights: usize) -> Self {
        Self { cells: cells::matrix(), ..Self::quiet(seed, nights) }
    }

    /// 400 nights in which everything happens that a site has to show: steps, spikes, drift, another CPU, an edited matrix,
    /// gaps, bad machines and failures.
    pub fn site(seed: u64) -> Self {
        Self { noise: 0.012, shared: 0.004, cells: cells::site(), events: site::events(), ..Self::quiet(seed, 400) }
    }

    /// The same with one thing more that happens.
    #[must_use]
    pub fn with(mut self, night: usize, cells: &'static str, what: What) -> Self {
        self.events.push(Event { night, cells, what });
        self
    }
}
