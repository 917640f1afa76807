//! Many tests at once: Holm's correction (A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of
//! Statistics 6, 1979). The probability that any of the hypotheses which are true is rejected is at most the level, however
//! the tests depend on each other.

/// The adjusted p-values, in the order given: sorted upwards, the i-th of m (from 0) is the largest of `(m - k) * p_k` for
/// k up to i, at most 1. A hypothesis is rejected where its adjusted p-value is the level or less.
pub fn adjusted(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut largest: f64 = 0.0;
    for (before, at) in order.into_iter().enumerate() {
        largest = largest.max((p.len() - before) as f64 * p[at]).min(1.0);
        adjusted[at] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_steps_down_as_in_the_literature() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
        let found = adjusted(&[0.01, 0.04, 0.03, 0.005]);
        let expected = [0.03, 0.06, 0.06, 0.02];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
    }

    #[test]
    fn one_test_is_itself_and_none_is_none() {
        assert_eq!(adjusted(&[0.2]), [0.2]);
        assert_eq!(adjusted(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(adjusted(&[]).is_empty());
    }

    #[test]
    fn twelve_tests_of_seven_trials_leave_room_for_one_inversion() {
        let mut p = [1.0; 12];
        for (splits, survives) in [(1.0, true), (2.0, true), (4.0, false)] {
            p[3] = splits / 3432.0;
            assert_eq!(adjusted(&p)[3] <= 0.01, survives, "{splits} splits as far");
        }
    }
}
