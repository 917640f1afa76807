//! How many connections a resource holds: `resource = offset + slope * connections`.
//!
//! The resource is the memory or the CPU of one instance. The slope is what a connection takes of it, the offset what
//! connections cannot have: the idle server, page cache that is in use, the rest at which the server already fails. Both
//! come from two sources that are weighed against each other:
//!
//! - cells that met this limit: each says that a resource of `R` was full at `n` connections, `R = offset + slope * n`, with
//!   an error in proportion to `n`;
//! - the costs that were fitted to the steps of all cells: a slope and an offset with errors of their own (priors).
//!
//! Weighted least squares with known variances gives both with their covariance; from two sizes on the cells decide, with
//! one or none the costs do. The error of a prediction `n = (R - offset) / slope` is by the delta method
//! `var(n) = (var(offset) + 2 n cov + n^2 var(slope)) / slope^2`, plus the scatter of trials and the error of the model.

use super::first::{Chance, Z_90};
use crate::statistics::{median, t_90};

/// Before a run says otherwise, cells are so far from the line (standard deviation, as a share), with the weight of so many cells.
const MODEL_ERROR: f64 = 0.03;
const MODEL_WEIGHT: f64 = 4.0;
/// The same for the trials of a cell around it.
const SCATTER: f64 = 0.02;
const SCATTER_WEIGHT: f64 = 4.0;

/// A cell that met the limit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Met {
    /// The resource of one instance.
    pub resource: f64,
    /// Connections of one instance at which each trial stopped.
    pub connections: Vec<f64>,
}

/// A value with its standard deviation.
pub(super) type Prior = (f64, f64);

/// The line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    offset: f64,
    slope: f64,
    /// Variances of offset and slope, and their covariance.
    variances: (f64, f64, f64),
    /// Scatter of trials and cells about the line, a share.
    scatter: f64,
    /// Degrees of freedom of that scatter.
    degrees: f64,
    /// Smallest and largest resource that was met; `None`: none was.
    range: Option<(f64, f64)>,
}

impl Line {
    /// `None`: neither two resources that were met nor a slope.
    pub(super) fn fit(met: &[Met], offset: Option<Prior>, slope: Option<Prior>) -> Option<Self> {
        let cells: Vec<(f64, f64)> =
            met.iter().filter_map(|cell| Some((cell.resource, median(&cell.connections)?))).collect();
        let guess = slope.map(|(slope, _)| slope).or_else(|| steepness(&cells)).filter(|slope| *slope > 0.0)?;
        let (within, freedom) = scatter(met);
        let mut model = MODEL_ERROR;
        let mut slope_now = guess;
        // By how much the errors of the costs are widened, since cells contradict them.
        let mut doubt = 1.0;
        let mut solved = None;
        // The errors of the cells depend on the slope and on how far they are from the line, so it is fitted again with both.
        for _ in 0..3 {
            let error = |(cell, (_, n)): (&Met, &(f64, f64))| {
                slope_now * n * (model * model + within * within / cell.connections.len() as f64).sqrt()
            };
            let of_cells = met.iter().zip(&cells).map(|pair| (1.0, pair.1.1, pair.1.0, error(pair)));
            let costs = [
                offset.map(|(value, error)| (1.0, 0.0, value, doubt * error)),
                slope.map(|(value, error)| (0.0, 1.0, value, doubt * error)),
            ];
            let costs: Vec<Row> = costs.into_iter().flatten().collect();
            let (offset, fitted, variances) = solve(of_cells.chain(costs.iter().copied()))?;
            if fitted <= 0.0 {
                return None;
            }
            let away: f64 = cells.iter().map(|(resource, n)| ((resource - offset) / (fitted * n) - 1.0).powi(2)).sum();
            let lack = (cells.len() as f64 - 2.0).max(0.0);
            // Two cells are never off a line of their own: where they are off, it is the costs that they contradict.
            if lack > 0.0 {
                model = ((MODEL_WEIGHT * MODEL_ERROR.powi(2) + away) / (MODEL_WEIGHT + lack)).sqrt();
            }
            doubt *= disagreement(&costs, offset, fitted);
            slope_now = fitted;
            solved = Some((offset, fitted, variances, lack));
        }
        let (offset, slope, variances, lack) = solved?;
        let ends = |pick: fn(f64, f64) -> f64| cells.iter().map(|(resource, _)| *resource).reduce(pick);
        Some(Self {
            offset,
            slope,
            variances,
            scatter: model.hypot(within),
            degrees: MODEL_WEIGHT + lack + freedom.min(MODEL_WEIGHT),
            range: ends(f64::min).zip(ends(f64::max)),
        })
    }

