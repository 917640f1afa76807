//! Targets: how a server starts, and what it speaks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Runtime;
use super::remote::{Expect, RemoteTarget};
use crate::keyword::keywords;

/// A server program under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Name in the matrix.
    pub name: String,
    /// What the server speaks on top of WebSocket.
    pub protocol: Protocol,
    /// Path of the upgrade request, with the leading slash.
    pub path: String,
    /// Token sent at the upgrade (`?token=`), for targets that ask for one.
    pub token: Option<String>,
    /// Where it lives, if not in the folder of the matrix file, relative to that: another checkout, such as of an older commit.
    /// Its package, program, files and image are looked for there, and it starts there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// What counts as an answer, of a target that the harness starts; a remote one has it in [`Self::remote`].
    #[serde(default = "echo", skip_serializing_if = "is_echo")]
    pub expect: Expect,
    /// How it starts as a process, and what is packed for docker unless `docker` says otherwise.
    pub process: Option<ProcessSpec>,
    /// An image of the user's own instead of the packed process.
    pub docker: Option<DockerSpec>,
    /// How an experiment sets what only the server itself can set.
    #[serde(default)]
    pub confirm: ConfirmArgs,
    /// Where it is, if somebody else runs it; then the harness starts nothing.
    #[serde(default)]
    pub remote: Option<RemoteTarget>,
}

/// What a target answers unless the matrix says otherwise.
fn echo() -> Expect {
    Expect::Echo
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_echo(expect: &Expect) -> bool {
    *expect == Expect::Echo
}

impl Target {
    /// What counts as an answer, whoever starts it.
    pub fn expects(&self) -> Expect {
        self.remote.as_ref().map_or(self.expect, |remote| remote.expect)
    }

    /// The message of its own that it is sent; `None`: the protocol's.
    pub fn payload(&self) -> Option<&str> {
        self.remote.as_ref()?.payload.as_deref()
    }

    /// The package that cargo builds to run it in `runtime`; `None`: its program or image comes from elsewhere.
    pub fn package(&self, runtime: Runtime) -> Option<&str> {
        match &self.process.as_ref()?.start {
            Start::Cargo(package) if self.docker.is_none() || runtime == Runtime::Bare => Some(package),
            _ => None,
        }
    }

    /// The command that makes its program before it runs in `runtime`; `None`: nothing has to be made.
    pub fn command_of_build(&self, runtime: Runtime) -> Option<&[String]> {
        let process = self.process.as_ref().filter(|_| self.docker.is_none() || runtime == Runtime::Bare)?;
        (!process.build.is_empty()).then_some(process.build.as_slice())
    }

    /// Path and query of the upgrade request, with the token. Characters of the token that mean something in a query
    /// are percent-encoded.
    pub fn upgrade_path(&self) -> String {
        let Some(token) = &self.token else { return self.path.clone() };
        let mut path = format!("{}{}token=", self.path, if self.path.contains('?') { '&' } else { '?' });
        for byte in token.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                path.push(byte as char);
            } else {
                path.extend(format!("%{byte:02X}").chars());
            }
        }
        path
    }

    /// The number that its arguments set with such a pattern.
    pub fn argument(&self, pattern: &[String]) -> Option<f64> {
        let all = self.process.iter().map(|it| &it.args).chain(self.docker.iter().map(|it| &it.args));
        all.filter_map(|args| find(args, pattern)).map(|(_, value)| value).next()
    }

    /// Gives such an argument to every way in which the target starts.
    pub(super) fn set_argument(&mut self, pattern: &[String], to: f64) {
        let all = self.process.iter_mut().map(|it| &mut it.args).chain(self.docker.iter_mut().map(|it| &mut it.args));
        all.for_each(|args| set(args, pattern, to));
    }
}

keywords! {
    /// What a target speaks on top of WebSocket.
    pub enum Protocol {
        Echo = "echo", "Text and binary messages come back as they were sent";
        App = "app", "The JSON protocol of `targets/PROTOCOL.md`";
    }
}

impl Protocol {
    /// Whether it has rooms, so that connections can broadcast.
    pub const fn has_rooms(self) -> bool {
        matches!(self, Self::App)
    }

    /// A text, and the text that every server of the protocol answers it with. The first has characters of several bytes.
    pub const fn exchange(self) -> (&'static str, &'static str) {
        const ECHOED: &str = "wsceiling verifies: a \u{e9} \u{20ac} \u{1f310}";
        match self {
            Self::Echo => (ECHOED, ECHOED),
            Self::App => (r#"{"type":"heartbeat","id":2,"pad":"é"}"#, r#"{"type":"heartbeat","id":2}"#),
        }
    }
}

/// How a target starts as a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// The program.
    pub start: Start,
    /// Arguments; `{port}`, `{address}` (ip:port), `{ip}`, `{instance}`, `{socket}` (path of a unix socket) are replaced.
    pub args: Vec<String>,
    /// Environment variables, with the same replacements.
    pub env: BTreeMap<String, String>,
    /// More files or folders that are packed into the image, beside the program and its libraries.
    pub files: Vec<PathBuf>,
    /// User that a bare instance runs as; `None`: who runs the harness. Only root may choose another.
    #[serde(default)]
    pub user: Option<String>,
    /// Port that stands in its code, where it cannot be told one; `None`: each instance is told its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// A command that makes the program, run once before the first trial; empty: it is there already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build: Vec<String>,
}

impl ProcessSpec {
    /// Whether its instances are told the path of a unix-domain socket to listen on.
    pub fn listens_on_socket(&self) -> bool {
        self.args.iter().chain(self.env.values()).any(|text| text.contains("{socket}"))
    }
}

/// The program of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// A package of the workspace that the matrix file is in, built with cargo.
    Cargo(String),
    /// A program: a path relative to the matrix file, or a name on PATH.
    Program(String),
}

/// An image of the user's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DockerSpec {
    /// Where the image comes from.
    pub image: Image,
    /// Arguments given to the image's entry point, with the replacements of [`ProcessSpec::args`].
    pub args: Vec<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Port that the server listens on inside the container.
    pub port: u16,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Image {
    /// A reference known to the engine.
    Reference(String),
    /// A folder with a Dockerfile, relative to the matrix file.
    Build(PathBuf),
}

/// What stands for the number in an argument of [`ConfirmArgs`].
pub(super) const VALUE: &str = "{value}";

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
fn find(args: &[String], pattern: &[String]) -> Option<(usize, f64)> {
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
fn set(args: &mut Vec<String>, pattern: &[String], to: f64) {
    let filled = pattern.iter().map(|word| word.replace(VALUE, &format!("{to:.0}")));
    match find(args, pattern) {
        Some((at, _)) => args.splice(at..at + pattern.len(), filled).for_each(drop),
        None => args.extend(filled),
    }
}
