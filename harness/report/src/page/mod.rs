//! Pages: findings become plain view types made of text, and templates put them into HTML. Every text is escaped by the
//! template engine; only drawings and the style sheets of this program are inserted as they are.

mod capacity;
mod cell;
mod costs;
mod document;
mod environment;
mod experiment;
mod index;
mod instance;
mod overview;
mod scaling;
mod trial;
mod verdict;
mod walls;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use sha2::Digest as _;
use tera::{Context, Tera};

use super::output::Output;
use super::plot::{self, Figure};
use super::{RenderError, comparison, history, site, visitors};
use wsceiling_analysis::Findings;

pub use capacity::capacity_page;
pub use document::{put_documents, put_history_document};

/// Name and text of a template.
pub type Template = (&'static str, &'static str);

/// A kind of page of a run.
struct RunPage {
    templates: &'static [Template],
    /// Where the foot of the first page leads, as address and words.
    links: &'static [(&'static str, &'static str)],
    /// Hands over the page, or all pages of this kind, with their plots.
    write: fn(&Pages, &Findings, &mut Output<'_>) -> Result<(), RenderError>,
}

/// The pages of a run, in the order in which they are rendered.
const OF_A_RUN: [RunPage; 4] = [index::PAGE, cell::PAGE, capacity::PAGE, document::PAGE];

/// Templates that are no page of a run: what the pages share, and the pages over several runs.
const OTHERS: [Template; 5] = [
    ("base.html", include_str!("../templates/base.html")),
    ("parts.html", include_str!("../templates/parts.html")),
    comparison::TEMPLATE,
    visitors::TEMPLATE,
    site::TEMPLATE,
];

/// What stands in the foot of the first page.
fn links() -> Vec<Link> {
    OF_A_RUN.iter().flat_map(|page| page.links).map(|(href, text)| Link::new(*href, *text, "")).collect()
}

/// Hands over all pages of a run.
pub fn render_run(findings: &Findings, output: &mut Output<'_>) -> Result<(), RenderError> {
    let pages = Pages::new()?;
    OF_A_RUN.iter().try_for_each(|page| (page.write)(&pages, findings, output))
}

/// The templates, parsed once, and the style sheet with the policy that allows it and nothing else.
pub struct Pages {
    tera: Tera,
    style: String,
    policy: String,
}

impl Pages {
    /// Parses the templates.
    pub fn new() -> Result<Self, RenderError> {
        let templates =
            OF_A_RUN.iter().flat_map(|page| page.templates).copied().chain(OTHERS).chain(history::TEMPLATES);
        let mut tera = Tera::new();
        tera.autoescape_on([".html", ".xml"]);
        tera.add_raw_templates(templates).map_err(|error| failed("templates", &error))?;
        let style = format!("{}{}", plot::style(), include_str!("../templates/page.css"));
        let hash = BASE64_STANDARD.encode(sha2::Sha256::digest(style.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
        );
        Ok(Self { tera, style, policy })
    }

    /// Renders one page.
    pub fn render(&self, template: &str, page: &impl Serialize) -> Result<String, RenderError> {
        let mut context = Context::new();
        context.insert("page", page);
        context.insert("style", &self.style);
        context.insert("policy", &self.policy);
        self.tera.render(template, &context).map_err(|error| failed(template, &error))
    }
}

fn failed(page: &str, error: &tera::Error) -> RenderError {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        reason = format!("{reason}: {inner}");
        source = inner.source();
    }
    RenderError::Template { page: page.to_owned(), reason }
}

/// A named fact.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fact {
    name: String,
    value: String,
}

impl Fact {
    /// A fact by its name.
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into() }
    }
}

/// A link; `href` is made by this program, never by the record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    href: String,
    text: String,
    note: String,
}

impl Link {
    /// A link with a few words beside it.
    pub fn new(href: impl Into<String>, text: impl Into<String>, note: &str) -> Self {
        Self { href: href.into(), text: text.into(), note: note.to_owned() }
    }
}

/// A plot with the sentence on how to read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FigureView {
    id: String,
    title: String,
    how: String,
    wide: String,
    narrow: Option<String>,
    file: String,
    legend: Vec<LegendRow>,
}

/// A row of a legend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LegendRow {
    swatch: String,
    name: String,
    href: Option<String>,
    text: String,
}

impl FigureView {
    /// `root` leads from the page to the run folder.
    pub fn new(figure: &Figure, root: &str, id: &str, title: &str, how: &str) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            how: how.to_owned(),
            wide: figure.wide(),
            narrow: figure.narrow(),
            file: format!("{root}{}", figure.file()),
            legend: Vec::new(),
        }
    }

    /// The same on a page that has no files beside it.
    pub fn without_file(self) -> Self {
        Self { file: String::new(), ..self }
    }
}

/// A path of the record as an address below the run folder, or `None` where it would lead elsewhere.
fn safe_href(root: &str, path: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let steps_down = path.split('/').all(|step| !step.is_empty() && step != "." && step != "..");
    (steps_down && path.chars().all(plain)).then(|| format!("{root}{path}"))
}

/// The raw data of a run; `root` leads from the page to the run folder.
fn raw_data(root: &str) -> Vec<Link> {
    [
        ("trials.jsonl", "one line per trial: steps, gates, failures, instances, histograms"),
        ("samples.csv", "every sample of every component"),
        ("run.json", "matrix, plan, seed, environment, hashes of the binaries"),
        ("results.csv", "the table of this report"),
        ("summary.md", "the table as Markdown"),
        ("logs/", "standard output and error of each instance"),
    ]
    .map(|(file, note)| Link::new(format!("{root}{file}"), file, note))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_record_leads_down_or_nowhere() {
        assert_eq!(safe_href("../", "logs/echo.1/instance-0.log"), Some("../logs/echo.1/instance-0.log".into()));
        for path in
            ["../x", "/etc/passwd", "javascript:alert(1)", "logs//x", "logs/../x", "", "a b", "http://x/y", "x?y#z"]
        {
            assert_eq!(safe_href("../", path), None, "{path}");
        }
    }
}
