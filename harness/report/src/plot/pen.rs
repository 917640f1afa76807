//! The pen: plotters' SVG backend with real-valued pixels, and colours that are names.
//!
//! The backend knows whole pixels and fixed colours. So every drawing is [`SCALE`] times larger than it is shown, which
//! gives quarter pixels, and each [`Ink`] is drawn in a reserved colour that is replaced by a class afterwards.

use std::fmt::Write as _;

use plotters::prelude::{
    Color as _, DrawingBackend, FontFamily, IntoFont as _, RGBColor, SVGBackend, ShapeStyle, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Drawing;

/// Units of a drawing per pixel.
pub const SCALE: f64 = 4.0;
/// Colours of the palette; series beyond it start again with another mark.
pub const PALETTE: usize = 8;
/// First byte of the reserved colours.
const RESERVED: u8 = 0xC5;
/// Largest coordinate, so that no value of a record can overflow.
const FAR: f64 = 100_000.0;

/// What is drawn, which decides how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Text to read first.
    Text,
    /// Text to read second.
    Muted,
    /// The line at zero.
    Axis,
    /// Lines across.
    Grid,
    /// A limit known before the trial.
    Wall,
    /// The moment of the cause.
    Cause,
    /// A step while it opens.
    Step,
    /// A step while it is held.
    Hold,
    /// A step that failed.
    Failed,
    /// Something that happened.
    Event,
    /// The generator, beside the servers.
    Generator,
    /// The ground of a bar.
    Trough,
    /// A bar.
    Bar,
    /// A bar whose end is not known.
    OpenBar,
    /// An interval.
    Whisker,
    /// The ground under text.
    Paper,
    /// A series, by its place.
    Series(usize),
    /// Points of a series behind its line.
    Faint(usize),
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// It starts there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

const NAMED: [(Ink, &str); 16] = [
    (Ink::Text, "text"),
    (Ink::Muted, "muted"),
    (Ink::Axis, "axis"),
    (Ink::Grid, "grid"),
    (Ink::Wall, "wall"),
    (Ink::Cause, "cause"),
    (Ink::Step, "step"),
    (Ink::Hold, "hold"),
    (Ink::Failed, "failed"),
    (Ink::Event, "event"),
    (Ink::Generator, "generator"),
    (Ink::Trough, "trough"),
    (Ink::Bar, "bar"),
    (Ink::OpenBar, "open-bar"),
    (Ink::Whisker, "whisker"),
    (Ink::Paper, "paper"),
];

impl Ink {
    fn color(self) -> RGBColor {
        match self {
            Self::Series(at) => RGBColor(RESERVED, 1, (at % PALETTE) as u8),
            Self::Faint(at) => RGBColor(RESERVED, 2, (at % PALETTE) as u8),
            named => RGBColor(RESERVED, 0, NAMED.iter().position(|(ink, _)| *ink == named).unwrap_or_default() as u8),
        }
    }
}

/// Draws into one SVG.
pub struct Pen<'a> {
    backend: SVGBackend<'a>,
}

impl Pen<'_> {
    /// A drawing of `size` pixels.
    pub fn draw(size: (f64, f64), draw: impl FnOnce(&mut Pen<'_>)) -> Drawing {
        let mut svg = String::new();
        let whole = ((size.0 * SCALE) as u32, (size.1 * SCALE) as u32);
        let mut pen = Pen { backend: SVGBackend::with_string(&mut svg, whole) };
        draw(&mut pen);
        let _ = pen.backend.present();
        drop(pen);
        let body = svg.split_once('\n').map_or("", |(_, body)| body);
        let body = body.strip_suffix("</svg>\n").unwrap_or(body);
        Drawing { size, body: classes(body) }
    }

    /// A line through the points.
    pub fn line(&mut self, points: &[(f64, f64)], ink: Ink, width: f64) {
        // Writing to a string cannot fail, here and below.
        let _ = self.backend.draw_path(points.iter().map(|point| place(*point)), &stroke(ink, width));
    }

    /// A filled rectangle between two corners, at least a hair wide and high.
    pub fn rect(&mut self, (x0, y0): (f64, f64), (x1, y1): (f64, f64), ink: Ink) {
        let (left, top) = place((x0.min(x1), y0.min(y1)));
        let (right, bottom) = place((x0.max(x1), y0.max(y1)));
        let _ =
            self.backend.draw_rect((left, top), (right.max(left + 1), bottom.max(top + 1)), &stroke(ink, 0.0), true);
    }

    /// A filled circle.
    pub fn dot(&mut self, at: (f64, f64), radius: f64, ink: Ink) {
        let _ = self.backend.draw_circle(place(at), (radius * SCALE) as u32, &stroke(ink, 0.0), true);
    }

    /// A filled shape.
    pub fn shape(&mut self, corners: &[(f64, f64)], ink: Ink) {
        let _ = self.backend.fill_polygon(corners.iter().map(|corner| place(*corner)), &stroke(ink, 0.0));
    }

    /// The mark of a series: its colour, and a shape for those who cannot tell the colours apart.
    pub fn mark(&mut self, at: (f64, f64), series: usize, radius: f64) {
        self.mark_in(at, series, radius, Ink::Series(series));
    }

    /// The mark of a series in another ink.
    pub fn mark_in(&mut self, (x, y): (f64, f64), series: usize, r: f64, ink: Ink) {
        match (series + series / PALETTE) % 4 {
            0 => self.dot((x, y), r, ink),
            1 => self.shape(&[(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)], ink),
            2 => self.shape(&[(x, y - 1.2 * r), (x + 1.2 * r, y + r), (x - 1.2 * r, y + r)], ink),
            _ => self.shape(&[(x, y - 1.35 * r), (x + 1.35 * r, y), (x, y + 1.35 * r), (x - 1.35 * r, y)], ink),
        }
    }

    /// A line of text whose middle is at the height of the point.
    pub fn text(&mut self, text: &str, at: (f64, f64), anchor: Anchor, ink: Ink, size: f64) {
        let hpos = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // The backend divides the size by 1.24.
        let font = (FontFamily::SansSerif, size * SCALE * 1.24).into_font();
        let style = TextStyle { font, color: ink.color().to_backend_color(), pos: Pos::new(hpos, VPos::Center) };
        let _ = self.backend.draw_text(&clean, &style, place(at));
    }
}

