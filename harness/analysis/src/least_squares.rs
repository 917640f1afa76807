//! Weighted least squares with few terms and coefficients that are never negative.

/// Terms of a fit at most.
pub(crate) const TERMS: usize = 4;

/// Which terms take part.
pub(crate) type Terms = [bool; TERMS];

type Matrix = [[f64; TERMS]; TERMS];

/// One observation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    /// Regressors.
    pub x: [f64; TERMS],
    /// What was observed.
    pub y: f64,
    /// Standard deviation that its error is given, in the unit of `y`, up to a factor that all rows share.
    pub sigma: f64,
}

/// A fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Solution {
    /// Of each term; 0 for those that take no part, or that would be negative.
    pub coefficients: [f64; TERMS],
    /// Residual standard error in units of each row's sigma; `None`: no degree of freedom is left.
    pub residual: Option<f64>,
    /// Sum of the squared residuals in units of sigma.
    pub squares: f64,
    /// Inverse of the weighted normal matrix: covariance of the coefficients over the squared residual standard error.
    inverse: Matrix,
}

impl Solution {
    /// What the fit says of regressors.
    pub(crate) fn predict(&self, x: &[f64; TERMS]) -> f64 {
        x.iter().zip(&self.coefficients).map(|(x, coefficient)| x * coefficient).sum()
    }

    /// Standard error of [`Self::predict`] over the residual standard error: how little the rows say of these regressors.
    pub(crate) fn leverage(&self, x: &[f64; TERMS]) -> f64 {
        let product = |row: &[f64; TERMS]| row.iter().zip(x).map(|(a, b)| a * b).sum::<f64>();
        let variance: f64 = self.inverse.iter().zip(x).map(|(row, x)| x * product(row)).sum();
        variance.max(0.0).sqrt()
    }

    /// t statistic of a coefficient; `None`: no degree of freedom is left, or it takes no part.
    pub(crate) fn t(&self, term: usize) -> Option<f64> {
        let error = self.residual? * self.inverse[term][term].sqrt();
        (error > 0.0 || self.coefficients[term] > 0.0).then(|| self.coefficients[term] / error)
    }
}

/// The best fit whose coefficients are all 0 or more. With at most four terms every set of them can be tried: the best one
/// that needs no negative coefficient is the solution (Lawson and Hanson, Solving Least Squares Problems, 1974, chapter
/// 23). `None`: there are no rows, or these terms are one and the same in them.
pub(crate) fn non_negative(rows: &[Row], terms: Terms) -> Option<Solution> {
    let sets = (0..1_u8 << TERMS).map(|bits| std::array::from_fn(|term| bits & (1 << term) != 0));
    let allowed = sets.filter(|set: &Terms| set.iter().zip(&terms).all(|(own, allowed)| !own || *allowed));
    let (normal, projected) = (normal(rows), projected(rows));
    inverse(&normal, terms)?;
    let fits = allowed.filter_map(|set| unconstrained(rows, &projected, inverse(&normal, set)?));
    let fits = fits.filter(|fit| fit.coefficients.iter().all(|coefficient| *coefficient >= 0.0));
    let mut best = fits.min_by(|a, b| a.squares.total_cmp(&b.squares))?;
    // A term at its bound is estimated all the same: it takes its degree of freedom.
    let taken = terms.iter().filter(|term| **term).count();
    best.residual = rows
        .len()
        .checked_sub(taken)
        .filter(|freedom| *freedom > 0)
        .map(|freedom| (best.squares / freedom as f64).sqrt());
    Some(best)
}

