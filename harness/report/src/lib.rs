//! From findings to static pages, plots and tables. No statistic is computed here, only units, scales and layout.
//!
//! [`render`] makes the report of one run: `index.html`, a page for each cell under `cells/`, every plot as a file under
//! `plots/`, the capacity plan (`capacity.html`), the documents that the pages link to (`limits.html`, `methodology.html`), `results.csv` and `summary.md`.
//! [`render_site`] lists several runs with the history of each cell, [`render_history`] shows what the nights of a
//! [`wsceiling_history::History`] say together, [`comparison_page`] shows two runs side by side, [`ab`](ab()) says what a
//! shuffled run says of two of its targets, [`summary`] writes each of these down for other programs, and
//! [`terminal`] is the table of verdicts for standard output. [`render_visitors`] makes the report of a run with real
//! visitors as load. A page holds everything it needs: no script, no font, no
//! address outside of the run folder; its content security policy says so to the browser.
//!
//! Nothing here opens a file or reads a clock: each file goes to a [`Sink`] of the caller. The same findings give the
//! same bytes.
//!
//! A new page of a run is a template in `templates/`, a module in `page/` and its line in `page::OF_A_RUN`; the foot of the
//! first page links to it.

mod ab;
mod capacity;
mod capacity_words;
mod change_words;
mod comparison;
mod cost_words;
mod describe;
mod elsewhere;
mod history;
mod output;
mod page;
mod plot;
mod results;
mod site;
pub mod summary;
mod table;
mod terminal;
mod text;
mod visitors;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use wsceiling_analysis::Findings;

pub use ab::ab;
pub use capacity::{capacity, capacity_validation};
pub use comparison::{comparison, comparison_page};
pub use history::{judgement, render_history};
pub use output::Sink;
pub use page::capacity_page;
pub use site::{SiteRun, render_site};
pub use terminal::terminal;
pub use visitors::{render_visitors, visitors_line, visitors_page};

use output::{ID_BYTES_MAX, Output, check_ids, safe_id};

/// Name of the page to open first, of a run and of a site.
pub const INDEX: &str = "index.html";

/// Why a report could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// An id that would not be safe as a file name; the matrix never makes one, so the record was edited.
    #[error(
        "id `{id}` cannot become a file name\nhint: ids are lower-case letters, digits, `.`, `_` and `-`, at most {ID_BYTES_MAX} long, and start with a letter or digit"
    )]
    UnsafeId {
        /// The id, with control characters escaped.
        id: String,
    },
    /// Two cells or runs with the same id would overwrite each other's pages.
    #[error("id `{id}` appears twice\nhint: the record was edited or mixes two runs; ids are unique in a matrix")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// The sink did not take a file.
    #[error("could not write `{name}`: {source}\nhint: the folder must be writable and have space")]
    Write {
        /// Name of the file.
        name: String,
        /// The reason.
        source: std::io::Error,
    },
    /// A template failed: a fault of this program.
    #[error(
        "could not render the page `{page}`: {reason}\nhint: this is a fault of wsceiling; please report it with the record"
    )]
    Template {
        /// Name of the page.
        page: String,
        /// The template engine's message.
        reason: String,
    },
    /// Data could not be written as JSON.
    #[error("could not write JSON: {0}\nhint: this is a fault of wsceiling; please report it with the history")]
    Json(#[from] serde_json::Error),
    /// The table could not be written as CSV.
    #[error(
        "could not write a table as CSV: {0}\nhint: this is a fault of wsceiling; please report it with the record"
    )]
    Table(#[from] csv::Error),
    /// The summary could not be written as XML.
    #[error(
        "could not write the summary as XML: {0}\nhint: this is a fault of wsceiling; please report it with the record"
    )]
    Junit(String),
}

/// Renders the report of one run and hands each file to `sink`; the first is [`INDEX`]. Unsafe ids are refused before that.
pub fn render(findings: &Findings, sink: &mut Sink<'_>) -> Result<(), RenderError> {
    check_ids(findings.cells.iter().map(|cell| cell.cell.id.as_str()), safe_id)?;
    let mut output = Output(sink);
    page::render_run(findings, &mut output)?;
    output.put("results.csv", &results::table(findings)?)?;
    output.put("summary.md", &summary::run_markdown(findings))
}
