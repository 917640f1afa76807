//! The plan: every trial of a matrix in the order it will run, shuffled by the recorded seed.
//!
//! Each round is a shuffle of all cells, and there are as many rounds as repeats: a run that is cut short still has
//! every cell about equally often, and slow drift of the machine does not fall on one cell alone.

mod describe;
mod estimate;
mod fronts;
mod prices;
mod select;
mod walls;

use serde::{Deserialize, Serialize};

pub use describe::{CellDescription, Description, Estimate, Experiments, Staircase, describe};
pub use prices::PriceDescription;
pub use select::UnknownId;
pub use walls::{CONNECTION_KERNEL_BYTES, Machine, OWN_DESCRIPTORS, walls};

use crate::matrix::Matrix;
pub use crate::trial_id::TrialId;

/// Trials in the order they run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The trials.
    pub trials: Vec<TrialId>,
    /// Seed of their order.
    pub seed: u64,
}

impl Plan {
    /// Plans every cell of the matrix as often as its `repeats` say. The same matrix and seed give the same order on
    /// every machine.
    pub fn new(matrix: &Matrix) -> Self {
        let seed = matrix.run.seed;
        let mut random = fastrand::Rng::with_seed(seed);
        let mut trials = Vec::with_capacity(matrix.cells.len() * matrix.run.repeats as usize);
        for repeat in 1..=matrix.run.repeats {
            let mut round: Vec<&str> = matrix.cells.iter().map(|cell| cell.id.as_str()).collect();
            // Not `shuffle`, which draws `usize`: its order would differ between 32 and 64 bits.
            for last in (1..round.len()).rev() {
                round.swap(last, random.u64(0..=last as u64) as usize);
            }
            trials.extend(round.into_iter().map(|cell| TrialId::new(cell, repeat)));
        }
        Self { trials, seed }
    }

    /// Number of rounds: the largest repetition.
    pub fn repeats(&self) -> u32 {
        self.trials.iter().map(|trial| trial.repeat).max().unwrap_or(0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The machine that walls are computed for.
    pub(crate) const MACHINE: Machine = Machine {
        nofile_hard: 20_000,
        port_range: (32_768, 60_999),
        reserved_ports: 0,
        memory_bytes: 24 << 30,
        cores: 2,
    };

    /// A matrix of two targets, both runtimes, one and two instances.
    pub(crate) fn matrix(extra: &str) -> Matrix {
        crate::matrix::parsed(&format!(
            "[targets.echo.process]\ncargo = \"echo\"\n[targets.app.process]\ncargo = \"app\"\n{extra}\n\
             [axes]\ntarget = [\"echo\", \"app\"]\nruntime = [\"bare\", \"docker\"]\ninstances = [1, 2]\n"
        ))
    }

    #[test]
    fn every_round_has_every_cell_once() {
        let matrix = matrix("");
        let plan = Plan::new(&matrix);
        assert_eq!(plan.trials.len(), 24);
        for (index, round) in plan.trials.chunks(8).enumerate() {
            let cells: BTreeSet<&str> = round.iter().map(|trial| trial.cell.as_str()).collect();
            assert_eq!(cells.len(), 8);
            assert!(round.iter().all(|trial| trial.repeat as usize == index + 1));
        }
    }

    #[test]
    fn the_seed_alone_decides_the_order() {
        let one = Plan::new(&matrix("[run]\nseed = 1"));
        assert_eq!(one, Plan::new(&matrix("[run]\nseed = 1")));
        assert_ne!(one.trials, Plan::new(&matrix("[run]\nseed = 2")).trials);
        let rounds: Vec<Vec<&str>> =
            one.trials.chunks(8).map(|round| round.iter().map(|trial| trial.cell.as_str()).collect()).collect();
        assert_ne!(rounds[0], rounds[1]);
    }

    #[test]
    fn the_order_of_seed_1_is_the_same_on_every_machine() {
        let plan = Plan::new(&matrix("[run]\nseed = 1\nrepeats = 1"));
        let order: Vec<&str> = plan.trials.iter().map(|trial| trial.cell.as_str()).collect();
        insta::assert_snapshot!(order.join(" "));
    }
}
