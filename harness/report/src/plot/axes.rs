//! Axes: scales, round ticks and the lines across.

use super::canvas::{Anchor, Style, SvgCanvas, text_width};
use wsceiling_model::format::{self, Unit};

/// Size of the text of a plot, in pixels.
pub const TEXT: f64 = 12.0;

/// A scale from values to shares of an axis.
#[derive(Debug, Clone, PartialEq)]
pub enum Scale {
    /// From zero, in proportion.
    Linear { top: f64 },
    /// In decades, between the decimal logarithms of both ends.
    Log { from: f64, to: f64 },
    /// Between both ends, in proportion.
    Between { low: f64, high: f64 },
}

/// An axis: its scale, its ticks and the unit of their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub scale: Scale,
    /// Values and labels.
    pub ticks: Vec<(f64, String)>,
    /// Unit of the labels, for the axis's title.
    pub unit: &'static str,
}

impl Axis {
    /// From zero to `most`, with about `wanted` round ticks.
    pub fn linear(most: f64, unit: Unit, wanted: usize) -> Self {
        let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        let (factor, name) = unit.rung(most);
        let step = round_step(most / factor / wanted.max(1) as f64) * factor;
        // There is no half of a connection.
        let step = if unit == Unit::Count { step.max(1.0) } else { step };
        let steps = (most / step + 1e-9).floor().clamp(1.0, 100.0) as usize;
        let ticks = (0..=steps).map(|at| (at as f64 * step, format::trimmed(at as f64 * step / factor))).collect();
        Self { scale: Scale::Linear { top: most.max(step) }, ticks, unit: name }
    }

    /// Around values from `least` to `most`, not from zero, with about `wanted` round ticks.
    pub fn between(least: f64, most: f64, unit: Unit, wanted: usize) -> Self {
        let fits = least.is_finite() && most.is_finite() && least <= most;
        let (least, most) = if fits { (least, most) } else { (0.0, 1.0) };
        // A line that stays has a scale all the same.
        let room = ((most - least) * 0.08).max(most.abs() * 0.02).max(1e-9);
        let (low, high) = ((least - room).max(0.0), most + room);
        let (factor, name) = unit.rung(high);
        let step = round_step((high - low) / factor / wanted.max(1) as f64) * factor;
        let first = (low / step).ceil();
        let count = ((high / step).floor() - first).clamp(0.0, 50.0) as usize;
        let ticks = (0..=count).map(|at| (first + at as f64) * step);
        let ticks = ticks.map(|value| (value, format::trimmed(value / factor))).collect();
        Self { scale: Scale::Between { low, high }, ticks, unit: name }
    }

    /// Decades around the values, which are microseconds and greater than zero.
    pub fn decades(least: f64, most: f64) -> Self {
        let least = if least.is_finite() && least >= 1.0 { least } else { 1.0 };
        let most = if most.is_finite() && most > least { most } else { least * 10.0 };
        let (from, to) = (least.log10().floor(), most.log10().ceil());
        let to = if to > from { to } else { from + 1.0 };
        let ticks = (from as i32..=to as i32)
            .map(|decade| 10f64.powi(decade))
            .map(|value| {
                let (factor, name) = Unit::Micros.rung(value);
                (value, format!("{} {name}", format::trimmed(value / factor)))
            })
            .collect();
        Self { scale: Scale::Log { from, to }, ticks, unit: "" }
    }

    /// Share of the axis at which a value lies, 0 to 1; values outside end at the border.
    pub fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear { top } => value / top,
            Scale::Log { from, to } => (value.max(1e-300).log10() - from) / (to - from),
            Scale::Between { low, high } => (value - low) / (high - low),
        };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// Half of the width of the last label, which reaches beyond the end of the axis.
    pub fn last_label_half(&self) -> f64 {
        self.ticks.last().map_or(0.0, |(_, label)| text_width(label, TEXT) / 2.0)
    }

    /// Width of the widest label.
    pub fn label_width(&self) -> f64 {
        self.ticks.iter().map(|(_, label)| text_width(label, TEXT)).fold(0.0, f64::max)
    }
}

/// 1, 2 or 5 times a power of ten, about `rough`.
fn round_step(rough: f64) -> f64 {
    let decade = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * decade >= rough * 0.75).unwrap_or(10.0);
    step * decade
}

/// The rectangle of a plot with its axes.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Edges in pixels.
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    pub x: Axis,
    pub y: Axis,
}