    /// Connections that a resource holds; `None`: less than one.
    pub(super) fn at(&self, resource: f64) -> Option<Chance> {
        let n = (resource - self.offset) / self.slope;
        if n.is_nan() || n < 1.0 {
            return None;
        }
        let (of_offset, of_slope, both) = self.variances;
        let variance = (of_offset + 2.0 * n * both + n * n * of_slope).max(0.0) / self.slope.powi(2);
        let spread = (variance.sqrt() / n).hypot(self.scatter);
        Some(Chance { connections: n, spread: spread * t_90(self.degrees as usize) / Z_90 })
    }

    /// Whether a resource lies between those that were met.
    pub(super) fn covers(&self, resource: f64) -> bool {
        self.range.is_some_and(|(low, high)| (0.999 * low..=1.001 * high).contains(&resource))
    }

    /// Whether cells met it, and not costs alone say it.
    pub(super) fn was_met(&self) -> bool {
        self.range.is_some()
    }

    /// The same for connections that take so many times as much.
    pub(super) fn dearer(mut self, times: f64) -> Self {
        let (of_offset, of_slope, both) = self.variances;
        self.slope *= times;
        self.variances = (of_offset, of_slope * times * times, both * times);
        self
    }
}

/// Slope between the smallest and the largest resource; `None`: they are one.
fn steepness(cells: &[(f64, f64)]) -> Option<f64> {
    let by_resource = |a: &&(f64, f64), b: &&(f64, f64)| a.0.total_cmp(&b.0);
    let (low, high) = (cells.iter().min_by(by_resource)?, cells.iter().max_by(by_resource)?);
    (high.1 > low.1 && high.0 > low.0).then(|| (high.0 - low.0) / (high.1 - low.1))
}

/// Scatter of the trials of a cell about its median as a share, over all cells, and its degrees of freedom.
pub(super) fn scatter(cells: &[Met]) -> (f64, f64) {
    let (mut squares, mut freedom) = (0.0, 0.0);
    for cell in cells {
        let Some(middle) = median(&cell.connections).filter(|middle| *middle > 0.0) else { continue };
        squares += cell.connections.iter().map(|n| (n / middle - 1.0).powi(2)).sum::<f64>();
        freedom += cell.connections.len() as f64 - 1.0;
    }
    (((SCATTER_WEIGHT * SCATTER.powi(2) + squares) / (SCATTER_WEIGHT + freedom)).sqrt(), freedom)
}

/// A row of the fit: factors of offset and slope, the resource, and its error.
type Row = (f64, f64, f64, f64);

/// By how much costs are off a line for what their errors say: the root of their mean squared residual, not below 1 (Birge's
/// ratio). Who measures a ceiling knows better than who computes it.
fn disagreement(costs: &[Row], offset: f64, slope: f64) -> f64 {
    let squares: f64 = costs.iter().map(|(a, b, y, error)| ((y - a * offset - b * slope) / error).powi(2)).sum();
    (squares / costs.len().max(1) as f64).sqrt().max(1.0)
}

