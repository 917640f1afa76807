//! One trial over time: connections with their walls, memory and CPU below on the same axis, steps as bands.

use super::axes::{Axis, Frame, TEXT, apart};
use super::canvas::{Anchor, Style, SvgCanvas, text_width};
use super::{Drawing, Form};
use wsceiling_analysis::{PlotSeries, SeriesName, TrialFindings};
use wsceiling_model::format::{self, Unit};
use wsceiling_model::record::{Component, Event};

/// Events that are marked; the rest is in the record.
const EVENTS_MAX: usize = 30;
/// A wall is drawn if it stands at most this many times higher than the connections came.
const WALL_REACH: f64 = 1.6;
/// Height of the first panel's title above it, with the targets of the steps between.
const TITLE_ABOVE: f64 = 28.0;
/// Panels beyond connections, memory and CPU at most.
const MORE_PANELS_MAX: usize = 8;

/// Lines that share a vertical axis.
struct Panel<'a> {
    title: String,
    unit: Unit,
    lines: Vec<(Style, &'a PlotSeries)>,
    walls: Vec<(f64, String)>,
    height: f64,
}

/// Draws a trial: the main panels or, with `more`, every other series. Empty where there is nothing to draw.
pub fn timeline(form: Form, trial: &TrialFindings, more: bool) -> Drawing {
    let panels = if more { others(trial) } else { main_panels(form, trial) };
    let gap = 46.0;
    let height: f64 = panels.iter().map(|panel| panel.height + gap).sum::<f64>() + 44.0;
    let x = Axis::linear(last_second(trial), Unit::Plain, if form.is_narrow() { 4 } else { 8 });
    let tops: Vec<f64> = panels.iter().map(|panel| panel.most() * 1.08).collect();
    let axes: Vec<Axis> = panels.iter().zip(&tops).map(|(panel, top)| Axis::linear(*top, panel.unit, 4)).collect();
    let left = axes.iter().map(Axis::label_width).fold(0.0, f64::max) + 10.0;
    let names = panels.iter().flat_map(|panel| panel.lines.iter().map(|line| text_width(&name(form, line.1), TEXT)));
    let right = form.width() - names.fold(16.0, f64::max) - 10.0;
    SvgCanvas::draw((form.width(), height), |canvas| {
        let mut top = 38.0;
        let mut frames = Vec::new();
        for (panel, y) in panels.iter().zip(axes) {
            let frame = Frame { left, top, right, bottom: top + panel.height, x: x.clone(), y };
            bands(canvas, &frame, trial, frames.is_empty() && !more);
            panel.draw(canvas, &frame, form, if frames.is_empty() { TITLE_ABOVE } else { 16.0 });
            top += panel.height + gap;
            frames.push(frame);
        }
        if let (Some(first), Some(last)) = (frames.first(), frames.last()) {
            last.draw_x(canvas, "seconds since the start of the trial");
            onset(canvas, first, last, trial, panels.first().map_or(0.0, |panel| text_width(&panel.title, TEXT)));
            events(canvas, first, trial);
        }
    })
}

/// The events that are marked by number, in the order of time.
pub fn numbered_events(trial: &TrialFindings) -> Vec<&Event> {
    let mut events: Vec<&Event> = trial.record.events.iter().filter(|event| event.t_ms.is_finite()).collect();
    events.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms));
    events.truncate(EVENTS_MAX);
    events
}

