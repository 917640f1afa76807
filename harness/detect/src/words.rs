//! What was seen and what could not be told, in words.

use std::fmt;

use wsceiling_model::matrix::names;

use crate::guess::{Clue, Kind, Port, Question, Seen, Server, Start, Unread};

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "Node.js",
            Self::Bun => "Bun",
            Self::Deno => "Deno",
            Self::Python => "Python",
            Self::Go => "Go",
            Self::Rust => "Rust",
            Self::Ruby => "Ruby",
            Self::Php => "PHP",
            Self::Container => "a container",
        })
    }
}

impl fmt::Display for Server {
    /// `chat: Node.js with ws, started by: node server.js`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.kind)?;
        if let Some(library) = &self.library {
            write!(f, " with {library}")?;
        }
        match &self.start {
            Start::Process { program, args, .. } => {
                let told: &[String] = if let Port::Arguments(port) = &self.port { port } else { &[] };
                let words = std::iter::once(program).chain(args).chain(told).map(String::as_str);
                write!(f, ", started by: {}", words.collect::<Vec<_>>().join(" "))
            }
            Start::Build { folder } => write!(f, ", built from {folder}/Dockerfile"),
            Start::Image { reference } => write!(f, ", from the image {reference}"),
            Start::Yourself { command, .. } => write!(f, ", which you start: {command}"),
        }
    }
}

impl fmt::Display for Clue {
    /// `server.js:5: its port comes from the variable PORT`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match &self.what {
            Seen::Library(name) => write!(f, ": it names `{name}`"),
            Seen::Command(script) => write!(f, ": it starts the server by `{script}`"),
            Seen::Entry => f.write_str(": the server starts here"),
            Seen::PortVariable(name) => write!(f, ": the port comes from the variable {name}"),
            Seen::PortArgument(args) => write!(f, ": the port comes from the argument `{args}`"),
            Seen::Port(port) => write!(f, ": the port {port}"),
            Seen::Path(path) => write!(f, ": the path {path}"),
            Seen::Image => f.write_str(": it describes an image"),
            Seen::Service(name) => write!(f, ": its service `{name}` is taken for the server"),
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read: {}", self.file, self.why)
    }
}

impl fmt::Display for Question {
    /// What could not be told, then what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { assumed } => write!(
                f,
                "The port: nothing says it, so {assumed} stands in the matrix. If the server takes a port, tell it by \
                 `{{port}}` in `args` or `env`; else write the number that it has"
            ),
            Self::Path { used, others } => {
                write!(f, "The path: {used} is used. There are also {}", listed(others))
            }
            Self::Parameter { path } => {
                write!(f, "The path {path} has parameters, and each is `1` now. Write what the server takes")
            }
            Self::NotInstalled { command } => write!(f, "What it depends on is not in the folder. If it is not installed elsewhere, run: {command}"),
            Self::Entry { used, others } => {
                write!(f, "What starts: {used} is taken. There are also {}", listed(others))
            }
            Self::NoLibrary => f.write_str(
                "Nothing in the folder names a library of WebSocket. If the server is in another folder, run \
                 `wsceiling init` there",
            ),
            Self::Script { script } => write!(
                f,
                "The script `{script}` is more than one command, so its runner starts it and is measured with it. Better \
                 put the one command that serves into `program` and `args`"
            ),
            Self::Needs { services } => write!(
                f,
                "The compose file starts {} before it, and the matrix does not. If it needs them, start them first",
                listed(services)
            ),
            Self::Service { used, others } => {
                write!(f, "Which service: {used} is taken. There are also {}", listed(others))
            }
            Self::Image { written } => write!(f, "The image: compose fills in `{written}`. Write the reference as it is then"),
            Self::OtherDockerfile { file } => write!(
                f,
                "The image is built from `{file}`, and `build` knows only `Dockerfile`. Build it by hand, and name it by \
                 `image`"
            ),
            Self::Origin => f.write_str(
                "The server may ask who connects for an `Origin`. If connections are refused with 403 or 404, allow all \
                 origins while you measure, or use a target with a `url`, which can have `headers`",
            ),
            Self::SocketIo => f.write_str(
                "Socket.IO ends clients that do not answer its own pings, 45 s after they came. Raise `pingTimeout` in the \
                 server while you measure",
            ),
            Self::StartYourself => f.write_str(
                "It needs more than a command, so start it yourself before the run. Without `metrics` its memory and CPU are \
                 not measured (docs/remote.md)",
            ),
        }
    }
}

fn listed(names: &[String]) -> String {
    names::listed(names.iter().map(String::as_str))
}
