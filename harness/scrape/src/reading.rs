//! What one look at a source gave.

use wsceiling_model::record::{Exit, Metric, ScrapeFault};

/// What one look at a source gave: numbers, and why others are missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reading {
    pub numbers: Vec<Number>,
    pub faults: Vec<ScrapeFault>,
    /// When what it tells of started, in seconds since 1970.
    pub started_unix_s: Option<f64>,
    /// The same in words, where that is all there is: it is only ever compared.
    pub started: Option<String>,
    /// Restarts that an engine has counted.
    pub restarts: Option<u64>,
    /// The end of what it tells of.
    pub exit: Option<Exit>,
    /// The time of the source's own clock at the answer, in seconds since 1970.
    pub clock_unix_s: Option<f64>,
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Number {
    pub metric: Metric,
    pub value: f64,
    /// When the source says it was so, in seconds since 1970 on its own clock; `None`: now.
    pub at_unix_s: Option<f64>,
    /// What it is called there: `process_open_fds`.
    pub name: String,
}

impl Reading {
    /// Nothing but a failure.
    pub fn failed(fault: ScrapeFault) -> Self {
        Self { faults: vec![fault], ..Self::default() }
    }

    /// Adds a number that is one, or else says what is in its place.
    pub fn add(&mut self, number: Number) {
        if number.value.is_finite() && number.value >= 0.0 {
            self.numbers.push(number);
        } else {
            let (metric, value) = (number.metric.name().to_owned(), number.value.to_string());
            self.faults.push(ScrapeFault::NotANumber { metric, value });
        }
    }
}

/// At most so many characters of a text of others, on one line: for words in a record.
pub(crate) fn short(text: &str, most: usize) -> String {
    let line = text.split(['\n', '\r']).map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let clean: String = line.chars().filter(|c| !c.is_control()).take(most).collect();
    if clean.len() < line.len() { format!("{clean}...") } else { clean }
}