/// Weighted least squares of `y = a * offset + b * slope` over rows `(a, b, y, error)`: offset, slope, and their variances with
/// their covariance. `None`: the rows do not tell the two apart.
fn solve(rows: impl Iterator<Item = Row>) -> Option<(f64, f64, (f64, f64, f64))> {
    let (mut aa, mut ab, mut bb, mut ay, mut by) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (a, b, y, error) in rows.filter(|row| row.3 > 0.0) {
        let weight = 1.0 / (error * error);
        aa += weight * a * a;
        ab += weight * a * b;
        bb += weight * b * b;
        ay += weight * a * y;
        by += weight * b * y;
    }
    let determinant = aa * bb - ab * ab;
    // What is left of two rows that are one and the same is rounding.
    if determinant.is_nan() || determinant <= 1e-9 * aa * bb {
        return None;
    }
    let offset = (bb * ay - ab * by) / determinant;
    let slope = (aa * by - ab * ay) / determinant;
    Some((offset, slope, (bb / determinant, aa / determinant, -ab / determinant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(resource: f64, connections: f64) -> Met {
        Met { resource, connections: vec![connections; 3] }
    }

    #[test]
    fn three_sizes_give_the_line_through_them_whatever_the_costs_say() {
        // 10 taken by the server, 2 a connection.
        let cells = [met(110.0, 50.0), met(210.0, 100.0), met(410.0, 200.0)];
        let line = Line::fit(&cells, Some((0.0, 20.0)), Some((2.4, 0.4))).unwrap();
        assert!((line.at(310.0).unwrap().connections - 150.0).abs() < 1.5, "{line:?}");
        assert!(
            line.covers(310.0) && line.covers(410.0) && !line.covers(500.0) && !line.covers(90.0) && line.was_met()
        );
        assert_eq!(line.at(5.0), None);
    }

    #[test]
    fn one_size_and_the_costs_give_a_line_and_none_of_them_does_not() {
        let one = [met(210.0, 100.0)];
        assert_eq!(Line::fit(&one, None, None), None);
        let line = Line::fit(&one, Some((10.0, 5.0)), Some((2.0, 0.1))).unwrap();
        assert!((line.at(210.0).unwrap().connections - 100.0).abs() < 2.0);
        let (near, far) = (line.at(250.0).unwrap(), line.at(1010.0).unwrap());
        assert!((far.connections - 500.0).abs() < 10.0 && far.spread > near.spread, "{near:?} {far:?}");
        let costs = Line::fit(&[], Some((10.0, 5.0)), Some((2.0, 0.2))).unwrap();
        assert!((costs.at(210.0).unwrap().connections - 100.0).abs() < 0.1);
        assert!(!costs.was_met() && !costs.covers(210.0));
        // Root of (5^2 + (100 * 0.2)^2) / 2^2 over 100, with 3 % and 2 %, times t of 4 degrees (2.132) over 1.645.
        let spread = costs.at(210.0).unwrap().spread;
        assert!((spread - 0.1414).abs() < 0.001, "{spread}");
        assert!((line.degrees - 6.0).abs() < 1e-9, "two of three trials, and four that are assumed");
        // Two sizes that hold the same say nothing of what a connection takes.
        assert_eq!(Line::fit(&[met(100.0, 50.0), met(200.0, 50.0)], None, None), None);
    }

    #[test]
    fn a_cell_that_contradicts_the_costs_is_believed_and_makes_predictions_less_sure() {
        // Costs say that 210 hold 100; it held 10.
        let costs = (Some((10.0, 5.0)), Some((2.0, 0.2)));
        let line = Line::fit(&[met(210.0, 10.0)], costs.0, costs.1).unwrap();
        assert!((line.at(210.0).unwrap().connections - 10.0).abs() < 1.0, "{:?}", line.at(210.0));
        let agreed = Line::fit(&[met(210.0, 100.0)], costs.0, costs.1).unwrap();
        let spread = |line: &Line| line.at(400.0).unwrap().spread;
        assert!(spread(&line) > 2.0 * spread(&agreed), "{} {}", spread(&line), spread(&agreed));
    }

    #[test]
    fn dearer_connections_are_fewer_in_proportion() {
        let line = Line::fit(&[], Some((10.0, 1.0)), Some((2.0, 0.2))).unwrap();
        let (once, twice) = (line.at(210.0).unwrap(), line.clone().dearer(2.0).at(210.0).unwrap());
        assert!((once.connections - 2.0 * twice.connections).abs() < 0.1);
        assert!((once.spread - twice.spread).abs() < 1e-3);
    }

    #[test]
    fn cells_that_scatter_have_wider_intervals() {
        let spread = |middle: f64| {
            let cells = [met(110.0, 50.0), met(210.0, middle), met(310.0, 150.0), met(410.0, 200.0)];
            Line::fit(&cells, None, None).unwrap().at(300.0).unwrap().spread
        };
        assert!(spread(120.0) > 1.5 * spread(100.0), "{} {}", spread(120.0), spread(100.0));
    }
}
