//! Parsing: the text of a matrix file becomes a [`Matrix`] or the list of everything that is wrong with it.

use std::path::Path;

use toml::de::DeTable;

use super::diagnostics::{Faults, Warnings};
use super::read::Sink;
use super::{Matrix, read, syntax, validate};

/// A valid matrix and what is questionable about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The matrix.
    pub matrix: Matrix,
    /// To be shown, and then run all the same.
    pub warnings: Warnings,
}

/// Validates the text of a matrix file; `path` is for messages and for the folder that relative paths start from.
///
/// # Errors
/// All faults of the text at once.
pub fn parse(text: &str, path: &Path) -> Result<Loaded, Faults> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(Faults::new(path, text, syntax::faults(text, &errors)));
    }
    let sink = Sink::default();
    let wire = read::document(document.get_ref(), &sink);
    let matrix = validate::matrix(wire, text, path, &sink);
    let (faults, warnings) = sink.into_inner();
    if faults.is_empty() {
        Ok(Loaded { matrix, warnings: Warnings::new(path, text, warnings) })
    } else {
        Err(Faults::new(path, text, faults))
    }
}

/// The matrix of a text without faults.
#[cfg(test)]
pub(crate) fn parsed(text: &str) -> Matrix {
    parse(text, Path::new("m.toml")).unwrap_or_else(|faults| panic!("{faults}")).matrix
}
