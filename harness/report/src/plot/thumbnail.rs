//! A trial as small as a stamp: its connections over time, for the overview of all cells.

use super::axes::{Axis, Frame, TEXT};
use super::canvas::{Style, SvgCanvas};
use super::timeline::last_second;
use super::{Drawing, thinned};
use wsceiling_analysis::{SeriesName, TrialFindings};
use wsceiling_model::format::Unit;

const SIZE: (f64, f64) = (264.0, 132.0);
/// Points of the line at most.
const POINTS_MAX: usize = 400;

/// Draws the connections that a trial held; `most` is the end of the vertical axis, shared by all of them. `None`: the
/// trial has nothing to draw.
pub fn thumbnail(trial: &TrialFindings, most: f64) -> Option<Drawing> {
    let held = trial.series.iter().find(|series| series.name == SeriesName::Held && !series.points.is_empty())?;
    let (x, y) = (Axis::linear(last_second(trial), Unit::Plain, 4), Axis::linear(most, Unit::Count, 3));
    let left = y.label_width() + 9.0;
    let frame = Frame { left, top: TEXT, right: SIZE.0 - 10.0, bottom: SIZE.1 - 24.0, x, y };
    Some(SvgCanvas::draw(SIZE, |canvas| {
        for step in trial.record.steps.iter().filter(|step| !step.passed) {
            if step.started_ms.is_finite() && step.ended_ms.is_finite() {
                let (from, to) = (frame.x_at(step.started_ms / 1e3), frame.x_at(step.ended_ms / 1e3));
                canvas.rect((from, frame.top), (to, frame.bottom), Style::Failed);
            }
        }
        frame.draw_y(canvas, "", 0.0);
        frame.draw_x_labels(canvas, " s");
        let mut run: Vec<(f64, f64)> = Vec::new();
        for at in thinned(held.points.len(), POINTS_MAX) {
            let (t_ms, value) = held.points[at];
            match value.filter(|value| value.is_finite() && t_ms.is_finite()) {
                Some(value) => run.push(frame.at(t_ms / 1e3, value)),
                None => canvas.line(&std::mem::take(&mut run), Style::Series(0), 1.75),
            }
        }
        canvas.line(&run, Style::Series(0), 1.75);
        let onset = trial.verdict.as_ref().and_then(|verdict| verdict.onset_ms).filter(|moment| moment.is_finite());
        if let Some(moment) = onset {
            let x = frame.x_at(moment / 1e3);
            canvas.line(&[(x, frame.top - 6.0), (x, frame.bottom)], Style::Cause, 1.5);
        }
    }))
}
