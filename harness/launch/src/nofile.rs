//! The limit of open descriptors of an instance.

use nix::sys::resource::{Resource, getrlimit};

use wsceiling_model::record::AppliedLimit;

/// What is set, and how to record it.
#[derive(Debug, Clone, PartialEq)]
pub struct Nofile {
    /// Soft and hard limit that the instance gets.
    pub value: u64,
    /// The limit of the size, where it has one.
    pub applied: Option<AppliedLimit>,
}

impl Nofile {
    /// The asked limit, or the harness's own hard limit; `by` is who enforces it. Without a privilege nobody can exceed
    /// the hard limit, and the harness never asks for one.
    pub fn of(asked: Option<u64>, by: &str) -> Self {
        let hard = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard);
        Self::below(asked, hard, by)
    }

    fn below(asked: Option<u64>, hard: u64, by: &str) -> Self {
        let value = asked.unwrap_or(hard).min(hard);
        let applied = asked.map(|asked| {
            if asked > hard {
                let reason = format!("the harness's own hard limit is {hard}, which was set instead");
                return AppliedLimit::not_enforced("nofile", asked as f64, reason);
            }
            AppliedLimit::enforced("nofile", asked as f64, by)
        });
        Self { value, applied }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_above_the_harness_is_cut_and_recorded() {
        assert_eq!(Nofile::below(None, 20_000, "rlimit"), Nofile { value: 20_000, applied: None });
        let lower = Nofile::below(Some(500), 20_000, "rlimit");
        assert_eq!((lower.value, lower.applied.unwrap().enforced_by.as_deref()), (500, Some("rlimit")));
        let higher = Nofile::below(Some(30_000), 20_000, "rlimit");
        let applied = higher.applied.unwrap();
        assert_eq!((higher.value, applied.value, applied.enforced_by), (20_000, 30_000.0, None));
        assert!(applied.reason.unwrap().contains("20000"));
    }
}
