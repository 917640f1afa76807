//! What connections cost: measured points and the fitted line of each cell.

use super::axes::{Axis, Frame, TEXT, apart};
use super::canvas::{Anchor, Style, SvgCanvas, text_width};
use super::{Drawing, Form, thinned};
use crate::text;
use wsceiling_analysis::Cost;
use wsceiling_model::format::Unit;

/// Points of a cell that are drawn at most.
const POINTS_MAX: usize = 300;
/// Characters of a label at the end of a line.
const LABEL_CHARS: usize = 30;

/// One cell of the plot.
#[derive(Debug, Clone, Copy)]
pub struct CostLine<'a> {
    /// Id of the cell.
    pub label: &'a str,
    /// Its points and its fitted line.
    pub cost: &'a Cost,
    /// Place in the palette.
    pub series: usize,
}

/// Draws the cells; `most` are the ends of both axes, shared by the plots that stand side by side.
pub fn cost(form: Form, lines: &[CostLine<'_>], unit: Unit, title: &str, most: (f64, f64)) -> Drawing {
    let size = (form.width(), if form == Form::Wide { 400.0 } else { 290.0 });
    let wanted = if form == Form::Wide { 6 } else { 4 };
    let (x, y) = (Axis::linear(most.0, Unit::Count, wanted), Axis::linear(most.1, unit, 5));
    let longest = lines.iter().map(|line| text_width(&short(line.label), TEXT)).fold(0.0, f64::max);
    let right = if form == Form::Wide { size.0 - longest - 24.0 } else { size.0 - x.last_label_half() - 6.0 };
    let left = y.label_width() + 10.0;
    let frame = Frame { left, top: 34.0, right, bottom: size.1 - 44.0, x, y };
    SvgCanvas::draw(size, |canvas| {
        frame.draw_y(canvas, &format!("{title}, {}", frame.y.unit), 16.0);
        frame.draw_x(canvas, "connections open");
        for line in lines {
            points(canvas, &frame, line, 3.0);
        }
        for line in lines {
            canvas.line(&fitted(&frame, line.cost), Style::Series(line.series), 2.0);
        }
        if form == Form::Wide {
            labels(canvas, &frame, lines);
        }
    })
}

fn points(canvas: &mut SvgCanvas<'_>, frame: &Frame, line: &CostLine<'_>, radius: f64) {
    for at in thinned(line.cost.points.len(), POINTS_MAX) {
        let point = line.cost.points[at];
        if point.connections.is_finite() && point.value.is_finite() {
            let place = frame.at(point.connections, point.value);
            canvas.mark_as(place, line.series, radius, Style::Faint(line.series));
        }
    }
}

/// Ends of the fitted line: from zero connections to the last point.
fn fitted(frame: &Frame, cost: &Cost) -> Vec<(f64, f64)> {
    let last = last_connections(cost);
    let value = |connections: f64| cost.per_connection.mul_add(connections, cost.baseline);
    if last <= 0.0 || !value(0.0).is_finite() || !value(last).is_finite() {
        return Vec::new();
    }
    vec![frame.at(0.0, value(0.0)), frame.at(last, value(last))]
}

/// Each line's cell, right of its end; a thin line leads there where labels had to move.
fn labels(canvas: &mut SvgCanvas<'_>, frame: &Frame, lines: &[CostLine<'_>]) {
    let ends: Vec<(&CostLine<'_>, (f64, f64))> =
        lines.iter().filter_map(|line| Some((line, *fitted(frame, line.cost).last()?))).collect();
    let heights: Vec<f64> = ends.iter().map(|(_, end)| end.1).collect();
    let moved = apart(&heights, TEXT + 3.0, (frame.top, frame.bottom));
    for ((line, end), height) in ends.iter().zip(moved) {
        let start = frame.right + 14.0;
        canvas.line(&[(end.0 + 4.0, end.1), (start - 3.0, height)], Style::Grid, 1.0);
        canvas.text(&short(line.label), (start, height), Anchor::Start, Style::Series(line.series), TEXT);
    }
}

fn short(label: &str) -> String {
    text::shorten(label, LABEL_CHARS)
}

/// Largest number of connections among the points.
fn last_connections(cost: &Cost) -> f64 {
    cost.points.iter().map(|point| point.connections).filter(|value| value.is_finite()).fold(0.0, f64::max)
}

/// Ends of both axes that hold all points and lines of the cells.
pub fn ends<'a>(costs: impl Iterator<Item = &'a Cost>) -> (f64, f64) {
    let mut most = (0f64, 0f64);
    for cost in costs {
        let last = last_connections(cost);
        let line = cost.per_connection.mul_add(last, cost.baseline);
        let values = cost.points.iter().map(|point| point.value).chain([line, cost.baseline]);
        most.0 = most.0.max(last);
        most.1 = values.filter(|value| value.is_finite()).fold(most.1, f64::max);
    }
    most
}

/// A cost in micro-cores, as the findings have it, in the cores of an axis.
pub fn in_cores(cost: &Cost) -> Cost {
    let mut cost = cost.clone();
    cost.per_connection *= 1e-6;
    cost.baseline *= 1e-6;
    for point in &mut cost.points {
        point.value *= 1e-6;
    }
    cost
}
