//! Latency of each step: median and 99th percentile against connections, on a logarithmic scale.

use super::axes::{Axis, Frame, TEXT, apart};
use super::canvas::{Anchor, Style, SvgCanvas, text_width};
use super::{Drawing, Form, thinned};
use wsceiling_model::format::{self, Unit};
use wsceiling_model::record::{Latency, StepRecord};

/// Steps of other trials that are drawn behind the lines at most.
const FAINT_MAX: usize = 300;
/// Pixels between the two sides.
const GAP: f64 = 28.0;
/// Places in the palette of the median and of the 99th percentile.
const P50: usize = 0;
const P99: usize = 1;

/// One side of the plot: the times of a reply or of an upgrade.
struct Side<'a> {
    title: &'static str,
    pick: fn(&StepRecord) -> &Latency,
    gate_us: Option<f64>,
    steps: &'a [&'a StepRecord],
    others: &'a [&'a StepRecord],
}

/// Draws replies and upgrades side by side, below each other on a phone. `steps` are those of the trial that is shown,
/// `others` those of the rest; `gate_us` is the limit of a reply's 99th percentile.
pub fn latency(form: Form, steps: &[&StepRecord], others: &[&StepRecord], gate_us: Option<f64>) -> Drawing {
    let height = 250.0;
    let sides = [
        Side { title: "reply", pick: |step| &step.reply, gate_us, steps, others },
        Side { title: "upgrade", pick: |step| &step.handshake, gate_us: None, steps, others },
    ];
    let sides: Vec<Side<'_>> = sides.into_iter().filter(Side::has_values).collect();
    let width = if form.is_narrow() { form.width() } else { (form.width() - GAP) / 2.0 };
    let rows = if form.is_narrow() { sides.len().max(1) as f64 } else { 1.0 };
    SvgCanvas::draw((form.width(), height * rows), |canvas| {
        for (at, side) in sides.iter().enumerate() {
            let corner = if form.is_narrow() { (0.0, at as f64 * height) } else { (at as f64 * (width + GAP), 0.0) };
            side.draw(canvas, corner, (width, height), if form.is_narrow() { 4 } else { 5 });
        }
    })
}

impl Side<'_> {
    fn has_values(&self) -> bool {
        self.steps.iter().chain(self.others).any(|step| (self.pick)(step).p99_us.is_some())
    }

    fn draw(&self, canvas: &mut SvgCanvas<'_>, corner: (f64, f64), size: (f64, f64), wanted: usize) {
        let all = || self.steps.iter().chain(self.others);
        let values = || all().flat_map(|step| [(self.pick)(step).p50_us, (self.pick)(step).p99_us]).flatten();
        let least = values().map(|us| us.max(1)).min().unwrap_or(1) as f64;
        let most = values().max().unwrap_or(1) as f64;
        let y = Axis::decades(least, most.max(self.gate_us.unwrap_or(0.0)));
        let widest = all().map(|step| step.target).max().unwrap_or(1);
        let x = Axis::linear(f64::from(widest), Unit::Count, wanted);
        let left = corner.0 + y.label_width() + 10.0;
        let right = corner.0 + size.0 - x.last_label_half().max(text_width("p99", TEXT) + 10.0) - 4.0;
        let frame = Frame { left, top: corner.1 + 34.0, right, bottom: corner.1 + size.1 - 44.0, x, y };
        frame.draw_y(canvas, "", 0.0);
        let title = format!("{}, logarithmic scale", self.title);
        canvas.text(&title, (corner.0, frame.top - 16.0), Anchor::Start, Style::Text, TEXT);
        frame.draw_x(canvas, "connections");
        self.gate(canvas, &frame);
        self.faint(canvas, &frame);
        self.lines(canvas, &frame);
    }

    fn gate(&self, canvas: &mut SvgCanvas<'_>, frame: &Frame) {
        if let Some(gate) = self.gate_us.filter(|gate| gate.is_finite() && *gate > 0.0) {
            let y = frame.y_at(gate);
            canvas.line(&[(frame.left, y), (frame.right, y)], Style::Wall, 1.5);
            let label = format!("p99 gate, {}", format::quantity(Unit::Micros, gate));
            canvas.text(&label, (frame.left + 4.0, y - 8.0), Anchor::Start, Style::Wall, TEXT - 1.0);
        }
    }

    fn faint(&self, canvas: &mut SvgCanvas<'_>, frame: &Frame) {
        for at in thinned(self.others.len(), FAINT_MAX) {
            let latency = (self.pick)(self.others[at]);
            for (series, value) in [(P50, latency.p50_us), (P99, latency.p99_us)] {
                if let Some(us) = value {
                    let place = frame.at(f64::from(self.others[at].target), us as f64);
                    canvas.mark_as(place, series, 2.0, Style::Faint(series));
                }
            }
        }
    }

    fn lines(&self, canvas: &mut SvgCanvas<'_>, frame: &Frame) {
        let mut steps: Vec<&StepRecord> = self.steps.to_vec();
        steps.sort_by_key(|step| step.target);
        let mut ends = Vec::new();
        for (series, name) in [(P50, "p50"), (P99, "p99")] {
            let value = |step: &StepRecord| {
                let latency = (self.pick)(step);
                if series == P50 { latency.p50_us } else { latency.p99_us }
            };
            let places: Vec<(f64, f64)> =
                steps.iter().filter_map(|step| Some(frame.at(f64::from(step.target), value(step)? as f64))).collect();
            canvas.line(&places, Style::Series(series), 2.0);
            for step in &steps {
                let Some(us) = value(step) else { continue };
                let place = frame.at(f64::from(step.target), us as f64);
                canvas.mark(place, series, 3.0);
                if !step.passed {
                    cross(canvas, place);
                }
            }
            ends.extend(places.last().map(|end| (series, name, *end)));
        }
        let heights: Vec<f64> = ends.iter().map(|(_, _, end)| end.1).collect();
        for ((series, name, end), height) in ends.iter().zip(apart(&heights, TEXT + 2.0, (frame.top, frame.bottom))) {
            canvas.text(name, (end.0 + 9.0, height), Anchor::Start, Style::Series(*series), TEXT);
        }
    }
}

/// Marks a step that failed.
fn cross(canvas: &mut SvgCanvas<'_>, (x, y): (f64, f64)) {
    canvas.line(&[(x - 5.0, y - 5.0), (x + 5.0, y + 5.0)], Style::Cause, 1.5);
    canvas.line(&[(x - 5.0, y + 5.0), (x + 5.0, y - 5.0)], Style::Cause, 1.5);
}
