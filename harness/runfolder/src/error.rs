//! Faults of reading and writing a record.

use std::io;
use std::path::{Path, PathBuf};

use super::FORMAT_VERSION;

/// Why a record could not be written or read. Every case names the file.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The operating system refused.
    #[error("failed to {action} {}: {source}", path.display())]
    Io {
        /// What was attempted: `write`, `read`, `sync`, ...
        action: &'static str,
        /// File or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The folder has no `run.json`.
    #[error("{} is not a run folder: it has no run.json\nhint: name a folder under `reports/`", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// Written in another version of the format.
    #[error("{} has format {found}, this program reads format {FORMAT_VERSION}\nhint: use the version of wsceiling that \
             wrote it (`wsceiling` in run.json)", path.display())]
    Format {
        /// `run.json`.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// The content is not what the format says.
    #[error("{}{}: {what}\nhint: {hint}", path.display(), line_words(*line))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1, where there is one.
        line: Option<u64>,
        /// What is wrong.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// Another process writes it.
    #[error("{} is being written by another process\nhint: wait for that run to end, or stop it", path.display())]
    Locked {
        /// The run folder.
        path: PathBuf,
    },
    /// A value that the record cannot hold.
    #[error("failed to record {what}: {why}")]
    Unwritable {
        /// Which value.
        what: String,
        /// Why not.
        why: String,
    },
}

impl RecordError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_path_buf(), source }
    }

    pub(super) fn malformed(path: &Path, line: Option<u64>, what: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_path_buf(),
            line,
            what: what.into(),
            hint: "the file was changed or damaged after it was written; restore it, or leave this run out".into(),
        }
    }
}

fn line_words(line: Option<u64>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}
