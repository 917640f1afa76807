//! Loading: a file, or its text, becomes a [`Matrix`] or the list of everything that is wrong with it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::de::DeTable;

use super::diagnostics::{Diagnostic, Faults, Warnings};
use super::read::Sink;
use super::{Matrix, read, syntax, validate};

/// Largest file; a matrix has a few hundred lines.
const LARGEST_FILE: u64 = 1 << 20;

/// A valid matrix and what is questionable about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The matrix.
    pub matrix: Matrix,
    /// To be shown, and then run all the same.
    pub warnings: Warnings,
}

/// Reads and validates a matrix file.
///
/// # Errors
/// All faults of the file at once; a file that cannot be read is one fault.
pub fn load(path: &Path) -> Result<Loaded, Faults> {
    let unreadable = |why: String, hint: &str| {
        let fault = Diagnostic::new(format!("failed to read the matrix: {why}")).hint(hint);
        Faults::new(path, "", vec![fault])
    };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(unreadable(error.to_string(), "give the path of a TOML file, like `matrix.toml`"));
    }
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(unreadable("it is larger than 1 MiB".to_owned(), "is this a matrix file?"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => parse(&text, path),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(unreadable(format!("byte {at} is not UTF-8"), "save the file as UTF-8"))
        }
    }
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
