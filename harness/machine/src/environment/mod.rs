//! Facts about the machine: the environment of a run, and `doctor`.
//!
//! [`capture`] reads what may change a result and is no secret: no host name, address, user or path.

pub mod doctor;
mod facts;
pub mod hierarchy;
pub mod kernel;
mod machine;
pub mod parse;

use std::collections::BTreeSet;

use kernel::Kernel;
pub use machine::{MachineFacts, machine, machine_in};
use wsceiling_model::record::Environment;

/// Reads the facts of this machine and of this program.
pub fn capture() -> Environment {
    let mut environment = capture_in(&Kernel::real());
    facts::source(&mut environment);
    facts::toolchain(&mut environment);
    environment
}

/// The part of [`capture`] that is read from kernel files.
pub fn capture_in(kernel: &Kernel) -> Environment {
    let mut environment = Environment::default();
    facts::kernel(kernel, &mut environment);
    facts::cpu(kernel, &mut environment);
    facts::memory(kernel, &mut environment);
    facts::limits(kernel, &mut environment);
    facts::cgroup(kernel, &mut environment);
    facts::sysctls(kernel, &mut environment);
    environment
}

/// Adds a fact that another part knows, as the launcher does for `engine.*`. Nothing is added for `None`.
pub fn insert(environment: &mut Environment, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        environment.facts.insert(name.to_owned(), value.to_string());
    }
}

/// Facts that differ between two environments, or that only one of them has, by name.
pub fn differences(a: &Environment, b: &Environment) -> Vec<(String, Option<String>, Option<String>)> {
    let names: BTreeSet<&String> = a.facts.keys().chain(b.facts.keys()).collect();
    let both = names.into_iter().map(|name| (name, a.facts.get(name), b.facts.get(name)));
    both.filter(|(_, a, b)| a != b).map(|(name, a, b)| (name.clone(), a.cloned(), b.cloned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_what_changed_appeared_and_vanished() {
        let (mut a, mut b) = (Environment::default(), Environment::default());
        for (environment, facts) in
            [(&mut a, [("x", "1"), ("same", "s"), ("gone", "g")]), (&mut b, [("x", "2"), ("same", "s"), ("new", "n")])]
        {
            for (name, value) in facts {
                insert(environment, name, Some(value));
            }
        }
        insert(&mut b, "absent", None::<u64>);
        let some = |text: &str| Some(text.to_owned());
        let expected = [
            ("gone".to_owned(), some("g"), None),
            ("new".to_owned(), None, some("n")),
            ("x".to_owned(), some("1"), some("2")),
        ];
        assert_eq!(differences(&a, &b), expected);
        assert_eq!(differences(&a, &a), []);
    }

    #[test]
    fn this_machine_has_the_facts_that_every_linux_has() {
        let environment = capture();
        for name in ["kernel.release", "cpu.cores", "memory.total_bytes", "limits.nofile_hard", "sysctl.fs.nr_open"] {
            assert!(environment.facts.contains_key(name), "{name} is missing in {:?}", environment.facts);
        }
        assert!(environment.facts.values().all(|value| !value.is_empty()));
        assert_eq!(environment.facts["toolchain.wsceiling"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn an_empty_machine_has_no_facts_and_no_guesses() {
        let folder = tempfile::tempdir().unwrap();
        let kernel = Kernel::at(folder.path());
        let facts = capture_in(&kernel).facts;
        let names: Vec<&str> = facts.keys().map(String::as_str).collect();
        assert_eq!(names, ["cgroup.version", "kernel.architecture"]);
    }
}