fn main_panels(form: Form, trial: &TrialFindings) -> Vec<Panel<'_>> {
    let scale = if form.is_narrow() { 0.75 } else { 1.0 };
    let pick = |wanted: &[SeriesName]| -> Vec<(Style, &PlotSeries)> {
        let named = trial.series.iter().filter(|series| wanted.contains(&series.name));
        named.filter(|series| has_points(series)).map(|series| (style(series), series)).collect()
    };
    let mut panels = vec![Panel {
        title: "connections".into(),
        unit: Unit::Count,
        lines: pick(&[SeriesName::Open, SeriesName::Held]),
        walls: Vec::new(),
        height: 220.0 * scale,
    }];
    let reached = panels[0].most();
    let walls = trial.walls.iter().filter(|wall| wall.connections as f64 <= reached * WALL_REACH);
    panels[0].walls = walls
        .map(|wall| (wall.connections as f64, format!("{} wall, {}", wall.name, format::count(wall.connections))))
        .collect();
    let mut memory = pick(&[SeriesName::Memory]);
    memory.retain(|(_, series)| matches!(series.component, Component::Instance(_)));
    panels.push(Panel {
        title: "memory of each instance".into(),
        unit: Unit::Bytes,
        lines: memory,
        walls: limit(trial, "memory_bytes", Unit::Bytes),
        height: 120.0 * scale,
    });
    let mut cpu = pick(&[SeriesName::Cpu]);
    cpu.retain(|(_, series)| !is_machine(series));
    panels.push(Panel {
        title: "CPU".into(),
        unit: Unit::Cores,
        lines: cpu,
        walls: limit(trial, "cpus", Unit::Cores),
        height: 120.0 * scale,
    });
    panels.retain(|panel| !panel.lines.is_empty());
    panels
}

/// A panel for each series that the main panels do not show.
fn others(trial: &TrialFindings) -> Vec<Panel<'_>> {
    let mut panels: Vec<Panel<'_>> = Vec::new();
    for series in further(trial).filter(|series| !is_zero(series)) {
        let title = title(series);
        match panels.iter().position(|panel| panel.title == title && panel.unit == series.name.unit()) {
            Some(at) => panels[at].lines.push((style(series), series)),
            None if panels.len() < MORE_PANELS_MAX => panels.push(Panel {
                title: title.to_owned(),
                unit: series.name.unit(),
                lines: vec![(style(series), series)],
                walls: Vec::new(),
                height: 90.0,
            }),
            None => {}
        }
    }
    panels
}

/// Series that the main panels do not show.
fn further(trial: &TrialFindings) -> impl Iterator<Item = &PlotSeries> {
    let shown = |series: &PlotSeries| {
        matches!(series.name, SeriesName::Open | SeriesName::Held | SeriesName::Memory | SeriesName::Cpu)
            && !is_machine(series)
    };
    trial.series.iter().filter(move |series| has_points(series) && !shown(series))
}

/// Titles of the further series that were 0 all the time: a line says so, not a plot.
pub fn at_zero(trial: &TrialFindings) -> Vec<&'static str> {
    let mut titles: Vec<&'static str> = further(trial).filter(|series| is_zero(series)).map(title).collect();
    titles.retain(|title| !further(trial).any(|series| !is_zero(series) && self::title(series) == *title));
    titles.dedup();
    titles
}

fn is_zero(series: &PlotSeries) -> bool {
    series.points.iter().filter_map(|(_, value)| *value).all(|value| value == 0.0)
}

/// What a series is, in words.
fn title(series: &PlotSeries) -> &'static str {
    match (series.name, series.component) {
        (SeriesName::Failed, _) => "failed connects so far",
        (SeriesName::Lost, _) => "open connections lost so far",
        (SeriesName::Lag, _) => "lag of the generator behind its schedule",
        (SeriesName::Cpu, Component::Host | Component::ClientHost) => "CPU used by the whole machine",
        (SeriesName::Idle, _) => "idle CPU of the whole machine",
        (SeriesName::Throttled, _) => "CPU time withheld by the quota, per second",
        (SeriesName::BusiestThread, _) => "CPU of the busiest thread",
        (SeriesName::Descriptors, _) => "open descriptors",
        (SeriesName::Pids, _) => "processes and threads",
        (SeriesName::ListenQueue, _) => "connections waiting to be accepted",
        (SeriesName::Open, _) => "open",
        (SeriesName::Held, _) => "held",
        (SeriesName::Memory, _) => "memory",
        (SeriesName::Cpu, _) => "cpu",
    }
}

/// Whether a trial has something for [`timeline`] to draw.
pub fn has_timeline(trial: &TrialFindings, more: bool) -> bool {
    if more { !others(trial).is_empty() } else { !main_panels(Form::Wide, trial).is_empty() }
}

