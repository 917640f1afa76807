//! The rules, in the order of the decision procedure, one file each: the condition on what was recorded, the arithmetic
//! that must match, what it explains, what follows from it, the sentence and the fix.

mod accept_queue;
mod application_cap;
mod client_limited;
mod conntrack_full;
mod cpu_quota;
mod cpu_saturated;
mod crash;
mod descriptors;
mod hang;
mod host_memory;
mod lifetime;
mod memory_limit;
mod memory_pressure;
mod path_died;
mod pids_limit;
mod port_exhaustion;
mod proxy_cap;
mod runtime_heap;
mod server_waits;
mod silent_loss;
mod single_thread;
mod stretch;
mod syn_queue;
mod tcp_memory;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use lifetime::lifetime_ms;

use super::proof::{Candidate, Proof, near};
use super::{Evidence, Facts, Shape, facts, words};

/// A rule of the procedure.
pub(super) struct Rule {
    /// Name of the cause, and of its section in `docs/limits.md`.
    pub cause: &'static str,
    /// Causes that are dropped where this one fired, because they follow from it.
    pub consequences: &'static [&'static str],
    /// Fires on the facts of a trial, or not.
    pub judge: fn(&Facts<'_>) -> Option<Candidate>,
}

/// Judged before all others; where it fires nothing else is judged.
pub(super) const CLIENT_LIMITED: Rule = client_limited::RULE;

/// All other rules. A candidate of the same confidence and moment is taken in this order.
pub(super) const RULES: [Rule; 20] = [
    lifetime::RULE,
    memory_limit::RULE,
    host_memory::RULE,
    runtime_heap::RULE,
    crash::RULE,
    path_died::RULE,
    port_exhaustion::RULE,
    conntrack_full::RULE,
    proxy_cap::RULE,
    descriptors::RULE,
    pids_limit::RULE,
    tcp_memory::RULE,
    cpu_quota::RULE,
    single_thread::RULE,
    cpu_saturated::RULE,
    memory_pressure::RULE,
    hang::RULE,
    accept_queue::RULE,
    syn_queue::RULE,
    application_cap::RULE,
];

/// Judged in this order where no other rule fired: what is left when nothing within sight explains it.
pub(super) const LAST: [Rule; 2] = [silent_loss::RULE, server_waits::RULE];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all() -> Vec<Rule> {
        let mut all = vec![CLIENT_LIMITED];
        all.extend(RULES);
        all.extend(LAST);
        all
    }

    #[test]
    fn each_cause_has_a_section_in_the_documentation() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/limits.md");
        let text = std::fs::read_to_string(path).unwrap();
        let sections: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        for cause in all().iter().map(|rule| rule.cause).chain(["none", "unknown"]) {
            assert!(sections.contains(cause), "docs/limits.md has no section `## {cause}`");
        }
    }

    #[test]
    fn consequences_are_causes_and_none_drops_itself_or_each_other() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(|rule| rule.cause).collect();
        assert_eq!(names.len(), all.len(), "two rules have one name");
        for rule in &all {
            for consequence in rule.consequences {
                assert!(names.contains(consequence), "{} names {consequence}", rule.cause);
                let back = all.iter().find(|other| other.cause == *consequence).unwrap();
                assert!(!back.consequences.contains(&rule.cause), "{} and {consequence} drop each other", rule.cause);
                assert_ne!(rule.cause, *consequence);
            }
        }
    }
}
