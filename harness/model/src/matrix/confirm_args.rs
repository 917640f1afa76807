//! Arguments by which an experiment sets what only the server itself can set.

use serde::{Deserialize, Serialize};

/// What stands for the number in an argument of [`ConfirmArgs`].
pub const VALUE: &str = "{value}";

/// Arguments that set something of a server, each list with one `{value}`; empty: nobody said how it is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmArgs {
    /// `["--backlog", "{value}"]`.
    pub backlog: Vec<String>,
    /// `["--threads", "{value}"]`.
    pub threads: Vec<String>,
    /// `["--max-old-space-size={value}"]`.
    pub heap: Vec<String>,
}

/// The number that arguments set with such a pattern, and where: `["--threads", "4"]`, `["--heap=16m"]`.
pub(super) fn find(args: &[String], pattern: &[String]) -> Option<(usize, f64)> {
    if pattern.is_empty() {
        return None;
    }
    let matched = |(word, pattern): (&String, &String)| match pattern.split_once(VALUE) {
        None => (word == pattern).then_some(None),
        Some((before, after)) => {
            let number = word.strip_prefix(before)?.strip_suffix(after)?.parse::<f64>().ok()?;
            Some(Some(number))
        }
    };
    args.windows(pattern.len()).enumerate().find_map(|(at, window)| {
        let found: Option<Vec<Option<f64>>> = window.iter().zip(pattern).map(matched).collect();
        Some((at, found?.into_iter().flatten().next()?))
    })
}

/// Sets the number: in the place of the arguments that match the pattern, or at the end.
pub(super) fn set(args: &mut Vec<String>, pattern: &[String], to: f64) {
    let filled = pattern.iter().map(|word| word.replace(VALUE, &format!("{to:.0}")));
    match find(args, pattern) {
        Some((at, _)) => args.splice(at..at + pattern.len(), filled).for_each(drop),
        None => args.extend(filled),
    }
}
