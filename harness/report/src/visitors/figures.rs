//! The plots of a run with visitors.

use wsceiling_analysis::{ServerSeries, VisitorsFindings};
use wsceiling_model::record::Metric;
use wsceiling_model::visitors::Tick;

use crate::plot::{Figure, Look, TimeLine, over_time};

/// Id, title and how to read each plot.
pub const ABOUT: [(&str, &str, &str); 3] = [
    (
        "connections",
        "Connections over time",
        "Open: what visitors say they hold. Granted: what they were told to hold; they open two a second each. Dashed: the goal. Generator: what the generator beside them holds; together: both, which is what the server holds of this run. Unknown: what visitors held when they were last heard of. Server: its own count, which includes connections of others. Numbers at the top are the marks listed below.",
    ),
    (
        "visitors",
        "Visitors over time",
        "Visitors with a page in sight take part in the load. A hidden page holds nothing. A silent visitor was not heard of for three reports.",
    ),
    (
        "troubles",
        "Troubles so far",
        "Connects that failed or were given up after 20 s, and open connections that were lost without the visitor, or the generator, closing them.",
    ),
];

/// The colour of the generator.
const GENERATOR: usize = 6;

/// All plots, in the order of [`ABOUT`].
pub fn all(findings: &VisitorsFindings) -> Vec<Figure> {
    let marks: Vec<f64> = findings.marks.iter().map(|mark| mark.t_ms as f64 / 1e3).collect();
    let end = end(findings);
    let lines = [connections(findings), visitors(findings), troubles(findings)];
    let draw = |(lines, (id, title, _)): (Vec<TimeLine>, &(&str, &str, &str))| {
        Figure::draw(format!("visitors-{id}"), (*title).to_owned(), true, |form| over_time(form, end, &lines, &marks))
    };
    lines.into_iter().zip(&ABOUT).map(draw).collect()
}

fn end(findings: &VisitorsFindings) -> f64 {
    let ticks = findings.ticks.last().map_or(0.0, |tick| tick.t_ms as f64);
    let marks = findings.marks.last().map_or(0.0, |mark| mark.t_ms as f64);
    ticks.max(marks) / 1e3
}

fn over(findings: &VisitorsFindings, name: &str, look: Look, of: impl Fn(&Tick) -> u64) -> TimeLine {
    let points = findings.ticks.iter().map(|tick| (tick.t_ms as f64 / 1e3, of(tick) as f64));
    TimeLine { name: name.to_owned(), look, points: points.collect(), steps: look == Look::Limit }
}

fn is_all_zero(line: &TimeLine) -> bool {
    line.points.iter().all(|(_, value)| *value == 0.0)
}

fn connections(findings: &VisitorsFindings) -> Vec<TimeLine> {
    let mut lines = vec![
        over(findings, "goal", Look::Limit, |tick| u64::from(tick.goal)),
        over(findings, "granted", Look::Series(4), |tick| u64::from(tick.granted)),
        over(findings, "open", Look::Series(0), |tick| u64::from(tick.open)),
    ];
    if findings.has_generator {
        let of = |tick: &Tick| u64::from(tick.generator.unwrap_or_default().open);
        lines.push(over(findings, "generator", Look::Series(GENERATOR), of));
        let together = |tick: &Tick| u64::from(tick.open) + of(tick);
        lines.push(over(findings, "together", Look::Series(7), together));
    }
    let unknown = over(findings, "unknown", Look::Series(3), |tick| u64::from(tick.unknown));
    lines.extend(Some(unknown).filter(|line| !is_all_zero(line)));
    // Descriptors are beside connections only where nothing counts those.
    lines.extend(findings.counted.iter().take(3).zip([1, 2, 5]).map(|(series, look)| server(series, look)));
    lines
}

fn server(series: &ServerSeries, look: usize) -> TimeLine {
    let what = if series.metric == Metric::Descriptors { "descriptors" } else { "server" };
    let points = series.points.iter().map(|(t_ms, value)| (t_ms / 1e3, *value)).collect();
    TimeLine { name: format!("{what} {}", series.component), look: Look::Series(look), points, steps: false }
}

fn visitors(findings: &VisitorsFindings) -> Vec<TimeLine> {
    vec![
        over(findings, "in sight", Look::Series(0), |tick| u64::from(tick.visitors)),
        over(findings, "hidden", Look::Series(1), |tick| u64::from(tick.hidden)),
        over(findings, "silent", Look::Series(3), |tick| u64::from(tick.silent)),
    ]
}

fn troubles(findings: &VisitorsFindings) -> Vec<TimeLine> {
    let mut lines = vec![
        over(findings, "failed", Look::Series(1), |tick| tick.failed),
        over(findings, "given up", Look::Series(5), |tick| tick.stuck),
        over(findings, "lost", Look::Series(3), |tick| tick.lost),
    ];
    if findings.has_generator {
        let of = |tick: &Tick| tick.generator.unwrap_or_default();
        lines.push(over(findings, "failed, generator", Look::Series(GENERATOR), |tick| of(tick).failed));
        lines.push(over(findings, "lost, generator", Look::Series(7), |tick| of(tick).lost));
    }
    lines
}
