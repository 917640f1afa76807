//! The ceiling of a cell, over its valid trials only.

use super::findings::Ceiling;
use super::statistics::median;
use wsceiling_model::record::Bracket;

/// Median, range and peak; `None` where no trial is valid.
pub(super) fn ceiling(valid: &[Bracket], trials: usize) -> Option<Ceiling> {
    let good: Vec<f64> = valid.iter().map(|bracket| bracket.last_good as f64).collect();
    let bad: Vec<u64> = valid.iter().filter_map(|bracket| bracket.first_bad).collect();
    let connections = median(&good)?;
    // A trial that met no ceiling may hold any number from its last good one on.
    let most = |bracket: &Bracket| if bracket.first_bad.is_some() { bracket.last_good as f64 } else { f64::INFINITY };
    let at_most = median(&valid.iter().map(most).collect::<Vec<_>>())?;
    Some(Ceiling {
        connections: connections.floor() as u64,
        low: valid.iter().map(|bracket| bracket.last_good).min()?,
        high: bad.iter().max().copied().filter(|_| bad.len() == valid.len()),
        at_least: at_most > connections,
        unmet: (valid.len() - bad.len()) as u32,
        peak: valid.iter().map(|bracket| bracket.peak).max()?,
        valid: valid.len() as u32,
        trials: trials as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bracket(last_good: u64, first_bad: Option<u64>) -> Bracket {
        Bracket { last_good, first_bad, peak: last_good + 7 }
    }

    #[test]
    fn the_ceiling_is_the_median_and_lies_within_all_brackets() {
        let valid = [bracket(1900, Some(2000)), bracket(1500, Some(1600)), bracket(1800, Some(2100))];
        let found = ceiling(&valid, 4).unwrap();
        assert_eq!((found.connections, found.low, found.high), (1800, 1500, Some(2100)));
        assert_eq!((found.at_least, found.peak, found.valid, found.trials), (false, 1907, 3, 4));
    }

    #[test]
    fn one_trial_without_a_ceiling_leaves_the_upper_end_open() {
        let found = ceiling(&[bracket(1900, Some(2000)), bracket(4000, None)], 2).unwrap();
        assert_eq!((found.connections, found.high, found.at_least, found.unmet), (2950, None, true, 1));
        assert!(ceiling(&[bracket(4000, None)], 3).unwrap().at_least);
        assert_eq!(ceiling(&[], 3), None);
    }

    #[test]
    fn a_median_is_at_least_where_a_trial_without_a_ceiling_is_in_the_middle() {
        let at_least = |valid: &[Bracket]| ceiling(valid, 3).map(|found| (found.connections, found.at_least));
        let (low, mid, all) = (bracket(1500, Some(1600)), bracket(1900, Some(2000)), bracket(4000, None));
        assert_eq!(at_least(&[low, mid, all]), Some((1900, false)));
        assert_eq!(at_least(&[low, all, all]), Some((4000, true)));
        // It ended early and might have held more than the median.
        assert_eq!(at_least(&[bracket(1000, None), mid, low]), Some((1500, true)));
    }
}
