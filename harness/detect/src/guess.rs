//! The types of a guess. Their words are in `words`.

use std::collections::BTreeMap;

/// What a folder says of the server in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guess {
    /// The server; `None`: none was found.
    pub server: Option<Server>,
    /// Files that should have said more and cannot be read.
    pub unread: Vec<Unread>,
}

/// A file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Its path in the folder.
    pub file: String,
    /// What is wrong with it, with the place.
    pub why: String,
}

/// A server and how it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Name of the target: safe in ids and file names.
    pub name: String,
    /// What it is written in.
    pub kind: Kind,
    /// The library that speaks WebSocket, where one is known.
    pub library: Option<String>,
    /// How it starts.
    pub start: Start,
    /// How it learns its port.
    pub port: Port,
    /// Path of the upgrade.
    pub path: String,
    /// More of its environment.
    pub env: BTreeMap<String, String>,
    /// What the guess rests on.
    pub clues: Vec<Clue>,
    /// What could not be told.
    pub questions: Vec<Question>,
}

impl Server {
    /// A server of which nothing but this is known yet.
    pub(crate) fn new(kind: Kind, start: Start) -> Self {
        Self {
            name: String::new(),
            kind,
            library: None,
            start,
            port: Port::Unknown,
            path: "/".to_owned(),
            env: BTreeMap::new(),
            clues: Vec::new(),
            questions: Vec::new(),
        }
    }

    /// Adds what was seen in a file.
    pub(crate) fn seen(&mut self, file: &str, line: Option<usize>, what: Seen) {
        let clue = Clue { file: file.to_owned(), line, what };
        if !self.clues.contains(&clue) {
            self.clues.push(clue);
        }
    }

    /// Adds what could not be told.
    pub(crate) fn ask(&mut self, question: Question) {
        if !self.questions.contains(&question) {
            self.questions.push(question);
        }
    }
}

/// What a server is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JavaScript or TypeScript on Node.js.
    Node,
    /// On Bun.
    Bun,
    /// On Deno.
    Deno,
    /// Python.
    Python,
    /// Go.
    Go,
    /// Rust.
    Rust,
    /// Ruby.
    Ruby,
    /// PHP.
    Php,
    /// An image, whatever is in it.
    Container,
}

/// How a server starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// As a process of this machine.
    Process {
        /// A name on PATH, or a path with a `/` from the folder.
        program: String,
        /// Its arguments, without those that tell the port.
        args: Vec<String>,
        /// A command that makes the program first; empty: it is there.
        build: Vec<String>,
    },
    /// As an image that is built from this folder's Dockerfile.
    Build {
        /// The folder; `.` is the folder itself.
        folder: String,
    },
    /// As an image with this reference.
    Image {
        /// The reference.
        reference: String,
    },
    /// By its user, since it needs more than a command.
    Yourself {
        /// What its user probably writes.
        command: String,
        /// Headers that it asks for.
        headers: BTreeMap<String, String>,
    },
}

/// How a server learns its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// From an environment variable of this name.
    Variable(String),
    /// From arguments, with `{port}` or `{address}` in them.
    Arguments(Vec<String>),
    /// It stands in the code, or the image exposes it.
    Fixed(u16),
    /// Nothing says so.
    Unknown,
}

/// Something that a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clue {
    /// Path of the file.
    pub file: String,
    /// Line, from 1, where it is one line.
    pub line: Option<usize>,
    /// What it says.
    pub what: Seen,
}

/// What a file may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It names a library of WebSocket.
    Library(String),
    /// A script or an entry says how the server starts.
    Command(String),
    /// It is the file that the server starts from.
    Entry,
    /// The port comes from an environment variable.
    PortVariable(String),
    /// The port comes from an argument.
    PortArgument(String),
    /// The port stands there.
    Port(u16),
    /// The path of the upgrade stands there.
    Path(String),
    /// It describes an image.
    Image,
    /// It describes a service of this name.
    Service(String),
}

/// What could not be told, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Nothing says how the server learns its port, or which one it has.
    Port {
        /// What the matrix says until somebody knows better.
        assumed: u16,
    },
    /// Several paths may be that of the upgrade.
    Path {
        /// The one that the matrix has.
        used: String,
        /// The others.
        others: Vec<String>,
    },
    /// The path has a parameter, which was filled with `1`.
    Parameter {
        /// The path as it stands in the code.
        path: String,
    },
    /// Dependencies are not installed.
    NotInstalled {
        /// What installs them.
        command: String,
    },
    /// Several programs may be the server.
    Entry {
        /// The one that the matrix starts.
        used: String,
        /// The others.
        others: Vec<String>,
    },
    /// Nothing in the folder speaks of WebSocket.
    NoLibrary,
    /// The script is more than one command, so its own runner starts it.
    Script {
        /// The script.
        script: String,
    },
    /// Services that the server may need.
    Needs {
        /// Their names.
        services: Vec<String>,
    },
    /// Several services may be the server.
    Service {
        /// The one that the matrix starts.
        used: String,
        /// The others.
        others: Vec<String>,
    },
    /// The reference of the image has what compose would fill in.
    Image {
        /// As the compose file has it.
        written: String,
    },
    /// The image is built from a file with another name than `Dockerfile`.
    OtherDockerfile {
        /// The name.
        file: String,
    },
    /// Who connects is asked for an `Origin`.
    Origin,
    /// Clients of Socket.IO have to answer its own pings.
    SocketIo,
    /// It needs more than a command to start.
    StartYourself,
}
