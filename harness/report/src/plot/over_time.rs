//! Numbers over the time of a run, with marks at moments.

use super::axes::{Axis, Frame, TEXT, apart};
use super::canvas::{Anchor, Style, SvgCanvas, text_width};
use super::{Drawing, Form, thinned};
use wsceiling_model::format::{self, Unit};

/// Most points of a line: more are finer than a pixel.
const POINTS_MAX: usize = 700;
/// Distance of two numbers of marks.
const MARK_GAP: f64 = 16.0;

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A series, by its place in the palette.
    Series(usize),
    /// Something wanted or allowed, dashed.
    Limit,
}

/// A number over time.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeLine {
    /// Its name, at its end.
    pub name: String,
    /// Its look.
    pub look: Look,
    /// Seconds and values, in order.
    pub points: Vec<(f64, f64)>,
    /// It keeps a value until the next one.
    pub steps: bool,
}

/// Draws lines from the start to second `end`, with numbered marks.
pub fn over_time(form: Form, end: f64, lines: &[TimeLine], marks: &[f64]) -> Drawing {
    let size = (form.width(), if form.is_narrow() { 250.0 } else { 290.0 });
    let most = lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value).filter(|value| value.is_finite());
    let y = Axis::linear(most.fold(0.0, f64::max), Unit::Count, 5);
    let (x, per_unit, unit) = time_axis(end, form);
    let names = lines.iter().map(|line| text_width(&line.name, TEXT)).fold(0.0, f64::max);
    let frame = Frame {
        left: y.label_width() + 10.0,
        top: if marks.is_empty() { 14.0 } else { 28.0 },
        right: size.0 - names - 12.0,
        bottom: size.1 - 26.0,
        x,
        y,
    };
    SvgCanvas::draw(size, |canvas| {
        frame.draw_y(canvas, "", 0.0);
        frame.draw_x_labels(canvas, unit);
        draw_marks(canvas, &frame, per_unit, marks);
        let mut ends = Vec::new();
        for line in lines {
            let style = style(line.look);
            let places = places(line, &frame, per_unit);
            match places.as_slice() {
                [] => continue,
                [alone] => canvas.dot(*alone, 2.0, style),
                places => canvas.line(places, style, if line.look == Look::Limit { 1.25 } else { 2.0 }),
            }
            ends.extend(places.last().map(|place| (line, style, place.1)));
        }
        let heights: Vec<f64> = ends.iter().map(|(_, _, height)| *height).collect();
        for ((line, style, _), height) in ends.iter().zip(apart(&heights, TEXT + 1.0, (frame.top, frame.bottom))) {
            canvas.text(&line.name, (frame.right + 7.0, height), Anchor::Start, *style, TEXT);
        }
    })
}

fn style(look: Look) -> Style {
    match look {
        Look::Series(at) => Style::Series(at),
        Look::Limit => Style::Wall,
    }
}

/// The axis, seconds of one of its units, and that unit.
fn time_axis(end: f64, form: Form) -> (Axis, f64, &'static str) {
    let end = if end.is_finite() && end > 0.0 { end } else { 1.0 };
    let (per_unit, unit) = match end {
        _ if end > 4.0 * 3_600.0 => (3_600.0, " h"),
        _ if end > 5.0 * 60.0 => (60.0, " min"),
        _ => (1.0, " s"),
    };
    (Axis::linear(end / per_unit, Unit::Plain, if form.is_narrow() { 4 } else { 8 }), per_unit, unit)
}

fn places(line: &TimeLine, frame: &Frame, per_unit: f64) -> Vec<(f64, f64)> {
    let finite: Vec<(f64, f64)> =
        line.points.iter().copied().filter(|(second, value)| second.is_finite() && value.is_finite()).collect();
    let mut places: Vec<(f64, f64)> = Vec::new();
    for at in thinned(finite.len(), POINTS_MAX) {
        let place = frame.at(finite[at].0 / per_unit, finite[at].1);
        if let Some(last) = places.last().filter(|last| line.steps && (last.1 - place.1).abs() > 0.1) {
            places.push((place.0, last.1));
        }
        places.push(place);
    }
    places
}

fn draw_marks(canvas: &mut SvgCanvas<'_>, frame: &Frame, per_unit: f64, marks: &[f64]) {
    let mut free_from = f64::NEG_INFINITY;
    for (at, second) in marks.iter().enumerate().filter(|(_, second)| second.is_finite()) {
        let x = frame.x_at(second / per_unit);
        canvas.line(&[(x, frame.top - 6.0), (x, frame.bottom)], Style::Event, 1.0);
        if x >= free_from {
            canvas.dot((x, frame.top - 14.0), 7.5, Style::Event);
            canvas.text(&format::count(at as u64 + 1), (x, frame.top - 14.0), Anchor::Middle, Style::Paper, TEXT - 2.0);
            free_from = x + MARK_GAP;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: Vec<(f64, f64)>, steps: bool) -> TimeLine {
        TimeLine { name: "open".into(), look: Look::Series(0), points, steps }
    }

    #[test]
    fn a_goal_goes_in_steps_and_a_count_does_not() {
        let points = vec![(0.0, 1.0), (10.0, 5.0), (20.0, 5.0)];
        let (x, per_unit, _) = time_axis(20.0, Form::Wide);
        let y = Axis::linear(5.0, Unit::Count, 5);
        let frame = Frame { left: 0.0, top: 0.0, right: 100.0, bottom: 100.0, x, y };
        assert_eq!(places(&line(points.clone(), false), &frame, per_unit).len(), 3);
        let stepped = places(&line(points, true), &frame, per_unit);
        assert_eq!(stepped.len(), 4);
        assert!((stepped[1].1 - stepped[0].1).abs() < 1e-9 && (stepped[2].0 - stepped[1].0).abs() < 1e-9);
    }

    #[test]
    fn long_runs_are_in_minutes_and_hours_and_nonsense_is_drawn_all_the_same() {
        assert_eq!([30.0, 600.0, 86_400.0].map(|end| time_axis(end, Form::Wide).2), [" s", " min", " h"]);
        let day: Vec<(f64, f64)> = (0..86_400).map(|second| (f64::from(second), 5.0)).collect();
        let drawn = over_time(Form::Wide, 86_400.0, &[line(day, false)], &[1.0, 2.0, 80_000.0]).body;
        assert_eq!(drawn.matches("<circle").count(), 2, "two marks share a place");
        let longest = drawn.lines().map(|line| line.matches(' ').count()).max().unwrap();
        assert!(longest < 2 * POINTS_MAX);
        for points in [vec![], vec![(f64::NAN, 1.0)], vec![(0.0, f64::INFINITY)], vec![(0.0, 0.0)]] {
            over_time(Form::Narrow, f64::NAN, &[line(points, true)], &[f64::NAN]);
        }
    }
}
