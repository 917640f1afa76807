//! The canvas: plotters' SVG backend with real-valued pixels and named styles.
//!
//! plotters is used through its drawing primitives, not its charts. Its charts place titles, ticks and labels themselves,
//! but these plots move labels apart, draw bands behind several panels that share an axis, and have a second layout for
//! phones. So axes and layout are ours, and plotters writes the SVG.
//!
//! The backend knows whole pixels only. Each drawing is therefore [`SCALE`] times larger than it is shown, which gives
//! quarter pixels.
//!
//! Colours are those of a light page, so a drawing is complete as plotters writes it. [`style_rules`] ties each colour to a
//! property of the style sheet, which has another value on dark pages.

use std::fmt::Write as _;

use plotters::prelude::{
    Color as _, DrawingBackend, FontFamily, IntoFont as _, RGBAColor, RGBColor, SVGBackend, ShapeStyle, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Drawing;

/// Units of a drawing per pixel.
pub const SCALE: f64 = 4.0;
/// Colours of the palette; series beyond it start again with another mark.
pub const PALETTE: usize = 8;
/// Opacity of the points behind a line.
const FAINT: f64 = 0.45;
/// Largest coordinate, so that no value of a record can overflow.
const FAR: f64 = 100_000.0;

/// What is drawn, which decides how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
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
    Start,
    Middle,
    End,
}

/// A property of the style sheet and its value on a light page.
type Property = (&'static str, RGBColor);

const INK: Property = ("ink", RGBColor(0x1b, 0x20, 0x26));
const SOFT: Property = ("soft", RGBColor(0x57, 0x61, 0x6c));
const HAIR: Property = ("hair", RGBColor(0xdd, 0xe2, 0xe8));
const HAIR_STRONG: Property = ("hair-strong", RGBColor(0xaa, 0xb3, 0xbd));
const PAPER: Property = ("paper", RGBColor(0xff, 0xff, 0xff));
const WALL: Property = ("wall", RGBColor(0x8a, 0x5a, 0x00));
const CAUSE: Property = ("cause", RGBColor(0xb3, 0x26, 0x1e));
const STEP: Property = ("step", RGBColor(0xf1, 0xf4, 0xf8));
const HOLD: Property = ("hold", RGBColor(0xe3, 0xe9, 0xf1));
const FAILED: Property = ("failed", RGBColor(0xfd, 0xea, 0xe6));
const GENERATOR: Property = ("generator", RGBColor(0x4f, 0x59, 0x64));
const TROUGH: Property = ("trough", RGBColor(0xee, 0xf1, 0xf5));
const BAR: Property = ("bar", RGBColor(0x3f, 0x7f, 0xc1));
const BAR_OPEN: Property = ("bar-open", RGBColor(0x9d, 0xc0, 0xe4));
/// Series, told apart with every common deficiency of colour vision.
const SERIES: [Property; PALETTE] = [
    ("s0", RGBColor(0x00, 0x66, 0xaa)),
    ("s1", RGBColor(0xc2, 0x4e, 0x00)),
    ("s2", RGBColor(0x00, 0x80, 0x5c)),
    ("s3", RGBColor(0xa8, 0x43, 0x8a)),
    ("s4", RGBColor(0x2a, 0x8f, 0xc4)),
    ("s5", RGBColor(0xa8, 0x6f, 0x00)),
    ("s6", RGBColor(0x6a, 0x4f, 0xb3)),
    ("s7", RGBColor(0x59, 0x63, 0x6e)),
];

impl Style {
    fn property(self) -> Property {
        match self {
            Self::Text | Self::Whisker => INK,
            Self::Muted | Self::Event => SOFT,
            Self::Axis => HAIR_STRONG,
            Self::Grid => HAIR,
            Self::Wall => WALL,
            Self::Cause => CAUSE,
            Self::Step => STEP,
            Self::Hold => HOLD,
            Self::Failed => FAILED,
            Self::Generator => GENERATOR,
            Self::Trough => TROUGH,
            Self::Bar => BAR,
            Self::OpenBar => BAR_OPEN,
            Self::Paper => PAPER,
            Self::Series(at) | Self::Faint(at) => SERIES[at % PALETTE],
        }
    }

    fn color(self) -> RGBAColor {
        self.property().1.mix(if matches!(self, Self::Faint(_)) { FAINT } else { 1.0 })
    }
}

/// Rules that give each colour of a drawing the value of its property, and limits and the generator dashed lines.
pub fn style_rules() -> String {
    let named =
        [INK, SOFT, HAIR, HAIR_STRONG, PAPER, WALL, CAUSE, STEP, HOLD, FAILED, GENERATOR, TROUGH, BAR, BAR_OPEN];
    let mut css = String::new();
    for (name, RGBColor(r, g, b)) in named.into_iter().chain(SERIES) {
        let dash = match name {
            "wall" => " stroke-dasharray: 24 16; stroke-linecap: butt;",
            "generator" => " stroke-dasharray: 6 14;",
            _ => "",
        };
        for (attribute, more) in [("fill", ""), ("stroke", dash)] {
            let _ =
                writeln!(css, "svg [{attribute}=\"#{r:02X}{g:02X}{b:02X}\"] {{ {attribute}: var(--{name});{more} }}");
        }
    }
    css
}

/// Draws into one SVG.
pub struct SvgCanvas<'a> {
    backend: SVGBackend<'a>,
}

