//! The plan: every trial of a matrix in the order it will run, shuffled by the recorded seed.
//!
//! In [`Order::Rounds`] each round is a shuffle of all cells, and there are as many rounds as repeats: a run that is cut
//! short still has every cell about equally often, and slow drift of the machine does not fall on one cell alone. In
//! [`Order::Shuffled`] all trials are one shuffle: every order is equally likely, which is what makes a permutation test
//! over them exact, whatever drifts.

mod describe;
mod estimate;
mod fronts;
mod prices;
mod select;
mod walls;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use describe::{CellDescription, Description, Estimate, Experiments, Staircase, describe};
pub use prices::PriceDescription;
pub use select::UnknownId;
pub use walls::{CONNECTION_KERNEL_BYTES, Machine, OWN_DESCRIPTORS, walls};

use crate::matrix::{Matrix, Order};
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
        let cells: Vec<&str> = matrix.cells.iter().map(|cell| cell.id.as_str()).collect();
        let repeats = matrix.run.repeats as usize;
        let mut order = Vec::with_capacity(cells.len() * repeats);
        match matrix.run.order {
            Order::Rounds => {
                for start in (0..repeats).map(|round| round * cells.len()) {
                    order.extend_from_slice(&cells);
                    shuffle(&mut order[start..], &mut random);
                }
            }
            Order::Shuffled => {
                order = cells.repeat(repeats);
                shuffle(&mut order, &mut random);
            }
        }
        Self { trials: numbered(&order), seed }
    }

    /// Number of rounds: the largest repetition.
    pub fn repeats(&self) -> u32 {
        self.trials.iter().map(|trial| trial.repeat).max().unwrap_or(0)
    }
}

/// Fisher and Yates' shuffle. Not `fastrand`'s, which draws `usize`: its order would differ between 32 and 64 bits.
fn shuffle<T>(items: &mut [T], random: &mut fastrand::Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.u64(0..=last as u64) as usize);
    }
}

/// The trials of cells in this order; the repetitions of a cell are counted in the order in which they run.
fn numbered(cells: &[&str]) -> Vec<TrialId> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut trials = Vec::with_capacity(cells.len());
    for cell in cells {
        let repeat = counts.entry(cell).or_default();
        *repeat += 1;
        trials.push(TrialId::new(cell, *repeat));
    }
    trials
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
    fn a_shuffled_run_has_every_repetition_of_every_cell_and_no_rounds() {
        let plan = Plan::new(&matrix("[run]\norder = \"shuffled\"\nrepeats = 7"));
        assert_eq!((plan.trials.len(), plan.repeats()), (56, 7));
        let mut rounds = Plan::new(&matrix("[run]\nrepeats = 7"));
        assert_ne!(plan.trials, rounds.trials);
        // The same trials, and those of a cell run in the order of their numbers.
        let mut sorted = plan.trials.clone();
        sorted.sort();
        rounds.trials.sort();
        assert_eq!(sorted, rounds.trials);
        for cell in &sorted {
            let numbers: Vec<u32> =
                plan.trials.iter().filter(|trial| trial.cell == cell.cell).map(|trial| trial.repeat).collect();
            assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
        }
        let first: BTreeSet<&str> = plan.trials[..8].iter().map(|trial| trial.cell.as_str()).collect();
        assert!(first.len() < 8, "the first eight are no round");
    }

    #[test]
    fn a_shuffled_run_puts_each_cell_at_each_place_equally_often() {
        // 2 cells, 2 trials each: 6 orders, each a sixth of all seeds; 1,200 seeds give 200 with a deviation of 13.
        let text = "[targets.a.process]\nprogram = \"a\"\nargs = [\"{port}\"]\n[targets.b.process]\nprogram = \"b\"\n\
                    args = [\"{port}\"]\n[axes]\ntarget = [\"a\", \"b\"]\n[run]\norder = \"shuffled\"\nrepeats = 2\n";
        let mut matrix = crate::matrix::parsed(text);
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for seed in 0..1200 {
            matrix.run.seed = seed;
            let order: String = Plan::new(&matrix).trials.iter().map(|trial| &trial.cell[..1]).collect();
            *counts.entry(order).or_default() += 1;
        }
        assert_eq!(counts.len(), 6, "{counts:?}");
        assert!(counts.values().all(|count| (145..=255).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_order_of_seed_1_is_the_same_on_every_machine() {
        let plan = Plan::new(&matrix("[run]\nseed = 1\nrepeats = 1"));
        let order: Vec<&str> = plan.trials.iter().map(|trial| trial.cell.as_str()).collect();
        insta::assert_snapshot!(order.join(" "));
    }
}
