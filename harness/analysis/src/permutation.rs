//! The exact permutation test on the sum of ranks, one-sided: are the values of one arm larger than those of another?
//!
//! If the trials of two arms run in one shuffle and the arms are the same, then every split of the values into arms of
//! these sizes was equally likely, whatever the values are and whatever drifted while they were measured. The p-value is
//! the share of all `C(a + b, b)` splits whose sum of ranks is that of the observed one or more (Wilcoxon, Individual
//! Comparisons by Ranking Methods, Biometrics Bulletin 1, 1945; Mann and Whitney, Annals of Mathematical Statistics 18,
//! 1947; with ties, which share the mean of their ranks: Lehmann, Nonparametrics, 1975, chapter 1.4). Splits that are as
//! far as the observed one count as further, so ties only ever make p larger.
//!
//! Why ranks and not medians or means: `docs/compare.md` promises verdicts from seven trials an arm. Of their 3,432 splits
//! 20 have the largest difference of medians, so medians alone never get below p = 0.0058, which no correction for many
//! tests would let pass. Ranks get to 1 / 3,432, and one wild trial counts as one rank, however wild it is.
//!
//! Splits are counted and not listed: the number of ways to reach each sum follows from the ranks before (Streitberg and
//! Röhmel, Exact distributions for permutation and rank tests, Statistical Software Newsletter 12, 1986).

use fastrand::Rng;

/// Trials of both arms up to which all splits are counted; 50 and 50 have 1e29 of them.
const COUNTED_MOST: usize = 100;
/// Splits that are drawn instead, above that.
const DRAWS: u32 = 99_999;
/// Seed of the draws, so that the same values always give the same p.
const SEED: u64 = 1947;

/// The one-sided p-value of `b` being larger than `a`; `None`: an arm is empty or has a value that is no number.
pub fn p_larger(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() || a.iter().chain(b).any(|value| value.is_nan()) {
        return None;
    }
    let ranks = doubled_ranks(a, b);
    let sum: usize = ranks[a.len()..].iter().sum();
    Some(tails(&ranks, b.len())[sum])
}

/// The smallest p-value that arms with so many trials can have: that of arms which do not overlap. 1 where an arm is empty.
pub fn smallest_p(a: usize, b: usize) -> f64 {
    let (few, all) = (a.min(b), a + b);
    if few > 0 && all > COUNTED_MOST {
        return 1.0 / f64::from(DRAWS + 1);
    }
    // 1 / C(all, few), a factor at a time.
    (0..few).map(|at| (few - at) as f64 / (all - at) as f64).product()
}

