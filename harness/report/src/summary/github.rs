//! What GitHub's runner reads: annotations, the summary of a job, and outputs of a step
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).

use std::fmt::Write as _;

use crate::text;

/// Annotations of a level that the runner shows of a step; later ones are dropped without a word.
const ANNOTATIONS_MOST: usize = 10;

/// Bytes of a job summary that the runner takes from a step; a larger one is refused as a whole.
pub const JOB_SUMMARY_MOST: usize = 1024 * 1024;

/// Characters of a message, so that ten of them can be read.
const MESSAGE_CHARS: usize = 400;

/// How grave an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something could not be done.
    Warning,
    /// Something to know.
    Notice,
}

/// A message that GitHub shows beside the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// How grave it is.
    pub level: Level,
    /// What it is about.
    pub title: String,
    /// What is to be said.
    pub message: String,
}

impl Level {
    const fn command(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// The commands for these annotations, a line each: at most ten of a level, the last of which says how many more there are.
pub fn annotations(all: &[Annotation]) -> String {
    let mut out = String::new();
    for level in [Level::Error, Level::Warning, Level::Notice] {
        let own: Vec<&Annotation> = all.iter().filter(|one| one.level == level).collect();
        let shown = if own.len() > ANNOTATIONS_MOST { ANNOTATIONS_MOST - 1 } else { own.len() };
        let mut line = |title: &str, message: &str| {
            let (title, message) = (text::one_line(title), text::shorten(message, MESSAGE_CHARS));
            let _ = writeln!(out, "::{} title={}::{}", level.command(), property(&title), data(&message));
        };
        own[..shown].iter().for_each(|one| line(&one.title, &one.message));
        if own.len() > shown {
            line("wsceiling", &format!("{} more; the summary of the job has all of them", own.len() - shown));
        }
    }
    out
}

/// The message of a command: what would end the line, and what begins an escape.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command: also what would end the property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// What to append to a job summary that has so many bytes already: all of it, or as many lines as there is room for with a
/// sentence that says so.
pub fn job_summary(markdown: &str, used: u64) -> String {
    let room = JOB_SUMMARY_MOST.saturating_sub(usize::try_from(used).unwrap_or(usize::MAX));
    if markdown.len() <= room {
        return markdown.to_owned();
    }
    let note = format!(
        "\n**Cut here**: a job summary has at most 1 MiB, and this one has {} bytes. The file of `--summary` and the report \
         have all of it.\n",
        markdown.len()
    );
    let Some(keep) = room.checked_sub(note.len()) else { return String::new() };
    let end = markdown.as_bytes()[..keep].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    format!("{}{note}", &markdown[..end])
}

/// Lines for the file of outputs. A value of several lines is set between two lines that it does not have.
pub fn outputs(values: &[(&str, String)]) -> String {
    let mut out = String::new();
    for (name, value) in values {
        if value.contains(['\n', '\r']) {
            let mut end = "WSCEILING_END".to_owned();
            while value.contains(&end) {
                end.push('_');
            }
            let _ = writeln!(out, "{name}<<{end}\n{value}\n{end}");
        } else {
            let _ = writeln!(out, "{name}={value}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation(level: Level, title: &str, message: &str) -> Annotation {
        Annotation { level, title: title.into(), message: message.into() }
    }

    #[test]
    fn a_message_is_one_command_whatever_it_says() {
        let hostile = annotation(Level::Error, "a: b, c\n::error::x", "100 %\r\n::add-mask::y");
        let expected = "::error title=a%3A b%2C c %3A%3Aerror%3A%3Ax::100 %25 ::add-mask::y\n";
        assert_eq!(annotations(&[hostile]), expected);
        assert_eq!(data("a%\r\nb:,"), "a%25%0D%0Ab:,");
    }

    #[test]
    fn at_most_ten_of_a_level_are_written_and_the_last_says_how_many_there_are() {
        let many = |count: usize| -> Vec<Annotation> {
            let errors = (0..count).map(|at| annotation(Level::Error, &format!("e{at}"), "x"));
            errors.chain([annotation(Level::Notice, "n", "y")]).collect()
        };
        let ten = annotations(&many(10));
        assert_eq!(ten.lines().filter(|line| line.starts_with("::error")).count(), 10);
        let twelve = annotations(&many(12));
        let errors: Vec<&str> = twelve.lines().filter(|line| line.starts_with("::error")).collect();
        assert_eq!(errors.len(), 10);
        assert_eq!(errors[9], "::error title=wsceiling::3 more; the summary of the job has all of them");
        assert!(twelve.ends_with("::notice title=n::y\n"), "{twelve}");
    }

    #[test]
    fn a_summary_that_is_too_long_is_cut_at_a_line_and_says_so() {
        let line = "é".repeat(99) + "\n";
        let long = line.repeat(6_000);
        assert!(long.len() > JOB_SUMMARY_MOST);
        let cut = job_summary(&long, 0);
        assert!(cut.len() <= JOB_SUMMARY_MOST && cut.len() > JOB_SUMMARY_MOST - 1_000, "{}", cut.len());
        assert!(cut.contains("**Cut here**") && cut.contains(&long.len().to_string()));
        assert!(cut.split("\n**Cut").next().unwrap().ends_with("é\n") || cut.contains("é\n\n**Cut"), "cut at a line");
        // What another command of the step wrote counts.
        let after = job_summary(&long, 1_000_000);
        assert!(after.len() + 1_000_000 <= JOB_SUMMARY_MOST && after.contains("**Cut here**"));
        assert_eq!(job_summary(&long, JOB_SUMMARY_MOST as u64), "");
        assert_eq!(job_summary("short\n", 12), "short\n");
    }

    #[test]
    fn an_output_of_several_lines_stays_one_output() {
        let values = [("run", "reports/a".to_owned()), ("text", "b\nWSCEILING_END\nrun=evil".to_owned())];
        let expected = "run=reports/a\ntext<<WSCEILING_END_\nb\nWSCEILING_END\nrun=evil\nWSCEILING_END_\n";
        assert_eq!(outputs(&values), expected);
    }
}
