//! The one validator of records, for the tool and for the tests.
//!
//! It reads the files itself and goes on after each fault, so that all of them are shown at once.

mod header;
mod rows;
mod steps;
mod trial;
mod visitors;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use super::reader::{read_header, whole_lines};
use super::{RecordError, RunHeader, TrialRecord, VisitorsRun, format1};

/// At most this many problems of one run are reported.
pub const MOST_PROBLEMS: usize = 200;

/// A fault of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File, relative to the run folder.
    pub file: String,
    /// Line, from 1, where there is one.
    pub line: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}\nhint: {}", self.what, self.fix)
    }
}

/// Checks a run folder; an empty answer means that every rule of `docs/record-format.md` holds.
pub fn validate(run: &Path) -> Vec<Problem> {
    let mut found = Found::default();
    if VisitorsRun::is_one(run) {
        visitors::check(run, &mut found);
        return found.problems;
    }
    let header = match read_header(run) {
        Ok(header) => header,
        Err(error) => {
            found.error("run.json", &error);
            return found.problems;
        }
    };
    header::check(&header, &mut found);
    let trials = read_trials(run, &header, &mut found);
    rows::check(run, &header, &trials, &mut found);
    found.problems
}

/// Problems found so far.
#[derive(Debug, Default)]
struct Found {
    problems: Vec<Problem>,
}

impl Found {
    fn add(&mut self, file: &str, line: Option<u64>, what: impl Into<String>, fix: impl Into<String>) {
        match self.problems.len() {
            n if n < MOST_PROBLEMS => {
                self.problems.push(Problem { file: file.into(), line, what: what.into(), fix: fix.into() });
            }
            n if n == MOST_PROBLEMS => self.problems.push(Problem {
                file: file.into(),
                line,
                what: "more problems follow and are not listed".into(),
                fix: "repair the ones above first".into(),
            }),
            _ => {}
        }
    }

    fn error(&mut self, file: &str, error: &RecordError) {
        let fix = error.hint().unwrap_or_else(|| "check that the file can be read".to_owned());
        self.add(file, None, error.what(), fix);
    }
}

/// A trial with the line of its record.
type Trials = BTreeMap<String, (u64, TrialRecord)>;

fn read_trials(run: &Path, header: &RunHeader, found: &mut Found) -> Trials {
    const FILE: &str = "trials.jsonl";
    let mut trials = Trials::new();
    let text = match fs::read(run.join(FILE)) {
        Ok(text) => text,
        Err(error) => {
            found.add(FILE, None, format!("cannot be read: {error}"), "restore the file from the run");
            return trials;
        }
    };
    let mut lines = 0;
    for (number, line) in (1..).zip(whole_lines(&text)) {
        lines = number;
        let record = match format1::trial(line, header.format) {
            Ok(record) => record,
            Err(error) => {
                found.add(FILE, Some(number), format!("not a trial: {error}"), "restore the line, or remove it whole");
                continue;
            }
        };
        let name = record.trial.to_string();
        if let Some((first, _)) = trials.get(&name) {
            let what = format!("trial {name} has a line already, line {first}");
            found.add(FILE, Some(number), what, "a trial has one line; remove the one that is wrong");
            continue;
        }
        trial::check(run, header, number, &record, found);
        trials.insert(name, (number, record));
    }
    if text.last().is_some_and(|byte| *byte != b'\n') {
        let what = "the last line is torn";
        found.add(
            FILE,
            Some(lines + 1),
            what,
            "continue the run with `--resume`, which cuts it and runs that trial again",
        );
    }
    trials
}