/// How much more the variance of each coefficient is than if its term were independent of the others (variance inflation,
/// about the origin, as there is no intercept); infinite where it is a sum of others, 0 for terms that take no part.
pub(crate) fn inflation(rows: &[Row], terms: Terms) -> [f64; TERMS] {
    let normal = normal(rows);
    match inverse(&normal, terms) {
        Some(inverse) => {
            std::array::from_fn(|term| if terms[term] { inverse[term][term] * normal[term][term] } else { 0.0 })
        }
        // Each is dependent that has an inverse without it.
        None => std::array::from_fn(|term| {
            let without: Terms = std::array::from_fn(|other| terms[other] && other != term);
            let dependent = terms[term] && rank(&normal, without) == rank(&normal, terms);
            if dependent { f64::INFINITY } else { f64::from(u8::from(terms[term])) }
        }),
    }
}

/// Number of independent terms.
fn rank(normal: &Matrix, terms: Terms) -> usize {
    let mut kept = [false; TERMS];
    for term in (0..TERMS).filter(|term| terms[*term]) {
        kept[term] = true;
        kept[term] = inverse(normal, kept).is_some();
    }
    kept.iter().filter(|kept| **kept).count()
}

/// The best fit of the terms whose inverse this is.
fn unconstrained(rows: &[Row], projected: &[f64; TERMS], inverse: Matrix) -> Option<Solution> {
    let dot = |row: &[f64; TERMS]| row.iter().zip(projected).map(|(a, b)| a * b).sum::<f64>();
    let coefficients = inverse.map(|row| dot(&row));
    let mut fit = Solution { coefficients, residual: None, squares: 0.0, inverse };
    fit.squares = rows.iter().map(|row| ((row.y - fit.predict(&row.x)) / row.sigma).powi(2)).sum();
    fit.squares.is_finite().then_some(fit)
}

/// The right side of the normal equations.
fn projected(rows: &[Row]) -> [f64; TERMS] {
    let mut projected = [0.0; TERMS];
    for row in rows {
        for (sum, x) in projected.iter_mut().zip(&row.x) {
            *sum += x * row.y / row.sigma.powi(2);
        }
    }
    projected
}

fn normal(rows: &[Row]) -> Matrix {
    let mut normal = Matrix::default();
    for row in rows {
        let weight = row.sigma.powi(-2);
        for (a, sums) in row.x.iter().zip(&mut normal) {
            for (b, sum) in row.x.iter().zip(sums) {
                *sum += a * b * weight;
            }
        }
    }
    normal
}

