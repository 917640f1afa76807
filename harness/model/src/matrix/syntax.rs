//! Faults of the TOML syntax, together with those of the rest of the file.

use std::collections::BTreeMap;

use toml::de::{DeTable, Error};

use super::diagnostics::Diagnostic;
use super::read::Sink;

/// The first fault of the syntax on each line, and every other fault that does not follow from them: those that `read` finds in
/// what is left.
pub(super) fn faults(text: &str, errors: &[Error], read: impl Fn(&DeTable<'_>, &Sink)) -> Vec<Diagnostic> {
    let mut lines: BTreeMap<usize, Diagnostic> = BTreeMap::new();
    for error in errors {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = line_start(text, at);
        lines.entry(line).or_insert_with(|| fault(text, error));
    }
    let sound = sound(text, &lines.keys().copied().collect::<Vec<_>>());
    let (document, errors) = DeTable::parse_recoverable(&sound);
    let mut all: Vec<Diagnostic> = lines.into_values().collect();
    if errors.is_empty() {
        let sink = Sink::default();
        read(document.get_ref(), &sink);
        // What is not there may stand in a broken line.
        all.extend(sink.into_inner().0.into_iter().filter(|fault| !fault.absence));
    }
    all
}

/// The text without its broken lines, every other byte at its place. Once a broken line opens a table, what follows it
/// belongs nowhere: only what stands before it is kept.
fn sound(text: &str, broken: &[usize]) -> String {
    let mut sound = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if !broken.contains(&sound.len()) {
            sound.push_str(line);
        } else if line.trim_start().starts_with('[') || !line.contains('=') {
            break;
        } else {
            let ending = usize::from(line.ends_with('\n'));
            sound.extend(std::iter::repeat_n(' ', line.len() - ending));
            sound.push_str(&line[line.len() - ending..]);
        }
    }
    sound
}

fn line_start(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}

fn fault(text: &str, error: &Error) -> Diagnostic {
    let message = error.message().lines().map(str::trim).collect::<Vec<_>>().join(", ");
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
    let nothing =
        error.span().is_some_and(|span| span.is_empty()) && before.trim_end_matches([' ', '\t']).ends_with('=');
    let (message, hint) = if nothing {
        ("no value after `=`".to_owned(), "write a value: a number, `true`, `\"text\"` or a list")
    } else {
        let hint = hint(&message);
        (message, hint)
    };
    let fault = Diagnostic::new(format!("broken TOML: {message}")).hint(hint);
    match error.span() {
        Some(span) => fault.at(span),
        None => fault,
    }
}

fn hint(message: &str) -> &'static str {
    if message.contains("duplicate key") {
        "each key and each table may be given once"
    } else if message.contains("string") || message.contains("quote") {
        "text, also a number with a unit, stands between two quotation marks on one line"
    } else if message.contains("array") {
        "a list looks like `[1, 2]`; its `]` may be missing in a line above"
    } else if message.contains("table") {
        "a table begins with a line like `[load]`"
    } else {
        "see https://toml.io for the format"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line_is_blanked_and_nothing_moves() {
        assert_eq!(sound("a = 1\nb = \nc = 3\n", &[6]), "a = 1\n    \nc = 3\n");
        assert_eq!(sound("ö = \r\nc = 3", &[0]), "      \nc = 3");
    }

    #[test]
    fn a_broken_table_ends_what_is_sound() {
        assert_eq!(sound("a = 1\n[b\nc = 3\n", &[6]), "a = 1\n");
        assert_eq!(sound("a = 1\nlist\nc = 3\n", &[6]), "a = 1\n");
    }
}
