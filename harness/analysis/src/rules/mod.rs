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
mod global_lock;
mod hang;
mod host_memory;
mod intervals;
mod lifetime;
mod memory_growth;
mod memory_limit;
mod memory_pressure;
mod path_died;
mod pids_limit;
mod platform_cap;
mod port_exhaustion;
mod proxy_cap;
mod rate_limit;
mod rule;
mod runtime_heap;
mod server_waits;
mod silent_loss;
mod single_thread;
mod syn_queue;
mod tcp_memory;
mod timeout;
mod user_processes;

#[cfg(test)]
pub(crate) use rule::Proof;
pub(crate) use rule::{Candidate, Rule};
pub(crate) use timeout::Timeout;
pub use timeout::TimeoutKind;

use wsceiling_model::record::Cause;

/// The rule that looks for a cause; `None` where no rule fires is the answer itself.
pub(crate) const fn rule(cause: Cause) -> Option<&'static Rule> {
    Some(match cause {
        Cause::None | Cause::Unknown => return None,
        Cause::ClientLimited => &client_limited::RULE,
        Cause::Lifetime => &lifetime::RULE,
        Cause::MemoryLimit => &memory_limit::RULE,
        Cause::MemoryGrowth => &memory_growth::RULE,
        Cause::HostMemory => &host_memory::RULE,
        Cause::RuntimeHeap => &runtime_heap::RULE,
        Cause::Crash => &crash::RULE,
        Cause::PathDied => &path_died::RULE,
        Cause::PortExhaustion => &port_exhaustion::RULE,
        Cause::ConntrackFull => &conntrack_full::RULE,
        Cause::ProxyCap => &proxy_cap::RULE,
        Cause::ServerDescriptors => &descriptors::RULE,
        Cause::PidsLimit => &pids_limit::RULE,
        Cause::UserProcesses => &user_processes::RULE,
        Cause::TcpMemory => &tcp_memory::RULE,
        Cause::CpuQuota => &cpu_quota::RULE,
        Cause::SingleThread => &single_thread::RULE,
        Cause::GlobalLock => &global_lock::RULE,
        Cause::CpuSaturated => &cpu_saturated::RULE,
        Cause::MemoryPressure => &memory_pressure::RULE,
        Cause::Hang => &hang::RULE,
        Cause::AcceptQueue => &accept_queue::RULE,
        Cause::SynQueue => &syn_queue::RULE,
        Cause::RateLimit => &rate_limit::RULE,
        Cause::PlatformCap => &platform_cap::RULE,
        Cause::ApplicationCap => &application_cap::RULE,
        Cause::SilentLoss => &silent_loss::RULE,
        Cause::ServerWaits => &server_waits::RULE,
    })
}

/// Judged before all others; where it fires nothing else is judged.
pub(crate) const FIRST: &Rule = &client_limited::RULE;

/// Judged where no other rule fired: what is left when nothing within sight explains it.
pub(crate) const LAST: [&Rule; 1] = [&silent_loss::RULE];

/// All other rules. A candidate of the same confidence and moment is taken in this order, which is that of [`Cause`].
pub(crate) fn rules() -> impl Iterator<Item = &'static Rule> {
    let apart = |rule: &&Rule| rule.cause == FIRST.cause || LAST.iter().any(|last| last.cause == rule.cause);
    Cause::ALL.iter().filter_map(|cause| rule(*cause)).filter(move |rule| !apart(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sections of `docs/limits.md` that are causes, in order.
    fn sections() -> Vec<Cause> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/limits.md");
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().filter_map(|line| line.strip_prefix("## ")?.parse().ok()).collect()
    }

    #[test]
    fn each_cause_has_a_section_in_the_documentation_in_the_order_in_which_it_is_judged() {
        assert_eq!(sections(), Cause::ALL);
    }

    #[test]
    fn each_cause_but_none_and_unknown_has_the_rule_that_looks_for_it() {
        for cause in Cause::ALL {
            let looks_for = rule(*cause).map(|rule| rule.cause);
            let answer = matches!(cause, Cause::None | Cause::Unknown);
            assert_eq!(looks_for, (!answer).then_some(*cause), "{cause}");
        }
    }

    #[test]
    fn no_rule_drops_itself_and_no_two_drop_each_other() {
        for one in Cause::ALL.iter().filter_map(|cause| rule(*cause)) {
            for consequence in one.consequences {
                let back = rule(*consequence).expect("only what has a rule can follow");
                assert!(!back.consequences.contains(&one.cause), "{} and {consequence} drop each other", one.cause);
                assert_ne!(one.cause, *consequence);
            }
        }
    }
}
