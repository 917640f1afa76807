//! The planted ceilings. Each is a real limit of the kernel, of the engine, of a proxy or of the server's own, small enough
//! to be met within seconds. A file a kind; a new plant is one entry in its file.
//!
//! The numbers are round and mean nothing; a seed draws others ([`Numbers`]), so that accuracy is no matter of the
//! numbers.

mod caps;
mod clean;
mod client;
mod cpu;
mod descriptors;
mod endings;
mod fronts;
mod memory;
mod numbers;
mod plant;
mod waits;

pub use numbers::Numbers;
pub use plant::{Need, Plant};

use wsceiling_model::record::Cause;

/// All plants, with the usual numbers or with those of a seed. The same seed gives the same numbers in every run of the
/// same version.
pub fn plants(seed: Option<u64>) -> Vec<Plant> {
    let mut numbers = Numbers::new(seed);
    let kinds = [
        descriptors::plants,
        client::plants,
        memory::plants,
        cpu::plants,
        waits::plants,
        caps::plants,
        endings::plants,
        fronts::plants,
        clean::plants,
    ];
    let mut all: Vec<Plant> = kinds.iter().flat_map(|kind| kind(&mut numbers)).collect();
    for plant in &mut all {
        plant.complete(&mut numbers);
    }
    all
}

/// What no plant of this version makes, and why.
pub const NOT_PLANTED: &[(Cause, &str)] = &[
    (Cause::HostMemory, "it would take the memory of the whole machine"),
    (Cause::ConntrackFull, "the table's size is a setting of the whole machine"),
    (Cause::TcpMemory, "the pool is one for the whole machine"),
    (Cause::SynQueue, "cookies are a setting of the whole network namespace"),
    (Cause::PathDied, "how many connections the engine's userland proxy bears is the engine's own limit"),
    (Cause::SilentLoss, "needs a hop that loses packets"),
    (Cause::MemoryPressure, "memory.high is no limit of a size"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_plant_is_a_valid_matrix_of_one_cell_with_a_name_of_its_own_whatever_the_numbers() {
        for seed in [None, Some(1), Some(2)] {
            let plants = plants(seed);
            let mut names = BTreeSet::new();
            for plant in &plants {
                assert!(names.insert(plant.name), "{} is there twice", plant.name);
                let loaded = wsceiling_model::matrix::parse(&plant.matrix(3), Path::new("selftest.toml"));
                let loaded = loaded.unwrap_or_else(|faults| panic!("{}: {}", plant.name, faults.render(false)));
                assert_eq!(loaded.matrix.cells.len(), 1, "{}", plant.name);
            }
            assert!(plants.len() >= 25);
            assert!(plants.iter().filter(|plant| plant.quick).count() >= 10);
        }
    }

    #[test]
    fn a_seed_draws_other_numbers_and_the_same_seed_the_same() {
        let texts = |seed| plants(seed).iter().map(|plant| plant.matrix(1)).collect::<Vec<_>>();
        assert_eq!(texts(Some(7)), texts(Some(7)));
        let usual = texts(None);
        let differ = texts(Some(7)).iter().zip(&usual).filter(|(a, b)| a != b).count();
        // A cell without a limit has no number to draw but those of its load.
        assert!(differ > usual.len() * 3 / 4, "{differ} of {}", usual.len());
    }

    #[test]
    fn every_cause_is_planted_or_it_is_said_why_not() {
        let planted: BTreeSet<Cause> = plants(None).iter().map(|plant| plant.expected).collect();
        for cause in Cause::ALL.iter().filter(|cause| **cause != Cause::Unknown) {
            let excused = NOT_PLANTED.iter().any(|(known, _)| known == cause);
            assert_ne!(planted.contains(cause), excused, "{cause}");
        }
    }

    #[test]
    fn what_needs_an_engine_says_so() {
        for plant in plants(None).iter().filter(|plant| plant.runtime == "docker") {
            assert!(plant.needs.contains(&Need::Docker), "{}", plant.name);
        }
    }
}
