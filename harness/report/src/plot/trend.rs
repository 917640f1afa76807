//! A number over the nights, on an axis of real time: its lines, the band in which it moved, seams and changes; and the strip
//! of what stopped the cell each night.

use super::axes::{Axis, Frame, Scale, TEXT};
use super::canvas::{Anchor, Style, SvgCanvas, text_width};
use super::{Drawing, Form, thinned};
use wsceiling_model::format::Unit;

const DAY_S: f64 = 86_400.0;
/// A line is broken where more days than this have no night.
const GAP_DAYS: f64 = 2.6;
/// Most nights of a line that are all marked.
const MARKS_MAX: usize = 130;
/// Most hollow marks of a line.
const HOLLOW_MAX: usize = 60;
/// Months between two labels at least, longer ones first that fit.
const MONTHS: [i32; 6] = [1, 2, 3, 6, 12, 24];
/// Days between two labels of a short history.
const DAYS: [i32; 5] = [1, 2, 5, 10, 20];

/// The span of time that plots of a page share, in seconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dates {
    pub first: i64,
    pub last: i64,
}

/// The line of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Place in the palette.
    pub series: usize,
    /// Second, value, and whether it is a lower bound.
    pub values: Vec<(i64, f64, bool)>,
    /// Second, lower and upper end of the band.
    pub band: Vec<(i64, f64, f64)>,
}

/// Something at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// When, in seconds.
    pub at: i64,
    /// What, in a word; empty: it has only its line.
    pub label: String,
    /// A change, and no seam.
    pub is_change: bool,
}

/// A night of the strip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strip {
    /// When, in seconds.
    pub at: i64,
    /// Place in the palette; `None`: it was not measured.
    pub series: Option<usize>,
}

/// Draws a number over time.
pub fn trend(form: Form, dates: Dates, unit: Unit, lines: &[Line], marks: &[Mark]) -> Drawing {
    let size = (form.width(), if form.is_narrow() { 220.0 } else { 250.0 });
    let all = || lines.iter().flat_map(|line| &line.values).map(|(_, value, _)| *value);
    let y = Axis::between(all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max), unit, 4);
    let (left, x) = (y.label_width() + 10.0, dates.axis(form));
    let frame = Frame { left, top: 34.0, right: size.0 - 16.0, bottom: size.1 - 26.0, x, y };
    SvgCanvas::draw(size, |canvas| {
        for line in lines {
            band(canvas, &frame, dates, line);
        }
        frame.draw_y(canvas, frame.y.unit, 18.0);
        frame.draw_x_labels(canvas, "");
        for mark in marks.iter().filter(|mark| !mark.is_change) {
            let x = frame.x_at(dates.days(mark.at));
            canvas.line(&[(x, frame.top), (x, frame.bottom)], Style::Wall, 1.0);
        }
        for line in lines {
            values(canvas, &frame, dates, line);
        }
        changes(canvas, &frame, dates, marks);
    })
}

/// Draws the strip of causes.
pub fn causes(form: Form, dates: Dates, nights: &[Strip], left: f64) -> Drawing {
    let size = (form.width(), 46.0);
    let y = Axis { scale: Scale::Linear { top: 1.0 }, ticks: Vec::new(), unit: "" };
    let frame = Frame { left, top: 2.0, right: size.0 - 16.0, bottom: 20.0, x: dates.axis(form), y };
    // A night is as wide as a day, and never thinner than can be seen.
    let half = (frame.x_at(1.0) - frame.x_at(0.0)).max(1.0) / 2.0;
    SvgCanvas::draw(size, |canvas| {
        canvas.rect((frame.left, frame.top), (frame.right, frame.bottom), Style::Trough);
        // Nights that follow each other and ended alike are one rectangle.
        for run in nights.chunk_by(|a, b| a.series == b.series && dates.days(b.at) - dates.days(a.at) < GAP_DAYS) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let from = (frame.x_at(dates.days(first.at)) - half).max(frame.left);
            let to = (frame.x_at(dates.days(last.at)) + half).min(frame.right);
            let style = first.series.map_or(Style::Failed, Style::Series);
            canvas.rect((from, frame.top), (to, frame.bottom), style);
            if first.series.is_none() {
                canvas.line(&[(from, frame.bottom), (to, frame.bottom)], Style::Cause, 2.0);
            }
        }
        frame.draw_x_labels(canvas, "");
    })
}

fn band(canvas: &mut SvgCanvas<'_>, frame: &Frame, dates: Dates, line: &Line) {
    for run in line.band.chunk_by(|a, b| dates.days(b.0) - dates.days(a.0) < 10.0 * GAP_DAYS) {
        let upper = run.iter().map(|(at, _, high)| frame.at(dates.days(*at), *high));
        let lower = run.iter().rev().map(|(at, low, _)| frame.at(dates.days(*at), *low));
        let corners: Vec<(f64, f64)> = upper.chain(lower).collect();
        if run.len() > 1 {
            canvas.shape(&corners, Style::Hold);
        }
    }
}

fn values(canvas: &mut SvgCanvas<'_>, frame: &Frame, dates: Dates, line: &Line) {
    let place = |(at, value, _): &(i64, f64, bool)| frame.at(dates.days(*at), *value);
    for run in line.values.chunk_by(|a, b| dates.days(b.0) - dates.days(a.0) < GAP_DAYS) {
        let places: Vec<(f64, f64)> = run.iter().map(place).collect();
        canvas.line(&places, Style::Series(line.series), 1.5);
    }
    let hollow: Vec<(f64, f64)> = line.values.iter().filter(|(_, _, at_least)| *at_least).map(place).collect();
    let full: Vec<(f64, f64)> = line.values.iter().filter(|(_, _, at_least)| !at_least).map(place).collect();
    if full.len() <= MARKS_MAX {
        for at in &full {
            canvas.mark(*at, line.series, 2.0);
        }
    } else if let Some(last) = full.last() {
        canvas.mark(*last, line.series, 3.0);
    }
    for at in thinned(hollow.len(), HOLLOW_MAX) {
        canvas.dot(hollow[at], 3.2, Style::Series(line.series));
        canvas.dot(hollow[at], 1.8, Style::Paper);
    }
}

