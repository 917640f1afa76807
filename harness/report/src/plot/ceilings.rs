//! Ceilings as bars, each as long as its share of the best, with a whisker where the ceiling can be.

use super::axes::TEXT;
use super::pen::{Anchor, Ink, Pen, text_width};
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
    Pen::draw(size, |pen| {
        for (at, cell) in cells.iter().enumerate() {
            let top = 4.0 + at as f64 * row;
            let middle = if form.is_narrow() { top + 27.0 } else { top + row / 2.0 };
            if form.is_narrow() {
                pen.text(&name(cell), (0.0, top + 10.0), Anchor::Start, Ink::Text, TEXT);
            } else {
                pen.text(&name(cell), (names, middle), Anchor::End, Ink::Text, TEXT);
            }
            let Some(ceiling) = &cell.ceiling else {
                pen.line(&[(left, middle), (right, middle)], Ink::Grid, 1.0);
                pen.rect((left, middle - 8.0), (left + text_width(&value(cell), TEXT) + 8.0, middle + 8.0), Ink::Paper);
                pen.text(&value(cell), (left + 2.0, middle), Anchor::Start, Ink::Muted, TEXT);
                continue;
            };
            let half = bar / 2.0;
            pen.rect((left, middle - half), (right, middle + half), Ink::Trough);
            let end = x_at(ceiling.connections);
            let ink = if ceiling.at_least { Ink::OpenBar } else { Ink::Bar };
            pen.rect((left, middle - half), (end, middle + half), ink);
            let tip =
                if ceiling.at_least { open_end(pen, end, middle, half) } else { whisker(pen, ceiling, middle, x_at) };
            pen.text(&value(cell), (tip.max(end) + 8.0, middle), Anchor::Start, Ink::Text, TEXT);
        }
    })
}

/// An arrow head: the bar would go on.
fn open_end(pen: &mut Pen<'_>, end: f64, middle: f64, half: f64) -> f64 {
    pen.shape(&[(end, middle - half), (end + half * 0.8, middle), (end, middle + half)], Ink::OpenBar);
    end + half * 0.8
}

/// The interval; open to the right where some trials met no ceiling.
fn whisker(pen: &mut Pen<'_>, ceiling: &wsceiling_analysis::Ceiling, middle: f64, x_at: impl Fn(u64) -> f64) -> f64 {
    let low = x_at(ceiling.low);
    let high = ceiling.high.map_or_else(|| x_at(ceiling.connections) + 12.0, &x_at);
    pen.line(&[(low, middle), (high, middle)], Ink::Whisker, 1.5);
    pen.line(&[(low, middle - 4.0), (low, middle + 4.0)], Ink::Whisker, 1.5);
    if ceiling.high.is_some() {
        pen.line(&[(high, middle - 4.0), (high, middle + 4.0)], Ink::Whisker, 1.5);
    } else {
        pen.line(&[(high - 4.0, middle - 4.0), (high, middle), (high - 4.0, middle + 4.0)], Ink::Whisker, 1.5);
    }
    high
}

fn name(cell: &CellFindings) -> String {
    text::shorten(&cell.cell.id, NAME_CHARS)
}

fn value(cell: &CellFindings) -> String {
    cell.ceiling.as_ref().map_or_else(|| describe::badge(cell.outcome).text.to_owned(), describe::ceiling)
}
