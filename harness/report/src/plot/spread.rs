//! How the connections spread over the instances.

use super::axes::TEXT;
use super::canvas::{Anchor, Style, SvgCanvas, text_width};
use super::{Drawing, Form};
use wsceiling_model::format;

/// Bars, one an instance, from zero.
pub fn spread(form: Form, open: &[u64]) -> Drawing {
    let row = 24.0;
    let names: Vec<String> = (0..open.len()).map(|at| format!("instance-{at}")).collect();
    let left = names.iter().map(|name| text_width(name, TEXT)).fold(0.0, f64::max) + 10.0;
    let most = open.iter().copied().max().unwrap_or_default().max(1);
    let right = form.width() - text_width(&format::count(most), TEXT) - 16.0;
    SvgCanvas::draw((form.width(), row * open.len().max(1) as f64 + 8.0), |canvas| {
        for (at, (name, value)) in names.iter().zip(open).enumerate() {
            let middle = 4.0 + (at as f64 + 0.5) * row;
            let end = left + *value as f64 / most as f64 * (right - left);
            canvas.text(name, (left - 10.0, middle), Anchor::End, Style::Muted, TEXT);
            canvas.rect((left, middle - 7.0), (right, middle + 7.0), Style::Trough);
            canvas.rect((left, middle - 7.0), (end, middle + 7.0), Style::Bar);
            canvas.text(&format::count(*value), (end + 7.0, middle), Anchor::Start, Style::Text, TEXT);
        }
    })
}
