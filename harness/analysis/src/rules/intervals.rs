//! Intervals of time in which a gauge stays over a threshold.

/// First and last moment of the longest run of neighbouring samples that all hold.
pub(super) fn longest(points: &[(f64, f64)], holds: impl Fn(f64) -> bool) -> Option<(f64, f64)> {
    let mut best: Option<(f64, f64)> = None;
    let mut run: Option<(f64, f64)> = None;
    for &(t, value) in points {
        run = match (holds(value), run) {
            (false, _) => None,
            (true, None) => Some((t, t)),
            (true, Some((from, _))) => Some((from, t)),
        };
        if let Some((from, to)) = run
            && best.is_none_or(|(a, b)| to - from > b - a)
        {
            best = run;
        }
    }
    best
}

/// Each value as the mean of the `count` around it: kernels add a running thread's time at their own ticks.
pub(super) fn smooth(points: &[(f64, f64)], count: usize) -> Vec<(f64, f64)> {
    let around = |at: usize| {
        let from = at.saturating_sub(count / 2);
        let some = &points[from..points.len().min(at + count / 2 + 1)];
        some.iter().map(|(_, value)| value).sum::<f64>() / some.len() as f64
    };
    points.iter().enumerate().map(|(at, (t, _))| (*t, around(at))).collect()
}

/// Rise of a counter between neighbouring samples per millisecond, at the later moment.
pub(super) fn rates(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let rise = |pair: &[(f64, f64)]| (pair[1].0, (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0));
    points.windows(2).filter(|pair| pair[1].0 > pair[0].0 && pair[1].1 >= pair[0].1).map(rise).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_interval_is_found() {
        let points: Vec<(f64, f64)> =
            [0, 1, 1, 0, 1, 1, 1, 0].iter().zip(0..).map(|(v, t)| (f64::from(t), f64::from(*v))).collect();
        assert_eq!(longest(&points, |value| value > 0.5), Some((4.0, 6.0)));
        assert_eq!(longest(&points, |value| value > 2.0), None);
    }

    #[test]
    fn a_smooth_value_is_the_mean_of_its_neighbours() {
        let points = [(0.0, 0.0), (1.0, 3.0), (2.0, 6.0), (3.0, 0.0)];
        assert_eq!(smooth(&points, 3), [(0.0, 1.5), (1.0, 3.0), (2.0, 3.0), (3.0, 3.0)]);
        assert_eq!(smooth(&[], 3), []);
    }

    #[test]
    fn a_counter_that_began_anew_has_no_rate_there() {
        assert_eq!(rates(&[(0.0, 0.0), (2.0, 4.0), (4.0, 1.0), (6.0, 2.0)]), vec![(2.0, 2.0), (6.0, 0.5)]);
    }
}
