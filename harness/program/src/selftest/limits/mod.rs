//! The injected limits. Each is a real limit of the kernel, of the engine, of a proxy or of the server's own, small enough
//! to be met within seconds. A file a kind; a new limit is one entry in its file.
//!
//! The numbers are round and mean nothing; a seed draws others ([`Numbers`]), so that accuracy is no matter of the
//! numbers.

mod admissions;
mod caps;
mod clean;
mod client;
mod cpu;
mod decoys;
mod descriptors;
mod endings;
mod fronts;
mod injected_limit;
mod memory;
mod numbers;
mod pairs;
mod remote;
mod strangers;
mod waits;

pub use injected_limit::{InjectedLimit, Kind, METRICS, Metrics, Need, PUBLIC, Remote};
pub use numbers::Numbers;

use std::collections::BTreeSet;

use wsceiling_model::record::Cause;

/// All limits, with the usual numbers or with those of a seed. The same seed gives the same numbers in every run of the
/// same version.
pub fn limits(seed: Option<u64>) -> Vec<InjectedLimit> {
    let mut numbers = Numbers::new(seed);
    let kinds = [
        descriptors::limits,
        client::limits,
        memory::limits,
        cpu::limits,
        waits::limits,
        admissions::limits,
        caps::limits,
        endings::limits,
        fronts::limits,
        decoys::limits,
        pairs::limits,
        strangers::limits,
        remote::limits,
        clean::limits,
    ];
    let mut all: Vec<InjectedLimit> = kinds.iter().flat_map(|kind| kind(&mut numbers)).collect();
    for limit in &mut all {
        limit.complete(&mut numbers);
    }
    all
}

/// Causes that cannot be injected, and why.
const CANNOT_INJECT: &[(Cause, &str)] = &[
    (Cause::HostMemory, "it would take the memory of the whole machine"),
    (Cause::ConntrackFull, "the table's size is a setting of the whole machine"),
    (Cause::TcpMemory, "the pool is one for the whole machine"),
    (Cause::SynQueue, "cookies are a setting of the whole network namespace"),
    (Cause::PathDied, "how many connections the engine's userland proxy bears is the engine's own limit"),
    (Cause::SilentLoss, "needs a hop that loses packets"),
    (Cause::MemoryPressure, "memory.high is no limit of a size"),
];

/// Causes that are not injected, and why: those that cannot be, then those that nobody has written a limit for.
pub fn not_injected() -> Vec<(Cause, &'static str)> {
    let injected: BTreeSet<Cause> = limits(None).iter().map(|limit| limit.expected).collect();
    let answered = |cause: &Cause| {
        injected.contains(cause) || *cause == Cause::Unknown || CANNOT_INJECT.iter().any(|(known, _)| known == cause)
    };
    let rest = Cause::ALL.iter().filter(|cause| !answered(cause));
    CANNOT_INJECT.iter().copied().chain(rest.map(|cause| (*cause, "no limit is written for it yet"))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_limit_is_a_valid_matrix_of_one_cell_with_a_name_of_its_own_whatever_the_numbers() {
        for seed in [None, Some(1), Some(2)] {
            let limits = limits(seed);
            let mut names = BTreeSet::new();
            for limit in &limits {
                assert!(names.insert(limit.name), "{} is there twice", limit.name);
                let loaded = wsceiling_model::matrix::parse(&limit.matrix(3), Path::new("selftest.toml"));
                let loaded = loaded.unwrap_or_else(|faults| panic!("{}: {}", limit.name, faults.render(false)));
                assert_eq!(loaded.matrix.cells.len(), 1, "{}", limit.name);
            }
            assert!(limits.len() >= 25);
            assert!(limits.iter().filter(|limit| limit.quick).count() >= 9);
        }
    }

    #[test]
    fn a_seed_draws_other_numbers_and_the_same_seed_the_same() {
        let texts = |seed| limits(seed).iter().map(|limit| limit.matrix(1)).collect::<Vec<_>>();
        assert_eq!(texts(Some(7)), texts(Some(7)));
        let usual = texts(None);
        let differ = texts(Some(7)).iter().zip(&usual).filter(|(a, b)| a != b).count();
        // A cell without a limit has no number to draw but those of its load.
        assert!(differ > usual.len() * 3 / 4, "{differ} of {}", usual.len());
    }

    #[test]
    fn every_cause_is_injected_or_it_is_said_once_why_not() {
        let injected: BTreeSet<Cause> = limits(None).iter().map(|limit| limit.expected).collect();
        let excused = not_injected();
        for cause in Cause::ALL.iter().filter(|cause| **cause != Cause::Unknown) {
            let times = excused.iter().filter(|(known, _)| known == cause).count();
            assert_eq!(times, usize::from(!injected.contains(cause)), "{cause}");
        }
    }

    #[test]
    fn what_needs_an_engine_says_so() {
        for limit in limits(None).iter().filter(|limit| limit.runtime == "docker") {
            assert!(limit.needs.contains(&Need::Docker), "{}", limit.name);
        }
    }
}