/// Width of a text in pixels, roughly: the reader's font is not known.
pub fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.56
}

fn stroke(ink: Ink, width: f64) -> ShapeStyle {
    ShapeStyle { color: ink.color().to_rgba(), filled: true, stroke_width: (width * SCALE).round() as u32 }
}

fn place((x, y): (f64, f64)) -> (i32, i32) {
    let units = |value: f64| {
        let safe = if value.is_nan() { 0.0 } else { value.clamp(-FAR, FAR) };
        (safe * SCALE).round() as i32
    };
    (units(x), units(y))
}

/// Replaces the reserved colours by classes and drops what the style sheet says anyway. Text cannot be mistaken for an
/// attribute, since the backend escapes its quotes.
fn classes(svg: &str) -> String {
    const START: &str = "=\"#C5";
    let mut out = String::with_capacity(svg.len());
    let mut rest = svg;
    while let Some(at) = rest.find(START) {
        let (before, after) = (&rest[..at], &rest[at + START.len()..]);
        let (before, kind) = match (before.strip_suffix("fill"), before.strip_suffix("stroke")) {
            (Some(before), _) => (before, 'f'),
            (_, Some(before)) => (before, 'k'),
            _ => (before, '?'),
        };
        out.push_str(before);
        let place = after.get(2..4).and_then(|hex| usize::from_str_radix(hex, 16).ok()).unwrap_or_default();
        let _ = match after.get(..2) {
            Some("01") => write!(out, "class=\"{kind}-series {kind}-s{place}"),
            Some("02") => write!(out, "class=\"{kind}-faint {kind}-s{place}"),
            _ => write!(out, "class=\"{kind}-{}", NAMED.get(place).map_or("text", |(_, name)| name)),
        };
        rest = after.get(4..).unwrap_or_default();
    }
    out.push_str(rest);
    for needless in
        [" opacity=\"1\"", " font-family=\"sans-serif\"", " stroke=\"none\"", " stroke-width=\"0\"", " fill=\"none\""]
    {
        out = out.replace(needless, "");
    }
    out.replace(" \"/>", "\"/>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_becomes_a_class() {
        let drawing = Pen::draw((100.0, 50.0), |pen| {
            pen.line(&[(0.0, 0.0), (10.5, 10.25)], Ink::Series(9), 1.5);
            pen.rect((1.0, 1.0), (2.0, 2.0), Ink::Hold);
            pen.dot((5.0, 5.0), 2.0, Ink::Faint(2));
            pen.shape(&[(1.0, 1.0), (2.0, 2.0), (3.0, 1.0)], Ink::Event);
            pen.text("plain", (0.0, 0.0), Anchor::End, Ink::Muted, 11.0);
        });
        assert!(!drawing.body.contains('#'), "{}", drawing.body);
        for class in ["k-series k-s1", "f-hold", "f-faint f-s2", "f-event", "f-muted"] {
            assert!(drawing.body.contains(&format!("class=\"{class}\"")), "{class} in {}", drawing.body);
        }
        assert!(drawing.body.contains("0,0 42,41"), "quarter pixels: {}", drawing.body);
    }

    #[test]
    fn text_stays_text() {
        let text = "</text><script>fill=\"#C50000\" & 'x'\u{1b}";
        let drawing = Pen::draw((10.0, 10.0), |pen| pen.text(text, (0.0, 0.0), Anchor::Start, Ink::Text, 11.0));
        assert!(!drawing.body.contains("<script>"), "{}", drawing.body);
        assert!(drawing.body.contains("fill=&quot;#C50000&quot;"), "{}", drawing.body);
        assert!(!drawing.body.contains('\u{1b}'));
    }

    #[test]
    fn numbers_out_of_this_world_stay_in_range() {
        assert_eq!(place((f64::NAN, f64::INFINITY)), (0, 400_000));
        assert_eq!(place((-1e300, 0.25)), (-400_000, 1));
    }
}
