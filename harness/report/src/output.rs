//! Where the files of a report go: to a sink of the caller, as names and bytes, each as soon as it is rendered.

use std::collections::BTreeSet;
use std::io;

use super::RenderError;
use super::plot::Figure;

/// Longest id that becomes a file name; the longest suffix we append still fits into the 255 bytes of a file system.
pub const ID_BYTES_MAX: usize = 200;

/// Takes a file: its name, relative to the folder of the report and with `/` between folders, and its bytes.
pub type Sink<'a> = dyn FnMut(&str, &[u8]) -> io::Result<()> + 'a;

/// The sink with its errors named. Nothing is kept, so a report of any size needs the memory of its largest pages.
pub struct Output<'a>(pub &'a mut Sink<'a>);

impl Output<'_> {
    /// Hands over one file.
    pub fn put(&mut self, name: &str, text: &str) -> Result<(), RenderError> {
        (self.0)(name, text.as_bytes()).map_err(|source| RenderError::Write { name: name.to_owned(), source })
    }

    /// Hands over each plot as a file of its own.
    pub fn put_plots(&mut self, figures: &[Figure]) -> Result<(), RenderError> {
        figures.iter().try_for_each(|figure| self.put(&figure.file(), &figure.standalone()))
    }
}

/// Refuses ids that are not safe as file names and ids that appear twice.
pub fn check_ids<'a>(ids: impl Iterator<Item = &'a str>, safe: fn(&str) -> bool) -> Result<(), RenderError> {
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
pub fn safe_id(id: &str) -> bool {
    safe_folder(id) && !id.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether a run folder's name is `[A-Za-z0-9][A-Za-z0-9._-]*`: one step down, never up or hidden.
pub fn safe_folder(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    name.len() <= ID_BYTES_MAX
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.bytes().all(allowed)
}
