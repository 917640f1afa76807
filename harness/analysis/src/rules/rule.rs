//! What a rule is, and how sure it is. The procedure of `docs/limits.md`: a symptom alone is 0.30; with its counter moved
//! 0.60; with matching arithmetic, a matching onset and 80 % of the failures explained 0.85.

use crate::context::TrialContext;
use crate::verdict::Evidence;
use crate::verdict::confidence::{MATCHED, MOVED, SYMPTOM};
use wsceiling_model::record::Cause;

/// A rule of the procedure.
pub(crate) struct Rule {
    /// What it looks for.
    pub cause: Cause,
    /// Causes that are dropped where this one fired, because they follow from it.
    pub consequences: &'static [Cause],
    /// Fires on what is known of a trial, or not.
    pub judge: fn(&TrialContext<'_>) -> Option<Candidate>,
}

/// Share of the failures that a cause must explain to be sure of it.
const EXPLAINS: f64 = 0.8;

/// What speaks for a cause.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proof {
    /// The counter that proves it moved.
    pub moved: bool,
    /// The numbers that it predicts match within 3 %.
    pub arithmetic: bool,
    /// The counter moved when the failures began.
    pub timely: bool,
    /// Share of the failures that look as this cause makes them look, 0 to 1.
    pub explains: f64,
    /// When its counter moved first.
    pub onset_ms: Option<f64>,
}

impl Proof {
    pub(crate) fn confidence(&self) -> f64 {
        match self.moved {
            false => SYMPTOM,
            true if self.arithmetic && self.timely && self.explains >= EXPLAINS => MATCHED,
            true => MOVED,
        }
    }
}

/// A cause that fired.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub sentence: String,
    pub fix: String,
    pub evidence: Vec<Evidence>,
    pub proof: Proof,
}

/// Whether two numbers are the same within 3 %.
pub(crate) fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 0.03 * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_needs_the_counter_the_arithmetic_the_moment_and_the_share() {
        let all = Proof { moved: true, arithmetic: true, timely: true, explains: 0.8, onset_ms: None };
        assert_eq!(all.confidence().to_bits(), MATCHED.to_bits());
        for lacking in [
            Proof { arithmetic: false, ..all.clone() },
            Proof { timely: false, ..all.clone() },
            Proof { explains: 0.79, ..all.clone() },
        ] {
            assert_eq!(lacking.confidence().to_bits(), MOVED.to_bits(), "{lacking:?}");
        }
        assert_eq!(Proof { moved: false, ..all }.confidence().to_bits(), SYMPTOM.to_bits());
    }
}
