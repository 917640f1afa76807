//! What connections cost: measured points and the fitted line of each cell.

use super::axes::{Axis, Frame, TEXT, apart};
use super::canvas::{Anchor, Style, SvgCanvas, text_width};
use super::{Drawing, Form, thinned};
use crate::text;
use wsceiling_analysis::{CostPoint, CpuCost, Knee, MemoryCost};
use wsceiling_model::format::{self, Unit};

/// Points of a cell that are drawn at most.
const POINTS_MAX: usize = 300;
/// Characters of a label at the end of a line.
const LABEL_CHARS: usize = 30;
/// Half the height of the mark at a knee.
const KNEE: f64 = 7.0;

/// What is drawn of the cost of a cell, in the unit of the axis.
#[derive(Debug, Clone)]
pub struct CostShape {
    points: Vec<CostPoint>,
    /// Slope and value without connections; `None`: only points are drawn.
    line: Option<(f64, f64)>,
    knee: Option<Knee>,
}

impl CostShape {
    /// Memory in bytes.
    pub fn memory(cost: &MemoryCost) -> Self {
        let line = Some((cost.per_connection.value, cost.baseline));
        Self { points: cost.points.clone(), line, knee: cost.check.knee }
    }

    /// CPU in cores.
    pub fn cpu(cost: &CpuCost) -> Self {
        let in_cores = |point: &CostPoint| CostPoint { value: point.value * 1e-6, ..*point };
        let line = cost.line().map(|(slope, baseline)| (slope * 1e-6, baseline * 1e-6));
        Self { points: cost.points.iter().map(in_cores).collect(), line, knee: cost.check.knee }
    }

    /// Whether there is anything to draw.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Largest number of connections among the points.
    fn last_point(&self) -> f64 {
        self.points.iter().map(|point| point.connections).filter(|value| value.is_finite()).fold(0.0, f64::max)
    }

    /// Connections and values at the ends of the line: from none to the last point within the knee.
    fn ends(&self) -> Option<[(f64, f64); 2]> {
        let (slope, baseline) = self.line?;
        let last = self.last_point();
        let last = self.knee.map_or(last, |knee| last.min(f64::from(knee.linear_up_to)));
        let value = slope.mul_add(last, baseline);
        (last > 0.0 && baseline.is_finite() && value.is_finite()).then_some([(0.0, baseline), (last, value)])
    }
}

/// One cell of the plot.
#[derive(Debug, Clone, Copy)]
pub struct CostLine<'a> {
    /// Id of the cell.
    pub label: &'a str,
    /// Its points and its fitted line.
    pub cost: &'a CostShape,
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
            knee(canvas, &frame, line, lines.len() == 1);
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

/// Ends of the fitted line, as it is drawn.
fn fitted(frame: &Frame, cost: &CostShape) -> Vec<(f64, f64)> {
    cost.ends().into_iter().flatten().map(|(connections, value)| frame.at(connections, value)).collect()
}

/// A mark across the end of a line that ends at a knee; in words where the line is alone.
fn knee(canvas: &mut SvgCanvas<'_>, frame: &Frame, line: &CostLine<'_>, in_words: bool) {
    let Some((knee, (x, y))) = line.cost.knee.zip(fitted(frame, line.cost).last().copied()) else { return };
    canvas.line(&[(x, y - KNEE), (x, y + KNEE)], Style::Series(line.series), 2.0);
    if in_words {
        let words = format!("linear up to {}", format::count(u64::from(knee.linear_up_to)));
        let half = text_width(&words, TEXT) / 2.0;
        let middle = x.clamp(frame.left + half, (frame.right - half).max(frame.left + half));
        canvas.text(&words, (middle, (y + KNEE + TEXT).min(frame.bottom - TEXT)), Anchor::Middle, Style::Muted, TEXT);
    }
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

/// Ends of both axes that hold all points and lines of the cells.
pub fn ends<'a>(costs: impl Iterator<Item = &'a CostShape>) -> (f64, f64) {
    let mut most = (0f64, 0f64);
    for cost in costs {
        let line = cost.ends().into_iter().flatten().map(|(_, value)| value);
        let values = cost.points.iter().map(|point| point.value).chain(line);
        most.0 = most.0.max(cost.last_point());
        most.1 = values.filter(|value| value.is_finite()).fold(most.1, f64::max);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(knee: Option<Knee>) -> CostShape {
        let point = |connections: f64| CostPoint { connections, value: connections * 2.0 + 10.0, repeat: 1 };
        CostShape { points: vec![point(1_000.0), point(2_000.0), point(3_000.0)], line: Some((2.0, 10.0)), knee }
    }

    #[test]
    fn a_line_ends_at_its_knee_and_says_so() {
        let knee = Knee { linear_up_to: 2_000, beyond: 3_000, ratio: 1.5 };
        assert_eq!(shape(None).ends(), Some([(0.0, 10.0), (3_000.0, 6_010.0)]));
        assert_eq!(shape(Some(knee)).ends(), Some([(0.0, 10.0), (2_000.0, 4_010.0)]));
        let drawn = |shape: &CostShape, cells: usize| {
            let lines = vec![CostLine { label: "a", cost: shape, series: 0 }; cells];
            format!("{:?}", cost(Form::Half, &lines, Unit::Bytes, "memory", (3_000.0, 6_010.0)))
        };
        assert!(drawn(&shape(Some(knee)), 1).contains("linear up to 2,000"));
        assert!(!drawn(&shape(Some(knee)), 2).contains("linear up to"));
        assert!(!drawn(&shape(None), 1).contains("linear up to"));
    }
}