impl Frame {
    /// Pixels of a point.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x_at(x), self.y_at(y))
    }

    /// Pixels of a value of the x-axis.
    pub fn x_at(&self, value: f64) -> f64 {
        self.left + self.x.share(value) * (self.right - self.left)
    }

    /// Pixels of a value of the y-axis.
    pub fn y_at(&self, value: f64) -> f64 {
        self.bottom - self.y.share(value) * (self.bottom - self.top)
    }

    /// Lines across, labels of the y-axis and its title, so many pixels above them.
    pub fn draw_y(&self, canvas: &mut SvgCanvas<'_>, title: &str, title_above: f64) {
        for (at, (value, label)) in self.y.ticks.iter().enumerate() {
            let y = self.y_at(*value);
            let style = if at == 0 { Style::Axis } else { Style::Grid };
            canvas.line(&[(self.left, y), (self.right, y)], style, 1.0);
            canvas.text(label, (self.left - 7.0, y), Anchor::End, Style::Muted, TEXT);
        }
        if !title.is_empty() {
            canvas.text(title, (0.0, self.top - title_above), Anchor::Start, Style::Text, TEXT);
        }
    }

    /// Labels of the x-axis and its title below.
    pub fn draw_x(&self, canvas: &mut SvgCanvas<'_>, title: &str) {
        self.draw_x_labels(canvas, "");
        canvas.text(title, (self.right, self.bottom + 31.0), Anchor::End, Style::Text, TEXT);
    }

    /// Labels of the x-axis, the last with `unit`.
    pub fn draw_x_labels(&self, canvas: &mut SvgCanvas<'_>, unit: &str) {
        let mut free_from = f64::NEG_INFINITY;
        let last = self.x.ticks.len().saturating_sub(1);
        for (at, (value, label)) in self.x.ticks.iter().enumerate() {
            let label = format!("{label}{}", if at == last { unit } else { "" });
            let x = self.x_at(*value);
            canvas.line(&[(x, self.bottom), (x, self.bottom + 4.0)], Style::Axis, 1.0);
            let half = text_width(&label, TEXT) / 2.0;
            if x - half >= free_from {
                canvas.text(&label, (x, self.bottom + 14.0), Anchor::Middle, Style::Muted, TEXT);
                free_from = x + half + 6.0;
            }
        }
    }
}

/// Moves labels apart until none is closer than `gap` to the next, in their order, inside `low..high`. Gives the new
/// heights in the order given.
pub fn apart(heights: &[f64], gap: f64, (low, high): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..heights.len()).collect();
    order.sort_by(|a, b| heights[*a].total_cmp(&heights[*b]).then(a.cmp(b)));
    let mut placed: Vec<f64> = order.iter().map(|at| heights[*at]).collect();
    for at in 0..placed.len() {
        let least = if at == 0 { low } else { placed[at - 1] + gap };
        placed[at] = placed[at].max(least);
    }
    for at in (0..placed.len()).rev() {
        let most = if at + 1 == placed.len() { high } else { placed[at + 1] - gap };
        placed[at] = placed[at].min(most);
    }
    let mut out = vec![0.0; heights.len()];
    for (at, height) in order.into_iter().zip(placed) {
        out[at] = height;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_start_at_zero() {
        let axis = Axis::linear(8_000.0, Unit::Count, 4);
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["0", "2,000", "4,000", "6,000", "8,000"]);
        let bytes = Axis::linear(300.0 * 1024.0 * 1024.0, Unit::Bytes, 4);
        assert_eq!((bytes.unit, bytes.ticks[1].1.as_str()), ("MiB", "100"));
    }

    #[test]
    fn an_axis_of_nonsense_is_still_an_axis() {
        for most in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e-300, 1e300] {
            let axis = Axis::linear(most, Unit::Count, 4);
            assert!((2..=101).contains(&axis.ticks.len()), "{most}: {axis:?}");
            assert!((0.0..=1.0).contains(&axis.share(f64::NAN)), "{most}");
        }
        for (least, most) in [(0.0, 0.0), (f64::NAN, f64::NAN), (1.0, 1.0), (1.0, 1e300)] {
            assert!(Axis::decades(least, most).ticks.len() >= 2);
        }
    }

    #[test]
    fn an_axis_around_values_has_round_ticks_within_them() {
        let axis = Axis::between(7_300.0, 8_800.0, Unit::Count, 4);
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["7,500", "8,000", "8,500"]);
        assert!(axis.share(7_300.0) > 0.0 && axis.share(8_800.0) < 1.0);
        for (least, most) in [(5.0, 5.0), (0.0, 0.0), (f64::NAN, 1.0), (2.0, 1.0), (1.0, 1e300)] {
            let axis = Axis::between(least, most, Unit::Bytes, 4);
            assert!(axis.ticks.len() <= 51 && (0.0..=1.0).contains(&axis.share(most)), "{axis:?}");
        }
    }

    #[test]
    fn decades_are_labelled_with_their_units() {
        let axis = Axis::decades(240.0, 480_000.0);
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["100 µs", "1 ms", "10 ms", "100 ms", "1 s"]);
        assert!((axis.share(1_000.0) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn labels_keep_their_distance_and_their_order() {
        let moved = apart(&[100.0, 100.0, 20.0, 101.0], 12.0, (0.0, 110.0));
        assert!(moved[0] < moved[1] && moved[1] < moved[3]);
        assert!((moved[1] - moved[0]) >= 12.0 - 1e-9 && moved[3] <= 110.0);
        assert!((moved[2] - 20.0).abs() < 1e-9);
    }
}