impl Panel<'_> {
    /// Largest value that the axis must hold.
    fn most(&self) -> f64 {
        let lines = self.lines.iter().flat_map(|(_, series)| &series.points).filter_map(|(_, value)| *value);
        let reached = lines.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let walls = self.walls.iter().map(|(value, _)| *value).filter(|value| *value <= reached * WALL_REACH);
        walls.fold(reached, f64::max)
    }

    fn draw(&self, canvas: &mut SvgCanvas<'_>, frame: &Frame, form: Form, title_above: f64) {
        let unit = if frame.y.unit.is_empty() { String::new() } else { format!(", {}", frame.y.unit) };
        frame.draw_y(canvas, &format!("{}{unit}", self.title), title_above);
        let most = self.most();
        for (value, label) in self.walls.iter().filter(|(value, _)| *value <= most) {
            let y = frame.y_at(*value);
            canvas.line(&[(frame.left, y), (frame.right, y)], Style::Wall, 1.5);
            canvas.text(label, (frame.left + 4.0, y - 8.0), Anchor::Start, Style::Wall, TEXT - 1.0);
        }
        let mut ends = Vec::new();
        for (style, series) in &self.lines {
            ends.extend(line(canvas, frame, *style, series).map(|end| (*style, series, end)));
        }
        let heights: Vec<f64> = ends.iter().map(|(_, _, end)| end.1).collect();
        for ((style, series, _), height) in ends.iter().zip(apart(&heights, TEXT + 1.0, (frame.top, frame.bottom))) {
            canvas.text(&name(form, series), (frame.right + 7.0, height), Anchor::Start, *style, TEXT);
        }
    }
}

/// Draws a series with its gaps and gives the place of its last point.
fn line(canvas: &mut SvgCanvas<'_>, frame: &Frame, style: Style, series: &PlotSeries) -> Option<(f64, f64)> {
    let width = if series.name == SeriesName::Open || style == Style::Generator { 1.25 } else { 2.0 };
    let mut run: Vec<(f64, f64)> = Vec::new();
    let mut end = None;
    let mut finish = |run: &mut Vec<(f64, f64)>| {
        match run.as_slice() {
            [] => {}
            [alone] => canvas.dot(*alone, width, style),
            points => canvas.line(points, style, width),
        }
        run.clear();
    };
    for (t_ms, value) in &series.points {
        match value.filter(|value| value.is_finite() && t_ms.is_finite()) {
            Some(value) => {
                let place = frame.at(t_ms / 1e3, value);
                end = Some(place);
                run.push(place);
            }
            None => finish(&mut run),
        }
    }
    finish(&mut run);
    end
}

/// Steps as bands: light while they open, darker while they are held, red where they failed.
fn bands(canvas: &mut SvgCanvas<'_>, frame: &Frame, trial: &TrialFindings, with_targets: bool) {
    for step in &trial.record.steps {
        let (start, opened, end) = (step.started_ms / 1e3, step.opened_ms / 1e3, step.ended_ms / 1e3);
        if !(start.is_finite() && opened.is_finite() && end.is_finite()) {
            continue;
        }
        let (start, opened, end) = (frame.x_at(start), frame.x_at(opened), frame.x_at(end));
        let (open_style, hold_style) =
            if step.passed { (Style::Step, Style::Hold) } else { (Style::Failed, Style::Failed) };
        canvas.rect((start, frame.top), (opened, frame.bottom), open_style);
        canvas.rect((opened, frame.top), (end, frame.bottom), hold_style);
        let label = format::count(u64::from(step.target));
        if with_targets && text_width(&label, TEXT - 2.0) < end - start - 2.0 {
            canvas.text(&label, (start.midpoint(end), frame.top - 8.0), Anchor::Middle, Style::Muted, TEXT - 2.0);
        }
    }
}

