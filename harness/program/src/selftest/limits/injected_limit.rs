//! One injected limit, and the matrix that sets it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::Numbers;
use wsceiling_model::record::Cause;

/// What a machine must have before a limit can be injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A Docker engine.
    Docker,
    /// A program on PATH.
    Program(&'static str),
    /// Node.js with its package `ws`.
    Node,
    /// Cores to spare beside the server's.
    Cores(u32),
    /// The right to start a server as another user.
    Root,
    /// Python with its package `websockets`.
    PythonWebsockets,
    /// A Go toolchain with the package `gorilla/websocket`.
    Gorilla,
    /// A Java development kit.
    Java,
    /// Ruby with its package `em-websocket`.
    RubyWebsocket,
    /// Limits of CPU, memory and processes can be set: cgroups that may be written.
    Cgroups,
}

/// What a limit is a test of. Each kind is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One limit, alone.
    Plain,
    /// One limit, and the sign of another.
    Decoys,
    /// Two limits, of which one is met first.
    Pairs,
    /// A server that is not ours.
    Strangers,
    /// A server that runs elsewhere.
    Remote,
    /// No limit.
    Clean,
}

impl Kind {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 6] = [Self::Plain, Self::Decoys, Self::Pairs, Self::Strangers, Self::Remote, Self::Clean];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Decoys => "decoys",
            Self::Pairs => "pairs",
            Self::Strangers => "strangers",
            Self::Remote => "remote",
            Self::Clean => "clean",
        }
    }
}

/// What the matrix has in the place of the address of a server elsewhere, until that is known.
pub const PUBLIC: &str = "ws://127.0.0.1:1/";
/// The same for its exporter.
pub const METRICS: &str = "http://127.0.0.1:1/metrics";

/// A server that the harness does not start, and what tells about it.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Arguments of `targets/planted`.
    pub server: String,
    /// Its `ulimit -n`; `None`: as it is.
    pub nofile: Option<u32>,
    /// Arguments of `targets/edge`, if one stands before the server.
    pub edge: Option<String>,
    /// What its exporter tells.
    pub metrics: Metrics,
}

impl Remote {
    /// A server with an exporter that is right.
    pub(super) fn server(args: impl Into<String>) -> Self {
        Self { server: args.into(), nofile: None, edge: None, metrics: Metrics::Right }
    }
}

/// What an exporter tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metrics {
    /// What is true.
    Right,
    /// What is true, until it ends.
    Ends,
    /// 401 to everybody.
    Refused,
    /// What was true ten minutes ago, with that time.
    Old,
    /// A counter that begins anew, though the server does not.
    Forgets,
    /// The numbers of another process.
    OfAnother,
}

/// An injected limit: a bare instance of the plain echo server without limits, until one is set.
#[derive(Debug, Clone)]
pub struct InjectedLimit {
    /// Short name, a name of the matrix.
    pub name: &'static str,
    /// What is injected, for a person.
    pub what: String,
    /// The cause that has to be found; `none` for a clean cell.
    pub expected: Cause,
    /// What it tests.
    pub kind: Kind,
    /// Part of the short form.
    pub quick: bool,
    /// What the machine must have.
    pub needs: Vec<Need>,
    /// Runtime of the cell.
    pub runtime: &'static str,
    /// Instances of the cell.
    pub instances: u32,
    /// Scenario of the cell.
    pub scenario: &'static str,
    /// The server runs elsewhere.
    pub remote: Option<Remote>,
    /// The target's tables.
    target: String,
    /// Lines of `[load]`, of `[sizes.planted]` and of `[fronts.planted]`, as `key = value`.
    load: Vec<String>,
    size: Vec<String>,
    front: Vec<String>,
}

/// The load that every limit starts from, beside `step` and `rate`. Slow enough that a small machine with other things to
/// do keeps up.
const LOAD: [&str; 6] = [
    "max = 800",
    "hold = \"1500ms\"",
    "narrow = 0",
    "connect_timeout = \"1500ms\"",
    "handshake_timeout = \"2s\"",
    "message = { bytes = 64, every = \"1s\" }",
];

impl InjectedLimit {
    /// A limit by its name and the cause that has to be found.
    pub(super) fn new(name: &'static str, expected: Cause, what: impl Into<String>) -> Self {
        let limit = Self {
            name,
            what: what.into(),
            expected,
            kind: if expected == Cause::None { Kind::Clean } else { Kind::Plain },
            quick: false,
            needs: Vec::new(),
            runtime: "bare",
            instances: 1,
            scenario: "idle",
            remote: None,
            target: String::new(),
            load: Vec::new(),
            size: Vec::new(),
            front: Vec::new(),
        };
        limit.echo("")
    }

    /// Part of the short form.
    pub(super) fn quick(self) -> Self {
        Self { quick: true, ..self }
    }

    /// Can only be injected where there is this.
    pub(super) fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    /// In a container.
    pub(super) fn docker(self) -> Self {
        Self { runtime: "docker", ..self }.needs(Need::Docker)
    }

    /// Several instances.
    pub(super) fn instances(self, instances: u32) -> Self {
        Self { instances, ..self }
    }

    /// Another scenario.
    pub(super) fn scenario(self, scenario: &'static str) -> Self {
        Self { scenario, ..self }
    }