impl SvgCanvas<'_> {
    /// A drawing of `size` pixels.
    pub fn draw(size: (f64, f64), draw: impl FnOnce(&mut SvgCanvas<'_>)) -> Drawing {
        let mut svg = String::new();
        let whole = ((size.0 * SCALE) as u32, (size.1 * SCALE) as u32);
        let mut canvas = SvgCanvas { backend: SVGBackend::with_string(&mut svg, whole) };
        draw(&mut canvas);
        let _ = canvas.backend.present();
        drop(canvas);
        let body = svg.split_once('\n').map_or("", |(_, body)| body);
        let body = body.strip_suffix("</svg>\n").unwrap_or(body);
        Drawing { size, body: body.to_owned() }
    }

    /// A line through the points.
    pub fn line(&mut self, points: &[(f64, f64)], style: Style, width: f64) {
        // Writing to a string cannot fail, here and below.
        let _ = self.backend.draw_path(points.iter().map(|point| place(*point)), &stroke(style, width));
    }

    /// A filled rectangle between two corners, at least a hair wide and high.
    pub fn rect(&mut self, (x0, y0): (f64, f64), (x1, y1): (f64, f64), style: Style) {
        let (left, top) = place((x0.min(x1), y0.min(y1)));
        let (right, bottom) = place((x0.max(x1), y0.max(y1)));
        let _ =
            self.backend.draw_rect((left, top), (right.max(left + 1), bottom.max(top + 1)), &stroke(style, 0.0), true);
    }

    /// A filled circle.
    pub fn dot(&mut self, at: (f64, f64), radius: f64, style: Style) {
        let _ = self.backend.draw_circle(place(at), (radius * SCALE) as u32, &stroke(style, 0.0), true);
    }

    /// A filled shape.
    pub fn shape(&mut self, corners: &[(f64, f64)], style: Style) {
        let _ = self.backend.fill_polygon(corners.iter().map(|corner| place(*corner)), &stroke(style, 0.0));
    }

    /// The mark of a series: its colour, and a shape for those who cannot tell the colours apart.
    pub fn mark(&mut self, at: (f64, f64), series: usize, radius: f64) {
        self.mark_as(at, series, radius, Style::Series(series));
    }

    /// The mark of a series in another style.
    pub fn mark_as(&mut self, (x, y): (f64, f64), series: usize, r: f64, style: Style) {
        match (series + series / PALETTE) % 4 {
            0 => self.dot((x, y), r, style),
            1 => self.shape(&[(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)], style),
            2 => self.shape(&[(x, y - 1.2 * r), (x + 1.2 * r, y + r), (x - 1.2 * r, y + r)], style),
            _ => self.shape(&[(x, y - 1.35 * r), (x + 1.35 * r, y), (x, y + 1.35 * r), (x - 1.35 * r, y)], style),
        }
    }

    /// A line of text whose middle is at the height of the point.
    pub fn text(&mut self, text: &str, at: (f64, f64), anchor: Anchor, style: Style, size: f64) {
        let hpos = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // The backend divides the size by 1.24.
        let font = (FontFamily::SansSerif, size * SCALE * 1.24).into_font();
        let style = TextStyle { font, color: style.color().to_backend_color(), pos: Pos::new(hpos, VPos::Center) };
        let _ = self.backend.draw_text(&clean, &style, place(at));
    }
}

