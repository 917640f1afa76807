//! The page of a cell: four trends on an axis of real time, and what stopped it each night.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Top, WordBadge, run_folder, words};
use crate::plot::{self, Dates, Figure, Form, Line, Mark, Strip};
use crate::site::SiteRun;
use crate::text;
use wsceiling_history::assessment::Drawn;
use wsceiling_history::history::Place;
use wsceiling_history::night::Header;
use wsceiling_history::trend::Trend;
use wsceiling_history::{Assessment, Metric};
use wsceiling_model::format;

/// Nights in the table of a cell; the plots and the data have them all.
const ROWS_MAX: usize = 30;
/// Pixels left of the strip of causes.
const STRIP_LEFT: f64 = 52.0;

#[derive(Serialize)]
pub(super) struct CellPage {
    top: Top,
    title: String,
    badge: Option<WordBadge>,
    suspects: Vec<String>,
    figures: Vec<FigureView>,
    strip: Option<StripView>,
    series: Vec<SeriesRow>,
    changes: Vec<ChangeRow>,
    rows: Vec<NightRow>,
    left_out: usize,
}

#[derive(Serialize)]
struct FigureView {
    title: &'static str,
    latest: String,
    wide: String,
    narrow: Option<String>,
    file: String,
}

#[derive(Serialize)]
struct StripView {
    wide: String,
    narrow: Option<String>,
    file: String,
    legend: Vec<LegendRow>,
}

#[derive(Serialize)]
struct LegendRow {
    swatch: String,
    name: String,
    nights: String,
}

#[derive(Serialize)]
struct SeriesRow {
    swatch: String,
    key: String,
    class: String,
    nights: String,
    limits: String,
}

#[derive(Serialize)]
struct ChangeRow {
    day: String,
    metric: &'static str,
    change: String,
    class: &'static str,
    before: String,
    after: String,
    commits: String,
    seams: String,
}

#[derive(Serialize)]
struct NightRow {
    day: String,
    href: Option<String>,
    commit: String,
    ending: String,
    numbers: Vec<String>,
}