    /// A line of `[load]`, in the place of the usual one.
    pub(super) fn load(mut self, line: impl Into<String>) -> Self {
        self.load.push(line.into());
        self
    }

    /// A limit of the instances: a line of the size.
    pub(super) fn size(mut self, line: impl Into<String>) -> Self {
        self.size.push(line.into());
        self
    }

    /// nginx stands before the instances, with one worker.
    pub(super) fn nginx(self) -> Self {
        self.needs(Need::Program("nginx")).front("kind = \"nginx\"").front("workers = 1")
    }

    /// haproxy stands before the instances.
    pub(super) fn haproxy(self) -> Self {
        self.needs(Need::Program("haproxy")).front("kind = \"haproxy\"")
    }

    /// A setting of the front.
    pub(super) fn front(mut self, line: impl Into<String>) -> Self {
        self.front.push(line.into());
        self
    }

    /// `targets/planted` with these arguments, separated by spaces.
    pub(super) fn planted(self, args: impl AsRef<str>) -> Self {
        self.cargo("planted", args.as_ref())
    }

    /// `targets/echo`.
    pub(super) fn echo(self, args: impl AsRef<str>) -> Self {
        self.cargo("echo", args.as_ref())
    }

    /// `targets/app`.
    pub(super) fn app(self, args: impl AsRef<str>) -> Self {
        let limit = self.cargo("app", args.as_ref());
        let table = "[targets.planted]\nprotocol = \"app\"\npath = \"/ws\"\ntoken = \"secret\"\n\n";
        Self { target: format!("{table}{}", limit.target), ..limit }
    }

    /// `targets/node/server.js`, with these arguments for Node itself.
    pub(super) fn node(self, args: impl AsRef<str>) -> Self {
        let args = format!("{} targets/node/server.js --port {{port}}", args.as_ref());
        let target = format!("[targets.planted.process]\nprogram = \"node\"\nargs = {}\n", list(&args));
        Self { target, ..self.needs(Need::Node) }
    }

    /// A server that is not ours: a program and its arguments. `{strangers}` is the folder of their sources.
    pub(super) fn stranger(self, program: &str, args: impl AsRef<str>) -> Self {
        let target = format!("[targets.planted.process]\nprogram = \"{program}\"\nargs = {}\n", list(args.as_ref()));
        Self { target, ..self }
    }

    /// A server that the harness does not start.
    pub(super) fn remote(self, remote: Remote) -> Self {
        let target = format!("[targets.planted]\nurl = \"{PUBLIC}\"\nsettle = \"0s\"\n");
        Self { remote: Some(remote), target, ..self }
    }

    /// A setting of a target that runs elsewhere.
    pub(super) fn target(mut self, line: &str) -> Self {
        self.target.push_str(line);
        self.target.push('\n');
        self
    }

    /// The server runs as a user without rights, who has other processes nowhere.
    pub(super) fn unprivileged(mut self) -> Self {
        self.target.push_str("user = \"nobody\"\n");
        self.needs(Need::Root)
    }

    fn cargo(self, package: &str, args: &str) -> Self {
        let args = list(&format!("--address {{address}} {args}"));
        Self { target: format!("[targets.planted.process]\ncargo = \"{package}\"\nargs = {args}\n"), ..self }
    }

    /// Adds what every load has and this one does not say.
    pub(super) fn complete(&mut self, numbers: &mut Numbers) {
        let step = format!("step = {}", numbers.pick(200, 130..=300));
        let rate = format!("rate = \"{}/s\"", numbers.pick(400, 300..=600));
        let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        let own: Vec<String> = self.load.iter().map(|line| key(line)).collect();
        let usual = LOAD.map(str::to_owned).into_iter().chain([step, rate]);
        self.load.extend(usual.filter(|line| !own.contains(&key(line))));
    }

    /// The matrix file of this limit.
    pub fn matrix(&self, repeats: u32) -> String {
        let mut tables = vec![
            format!("[run]\nname = \"{}\"\nrepeats = {repeats}\n", self.name),
            format!("[load]\n{}\n", self.load.join("\n")),
            self.target.clone(),
        ];
        let mut axes = format!("[axes]\ntarget = [\"planted\"]\nscenario = [\"{}\"]\n", self.scenario);
        if self.remote.is_some() {
            tables.push(format!(
                "[[targets.planted.metrics]]\npart = \"instance-0\"\nprometheus = \"{METRICS}\"\nevery = \"250ms\"\n\
                 within = \"500ms\"\n"
            ));
        } else {
            let _ = writeln!(axes, "runtime = [\"{}\"]\ninstances = [{}]", self.runtime, self.instances);
        }
        for (table, axis, lines) in [("sizes", "size", &self.size), ("fronts", "front", &self.front)] {
            if !lines.is_empty() {
                tables.push(format!("[{table}.planted]\n{}\n", lines.join("\n")));
                let _ = writeln!(axes, "{axis} = [\"planted\"]");
            }
        }
        tables.push(axes);
        tables.join("\n")
    }
}

/// Words as a TOML list.
fn list(words: &str) -> String {
    let quoted: Vec<String> = words.split_whitespace().map(|word| format!("\"{word}\"")).collect();
    format!("[{}]", quoted.join(", "))
}
