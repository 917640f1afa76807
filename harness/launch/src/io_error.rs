//! I/O errors in words, without the number that the standard library adds.

use std::io;

/// The system's own words: `Permission denied`.
pub fn text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// As part of a sentence: `permission denied`.
pub fn describe(error: &io::Error) -> String {
    text(error).to_lowercase()
}