/// Width of a text in pixels, roughly: the reader's font is not known.
pub fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.56
}

fn stroke(style: Style, width: f64) -> ShapeStyle {
    ShapeStyle { color: style.color(), filled: true, stroke_width: (width * SCALE).round() as u32 }
}

fn place((x, y): (f64, f64)) -> (i32, i32) {
    let units = |value: f64| {
        let safe = if value.is_nan() { 0.0 } else { value.clamp(-FAR, FAR) };
        (safe * SCALE).round() as i32
    };
    (units(x), units(y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_is_drawn_in_a_colour_that_the_style_sheet_has() {
        use Style::{
            Axis, Bar, Cause, Event, Failed, Faint, Generator, Grid, Hold, Muted, OpenBar, Paper, Series, Step, Text,
            Trough, Wall, Whisker,
        };
        let mut all = vec![Text, Muted, Axis, Grid, Wall, Cause, Step, Hold, Failed, Event, Generator, Trough, Bar];
        all.extend([OpenBar, Whisker, Paper, Faint(2), Series(PALETTE + 1)]);
        all.extend((0..PALETTE).map(Series));
        let sheet = super::super::style();
        for style in all {
            let drawing = SvgCanvas::draw((99.0, 50.0), |canvas| canvas.line(&[(0.0, 0.0), (10.5, 10.25)], style, 1.5));
            assert!(drawing.body.contains("0,0 42,41"), "quarter pixels: {}", drawing.body);
            let (name, RGBColor(r, g, b)) = style.property();
            let hex = format!("#{r:02X}{g:02X}{b:02X}");
            assert!(drawing.body.contains(&format!("stroke=\"{hex}\"")), "{}", drawing.body);
            assert!(sheet.contains(&format!("svg [stroke=\"{hex}\"] {{ stroke: var(--{name});")), "{name}");
            assert!(sheet.contains(&format!("--{name}: {};", hex.to_lowercase())), "{name} is {hex}");
        }
    }

    #[test]
    fn no_two_properties_share_a_colour() {
        let rules = style_rules();
        let selectors: Vec<&str> = rules.lines().filter_map(|rule| rule.split(" {").next()).collect();
        let distinct: std::collections::BTreeSet<&str> = selectors.iter().copied().collect();
        assert_eq!(selectors.len(), distinct.len());
    }

    #[test]
    fn text_stays_text() {
        let text = "</text><script>fill=\"#0066AA\" & 'x'\u{1b}";
        let draw = |canvas: &mut SvgCanvas<'_>| canvas.text(text, (0.0, 0.0), Anchor::Start, Style::Text, 11.0);
        let drawing = SvgCanvas::draw((10.0, 10.0), draw);
        assert!(!drawing.body.contains("<script>"), "{}", drawing.body);
        assert!(drawing.body.contains("fill=&quot;#0066AA&quot;"), "{}", drawing.body);
        assert!(!drawing.body.contains('\u{1b}'));
    }

    #[test]
    fn numbers_out_of_this_world_stay_in_range() {
        assert_eq!(place((f64::NAN, f64::INFINITY)), (0, 400_000));
        assert_eq!(place((-1e300, 0.25)), (-400_000, 1));
    }
}
