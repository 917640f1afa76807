//! The site over several runs: the runs, latest first, and the history of each cell.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cost_words;
use super::describe::{self, Badge};
use super::output::{Output, Sink, check_ids, safe_folder, safe_id};
use super::page::{Pages, Template};
use super::text;
use super::{INDEX, RenderError, page, plot};
use wsceiling_analysis::{CellFindings, Findings};
use wsceiling_model::format::{self, Unit};

/// Runs in the table of a cell's history; the sparkline has them all.
const HISTORY_MAX: usize = 30;

/// A run of the site.
#[derive(Debug, Clone, Copy)]
pub struct SiteRun<'a> {
    /// Name of its folder, beside the site's `index.html`; its report is `<folder>/index.html`.
    pub folder: &'a str,
    /// What was found.
    pub findings: &'a Findings,
}

#[derive(Serialize)]
struct SitePage {
    title: &'static str,
    /// The page that is above this one; empty: none is.
    back: &'static str,
    runs: Vec<RunRow>,
    cells: Vec<CellHistory>,
}

#[derive(Serialize)]
struct RunRow {
    href: String,
    folder: String,
    name: String,
    started: String,
    line: String,
    cpu: String,
}

#[derive(Serialize)]
struct CellHistory {
    anchor: String,
    matrix: String,
    id: String,
    sparkline: String,
    latest: String,
    rows: Vec<HistoryRow>,
    left_out: usize,
}

#[derive(Serialize)]
struct HistoryRow {
    href: String,
    folder: String,
    started: String,
    badge: Badge,
    ceiling: String,
    interval: String,
    why: String,
    memory: String,
    cpu: String,
}

/// The template of the page.
pub const TEMPLATE: Template = ("site.html", include_str!("templates/site.html"));

/// Renders the page of several runs: the runs, latest first, each linking its report, and the history of each cell.
/// The reports themselves come from [`super::render`].
pub fn render_site(runs: &[SiteRun<'_>], sink: &mut Sink<'_>) -> Result<(), RenderError> {
    check_ids(runs.iter().map(|run| run.folder), safe_folder)?;
    for run in runs {
        check_ids(run.findings.cells.iter().map(|cell| cell.cell.id.as_str()), safe_id)?;
    }
    let (pages, mut output) = (Pages::new()?, Output(sink));
    output.put(INDEX, &pages.render(TEMPLATE.0, &site_page(runs, ""))?)?;
    page::put_documents(&pages, "All runs", None, &mut output)
}

/// Hands over the same page below the first page of a history, whose ids were checked.
pub fn put_runs(pages: &Pages, runs: &[SiteRun<'_>], name: &str, output: &mut Output<'_>) -> Result<(), RenderError> {
    output.put(name, &pages.render(TEMPLATE.0, &site_page(runs, INDEX))?)?;
    page::put_documents(pages, "Tonight", None, output)
}

fn site_page(runs: &[SiteRun<'_>], back: &'static str) -> SitePage {
    let mut latest_first: Vec<&SiteRun<'_>> = runs.iter().collect();
    latest_first.sort_by(|a, b| (moment(b), b.folder).cmp(&(moment(a), a.folder)));
    SitePage {
        title: "Runs of wsceiling",
        back,
        runs: latest_first.iter().map(|run| run_row(run)).collect(),
        cells: histories(&latest_first),
    }
}

/// When a run started, comparable across offsets; runs without a readable time come last.
fn moment(run: &SiteRun<'_>) -> Option<jiff::Timestamp> {
    run.findings.header.started.parse().ok()
}

fn run_row(run: &SiteRun<'_>) -> RunRow {
    let header = &run.findings.header;
    let cpu =
        header.environment.facts.get("cpu.model").map_or_else(|| format::UNKNOWN.to_owned(), |cpu| text::one_line(cpu));
    RunRow {
        href: format!("{}/index.html", run.folder),
        folder: run.folder.to_owned(),
        name: text::one_line(&header.run.name),
        started: text::time(&header.started),
        line: describe::run_in_a_line(run.findings),
        cpu,
    }
}

fn histories(latest_first: &[&SiteRun<'_>]) -> Vec<CellHistory> {
    type Found<'a> = Vec<(&'a SiteRun<'a>, &'a CellFindings)>;
    // Cells of the same id in another matrix are something else: their load, limits or arguments differ.
    let mut by_cell: BTreeMap<(String, &str), Found<'_>> = BTreeMap::new();
    for run in latest_first {
        let matrix = text::one_line(&run.findings.header.run.name);
        for cell in &run.findings.cells {
            by_cell.entry((matrix.clone(), &cell.cell.id)).or_default().push((run, cell));
        }
    }
    let history = |(at, ((matrix, id), found)): (usize, ((String, &str), Found<'_>))| {
        let ceilings: Vec<Option<u64>> =
            found.iter().rev().map(|(_, cell)| cell.ceiling.as_ref().map(|ceiling| ceiling.connections)).collect();
        CellHistory {
            anchor: format!("history-{}", at + 1),
            matrix,
            id: id.to_owned(),
            sparkline: plot::sparkline(&ceilings).inline("spark", &format!("Ceiling of {id}, oldest run to newest")),
            latest: found.first().map(|(_, cell)| ceiling(cell)).unwrap_or_default(),
            left_out: found.len().saturating_sub(HISTORY_MAX),
            rows: found.iter().take(HISTORY_MAX).map(|(run, cell)| history_row(run, cell)).collect(),
        }
    };
    by_cell.into_iter().enumerate().map(history).collect()
}

fn history_row(run: &SiteRun<'_>, cell: &CellFindings) -> HistoryRow {
    HistoryRow {
        href: format!("{}/cells/{}.html", run.folder, cell.cell.id),
        folder: run.folder.to_owned(),
        started: text::time(&run.findings.header.started),
        badge: describe::badge(cell.outcome),
        ceiling: ceiling(cell),
        interval: cell.ceiling.as_ref().map(describe::ceiling_interval).unwrap_or_default(),
        why: text::shorten(&describe::why(cell), 120),
        memory: cost_words::estimate(cost_words::memory(cell), Unit::Bytes),
        cpu: cost_words::estimate(cost_words::cpu(cell), Unit::Microcores),
    }
}

fn ceiling(cell: &CellFindings) -> String {
    cell.ceiling.as_ref().map_or_else(|| describe::badge(cell.outcome).text.to_owned(), describe::ceiling)
}
