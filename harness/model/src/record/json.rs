//! The JSON of the record's types. Only here, so that the compiler builds one reader and one writer of each, in this package,
//! which need not be optimised: the samples are most of a record, and they are no JSON.

use serde_json::Error;

use super::{RunHeader, TrialRecord};

impl TrialRecord {
    /// Reads a line of `trials.jsonl`.
    ///
    /// # Errors
    /// When it is not JSON, or not of a trial.
    pub fn from_json(line: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(line)
    }

    /// A line of `trials.jsonl`, without its newline.
    ///
    /// # Errors
    /// When a key of a map is no text, which no record has.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self)
    }
}

impl RunHeader {
    /// Reads `run.json`.
    ///
    /// # Errors
    /// When it is not JSON, or not of a run.
    pub fn from_json(text: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(text)
    }

    /// The text of `run.json`, indented.
    ///
    /// # Errors
    /// When a key of a map is no text, which no header has.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec_pretty(self)
    }
}
