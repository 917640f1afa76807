//! The report of a run with real visitors as load: one page, its plots, and the documents that it links to.

mod figures;
mod tables;
mod words;

use serde::Serialize;

use super::output::{Output, Sink};
use super::page::{self, Fact, FigureView, Link, Pages, Template};
use super::plot::Figure;
use super::{INDEX, RenderError, text};
use tables::Table;
use wsceiling_analysis::{VisitorsCeiling, VisitorsFindings};
use wsceiling_model::format;

pub use words::headline as visitors_line;

/// The template of the page.
pub const TEMPLATE: Template = ("visitors.html", include_str!("../templates/visitors.html"));

#[derive(Serialize)]
struct VisitorsPage {
    title: String,
    target: String,
    started: String,
    version: String,
    /// The page of a run that goes on: it has no files beside it.
    live: bool,
    badge: Badge,
    headline: String,
    sentence: String,
    cause: String,
    cause_link: Option<Link>,
    /// How the generator's connects failed, in words; empty: they did not.
    generator: String,
    cannot: Vec<&'static str>,
    now: Vec<Fact>,
    connections: FigureView,
    others: Vec<FigureView>,
    marks: Vec<MarkRow>,
    browsers: Table,
    has_generator: bool,
    met: Table,
    generator_notes: Vec<String>,
    closes: Table,
    trips: Table,
    told: Table,
    notes: Vec<String>,
    settings: Vec<Fact>,
    raw: Vec<Link>,
}

#[derive(Serialize)]
struct Badge {
    slug: &'static str,
    text: &'static str,
}

#[derive(Serialize)]
struct MarkRow {
    at: String,
    what: String,
}

/// Renders the report of such a run and hands each file to `sink`; the first is [`INDEX`].
pub fn render_visitors(findings: &VisitorsFindings, sink: &mut Sink<'_>) -> Result<(), RenderError> {
    let (pages, mut output) = (Pages::new()?, Output(sink));
    let figures = figures::all(findings);
    output.put(INDEX, &pages.render(TEMPLATE.0, &view(findings, &figures, false))?)?;
    output.put_plots(&figures)?;
    page::put_documents(&pages, "This run", None, &mut output)
}

/// The page alone, of a run that goes on.
pub fn visitors_page(findings: &VisitorsFindings) -> Result<String, RenderError> {
    Pages::new()?.render(TEMPLATE.0, &view(findings, &figures::all(findings), true))
}

fn view(findings: &VisitorsFindings, figures: &[Figure], live: bool) -> VisitorsPage {
    let header = &findings.header;
    let cause = words::cause(findings);
    let mut shown = figures.iter().zip(figures::ABOUT).map(|(figure, (id, title, how))| {
        let shown = FigureView::new(figure, "", id, title, how);
        if live { shown.without_file() } else { shown }
    });
    let connections = shown.next().expect("there is always a plot of connections");
    let raw = [
        ("visitors.jsonl", "a line each second, each mark, each reading of the server, and the summary"),
        ("visitors.json", "what was fixed for the whole run"),
    ];
    VisitorsPage {
        title: text::one_line(&header.name),
        target: header.target.to_string(),
        started: text::time(&header.started),
        version: text::one_line(&header.wsceiling),
        live,
        badge: badge(&findings.ceiling),
        headline: words::headline(findings),
        sentence: words::sentence(findings),
        cause: cause.0,
        cause_link: cause.1.filter(|_| !live).map(|cause| {
            Link::new(format!("limits.html#{cause}"), format!("How to recognise {cause}, and what to do"), "")
        }),
        generator: words::generator(findings),
        cannot: words::CANNOT.to_vec(),
        now: tables::now(findings),
        connections,
        others: shown.collect(),
        marks: findings.marks.iter().map(mark).collect(),
        browsers: tables::browsers(findings),
        has_generator: findings.has_generator,
        met: tables::generator(findings),
        generator_notes: findings.summary.generator.notes.iter().map(|note| text::sentence(note)).collect(),
        closes: tables::closes(findings),
        trips: tables::round_trips(findings),
        told: tables::not_taken(findings),
        notes: findings.summary.notes.iter().map(|note| text::sentence(note)).collect(),
        settings: tables::settings(findings),
        raw: raw.map(|(file, note)| Link::new(file, file, note)).to_vec(),
    }
}

fn mark(mark: &wsceiling_model::visitors::Mark) -> MarkRow {
    MarkRow { at: format::moment(mark.t_ms as f64), what: words::mark(&mark.what) }
}

fn badge(ceiling: &VisitorsCeiling) -> Badge {
    match ceiling {
        VisitorsCeiling::Nothing => Badge { slug: "skipped", text: "nothing was open" },
        VisitorsCeiling::AtLeast { .. } => Badge { slug: "ok", text: "at least" },
        VisitorsCeiling::Plateau { .. } => Badge { slug: "ceiling", text: "plateau" },
        VisitorsCeiling::Collapse { .. } => Badge { slug: "ceiling", text: "collapse" },
    }
}

#[cfg(test)]
mod tests;
