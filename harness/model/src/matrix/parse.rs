//! Parsing: the text of a matrix file becomes a [`Matrix`] or the list of everything that is wrong with it.

use std::path::Path;

use toml::de::DeTable;

use super::diagnostics::{Faults, Warnings};
use super::read::Sink;
use super::{Matrix, MetricSource, read, syntax, validate};
use crate::platforms::Catalogue;

/// A valid matrix and what is questionable about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The matrix.
    pub matrix: Matrix,
    /// To be shown, and then run all the same.
    pub warnings: Warnings,
}

/// Validates the text of a matrix file; `path` is for messages and for the folder that relative paths start from. Plans are
/// those of the program, whatever their age.
///
/// # Errors
/// All faults of the text at once.
pub fn parse(text: &str, path: &Path) -> Result<Loaded, Faults> {
    parse_with(text, path, &Catalogue::default())
}

/// [`parse`] with the plans of a catalogue.
///
/// # Errors
/// All faults of the text at once.
pub fn parse_with(text: &str, path: &Path, catalogue: &Catalogue) -> Result<Loaded, Faults> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let again = |document: &DeTable<'_>, sink: &Sink| {
            let wire = read::document(document, catalogue, sink);
            validate::resolve(&wire, sink);
        };
        return Err(Faults::new(path, text, syntax::faults(text, &errors, again)));
    }
    let sink = Sink::default();
    let wire = read::document(document.get_ref(), catalogue, &sink);
    let matrix = validate::matrix(wire, text, path, catalogue, &sink);
    let (faults, warnings) = sink.into_inner();
    if faults.is_empty() {
        Ok(Loaded { matrix, warnings: Warnings::new(path, text, warnings) })
    } else {
        Err(Faults::new(path, text, faults))
    }
}

/// Validates a text that has nothing but sources of metrics: tables `[[metrics]]` with the keys of
/// `[[targets.NAME.metrics]]`.
///
/// # Errors
/// All faults of the text at once.
pub fn parse_metrics(text: &str, path: &Path) -> Result<Vec<MetricSource>, Faults> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let again = |document: &DeTable<'_>, sink: &Sink| drop(read::metric_sources(document, sink));
        return Err(Faults::new(path, text, syntax::faults(text, &errors, again)));
    }
    let sink = Sink::default();
    let sources = read::metric_sources(document.get_ref(), &sink);
    let (faults, _) = sink.into_inner();
    if faults.is_empty() { Ok(sources) } else { Err(Faults::new(path, text, faults)) }
}

/// The matrix of a text without faults.
#[cfg(test)]
pub(crate) fn parsed(text: &str) -> Matrix {
    parse(text, Path::new("m.toml")).unwrap_or_else(|faults| panic!("{faults}")).matrix
}
