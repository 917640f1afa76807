//! A line as small as a word: one number over the runs.

use super::Drawing;
use super::canvas::{Style, SvgCanvas};

/// Values from the oldest run to the newest, from zero; `None` is a gap.
pub fn sparkline(values: &[Option<u64>]) -> Drawing {
    let size = (132.0, 30.0);
    let most = values.iter().flatten().copied().max().unwrap_or_default().max(1);
    let step = (size.0 - 10.0) / values.len().saturating_sub(1).max(1) as f64;
    let place = |at: usize, value: u64| (5.0 + at as f64 * step, 25.0 - value as f64 / most as f64 * 20.0);
    SvgCanvas::draw(size, |canvas| {
        canvas.line(&[(0.0, 26.5), (size.0, 26.5)], Style::Grid, 1.0);
        let mut run: Vec<(f64, f64)> = Vec::new();
        for (at, value) in values.iter().enumerate() {
            match value {
                Some(value) => run.push(place(at, *value)),
                None => canvas.line(&std::mem::take(&mut run), Style::Series(0), 1.5),
            }
        }
        canvas.line(&run, Style::Series(0), 1.5);
        for (at, value) in values.iter().enumerate() {
            if let Some(value) = value {
                canvas.dot(place(at, *value), if at + 1 == values.len() { 2.8 } else { 1.5 }, Style::Series(0));
            }
        }
    })
}