/// The moment of the cause, through all panels, with its name above the first, right of the title.
fn onset(canvas: &mut SvgCanvas<'_>, first: &Frame, last: &Frame, trial: &TrialFindings, title: f64) {
    let Some((verdict, moment)) = trial.verdict.as_ref().and_then(|verdict| Some((verdict, verdict.onset_ms?))) else {
        return;
    };
    if !moment.is_finite() {
        return;
    }
    let x = first.x_at(moment / 1e3);
    let y = first.top - TITLE_ABOVE;
    canvas.line(&[(x, y + 9.0), (x, last.bottom)], Style::Cause, 1.5);
    let label = format!("{}, {}", verdict.cause, format::moment(moment));
    let half = text_width(&label, TEXT) / 2.0;
    let middle = x.min(first.right - half).max(title + 14.0 + half);
    canvas.text(&label, (middle, y), Anchor::Middle, Style::Cause, TEXT);
}

/// Numbers at the foot of the first panel, for the list below the plot.
fn events(canvas: &mut SvgCanvas<'_>, frame: &Frame, trial: &TrialFindings) {
    let mut last = f64::NEG_INFINITY;
    for (at, event) in numbered_events(trial).iter().enumerate() {
        let x = frame.x_at(event.t_ms / 1e3);
        canvas.line(&[(x, frame.bottom), (x, frame.bottom + 6.0)], Style::Event, 1.5);
        if x - last >= 14.0 {
            canvas.dot((x, frame.bottom + 13.0), 7.0, Style::Event);
            canvas.text(&(at + 1).to_string(), (x, frame.bottom + 13.0), Anchor::Middle, Style::Paper, TEXT - 2.0);
            last = x;
        }
    }
}

/// The limit of one instance, as a line of its panel.
fn limit(trial: &TrialFindings, name: &str, unit: Unit) -> Vec<(f64, String)> {
    let limits = trial.record.instances.iter().flat_map(|instance| &instance.limits);
    let enforced = limits.filter(|limit| limit.enforced_by.is_some() && limit.value.is_finite());
    let first = enforced.into_iter().find(|limit| limit.name == name);
    let words = |value: f64| match unit {
        Unit::Cores => format!("{} {}", format::trimmed(value), if value > 1.0 { "cores" } else { "core" }),
        _ => format::quantity(unit, value),
    };
    first.map(|limit| vec![(limit.value, format!("limit, {}", words(limit.value)))]).unwrap_or_default()
}

fn style(series: &PlotSeries) -> Style {
    match (series.name, series.component) {
        (SeriesName::Held, _) => Style::Series(0),
        (SeriesName::Open, _) => Style::Series(1),
        (_, Component::Instance(index)) => Style::Series(index as usize),
        // After the colours of a few instances.
        (_, Component::Front(index)) => Style::Series(4 + index as usize),
        (_, Component::ClientHost) => Style::Series(6),
        (_, Component::Generator | Component::Host) => Style::Generator,
    }
}

/// Whether it is of a whole machine, which has panels of its own.
fn is_machine(series: &PlotSeries) -> bool {
    matches!(series.component, Component::Host | Component::ClientHost)
}

fn name(form: Form, series: &PlotSeries) -> String {
    match (series.name, series.component) {
        (SeriesName::Held, _) => "held".to_owned(),
        (SeriesName::Open, _) => "open".to_owned(),
        (_, Component::Instance(index)) if form.is_narrow() => format!("i-{index}"),
        (_, Component::Front(index)) if form.is_narrow() => format!("f-{index}"),
        (_, Component::Generator) if form.is_narrow() => "client".to_owned(),
        (_, component) => component.to_string(),
    }
}

fn has_points(series: &PlotSeries) -> bool {
    series.points.iter().any(|(t_ms, value)| t_ms.is_finite() && value.is_some_and(f64::is_finite))
}

pub(super) fn last_second(trial: &TrialFindings) -> f64 {
    let samples = trial.series.iter().flat_map(|series| &series.points).map(|(t_ms, _)| *t_ms);
    let steps = trial.record.steps.iter().map(|step| step.ended_ms);
    samples.chain(steps).filter(|t_ms| t_ms.is_finite()).fold(0.0, f64::max) / 1e3
}
