//! The page of changes, and the feed of the same.

use serde::Serialize;

use super::{Top, words};
use wsceiling_history::assessment::Drawn;
use wsceiling_history::night::{Experiment, Header};
use wsceiling_history::trend::Change;
use wsceiling_history::{Assessment, Metric, Word};
use wsceiling_model::format;

/// Entries of the feed.
const FEED_MAX: usize = 50;
/// Digits of a series in an id.
const KEY: usize = 16;

#[derive(Serialize)]
pub(super) struct ChangesPage {
    top: Top,
    title: String,
    changes: Vec<Row>,
    experiments: Vec<ExperimentRow>,
    /// When the last night began, RFC 3339.
    updated: String,
    feed: Vec<Entry>,
}

#[derive(Serialize)]
struct Row {
    day: String,
    cell: String,
    metric: &'static str,
    change: String,
    class: &'static str,
    before: String,
    after: String,
    commits: String,
    seams: String,
}

#[derive(Serialize)]
struct ExperimentRow {
    day: String,
    cell: String,
    metric: &'static str,
    finding: &'static str,
    class: &'static str,
    change: String,
    p: String,
    commits: String,
}

/// An entry of the feed. Its id stays as long as the change is dated to the same night.
#[derive(Debug, Serialize)]
struct Entry {
    id: String,
    title: String,
    updated: String,
    text: String,
}

pub(super) fn page(assessment: &Assessment<'_>) -> ChangesPage {
    let history = assessment.history;
    let mut changes: Vec<(&Header, Row, Entry)> = Vec::new();
    for drawn in &assessment.series {
        for trend in &drawn.trends {
            for change in &trend.changes {
                changes.push(change_row(assessment, drawn, trend.metric, change));
            }
        }
    }
    changes.sort_by(|a, b| b.0.started.cmp(&a.0.started).then_with(|| a.2.id.cmp(&b.2.id)));
    let mut experiments: Vec<(&Header, ExperimentRow, Entry)> = Vec::new();
    for night in history.experiments.iter().rev() {
        experiments.extend(night.experiments.iter().map(|found| experiment_row(&night.header, found)));
    }
    let mut feed: Vec<(jiff::Timestamp, Entry)> = Vec::new();
    let mut rows = (Vec::new(), Vec::new());
    for (header, row, entry) in changes {
        feed.push((header.started, entry));
        rows.0.push(row);
    }
    for (header, row, entry) in experiments {
        feed.push((header.started, entry));
        rows.1.push(row);
    }
    feed.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)));
    let updated = history.nights.last().map_or_else(jiff::Timestamp::default, |night| night.header.started);
    ChangesPage {
        top: Top::new(assessment, "", "Changes", "Nights from which on a number is another one, the newest first."),
        title: "Changes".into(),
        changes: rows.0,
        experiments: rows.1,
        updated: updated.to_string(),
        feed: feed.into_iter().map(|(_, entry)| entry).take(FEED_MAX).collect(),
    }
}

fn change_row<'a>(
    assessment: &Assessment<'a>,
    drawn: &Drawn,
    metric: Metric,
    change: &Change,
) -> (&'a Header, Row, Entry) {
    let history = assessment.history;
    let header = history.header(change.to);
    let commit = |night: usize| history.header(night).commit.as_deref();
    let row = Row {
        day: words::day(header),
        cell: drawn.series.cell.clone(),
        metric: words::title(metric),
        change: words::ratio(change.ratio()),
        class: if change.worse { "fail" } else { "pass" },
        before: words::value(metric, change.before, false),
        after: words::value(metric, change.after, false),
        commits: words::commits(commit(change.from), commit(change.to)),
        seams: words::seams(&change.seams),
    };
    let seams = if row.seams.is_empty() { String::new() } else { format!(" Also changed: {}.", row.seams) };
    let entry = Entry {
        id: id("change", &drawn.series.key, metric, header),
        title: format!("{}: {} {}", row.cell, row.metric, row.change),
        updated: header.started.to_string(),
        text: format!("From {} to {} on {}. Commits: {}.{seams}", row.before, row.after, row.day, row.commits),
    };
    (header, row, entry)
}

fn experiment_row<'a>(header: &'a Header, found: &Experiment) -> (&'a Header, ExperimentRow, Entry) {
    let change = (found.value_after / found.value_before).ln();
    let (finding, class) = match (found.confirmed, found.metric.is_worse(change)) {
        (true, true) => (Word::ConfirmedWorse.text(), "fail"),
        (true, false) => (Word::ConfirmedBetter.text(), "pass"),
        (false, _) => (Word::Suspected.text(), "soft"),
    };
    let row = ExperimentRow {
        day: words::day(header),
        cell: found.cell.clone(),
        metric: words::title(found.metric),
        finding,
        class,
        change: words::ratio(found.value_after / found.value_before - 1.0),
        p: format::number(found.p),
        commits: words::commits(Some(&found.before), Some(&found.after)),
    };
    let entry = Entry {
        id: id("experiment", &found.series, found.metric, header),
        title: format!("{}: {} {}, {}", row.cell, row.metric, row.change, row.finding),
        updated: header.started.to_string(),
        text: format!("Old and new code side by side: {}, p = {}. Commits: {}.", row.change, row.p, row.commits),
    };
    (header, row, entry)
}

fn id(kind: &str, series: &str, metric: Metric, header: &Header) -> String {
    let key: String = series.chars().take(KEY).collect();
    format!("tag:wsceiling,2026:{kind}:{key}:{metric}:{}", words::day(header))
}