/// Inverse of the part that takes part, 0 elsewhere, after Gauss and Jordan on terms of unit length. `None`: singular.
fn inverse(normal: &Matrix, terms: Terms) -> Option<Matrix> {
    /// Least share of a unit length that a term may keep beside the others.
    const SINGULAR: f64 = 1e-10;
    let lengths: [f64; TERMS] = std::array::from_fn(|term| normal[term][term].sqrt());
    if (0..TERMS).any(|term| terms[term] && (lengths[term] <= 0.0 || !lengths[term].is_finite())) {
        return None;
    }
    let part = |a: usize, b: usize| terms[a] && terms[b];
    let unit = |a: usize, b: usize| f64::from(u8::from(a == b));
    // The matrix, and the unit matrix that becomes its inverse.
    let mut rows: [[f64; 2 * TERMS]; TERMS] = std::array::from_fn(|a| {
        std::array::from_fn(|b| match b.checked_sub(TERMS) {
            Some(b) => unit(a, b),
            None if part(a, b) => normal[a][b] / (lengths[a] * lengths[b]),
            None => unit(a, b),
        })
    });
    // A positive definite matrix needs no exchange of rows.
    for at in 0..TERMS {
        let pivot = rows[at][at];
        if pivot < SINGULAR {
            return None;
        }
        let own = rows[at].map(|value| value / pivot);
        for (other, row) in rows.iter_mut().enumerate() {
            let factor = if other == at { 0.0 } else { row[at] };
            let from = if other == at { own } else { *row };
            *row = std::array::from_fn(|column| from[column] - factor * own[column]);
        }
    }
    Some(std::array::from_fn(|a| {
        std::array::from_fn(|b| if part(a, b) { rows[a][TERMS + b] / (lengths[a] * lengths[b]) } else { 0.0 })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[([f64; TERMS], f64)]) -> Vec<Row> {
        of.iter().map(|(x, y)| Row { x: *x, y: *y, sigma: 1.0 }).collect()
    }

    const ALL: Terms = [true; TERMS];

    #[test]
    fn a_law_without_error_is_found_exactly() {
        let xs = [
            [1.0, 2.0, 0.0, 0.0],
            [1.0, 5.0, 3.0, 0.0],
            [1.0, 1.0, 0.0, 9.0],
            [2.0, 0.0, 1.0, 1.0],
            [1.0, 7.0, 1.0, 2.0],
        ];
        let law = [3.0, 0.5, 20.0, 120.0];
        let observed: Vec<_> = xs.map(|x| (x, x.iter().zip(&law).map(|(x, c)| x * c).sum())).to_vec();
        let fit = non_negative(&rows(&observed), ALL).unwrap();
        for (found, law) in fit.coefficients.iter().zip(&law) {
            assert!((found - law).abs() < 1e-9, "{fit:?}");
        }
        assert!(fit.residual.unwrap() < 1e-9);
    }

    #[test]
    fn what_would_be_negative_is_nothing_and_the_rest_is_fitted_anew() {
        // y falls with the second term; without it the best first coefficient is the mean.
        let observed = [([1.0, 1.0, 0.0, 0.0], 9.0), ([1.0, 2.0, 0.0, 0.0], 8.0), ([1.0, 3.0, 0.0, 0.0], 7.0)];
        let fit = non_negative(&rows(&observed), [true, true, false, false]).unwrap();
        assert!(fit.coefficients[1].abs() < 1e-12);
        assert!((fit.coefficients[0] - 8.0).abs() < 1e-9);
        // Two squared residuals of 1, and one degree of freedom: the second term was tried.
        assert!((fit.residual.unwrap() - 2.0_f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn errors_are_those_of_a_textbook() {
        // x 1..5, y 2 4 5 4 5: slope 0.6 with a standard error of 0.2828.
        let ys = [2.0, 4.0, 5.0, 4.0, 5.0];
        let observed: Vec<_> = ys.iter().zip(1..).map(|(y, x)| ([1.0, f64::from(x), 0.0, 0.0], *y)).collect();
        let fit = non_negative(&rows(&observed), [true, true, false, false]).unwrap();
        assert!((fit.coefficients[1] - 0.6).abs() < 1e-9);
        assert!((fit.t(1).unwrap() - 0.6 / 0.282_843).abs() < 1e-3);
        // At the mean of x only the mean of y is uncertain.
        assert!((fit.leverage(&[1.0, 3.0, 0.0, 0.0]) - (1.0_f64 / 5.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn a_row_of_small_sigma_weighs_more() {
        let mut two = rows(&[([1.0, 0.0, 0.0, 0.0], 10.0), ([1.0, 0.0, 0.0, 0.0], 20.0)]);
        two[1].sigma = 3.0;
        let fit = non_negative(&two, [true, false, false, false]).unwrap();
        assert!((fit.coefficients[0] - 11.0).abs() < 1e-9);
    }

    #[test]
    fn terms_in_proportion_are_inflated_without_end_and_cannot_be_fitted() {
        let observed = [([1.0, 2.0, 4.0, 0.0], 1.0), ([1.0, 3.0, 6.0, 0.0], 2.0), ([2.0, 5.0, 10.0, 1.0], 3.0)];
        let rows = rows(&observed);
        let found = inflation(&rows, ALL);
        assert!(found[1].is_infinite() && found[2].is_infinite() && found[0].is_finite(), "{found:?}");
        assert_eq!(non_negative(&rows, ALL), None);
        let found = inflation(&rows, [true, true, false, true]);
        assert!(found[1] > 1.0 && found[1].is_finite() && found[2] == 0.0, "{found:?}");
        // A term that is nowhere says nothing.
        assert_eq!(non_negative(&rows[..2], [false, false, false, true]), None);
        assert_eq!(non_negative(&[], ALL), None);
    }
}
