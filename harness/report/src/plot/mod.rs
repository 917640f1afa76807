//! Plots: plotters' SVG backend draws them, and a style sheet has their colours, so that one drawing is right in light, in
//! dark and on paper. Each plot is drawn for a wide page and, where it stands open, once more for a phone.

mod axes;
mod canvas;
mod ceilings;
mod cost;
mod latency;
mod over_time;
mod price;
mod sparkline;
mod spread;
mod thumbnail;
mod timeline;
mod trend;

use canvas::{Style, SvgCanvas};
pub use ceilings::ceilings;
pub use cost::{CostLine, CostShape, cost, ends};
pub use latency::latency;
pub use over_time::{Look, TimeLine, over_time};
pub use price::{LINES_MAX, PriceLine, price};
pub use sparkline::sparkline;
pub use spread::spread;
pub use thumbnail::thumbnail;
pub use timeline::{at_zero, has_timeline, numbered_events, timeline};
pub use trend::{Dates, Line, Mark, Strip, causes, trend};

/// Colours and line styles of the plots, for pages and for plots as files.
pub fn style() -> String {
    format!("{}{}", include_str!("../templates/plot.css"), canvas::style_rules())
}

/// Width of a drawing for a wide page, in its own pixels.
const WIDE: f64 = 900.0;
/// Width of a drawing for a phone.
const NARROW: f64 = 372.0;
/// Width of a drawing that shares a wide page with another.
const HALF: f64 = 500.0;

/// The form of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For pages wider than about 700 pixels.
    Wide,
    /// For half of such a page.
    Half,
    /// For phones.
    Narrow,
}

impl Form {
    fn width(self) -> f64 {
        match self {
            Self::Wide => WIDE,
            Self::Half => HALF,
            Self::Narrow => NARROW,
        }
    }

    fn is_narrow(self) -> bool {
        self == Self::Narrow
    }
}

/// A drawing: the elements of an SVG and its size.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// Width and height in its own pixels.
    size: (f64, f64),
    /// The elements.
    body: String,
}

/// A plot in the forms a page needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Name of its file, without the ending; made of cell ids and fixed words.
    pub name: String,
    /// What it shows, for people who cannot see it.
    pub label: String,
    /// For a wide page.
    wide: Drawing,
    /// For a phone; `None`: the wide one scrolls.
    narrow: Option<Drawing>,
}

impl Figure {
    /// Draws a figure for half of a wide page and for a phone.
    pub fn half(name: String, label: String, draw: impl Fn(Form) -> Drawing) -> Self {
        Self { name, label, wide: draw(Form::Half), narrow: Some(draw(Form::Narrow)) }
    }

    /// Draws a figure in the wide form and, where `phone`, in the narrow one.
    pub fn draw(name: String, label: String, phone: bool, draw: impl Fn(Form) -> Drawing) -> Self {
        Self { name, label, wide: draw(Form::Wide), narrow: phone.then(|| draw(Form::Narrow)) }
    }

    /// The wide drawing as an element of a page.
    pub fn wide(&self) -> String {
        let class = if self.narrow.is_some() { "plot wide" } else { "plot alone" };
        self.wide.inline(class, &self.label)
    }

    /// The narrow drawing as an element of a page.
    pub fn narrow(&self) -> Option<String> {
        self.narrow.as_ref().map(|drawing| drawing.inline("plot narrow", &self.label))
    }

    /// Where that file lies in the folder of the report.
    pub fn file(&self) -> String {
        format!("plots/{}.svg", self.name)
    }

    /// The wide drawing as a file of its own.
    pub fn standalone(&self) -> String {
        let margin = 14.0;
        let (width, height) = (self.wide.size.0 + 2.0 * margin, self.wide.size.1 + 2.0 * margin);
        let [x, y, w, h] = [-margin, -margin, width, height].map(|pixels| pixels * canvas::SCALE);
        let (label, style) = (escape(&self.label), style());
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"{x} {y} {w} {h}\" \
             class=\"plot file\" role=\"img\">\n<title>{label}</title>\n<style>\n{style}</style>\n\
             <rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"#FFFFFF\"/>\n{}</svg>\n",
            self.wide.body
        )
    }
}

impl Drawing {
    fn view_box(&self) -> String {
        format!("0 0 {} {}", self.size.0 * canvas::SCALE, self.size.1 * canvas::SCALE)
    }

    /// The drawing as an element of a page.
    pub fn inline(&self, class: &str, label: &str) -> String {
        format!(
            "<svg class=\"{class}\" viewBox=\"{}\" role=\"img\" aria-label=\"{}\">\n{}</svg>",
            self.view_box(),
            escape(label),
            self.body
        )
    }
}

/// Text safe inside an element or a quoted attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Not allowed in XML at all, so a plot as a file would not open.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// The mark of a series as a drawing of its own, for legends.
pub fn swatch(at: usize) -> String {
    SvgCanvas::draw((22.0, 12.0), |canvas| {
        canvas.line(&[(1.0, 6.0), (21.0, 6.0)], Style::Series(at), 2.0);
        canvas.mark((11.0, 6.0), at, 3.5);
    })
    .inline("swatch", "")
}

/// Indices of at most `most` of `all` points, evenly spread, both ends kept.
fn thinned(all: usize, most: usize) -> impl Iterator<Item = usize> {
    let kept = all.min(most);
    (0..kept).map(move |at| if kept < 2 { 0 } else { at * (all - 1) / (kept - 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_both_ends_and_never_more_than_asked() {
        assert_eq!(thinned(0, 5).count(), 0);
        assert_eq!(thinned(1, 5).collect::<Vec<_>>(), [0]);
        assert_eq!(thinned(3, 5).collect::<Vec<_>>(), [0, 1, 2]);
        let kept: Vec<usize> = thinned(1_000, 5).collect();
        assert_eq!((kept.len(), kept[0], kept[4]), (5, 0, 999));
    }

    #[test]
    fn a_label_cannot_leave_its_attribute() {
        let figure = Figure::draw("x".into(), "\"><script>".into(), true, |_| SvgCanvas::draw((9.0, 9.0), |_| ()));
        for text in [figure.wide(), figure.narrow().unwrap(), figure.standalone()] {
            assert!(!text.contains("<script>"), "{text}");
        }
    }
}
