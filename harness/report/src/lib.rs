//! Rendering: findings become static pages, plots and tables. No statistic is computed here, only units, scales and layout.
//!
//! [`write()`] puts the report of one run into its folder: `index.html`, a page a cell under `cells/`, every plot once more
//! as a file under `plots/`, the documentation that they lead to (`limits.html`, `methodology.html`), `results.csv` and
//! `summary.md`. [`write_site`] lists several runs with the history of each
//! cell. [`terminal`] is the verdict table for standard output. The pages hold everything they need: no script, no font,
//! no address outside of the run folder; a content security policy says so to the browser.
//!
//! The same findings give the same bytes: nothing here reads a clock, a machine or a map without an order.

mod comparison;
mod page;
mod plot;
mod results;
mod site;
mod summary;
mod terminal;
mod text;
mod words;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wsceiling_analysis::Findings;

pub use comparison::{comparison, write_comparison};
pub use site::{SiteRun, write_site};
pub use terminal::terminal;

/// Longest id that becomes a file name; the longest suffix we append still fits into the 255 bytes of a file system.
const ID_BYTES_MAX: usize = 200;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The page to open first.
    pub index: PathBuf,
    /// Pages of the cells, in the order of the findings.
    pub cells: Vec<PathBuf>,
    /// Plots as files of their own.
    pub plots: Vec<PathBuf>,
    /// A row a cell, for other programs.
    pub results: PathBuf,
    /// Markdown for a job summary.
    pub summary: PathBuf,
}

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
    /// A file or folder could not be written.
    #[error("could not write `{}`: {source}\nhint: the run folder must be writable and have space", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
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
    /// The table could not be written as CSV.
    #[error("could not write `results.csv`: {0}\nhint: this is a fault of wsceiling; please report it with the record")]
    Table(#[from] csv::Error),
}

/// Writes the report of `findings` into the run folder `out`, which is made where it is missing. Files of an earlier
/// rendering are overwritten, nothing else is touched.
pub fn write(findings: &Findings, out: &Path) -> Result<Rendered, RenderError> {
    check_ids(findings.cells.iter().map(|cell| cell.cell.id.as_str()), safe_id)?;
    let pages = page::Pages::new()?;
    let mut plots = Vec::new();

    let (html, figures) = page::index(&pages, findings)?;
    let index = put(out, "index.html", &html)?;
    put_plots(out, figures, &mut plots)?;

    let mut cells = Vec::new();
    for at in 0..findings.cells.len() {
        let (html, figures) = page::cell(&pages, findings, at)?;
        cells.push(put(out, &format!("cells/{}.html", findings.cells[at].cell.id), &html)?);
        put_plots(out, figures, &mut plots)?;
    }

    put_documents(&pages, out, "All cells of this run", &page::seen(findings))?;
    let results = put(out, "results.csv", &results::table(findings)?)?;
    let summary = put(out, "summary.md", &summary::markdown(findings))?;
    Ok(Rendered { index, cells, plots, results, summary })
}

fn put_plots(out: &Path, figures: Vec<plot::Figure>, plots: &mut Vec<PathBuf>) -> Result<(), RenderError> {
    for figure in figures {
        plots.push(put(out, &format!("plots/{}.svg", figure.name), &figure.standalone())?);
    }
    Ok(())
}

/// The documentation beside the pages that lead to it.
fn put_documents(pages: &page::Pages, out: &Path, back: &'static str, seen: &page::Seen) -> Result<(), RenderError> {
    for document in page::DOCUMENTS {
        put(out, document.page, &page::document(pages, document, back, seen)?)?;
    }
    Ok(())
}

/// Writes one file, making its folder first.
fn put(out: &Path, name: &str, text: &str) -> Result<PathBuf, RenderError> {
    let path = out.join(name);
    let failed = |source| RenderError::Write { path: path.clone(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(&path, text).map_err(failed)?;
    Ok(path)
}

/// Refuses ids that are not safe as file names and ids that appear twice.
fn check_ids<'a>(ids: impl Iterator<Item = &'a str>, safe: fn(&str) -> bool) -> Result<(), RenderError> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !safe(id) {
            return Err(RenderError::UnsafeId { id: id.escape_debug().to_string() });
        }
        if !seen.insert(id) {
            return Err(RenderError::DuplicateId { id: id.to_owned() });
        }
    }
    Ok(())
}

/// Whether a cell's id is `[a-z0-9][a-z0-9._-]*` and short enough for a file name.
fn safe_id(id: &str) -> bool {
    safe_folder(id) && !id.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether a run folder's name is `[A-Za-z0-9][A-Za-z0-9._-]*`: one step down, never up or hidden.
fn safe_folder(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    name.len() <= ID_BYTES_MAX
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.bytes().all(allowed)
}
