//! Which cores the generator and the servers get.
//!
//! Where there are at least four, they get disjoint ones, so that the client does not slow the server it measures.
//! Below that, a fence would starve one of them; they share and the record says so.

/// Cores of each side; both empty: they share all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// CPUs of the generator's workers, one worker a CPU.
    pub generator: Vec<u32>,
    /// CPUs of the instances.
    pub servers: Vec<u32>,
}

/// Fewest cores that are divided.
const FEWEST: usize = 4;

/// Divides the CPUs this process may run on: a quarter of them, the last ones, for the generator.
pub fn place() -> Placement {
    let allowed = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).ok();
    let cpus = allowed.map_or_else(Vec::new, |set| {
        (0..nix::sched::CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).map(|cpu| cpu as u32).collect()
    });
    divide(&cpus)
}

fn divide(cpus: &[u32]) -> Placement {
    if cpus.len() < FEWEST {
        return Placement::default();
    }
    let (servers, generator) = cpus.split_at(cpus.len() - cpus.len() / 4);
    Placement { generator: generator.to_vec(), servers: servers.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_machines_share_and_larger_ones_are_divided() {
        assert_eq!(divide(&[0, 1]), Placement::default());
        assert_eq!(divide(&[0, 1, 4, 5]), Placement { generator: vec![5], servers: vec![0, 1, 4] });
    }
}
