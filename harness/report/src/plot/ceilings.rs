//! Ceilings as bars, each as long as its share of the best, with a whisker where the ceiling can be.

use super::axes::TEXT;
use super::canvas::{Anchor, Style, SvgCanvas, text_width};
use super::{Drawing, Form};
use crate::describe;
use crate::text;
use wsceiling_analysis::CellFindings;

/// Characters of a cell's name beside its bar.
const NAME_CHARS: usize = 34;

/// Draws the cells in their order; `best` is the end of the longest whisker of the whole run.
pub fn ceilings(form: Form, cells: &[&CellFindings], best: u64) -> Drawing {
    let (row, bar) = if form.is_narrow() { (40.0, 12.0) } else { (26.0, 14.0) };
    let names = cells.iter().map(|cell| text_width(&name(cell), TEXT)).fold(0.0, f64::max);
    let met = cells.iter().filter(|cell| cell.ceiling.is_some());
    let values = met.map(|cell| text_width(&value(cell), TEXT)).fold(0.0, f64::max);
    let left = if form.is_narrow() { 0.0 } else { names + 12.0 };
    let right = (form.width() - values - 14.0).max(left + 40.0);
    let size = (form.width(), row * cells.len().max(1) as f64 + 8.0);
    let x_at = |connections: u64| left + connections as f64 / best.max(1) as f64 * (right - left);
    SvgCanvas::draw(size, |canvas| {
        for (at, cell) in cells.iter().enumerate() {
            let top = 4.0 + at as f64 * row;
            let middle = if form.is_narrow() { top + 27.0 } else { top + row / 2.0 };
            if form.is_narrow() {
                canvas.text(&name(cell), (0.0, top + 10.0), Anchor::Start, Style::Text, TEXT);
            } else {
                canvas.text(&name(cell), (names, middle), Anchor::End, Style::Text, TEXT);
            }
            let Some(ceiling) = &cell.ceiling else {
                canvas.line(&[(left, middle), (right, middle)], Style::Grid, 1.0);
                canvas.rect(
                    (left, middle - 8.0),
                    (left + text_width(&value(cell), TEXT) + 8.0, middle + 8.0),
                    Style::Paper,
                );
                canvas.text(&value(cell), (left + 2.0, middle), Anchor::Start, Style::Muted, TEXT);
                continue;
            };
            let half = bar / 2.0;
            canvas.rect((left, middle - half), (right, middle + half), Style::Trough);
            let end = x_at(ceiling.connections);
            let style = if ceiling.at_least { Style::OpenBar } else { Style::Bar };
            canvas.rect((left, middle - half), (end, middle + half), style);
            let tip = if ceiling.at_least {
                open_end(canvas, end, middle, half)
            } else {
                whisker(canvas, ceiling, middle, x_at)
            };
            canvas.text(&value(cell), (tip.max(end) + 8.0, middle), Anchor::Start, Style::Text, TEXT);
        }
    })
}

/// An arrow head: the bar would go on.
fn open_end(canvas: &mut SvgCanvas<'_>, end: f64, middle: f64, half: f64) -> f64 {
    canvas.shape(&[(end, middle - half), (end + half * 0.8, middle), (end, middle + half)], Style::OpenBar);
    end + half * 0.8
}

/// The interval; open to the right where some trials met no ceiling.
fn whisker(
    canvas: &mut SvgCanvas<'_>,
    ceiling: &wsceiling_analysis::Ceiling,
    middle: f64,
    x_at: impl Fn(u64) -> f64,
) -> f64 {
    let low = x_at(ceiling.low);
    let high = ceiling.high.map_or_else(|| x_at(ceiling.connections) + 12.0, &x_at);
    canvas.line(&[(low, middle), (high, middle)], Style::Whisker, 1.5);
    canvas.line(&[(low, middle - 4.0), (low, middle + 4.0)], Style::Whisker, 1.5);
    if ceiling.high.is_some() {
        canvas.line(&[(high, middle - 4.0), (high, middle + 4.0)], Style::Whisker, 1.5);
    } else {
        canvas.line(&[(high - 4.0, middle - 4.0), (high, middle), (high - 4.0, middle + 4.0)], Style::Whisker, 1.5);
    }
    high
}

fn name(cell: &CellFindings) -> String {
    text::shorten(&cell.cell.id, NAME_CHARS)
}

fn value(cell: &CellFindings) -> String {
    cell.ceiling.as_ref().map_or_else(|| describe::badge(cell.outcome).text.to_owned(), describe::ceiling)
}
