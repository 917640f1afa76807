//! How good a share is known from a few trials, and how honest stated confidences are.

use serde::{Deserialize, Serialize};

/// Confidences that a table has a line for: a verdict counts in the highest one that it reaches.
const BINS: [f64; 4] = [0.30, 0.60, 0.85, 0.97];
/// Quantile of the normal distribution for an interval of 95 %.
const Z: f64 = 1.959_964;

/// A share of trials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Those that were right.
    pub right: usize,
    /// All.
    pub of: usize,
}

impl Share {
    /// Counts what is right.
    pub fn count(right: impl Iterator<Item = bool>) -> Self {
        right.fold(Self::default(), |share, right| Self { right: share.right + usize::from(right), of: share.of + 1 })
    }

    /// As a number; `None` without a trial.
    pub fn value(self) -> Option<f64> {
        (self.of > 0).then(|| self.right as f64 / self.of as f64)
    }

    /// Lower bound of the interval of Wilson (1927) at 95 %: the true rate is hardly below this. 0 without a trial.
    pub fn at_least(self) -> f64 {
        let Some(share) = self.value() else { return 0.0 };
        let n = self.of as f64;
        let centre = share + Z * Z / (2.0 * n);
        let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        ((centre - spread) / (1.0 + Z * Z / n)).max(0.0)
    }
}

/// Verdicts of about one confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// The least confidence that counts here; the lowest bin has all below the next.
    pub confidence: f64,
    /// How many were right.
    #[serde(flatten)]
    pub share: Share,
}

/// Stated confidence against the share that was right: of verdicts as confidence and whether right.
pub fn reliability(verdicts: &[(f64, bool)]) -> Vec<Bin> {
    let bin = |confidence: f64| BINS.iter().rposition(|least| confidence + 1e-9 >= *least).unwrap_or(0);
    let of = |index| verdicts.iter().filter(move |(confidence, _)| bin(*confidence) == index).map(|(_, right)| *right);
    BINS.iter().enumerate().map(|(index, least)| Bin { confidence: *least, share: Share::count(of(index)) }).collect()
}

/// The mean squared difference of confidence and outcome (Brier 1950): 0 is perfect, 0.25 is what always saying 0.5
/// gives.
pub fn brier(verdicts: &[(f64, bool)]) -> Option<f64> {
    let squares = verdicts.iter().map(|(confidence, right)| (confidence - f64::from(u8::from(*right))).powi(2));
    (!verdicts.is_empty()).then(|| squares.sum::<f64>() / verdicts.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-4
    }

    #[test]
    fn the_lower_bound_is_that_of_wilson() {
        // Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20; and all of 189.
        let at_least = |right, of| Share { right, of }.at_least();
        assert!(close(at_least(81, 263), 0.2553), "{}", at_least(81, 263));
        assert!(close(at_least(15, 148), 0.0624), "{}", at_least(15, 148));
        assert!(close(at_least(0, 20), 0.0));
        assert!(close(at_least(189, 189), 0.9801), "{}", at_least(189, 189));
        assert!(at_least(3, 3) < 0.45 && at_least(0, 0) == 0.0);
    }

    #[test]
    fn the_score_of_brier_is_the_mean_of_squares() {
        assert_eq!(brier(&[]), None);
        assert!(close(brier(&[(1.0, true), (0.0, false)]).unwrap_or(1.0), 0.0));
        assert!(close(brier(&[(0.85, true), (0.85, false)]).unwrap_or(0.0), 0.3725));
    }

    #[test]
    fn a_verdict_counts_in_the_highest_bin_that_it_reaches() {
        let bins = reliability(&[(0.2, false), (0.3, true), (0.6, true), (0.85, true), (0.85, false), (0.97, true)]);
        let shares: Vec<_> = bins.iter().map(|bin| (bin.share.right, bin.share.of)).collect();
        assert_eq!(shares, [(1, 2), (1, 1), (1, 2), (1, 1)]);
    }
}