/// A line for each change, and its size above it where there is room.
fn changes(canvas: &mut SvgCanvas<'_>, frame: &Frame, dates: Dates, marks: &[Mark]) {
    let mut free_from = f64::NEG_INFINITY;
    for mark in marks.iter().filter(|mark| mark.is_change) {
        let x = frame.x_at(dates.days(mark.at));
        canvas.line(&[(x, frame.top - 4.0), (x, frame.bottom)], Style::Cause, 1.5);
        let half = text_width(&mark.label, TEXT - 1.0) / 2.0;
        let middle = x.clamp(frame.left + half, (frame.right - half).max(frame.left + half));
        if middle - half >= free_from {
            canvas.text(&mark.label, (middle, frame.top - 12.0), Anchor::Middle, Style::Cause, TEXT - 1.0);
            free_from = middle + half + 6.0;
        }
    }
}

impl Dates {
    /// Days since the first moment.
    fn days(self, at: i64) -> f64 {
        (at - self.first) as f64 / DAY_S
    }

    /// The axis of time: from the first moment to the last, labelled at the starts of months, or of days in a short history.
    fn axis(self, form: Form) -> Axis {
        let top = self.days(self.last).max(1.0);
        let wanted = if form.is_narrow() { 4.0 } else { 9.0 };
        Axis { scale: Scale::Linear { top }, ticks: self.ticks(top, wanted), unit: "" }
    }

    fn ticks(self, span_days: f64, wanted: f64) -> Vec<(f64, String)> {
        let epoch = jiff::civil::date(1970, 1, 1);
        let days = self.first.div_euclid(DAY_S as i64);
        let start = epoch.checked_add(jiff::Span::new().days(days)).unwrap_or(epoch);
        let place = |date: jiff::civil::Date| {
            let at = date.duration_since(epoch).as_secs();
            Some(self.days(at)).filter(|days| (0.0..=span_days).contains(days))
        };
        if span_days < 70.0 {
            let step = DAYS.into_iter().find(|step| span_days / f64::from(*step) <= wanted).unwrap_or(20);
            let dates = (1..=span_days as i32 / step + 1)
                .filter_map(|at| start.checked_add(jiff::Span::new().days(i64::from(at * step))).ok());
            return dates.filter_map(|date| Some((place(date)?, date.strftime("%-d %b").to_string()))).collect();
        }
        let months = span_days / 30.4;
        let step = MONTHS.into_iter().find(|step| months / f64::from(*step) <= wanted).unwrap_or(48);
        let first = i32::from(start.year()) * 12 + i32::from(start.month()) - 1;
        let month = |number: i32| {
            let (year, month) = (number.div_euclid(12), number.rem_euclid(12) + 1);
            jiff::civil::Date::new(year as i16, month as i8, 1).ok()
        };
        let numbers = (first..=first + months as i32 + 2).filter(|number| number.rem_euclid(step) == 0);
        let labels = numbers.filter_map(month).filter_map(|date| {
            let format = if step >= 12 { "%Y" } else { "%b %Y" };
            Some((place(date)?, date.strftime(format).to_string()))
        });
        labels.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(days: i64) -> Dates {
        // 2025-10-26T02:17:05Z
        Dates { first: 1_761_445_025, last: 1_761_445_025 + days * 86_400 }
    }

    fn labels(days: i64) -> Vec<String> {
        dates(days).axis(Form::Wide).ticks.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn an_axis_of_time_is_labelled_with_days_months_or_years() {
        assert_eq!(labels(20)[..2], ["31 Oct", "5 Nov"]);
        assert_eq!(labels(400)[..2], ["Nov 2025", "Jan 2026"]);
        assert_eq!(labels(1_100)[..2], ["Jan 2026", "Jul 2026"]);
        assert_eq!(labels(10_000).first().map(String::as_str), Some("2028"));
        assert!(labels(0).len() <= 2);
    }

    #[test]
    fn a_lower_bound_is_hollow_and_a_gap_breaks_the_line() {
        let at = |day: i64| dates(0).first + day * 86_400;
        let line = |values: Vec<(i64, f64, bool)>| Line { series: 0, values, band: Vec::new() };
        let draw = |line: Line| trend(Form::Wide, dates(9), Unit::Count, &[line], &[]).body;
        let lines = |body: &str| body.matches("<polyline").count();
        let whole = draw(line((0..10).map(|day| (at(day), 5.0, false)).collect()));
        let broken = draw(line((0..10).filter(|day| !(3..7).contains(day)).map(|day| (at(day), 5.0, false)).collect()));
        assert_eq!(lines(&broken), lines(&whole) + 1);
        let hollow = draw(line((0..10).map(|day| (at(day), 5.0, true)).collect()));
        assert_eq!(hollow.matches("#FFFFFF").count(), 10);
    }

    #[test]
    fn nights_that_ended_alike_are_one_rectangle() {
        let at = |day: i64, series| Strip { at: dates(0).first + day * 86_400, series };
        let nights = [at(0, Some(0)), at(1, Some(0)), at(2, Some(1)), at(3, None), at(9, None)];
        let body = causes(Form::Wide, dates(9), &nights, 10.0).body;
        assert_eq!(body.matches("<rect").count(), 1 + 4);
    }
}
