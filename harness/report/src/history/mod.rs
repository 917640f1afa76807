//! The pages of a history: tonight, each cell, the changes, noise, accuracy, and the data behind them.

mod accuracy;
mod badge;
mod cell;
mod changes;
mod data;
mod noise;
mod tonight;
mod words;

use serde::Serialize;

use crate::output::{Output, Sink, check_ids, safe_folder, safe_id};
use crate::page::{self, Pages, Template};
use crate::site::{self, SiteRun};
use crate::{INDEX, RenderError};
use wsceiling_history::{Assessment, Word};

pub use words::judgement;

/// The page that lists the runs, where the first page is another.
const RUNS: &str = "runs.html";
/// The other pages.
const CHANGES: &str = "changes.html";
const FEED: &str = "changes.atom";
const NOISE: &str = "noise.html";
const ACCURACY: &str = "accuracy.html";
const DATA: &str = "data.html";

/// The templates of these pages.
pub const TEMPLATES: [Template; 8] = [
    ("history-parts.html", include_str!("../templates/history-parts.html")),
    ("history-tonight.html", include_str!("../templates/history-tonight.html")),
    ("history-cell.html", include_str!("../templates/history-cell.html")),
    ("history-changes.html", include_str!("../templates/history-changes.html")),
    ("history-noise.html", include_str!("../templates/history-noise.html")),
    ("history-accuracy.html", include_str!("../templates/history-accuracy.html")),
    ("history-data.html", include_str!("../templates/history-data.html")),
    ("history-feed.xml", include_str!("../templates/history-feed.xml")),
];

/// Renders the pages of a history, with the runs whose reports are part of the site. The reports themselves come from
/// [`super::render`].
pub fn render_history(
    assessment: &Assessment<'_>,
    runs: &[SiteRun<'_>],
    sink: &mut Sink<'_>,
) -> Result<(), RenderError> {
    let cells = assessment.by_cell();
    check_ids(cells.keys().copied(), safe_id)?;
    check_ids(runs.iter().map(|run| run.folder), safe_folder)?;
    let (pages, mut output) = (Pages::new()?, Output(sink));
    output.put(INDEX, &pages.render("history-tonight.html", &tonight::page(assessment, runs))?)?;
    for (id, series) in &cells {
        let (view, figures) = cell::page(assessment, id, series, runs);
        output.put(&format!("cells/{id}.html"), &pages.render("history-cell.html", &view)?)?;
        output.put_plots(&figures)?;
    }
    let changes = changes::page(assessment);
    output.put(CHANGES, &pages.render("history-changes.html", &changes)?)?;
    output.put(FEED, &pages.render("history-feed.xml", &changes)?)?;
    output.put(NOISE, &pages.render("history-noise.html", &noise::page(assessment))?)?;
    output.put(ACCURACY, &pages.render("history-accuracy.html", &accuracy::page(assessment))?)?;
    output.put(DATA, &pages.render("history-data.html", &data::page(assessment))?)?;
    data::put(assessment, &mut output)?;
    badge::put(assessment, &mut output)?;
    page::put_history_document(&pages, &mut output)?;
    site::put_runs(&pages, runs, RUNS, &mut output)
}

/// What the top of each page has.
#[derive(Debug, Serialize)]
struct Top {
    title: String,
    lead: String,
    /// Leads from the page to the first one.
    root: &'static str,
    /// How many lines and files could not be read.
    fault_count: usize,
    /// The first of them.
    faults: Vec<String>,
}

/// Faults that a page names.
const FAULTS: usize = 50;

impl Top {
    fn new(assessment: &Assessment<'_>, root: &'static str, title: impl Into<String>, lead: impl Into<String>) -> Self {
        let all = &assessment.history.faults;
        let faults = all.iter().take(FAULTS).map(|fault| crate::text::shorten(&fault.to_string(), 300)).collect();
        Self { title: title.into(), lead: lead.into(), root, fault_count: all.len(), faults }
    }
}

/// A named fact.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Fact {
    name: String,
    value: String,
}

impl Fact {
    fn new(name: &str, value: impl AsRef<str>) -> Self {
        Self { name: name.to_owned(), value: crate::text::one_line(value.as_ref()) }
    }
}

/// A word with something to say about it.
#[derive(Debug, Serialize)]
struct BadgeRow {
    badge: WordBadge,
    text: String,
}

impl BadgeRow {
    fn new(word: Word, text: impl Into<String>) -> Self {
        Self { badge: word.into(), text: text.into() }
    }
}

/// A word as a badge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct WordBadge {
    slug: &'static str,
    text: &'static str,
}

impl From<Word> for WordBadge {
    fn from(word: Word) -> Self {
        Self { slug: word.slug(), text: word.text() }
    }
}

/// The folder of the run that a night is about.
fn run_folder<'a>(runs: &[SiteRun<'a>], header: &wsceiling_history::night::Header) -> Option<&'a str> {
    let same = |run: &&SiteRun<'_>| {
        let started = run.findings.header.started.parse::<jiff::Timestamp>();
        started.is_ok_and(|started| started.as_second() == header.started.as_second())
            && run.findings.header.matrix_sha256 == header.matrix_sha256
    };
    runs.iter().find(same).map(|run| run.folder)
}
