//! What connections cost a month, for each size: a step for each instance more.

use super::axes::{Axis, Frame, TEXT};
use super::canvas::{Anchor, PALETTE, Style, SvgCanvas, text_width};
use super::{Drawing, Form};
use wsceiling_model::format::{self, Unit};

/// A size of the plot.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceLine {
    /// Price of an instance; 1 where instances are drawn.
    pub each: f64,
    /// Instances, and the connections that they hold with the reserve.
    pub ladder: Vec<(u32, f64)>,
    /// Place in the palette.
    pub series: usize,
}

/// Sizes that one plot can tell apart.
pub const LINES_MAX: usize = PALETTE;

/// Draws the price of all sizes against connections up to the largest goal; `title` names the vertical axis.
pub fn price(form: Form, lines: &[PriceLine], goals: &[u64], title: &str) -> Drawing {
    let size = (form.width(), if form == Form::Wide { 360.0 } else { 290.0 });
    let most = goals.iter().max().map_or(1.0, |goal| *goal as f64) * 1.05;
    let steps: Vec<Vec<(f64, f64)>> = lines.iter().map(|line| line.steps(most)).collect();
    let dearest = steps.iter().flatten().map(|(_, price)| *price).filter(|price| price.is_finite()).fold(0.0, f64::max);
    let wanted = if form == Form::Wide { 6 } else { 4 };
    let (x, y) = (Axis::linear(most, Unit::Count, wanted), Axis::linear(dearest, Unit::Plain, 5));
    let (left, right) = (y.label_width() + 10.0, size.0 - x.last_label_half() - 6.0);
    let frame = Frame { left, top: 50.0, right, bottom: size.1 - 44.0, x, y };
    SvgCanvas::draw(size, |canvas| {
        frame.draw_y(canvas, title, 34.0);
        frame.draw_x(canvas, "connections held with the reserve");
        let mut free_from = f64::NEG_INFINITY;
        for goal in goals {
            let at = frame.x_at(*goal as f64);
            canvas.line(&[(at, frame.top), (at, frame.bottom)], Style::Wall, 1.0);
            let words = format::count(*goal);
            let half = text_width(&words, TEXT) / 2.0;
            let middle = at.clamp(frame.left + half, (frame.right - half).max(frame.left + half));
            if middle - half >= free_from {
                canvas.text(&words, (middle, frame.top - 10.0), Anchor::Middle, Style::Wall, TEXT);
                free_from = middle + half + 6.0;
            }
        }
        for (line, steps) in lines.iter().zip(&steps) {
            let places: Vec<(f64, f64)> =
                steps.iter().map(|(connections, price)| frame.at(*connections, *price)).collect();
            canvas.line(&places, Style::Series(line.series), 2.0);
            if let Some(last) = places.last() {
                canvas.mark(*last, line.series, 3.5);
            }
        }
    })
}

impl PriceLine {
    /// Corners of its steps, up to so many connections.
    fn steps(&self, most: f64) -> Vec<(f64, f64)> {
        let mut corners = Vec::new();
        let mut from = 0.0;
        for (instances, holds) in &self.ladder {
            let price = f64::from(*instances) * self.each;
            let to = if holds.is_nan() { from } else { holds.clamp(from, most.max(from)) };
            corners.extend([(from, price), (to, price)]);
            if *holds >= most {
                break;
            }
            from = to;
        }
        corners
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(each: f64, holds: &[f64]) -> PriceLine {
        PriceLine { each, ladder: (1..).zip(holds.iter().copied()).collect(), series: 0 }
    }

    #[test]
    fn each_instance_is_a_step_up_to_the_largest_goal() {
        let steps = line(6.0, &[1000.0, 2000.0, 9000.0]).steps(2500.0);
        let expected = [(0.0, 6.0), (1000.0, 6.0), (1000.0, 12.0), (2000.0, 12.0), (2000.0, 18.0), (2500.0, 18.0)];
        assert_eq!(steps, expected);
        assert!(line(6.0, &[]).steps(10.0).is_empty());
        // One that holds less than fewer do takes no step back.
        assert!(line(6.0, &[1000.0, 500.0]).steps(2500.0).is_sorted_by(|a, b| a.0 <= b.0));
    }

    #[test]
    fn numbers_of_nonsense_are_drawn_all_the_same() {
        let lines = [line(f64::NAN, &[f64::NAN, f64::INFINITY]), line(0.0, &[0.0])];
        for form in [Form::Wide, Form::Narrow] {
            let drawn = format!("{:?}", price(form, &lines, &[100, 200], "price a month, EUR"));
            assert!(drawn.contains("price a month, EUR") && drawn.contains("200"));
        }
    }
}
