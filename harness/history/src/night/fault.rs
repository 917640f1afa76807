//! What is wrong with a file of a history, and where.

use std::fmt;

/// What is wrong, and where. The line, or the file, is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the file inside the history.
    pub file: String,
    /// Line, from 1; `None`: the file as a whole.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: What,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The last line has no end.
    Torn,
    /// It is no line of a night.
    Foreign(String),
    /// It says something that cannot be.
    Impossible(String),
    /// A cell has two lines.
    Twice(String),
    /// The file has no header, so that its lines say nothing.
    NoHeader,
    /// Its name is not the one that its header gives.
    Name(String),
    /// It is of a later version.
    Newer {
        /// Its schema.
        schema: u64,
        /// Version of `wsceiling` that wrote it.
        wsceiling: Option<String>,
    },
    /// Two histories have it with different bytes, so that none of them can be believed.
    Refused,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn => f.write_str("the line is torn: it has no end"),
            Self::Foreign(why) => write!(f, "no line of a night: {why}"),
            Self::Impossible(why) => write!(f, "it cannot be that {why}"),
            Self::Twice(cell) => write!(f, "a second line of cell `{cell}`"),
            Self::NoHeader => f.write_str("the file has no header; its first line must be `{\"line\":\"night\", ...}`"),
            Self::Name(expected) => write!(f, "by its header it would be called {expected}"),
            Self::Newer { schema, wsceiling } => {
                write!(f, "its schema is {schema}: it needs wsceiling >= ")?;
                f.write_str(wsceiling.as_deref().unwrap_or("a later version"))
            }
            Self::Refused => f.write_str("two files of this name had different bytes; none of them counts"),
        }
    }
}
