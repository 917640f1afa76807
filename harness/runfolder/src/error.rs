//! Faults of reading and writing a record.

use std::path::{Path, PathBuf};
use std::{error, fmt, io};

use super::FORMAT_VERSION;

/// Why a record could not be written or read. Every case names the file. `Display` has the hint on a line of its own.
#[derive(Debug)]
pub enum RecordError {
    /// The operating system refused.
    Io {
        /// What was attempted: `write`, `read`, `sync`, ...
        action: &'static str,
        /// File or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The folder has no `run.json`.
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// Written in a later version of the format.
    Later {
        /// `run.json`.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The version of the program that wrote it, where it says so.
        wsceiling: Option<String>,
    },
    /// To be continued, and begun in an earlier version of the format.
    Earlier {
        /// The run folder.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version of the program that wrote it.
        wsceiling: String,
    },
    /// The content is not what the format says.
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1, where there is one.
        line: Option<u64>,
        /// What is wrong.
        what: String,
    },
    /// Another process writes it.
    Locked {
        /// The run folder.
        path: PathBuf,
    },
    /// A value that the record cannot hold.
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
        Self::Malformed { path: path.to_path_buf(), line, what: what.into() }
    }

    /// What happened.
    pub fn what(&self) -> String {
        match self {
            Self::Io { action, path, source } => format!("failed to {action} {}: {source}", path.display()),
            Self::NotARun { path } => format!("{} is not a run folder: it has no run.json", path.display()),
            Self::Later { path, found, .. } => {
                format!("{} has format {found}, this program reads up to format {FORMAT_VERSION}", path.display())
            }
            Self::Earlier { path, found, .. } => format!(
                "{} has format {found}, this program writes format {FORMAT_VERSION}: they cannot be in one record",
                path.display()
            ),
            Self::Malformed { path, line, what } => {
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                format!("{}{line}: {what}", path.display())
            }
            Self::Locked { path } => format!("{} is being written by another process", path.display()),
            Self::Unwritable { what, why } => format!("failed to record {what}: {why}"),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Io { .. } | Self::Unwritable { .. } => return None,
            Self::NotARun { .. } => "name a folder under `reports/`",
            Self::Later { wsceiling: Some(version), .. } => {
                return Some(format!("wsceiling {version} wrote it: use that version or a later one"));
            }
            Self::Later { wsceiling: None, .. } => "use a later version of wsceiling",
            Self::Earlier { wsceiling, .. } => {
                return Some(format!("continue it with wsceiling {wsceiling}, which began it, or start a new run"));
            }
            Self::Malformed { .. } => {
                "the file was changed or damaged after it was written; restore it, or leave this run out"
            }
            Self::Locked { .. } => "wait for that run to end, or stop it",
        };
        Some(hint.to_owned())
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        self.hint().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

impl error::Error for RecordError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
