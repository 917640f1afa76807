//! Up to which step a cost is linear, and how well it predicts a step that it has not seen.

use super::result::Knee;

/// Fewer smaller steps say too little of where the next one should be: the first of them also has what warms up.
const SMALLER: usize = 3;
/// A step is beyond the knee if it is off by more standard errors than this, and by more than this share.
const ERRORS: f64 = 3.0;
const SHARE: f64 = 0.15;

/// A step against what other steps predict for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Surprise {
    /// Observed over predicted.
    pub ratio: f64,
    /// Their difference in standard errors; `None`: the others have no scatter to judge by.
    pub errors: Option<f64>,
}

/// The knee among the steps, which are in order. `predict` says what some of them predict for another one. A thrashing
/// server wastes what it has, so neither the step beyond the knee nor a larger one may bend the fit.
pub(super) fn knee(levels: &[u32], predict: impl Fn(&[u32], u32) -> Option<Surprise>) -> Option<Knee> {
    (SMALLER..levels.len()).find_map(|at| {
        let found = predict(&levels[..at], levels[at])?;
        let is_off = found.errors.is_some_and(|errors| errors > ERRORS) && (found.ratio - 1.0).abs() > SHARE;
        is_off.then(|| Knee { linear_up_to: levels[at - 1], beyond: levels[at], ratio: found.ratio })
    })
}

/// The relative error with which the others predict the last of the steps within the knee; at least two of them.
pub(super) fn held_out(within: &[u32], predict: impl Fn(&[u32], u32) -> Option<Surprise>) -> Option<f64> {
    let (last, others) = within.split_last()?;
    let found = if others.len() < 2 { None } else { predict(others, *last) };
    found.map(|found| found.ratio - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [u32; 6] = [100, 200, 300, 400, 500, 600];

    fn found(ratio: f64, errors: Option<f64>) -> Option<Knee> {
        knee(&LEVELS, |_, level| Some(Surprise { ratio: if level >= 500 { ratio } else { 1.0 }, errors }))
    }

    #[test]
    fn a_step_is_beyond_the_knee_if_it_is_off_by_much_and_by_more_than_scatter() {
        let knee = found(1.5, Some(3.1)).unwrap();
        assert_eq!((knee.linear_up_to, knee.beyond), (400, 500));
        assert_eq!(found(1.14, Some(9.0)), None);
        assert_eq!(found(1.5, Some(2.9)), None);
        assert_eq!(found(1.5, None), None);
        // What gets cheaper is not linear either.
        assert!(found(0.8, Some(9.0)).is_some());
    }

    #[test]
    fn three_smaller_steps_are_needed_and_only_they_predict() {
        let asked = std::cell::RefCell::new(Vec::new());
        knee(&LEVELS[..5], |smaller, level| {
            asked.borrow_mut().push((smaller.to_vec(), level));
            None
        });
        assert_eq!(asked.into_inner(), [(vec![100, 200, 300], 400), (vec![100, 200, 300, 400], 500)]);
    }

    #[test]
    fn the_last_step_is_held_out_of_at_least_three() {
        let predict = |others: &[u32], level: u32| {
            assert!(!others.contains(&level));
            Some(Surprise { ratio: 1.1, errors: None })
        };
        assert!((held_out(&LEVELS, predict).unwrap() - 0.1).abs() < 1e-9);
        assert_eq!(held_out(&LEVELS[..2], predict), None);
        assert_eq!(held_out(&[], predict), None);
    }
}