/// The smallest factor by which the values of `b` have to be larger to be told from `a` at this level, if they scatter as
/// they do: both arms are divided by their medians, and the test is inverted. It needs so many pairs of a value of `a` and
/// a larger one of `b`; the factor is the ratio of the last pair that has to turn (the estimator of Hodges and Lehmann,
/// Annals of Mathematical Statistics 34, 1963, at the test's border instead of its middle). `None`: no values of so few
/// trials could be told apart, or a median is not above 0.
pub fn provable_factor(a: &[f64], b: &[f64], level: f64) -> Option<f64> {
    let (a, b) = (over_median(a)?, over_median(b)?);
    let pairs = pairs_needed(a.len(), b.len(), level)?;
    let mut ratios: Vec<f64> = a.iter().flat_map(|a| b.iter().map(move |b| a / b)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(pairs.saturating_sub(1)).copied().filter(|ratio| ratio.is_finite())
}

fn over_median(values: &[f64]) -> Option<Vec<f64>> {
    let median = super::statistics::median(values).filter(|median| *median > 0.0)?;
    Some(values.iter().map(|value| value / median).collect())
}

/// Fewest pairs with the larger value in `b` that are proof at this level, of arms without ties; `None`: not even all.
fn pairs_needed(a: usize, b: usize, level: f64) -> Option<usize> {
    let ranks: Vec<usize> = (1..=a + b).map(|rank| 2 * rank).collect();
    let most: usize = ranks[a..].iter().sum();
    let tails = tails(&ranks, b);
    let sum = (0..=most).find(|sum| tails[*sum] <= level)?;
    // Sums of doubled ranks are even; the least sum has no such pair.
    Some(sum.div_ceil(2) - b * (b + 1) / 2)
}

/// Twice the rank of each value among all, those of `a` first: equal values share the mean of their ranks, so twice it is
/// a whole number.
fn doubled_ranks(a: &[f64], b: &[f64]) -> Vec<usize> {
    let all: Vec<f64> = a.iter().chain(b).copied().collect();
    let below = |value: f64| all.iter().filter(|other| **other < value).count();
    let equal = |value: f64| all.iter().filter(|other| other.total_cmp(&value).is_eq()).count();
    all.iter().map(|value| 2 * below(*value) + equal(*value) + 1).collect()
}

/// For each sum of doubled ranks the probability that `n` of these ranks, drawn at random, have it or more.
fn tails(ranks: &[usize], n: usize) -> Vec<f64> {
    // A sample counts the observed split among those that were drawn: (as far or further + 1) / (drawn + 1), so that p is
    // never 0 and the test keeps its level (Phipson and Smyth, Permutation p-values should never be zero, 2010).
    let (mut tails, observed) =
        if ranks.len() <= COUNTED_MOST { (counted(ranks, n), 0.0) } else { (drawn(ranks, n), 1.0) };
    let all = tails.iter().sum::<f64>() + observed;
    let mut above = observed;
    for tail in tails.iter_mut().rev() {
        above += *tail;
        *tail = (above / all).min(1.0);
    }
    tails
}

/// In how many ways `n` of the ranks have each sum.
fn counted(ranks: &[usize], n: usize) -> Vec<f64> {
    let all: usize = ranks.iter().sum();
    let mut ways = vec![vec![0.0; all + 1]; n + 1];
    ways[0][0] = 1.0;
    let mut reached = 0;
    for (before, &rank) in ranks.iter().enumerate() {
        for of in (1..=n.min(before + 1)).rev() {
            let (fewer, more) = ways.split_at_mut(of);
            for (without, with) in fewer[of - 1][..=reached].iter().zip(&mut more[0][rank..]) {
                *with += without;
            }
        }
        reached += rank;
    }
    ways.swap_remove(n)
}

/// How many of [`DRAWS`] draws have each sum.
fn drawn(ranks: &[usize], n: usize) -> Vec<f64> {
    let mut random = Rng::with_seed(SEED);
    let mut deck = ranks.to_vec();
    let mut counts = vec![0.0; ranks.iter().sum::<usize>() + 1];
    for _ in 0..DRAWS {
        for at in 0..n {
            // 64 bits, so that the draws are the same on every machine.
            let other = random.u64(at as u64..ranks.len() as u64) as usize;
            deck.swap(at, other);
        }
        counts[deck[..n].iter().sum::<usize>()] += 1.0;
    }
    counts
}

#[cfg(test)]
#[allow(clippy::float_cmp, clippy::many_single_char_names, reason = "exact numbers, and the letters of the formula")]
mod tests {
    use super::*;
    use crate::statistics::median;

    /// Every split of the values into the first `a` and the rest, as a set of bits: 1 is `b`.
    fn splits(all: &[f64], b: u32) -> Vec<(Vec<f64>, Vec<f64>)> {
        let of = |bits: u32, wanted: bool| {
            let own = all.iter().enumerate().filter(|(at, _)| (bits >> at & 1 == 1) == wanted);
            own.map(|(_, value)| *value).collect::<Vec<f64>>()
        };
        let those = (0..1_u32 << all.len()).filter(|bits| bits.count_ones() == b);
        those.map(|bits| (of(bits, false), of(bits, true))).collect()
    }

    /// Pairs in which `b` is larger, a tie being half a pair: Mann and Whitney's count.
    fn pairs(a: &[f64], b: &[f64]) -> f64 {
        let score = |(a, b): (&f64, &f64)| {
            if b > a {
                1.0
            } else if b < a {
                0.0
            } else {
                0.5
            }
        };
        a.iter().flat_map(|a| b.iter().map(move |b| (a, b))).map(score).sum()
    }

    #[test]
    fn arms_that_do_not_overlap_have_the_smallest_p() {
        let (low, high) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]);
        let close = |p: Option<f64>, expected: f64| assert!((p.unwrap() - expected).abs() < 1e-12, "{p:?}");
        close(p_larger(&low, &high), 1.0 / 3432.0);
        close(p_larger(&high, &low), 1.0);
        close(Some(smallest_p(7, 7)), 1.0 / 3432.0);
        close(Some(smallest_p(14, 7)), 1.0 / 116_280.0);
        close(Some(smallest_p(3, 3)), 0.05);
        assert_eq!([smallest_p(0, 7), smallest_p(0, 0), smallest_p(60, 60)], [1.0, 1.0, 1e-5]);
    }

    #[test]
    fn textbook_values_come_out() {
        // Lehmann, table B: of arms of 4 and 4 the count of pairs is 13 or more in 7 of 70 splits.
        let (a, b) = ([1.0, 2.0, 4.0, 6.0], [3.0, 5.0, 7.0, 8.0]);
        assert_eq!(pairs(&a, &b), 13.0);
        assert!((p_larger(&a, &b).unwrap() - 7.0 / 70.0).abs() < 1e-12);
        // One inversion of 49 pairs: two splits are as far.
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0], [7.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0]);
        assert!((p_larger(&a, &b).unwrap() - 2.0 / 3432.0).abs() < 1e-12);
    }

    #[test]
    fn counting_agrees_with_listing_all_splits_also_with_ties() {
        let mut random = Rng::with_seed(5);
        for _ in 0..40 {
            let all: Vec<f64> = (0..9).map(|_| f64::from(random.u32(0..6))).collect();
            let (a, b) = all.split_at(5);
            let observed = pairs(a, b);
            let splits = splits(&all, 4);
            let as_far = splits.iter().filter(|(a, b)| pairs(a, b) >= observed).count();
            let expected = as_far as f64 / splits.len() as f64;
            assert!((p_larger(a, b).unwrap() - expected).abs() < 1e-12, "{a:?} {b:?}");
        }
        assert_eq!(p_larger(&[3.0; 7], &[3.0; 7]), Some(1.0), "all equal: nothing is larger");
    }

    #[test]
    fn medians_alone_prove_nothing_with_seven_trials() {
        let all: Vec<f64> = (1..=14).map(f64::from).collect();
        let apart = |(a, b): &(Vec<f64>, Vec<f64>)| median(b).unwrap() - median(a).unwrap();
        let splits = splits(&all, 7);
        let most = splits.iter().map(apart).fold(0.0, f64::max);
        assert_eq!(splits.iter().filter(|split| apart(split) >= most).count(), 20);
    }

    #[test]
    fn under_the_null_no_p_is_too_small_too_often() {
        let mut random = Rng::with_seed(11);
        let mut found: Vec<f64> = Vec::new();
        for _ in 0..20_000 {
            let all: Vec<f64> = (0..14).map(|_| random.f64()).collect();
            found.push(p_larger(&all[..7], &all[7..]).unwrap());
        }
        for level in [0.001, 0.01, 0.05, 0.1, 0.25, 0.5] {
            let share = found.iter().filter(|p| **p <= level).count() as f64 / found.len() as f64;
            let error = 3.0 * (level * (1.0 - level) / found.len() as f64).sqrt();
            assert!(share <= level + error, "{share} at {level}");
            // Sums are whole, so p has steps; it is not far below either.
            assert!(level < 0.01 || share >= 0.5 * level, "{share} at {level}");
        }
    }

    #[test]
    fn above_a_hundred_trials_splits_are_drawn_and_p_is_never_nothing() {
        let mut random = Rng::with_seed(3);
        let mut values = |count: usize, shift: f64| (0..count).map(|_| random.f64() + shift).collect::<Vec<f64>>();
        let (a, b, far) = (values(51, 0.0), values(51, 0.0), values(51, 5.0));
        assert_eq!(p_larger(&a, &far), Some(1e-5));
        let p = p_larger(&a, &b).unwrap();
        assert_eq!(Some(p), p_larger(&a, &b), "the same values give the same p");
        // The normal approximation, whose error is far smaller here than that of 99,999 draws.
        let (pairs, n) = (pairs(&a, &b), 51.0_f64);
        let z = (pairs - 0.5 - n * n / 2.0) / (n * n * (2.0 * n + 1.0) / 12.0).sqrt();
        let normal = 0.5 * (1.0 - erf(z / std::f64::consts::SQRT_2));
        assert!((p - normal).abs() < 0.01, "{p} {normal}");
    }

    /// Abramowitz and Stegun, formula 7.1.26.
    fn erf(x: f64) -> f64 {
        let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
        let sum =
            t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
        (1.0 - sum * (-x * x).exp()).copysign(x)
    }

    #[test]
    fn what_is_provable_is_where_the_test_begins_to_say_so() {
        let level = 0.01 / 12.0;
        let a = [98.0, 99.0, 100.0, 101.0, 102.0, 103.0, 97.0];
        let b = [95.0, 99.0, 100.5, 101.0, 104.0, 100.0, 98.5];
        let factor = provable_factor(&a, &b, level).unwrap();
        assert!((1.05..1.09).contains(&factor), "{factor}");
        let grown = |by: f64| {
            let (own, other) = (median(&b).unwrap(), median(&a).unwrap());
            p_larger(&a, &b.map(|value| value / own * other * by)).unwrap()
        };
        assert!(grown(factor * 1.0001) <= level && grown(factor * 0.9999) > level);
        // Without scatter any change is proven, and with too few trials none.
        assert_eq!(provable_factor(&[5.0; 7], &[5.0; 7], level), Some(1.0));
        assert_eq!(provable_factor(&[5.0; 3], &[5.0; 3], level), None);
        assert_eq!(provable_factor(&[0.0; 7], &[5.0; 7], level), None);
        assert_eq!(provable_factor(&[], &[], level), None);
    }

    #[test]
    fn an_empty_arm_and_what_is_no_number_have_no_p() {
        assert_eq!(p_larger(&[], &[1.0]), None);
        assert_eq!(p_larger(&[1.0], &[]), None);
        assert_eq!(p_larger(&[1.0], &[f64::NAN]), None);
    }
}