/// The page of a cell and its plots. `series` are those of the cell, the latest last.
pub(super) fn page(
    assessment: &Assessment<'_>,
    id: &str,
    series: &[&Drawn],
    runs: &[SiteRun<'_>],
) -> (CellPage, Vec<Figure>) {
    let dates = dates(assessment);
    let figures: Vec<(Metric, Figure)> = Metric::ALL
        .into_iter()
        .filter(|metric| series.iter().any(|drawn| of(drawn, *metric).is_some()))
        .map(|metric| (metric, figure(assessment, id, series, metric, dates)))
        .collect();
    let places = places(series);
    let (strip, legend) = strip(assessment, id, &places, dates);
    let judged = assessment.tonight.iter().flat_map(|tonight| &tonight.cells).find(|cell| cell.cell == id);
    let suspects = assessment.tonight.iter().flat_map(|tonight| &tonight.suspects);
    let axes = series.last().and_then(|drawn| drawn.series.places.last()).map(|place| axes(assessment, *place));
    let page = CellPage {
        top: Top::new(assessment, "../", id, axes.unwrap_or_default()),
        title: id.to_owned(),
        badge: judged.map(|cell| cell.word.into()),
        suspects: suspects.filter(|suspect| suspect.cell == id).map(words::suspect).collect(),
        figures: figures.iter().map(|(metric, figure)| figure_view(assessment, series, *metric, figure)).collect(),
        strip: Some(StripView {
            wide: strip.wide(),
            narrow: strip.narrow(),
            file: format!("../{}", strip.file()),
            legend,
        }),
        series: series.iter().enumerate().map(|(at, drawn)| series_row(assessment, at, drawn)).collect(),
        changes: changes(assessment, series),
        left_out: places.len().saturating_sub(ROWS_MAX),
        rows: places.iter().rev().take(ROWS_MAX).map(|place| night_row(assessment, *place, runs)).collect(),
    };
    let mut all: Vec<Figure> = figures.into_iter().map(|(_, figure)| figure).collect();
    all.push(strip);
    (page, all)
}

fn of(drawn: &Drawn, metric: Metric) -> Option<&Trend> {
    drawn.trends.iter().find(|trend| trend.metric == metric)
}

/// From the first night of the history to its last, so that the plots of all pages share their axis.
fn dates(assessment: &Assessment<'_>) -> Dates {
    let second = |header: Option<&Header>| header.map_or(0, |header| header.started.as_second());
    let nights = &assessment.history.nights;
    let first = second(nights.first().map(|night| &night.header));
    Dates { first, last: second(nights.last().map(|night| &night.header)).max(first + 1) }
}

/// The nights of all series of a cell, the oldest first.
fn places(series: &[&Drawn]) -> Vec<Place> {
    let mut all: Vec<Place> = series.iter().flat_map(|drawn| drawn.series.places.iter().copied()).collect();
    all.sort_by_key(|place| place.night);
    all
}

fn second(assessment: &Assessment<'_>, night: usize) -> i64 {
    assessment.history.header(night).started.as_second()
}

fn figure(assessment: &Assessment<'_>, id: &str, series: &[&Drawn], metric: Metric, dates: Dates) -> Figure {
    let at = |night: usize| second(assessment, night);
    let line = |(number, drawn): (usize, &&Drawn)| {
        let trend = of(drawn, metric)?;
        Some(Line {
            series: number,
            values: trend.values.iter().map(|value| (at(value.night), value.value, value.at_least)).collect(),
            band: trend.band.iter().map(|band| (at(band.night), band.low, band.high)).collect(),
        })
    };
    let lines: Vec<Line> = series.iter().enumerate().filter_map(line).collect();
    let seams: BTreeSet<usize> = series.iter().flat_map(|drawn| drawn.seams.iter().map(|(night, _)| *night)).collect();
    let mut marks: Vec<Mark> =
        seams.into_iter().map(|night| Mark { at: at(night), label: String::new(), is_change: false }).collect();
    for change in series.iter().filter_map(|drawn| of(drawn, metric)).flat_map(|trend| &trend.changes) {
        marks.push(Mark { at: at(change.to), label: words::ratio(change.ratio()), is_change: true });
    }
    marks.sort_by_key(|mark| mark.at);
    let label = format!("{} of {id}, from night to night", words::title(metric));
    let draw = |form: Form| plot::trend(form, dates, words::unit(metric), &lines, &marks);
    Figure::draw(format!("{id}-{metric}"), label, true, draw)
}

fn figure_view(assessment: &Assessment<'_>, series: &[&Drawn], metric: Metric, figure: &Figure) -> FigureView {
    let latest = series
        .iter()
        .filter_map(|drawn| of(drawn, metric))
        .filter_map(|trend| trend.values.last())
        .max_by_key(|value| value.night);
    let words = |value: &wsceiling_history::trend::Value| {
        let day = words::day(assessment.history.header(value.night));
        format!("{} on {day}", words::value(metric, value.value, value.at_least))
    };
    FigureView {
        title: words::title(metric),
        latest: latest.map(words).unwrap_or_default(),
        wide: figure.wide(),
        narrow: figure.narrow(),
        file: format!("../{}", figure.file()),
    }
}

/// The strip of causes with its legend, in the order in which they appear.
fn strip(assessment: &Assessment<'_>, id: &str, places: &[Place], dates: Dates) -> (Figure, Vec<LegendRow>) {
    let mut names: Vec<(String, u64)> = Vec::new();
    let mut nights: Vec<Strip> = Vec::new();
    let mut missed = 0;
    for place in places {
        let line = assessment.history.line(*place);
        let series = line.is_measured().then(|| {
            let name = words::ending(line);
            let known = names.iter().position(|(other, _)| *other == name);
            let at = known.unwrap_or_else(|| {
                names.push((name, 0));
                names.len() - 1
            });
            names[at].1 += 1;
            at
        });
        missed += u64::from(series.is_none());
        nights.push(Strip { at: second(assessment, place.night), series });
    }
    let row = |(at, (name, nights)): (usize, &(String, u64))| LegendRow {
        swatch: plot::swatch(at),
        name: name.clone(),
        nights: format::counted(*nights, "night", "nights"),
    };
    let mut legend: Vec<LegendRow> = names.iter().enumerate().map(row).collect();
    if missed > 0 {
        legend.push(LegendRow {
            swatch: String::new(),
            name: "not measured, red in the strip".to_owned(),
            nights: format::counted(missed, "night", "nights"),
        });
    }
    let draw = |form: Form| plot::causes(form, dates, &nights, if form == Form::Narrow { 0.0 } else { STRIP_LEFT });
    (Figure::draw(format!("{id}-causes"), format!("What stopped {id} each night"), true, draw), legend)
}

fn axes(assessment: &Assessment<'_>, place: Place) -> String {
    let axes = &assessment.history.line(place).axes;
    let parts = [
        Some(format!("Target {}", axes.target)),
        Some(axes.runtime.to_string()),
        Some(format::counted(u64::from(axes.instances), "instance", "instances")),
        axes.front.as_ref().map(|front| format!("behind {front}")),
        axes.size.as_ref().map(|size| format!("size {size}")),
        Some(format!("scenario {}", axes.scenario)),
    ];
    text::one_line(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn series_row(assessment: &Assessment<'_>, at: usize, drawn: &Drawn) -> SeriesRow {
    let places = &drawn.series.places;
    let day = |place: Option<&Place>| place.map(|place| words::day(assessment.history.header(place.night)));
    let (first, last) = (day(places.first()).unwrap_or_default(), day(places.last()).unwrap_or_default());
    let limits = places.last().map(|place| &assessment.history.line(*place).limits);
    let loose: Vec<&str> =
        limits.into_iter().flatten().filter(|(_, enforced)| !**enforced).map(|(name, _)| name.as_str()).collect();
    SeriesRow {
        swatch: plot::swatch(at),
        key: drawn.series.key.chars().take(12).collect(),
        class: text::one_line(&drawn.series.class),
        nights: format!("{}, {first} to {last}", format::counted(places.len() as u64, "night", "nights")),
        limits: if loose.is_empty() { String::new() } else { format!("not enforced: {}", loose.join(", ")) },
    }
}

fn changes(assessment: &Assessment<'_>, series: &[&Drawn]) -> Vec<ChangeRow> {
    let mut all: Vec<(usize, ChangeRow)> = Vec::new();
    for trend in series.iter().flat_map(|drawn| &drawn.trends) {
        for change in &trend.changes {
            let commit = |night: usize| assessment.history.header(night).commit.as_deref();
            let row = ChangeRow {
                day: words::day(assessment.history.header(change.to)),
                metric: words::title(trend.metric),
                change: words::ratio(change.ratio()),
                class: if change.worse { "fail" } else { "pass" },
                before: words::value(trend.metric, change.before, false),
                after: words::value(trend.metric, change.after, false),
                commits: words::commits(commit(change.from), commit(change.to)),
                seams: words::seams(&change.seams),
            };
            all.push((change.to, row));
        }
    }
    all.sort_by_key(|(night, _)| std::cmp::Reverse(*night));
    all.into_iter().map(|(_, row)| row).collect()
}

fn night_row(assessment: &Assessment<'_>, place: Place, runs: &[SiteRun<'_>]) -> NightRow {
    let (header, line) = (assessment.history.header(place.night), assessment.history.line(place));
    let number = |metric: Metric| {
        let value = line.value(metric);
        value.map_or_else(
            || format::UNKNOWN.to_owned(),
            |value| words::value(metric, value, metric == Metric::Ceiling && line.at_least),
        )
    };
    NightRow {
        day: words::day(header),
        href: run_folder(runs, header).map(|folder| format!("../{folder}/cells/{}.html", line.id)),
        commit: header.commit.as_deref().map(words::commit).unwrap_or_default(),
        ending: words::ending(line),
        numbers: Metric::ALL.map(number).to_vec(),
    }
}
