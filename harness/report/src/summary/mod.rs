//! Summaries: the outcome of a run, of a comparison or of an experiment in the forms that others read. The ending of a
//! file's name says which.
//!
//! Each outcome says what it has for each form ([`Summarise`]); `openmetrics`, `junit` and `github` write it down, with the
//! escapes of that form.

mod ab;
mod changes;
mod comparison;
mod github;
mod junit;
mod markdown;
mod openmetrics;
mod run;

use std::path::Path;

use super::RenderError;

pub use github::{Annotation, Level, annotations, job_summary, outputs};
pub use junit::{Case, Status};
pub(super) use markdown::{code, escape};
pub use openmetrics::Family;
pub(super) use run::markdown as run_markdown;

/// A form of a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people, in a job summary or a comment.
    Markdown,
    /// Everything, for a script.
    Json,
    /// A table, for a spreadsheet.
    Csv,
    /// Samples, for Prometheus and its kind.
    OpenMetrics,
    /// Test cases, for a CI system.
    Junit,
}

impl Form {
    /// Each with the ending of its files.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Markdown, "md"),
        (Self::Json, "json"),
        (Self::Csv, "csv"),
        (Self::OpenMetrics, "prom"),
        (Self::Junit, "xml"),
    ];

    /// The form of a file, by the ending of its name.
    ///
    /// # Errors
    /// Names the endings that work.
    pub fn of(path: &Path) -> Result<Self, String> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let found = ending.as_deref().and_then(|ending| Self::ALL.iter().find(|(_, known)| *known == ending));
        found.map(|(form, _)| *form).ok_or_else(|| {
            let known = Self::ALL.map(|(_, ending)| format!(".{ending}")).join(", ");
            match ending {
                Some(ending) => format!("no summary has the ending `.{ending}`; these work: {known}"),
                None => format!("the name has no ending; these work: {known}"),
            }
        })
    }
}

/// What an outcome has for each form of a summary. JSON is the outcome itself, serialised by who has it.
pub trait Summarise {
    /// For people.
    fn markdown(&self) -> String;

    /// A table with a row for each cell, or each number of a cell.
    ///
    /// # Errors
    /// When the table cannot be written: a fault of this program.
    fn csv(&self) -> Result<String, RenderError>;

    /// Samples, by name.
    fn families(&self) -> Vec<Family>;

    /// Name of the suite and its test cases.
    fn cases(&self) -> (String, Vec<Case>);

    /// What a CI system shows beside the change.
    fn annotations(&self) -> Vec<Annotation>;

    /// Names and values for later steps of a workflow.
    fn outputs(&self) -> Vec<(&'static str, String)>;
}

/// The summary in a form; `json` is called for that one alone.
///
/// # Errors
/// When a form cannot be written: a fault of this program.
pub fn summary<E: From<RenderError>>(
    of: &dyn Summarise,
    form: Form,
    json: impl FnOnce() -> Result<String, E>,
) -> Result<String, E> {
    Ok(match form {
        Form::Markdown => of.markdown(),
        Form::Json => json()?,
        Form::Csv => of.csv()?,
        Form::OpenMetrics => openmetrics::text(&of.families()),
        Form::Junit => {
            let (suite, cases) = of.cases();
            junit::document(&suite, cases)?
        }
    })
}

#[cfg(test)]
mod tests;
