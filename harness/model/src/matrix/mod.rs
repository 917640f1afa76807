//! The matrix: the file that says what is measured, parsed into a wire form and validated once into these types.
//!
//! Everything here is already checked: numbers are positive and sane, every name that a cell mentions exists, ids are
//! unique and safe as file names. Later stages never check again.
//!
//! [`load`] reads a file: `read/` walks the TOML document into a wire form, `validate` resolves names, `expand`
//! makes the cells, and every fault on the way is a [`Diagnostic`] with its place; all of them are shown at once.

mod change;
pub mod course;
mod diagnostics;
mod expand;
mod front;
mod fronts;
mod load;
pub mod names;
mod read;
mod syntax;
pub mod units;
mod validate;
mod warn;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use change::{Change, ConfirmArgs, Knob, Setup, VALUE};
pub use diagnostics::{Diagnostic, Faults, Warnings};
pub use front::{BUILT_IN as BUILT_IN_FRONTS, Front, FrontKind, Spread};
pub use load::{Loaded, load, parse};

/// A validated matrix with its cells expanded.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The `[run]` table.
    pub run: RunSettings,
    /// The `[load]` table.
    pub load: Load,
    /// Targets by name.
    pub targets: BTreeMap<String, Target>,
    /// Sizes by name.
    pub sizes: BTreeMap<String, Size>,
    /// Fronts by name: those of `[fronts]`, and built-in ones that a cell has.
    pub fronts: BTreeMap<String, Front>,
    /// Every cell of the matrix, in the order of the axes.
    pub cells: Vec<Cell>,
    /// The file's text as it was read.
    pub text: String,
    /// Folder of the matrix file; relative paths of targets are relative to it.
    pub folder: PathBuf,
}

impl Matrix {
    /// The cell with this id.
    pub fn cell(&self, id: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.id == id)
    }

    /// The size of a cell; `None`: it has no limits.
    pub fn size(&self, cell: &Cell) -> Option<&Size> {
        self.sizes.get(cell.size.as_ref()?)
    }

    /// The front of a cell; `None`: its instances are reached directly.
    pub fn front(&self, cell: &Cell) -> Option<&Front> {
        self.fronts.get(cell.front.as_ref()?)
    }
}

/// How the run as a whole goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSettings {
    /// Name of the run: letters, digits, `-`, `_`, `.`; part of the run folder's name.
    pub name: String,
    /// Seed of everything random: the order of the trials, phases of messages, masks.
    pub seed: u64,
    /// Trials of each cell.
    pub repeats: u32,
    /// Time between two samples.
    pub sample_every: Duration,
    /// Longest time a target may take from its start to a verified handshake.
    pub ready_within: Duration,
    /// Longest time of one trial; past it the trial is stopped and recorded as timed out.
    pub trial_within: Duration,
    /// After its trials each suspected cause is put to the test: the cell is measured again with one thing changed.
    #[serde(default)]
    pub confirm: bool,
    /// Most such extra trials of a cell.
    #[serde(default)]
    pub confirm_max: u32,
}

impl RunSettings {
    /// Most experiments of a cell.
    pub fn experiments(&self) -> u32 {
        if self.confirm { self.confirm_max } else { 0 }
    }
}

/// What the generator does to each cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Connections added in each step of the staircase.
    pub step: u32,
    /// Connections opened per second, open loop.
    pub rate: f64,
    /// How long the connections of a step are held and measured.
    pub hold: Duration,
    /// The staircase ends here; a cell that gets there is reported as `at least max`.
    pub max: u32,
    /// What is done to the connections one after the other, in the place of the staircase; empty: the staircase. Then
    /// [`Self::max`] is the largest number of them, [`Self::step`] the same, and nothing is narrowed.
    pub stages: Vec<LoadStage>,
    /// What each connection sends while it is open, in the scenarios `idle` and `echo`.
    pub message: Message,
    /// Conditions each step must meet.
    pub gates: Gates,
    /// Narrowing the bracket stops once it is at most this share of the last good step (0.05 is 5 %).
    pub resolution: f64,
    /// At most this many extra steps to narrow the bracket.
    pub narrow: u32,
    /// A TCP connect that takes longer has failed.
    pub connect_timeout: Duration,
    /// An upgrade that takes longer, counted from the connect's end, has failed.
    pub handshake_timeout: Duration,
    /// Workers of the generator; `None`: as many as the descriptor limit asks for.
    pub workers: Option<u32>,
    /// Where they run; `None`: on the host, or beside the containers where the host cannot drive them.
    pub workers_in: Option<WorkersIn>,
    /// Settings of the scenario `broadcast`.
    pub broadcast: Broadcast,
    /// Settings of the scenario `churn`.
    pub churn: Churn,
    /// Limits of the generator's own, below those of the machine.
    #[serde(default)]
    pub generator: GeneratorLimits,
}

/// What the generator may use; `None`: what the machine gives. They tell how a starved client looks from how a slow
/// server does, and keep a generator from taking too much of a shared machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorLimits {
    /// CPUs that all workers together may use.
    pub cpus: Option<f64>,
    /// Descriptors of each worker.
    pub descriptors: Option<u64>,
    /// Source ports of each (source, destination) pair.
    pub ports: Option<u32>,
}

/// A part of a load that is given stage by stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadStage {
    /// Connections are opened, or closed with a close frame, until so many are open; then they are held and measured.
    To {
        /// Connections at its end.
        to: u32,
        /// Connections opened or closed per second, open loop.
        rate: f64,
        /// How long they are then held.
        hold: Duration,
    },
    /// Every connection is closed with RST and connects again, as after a failure of the network or a proxy's restart.
    Storm {
        /// Each one connects again at a random moment of this time, seeded; zero: all at once.
        jitter: Duration,
        /// How long they are then held.
        hold: Duration,
    },
}

/// Where the workers of the generator run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkersIn {
    /// Processes of the host.
    Host,
    /// Containers on the network of the instances, each with an address of its own.
    Docker,
}

/// A message and how often each connection sends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Payload in bytes; of a mix its mean, rounded up.
    pub bytes: u32,
    /// Time between two messages of one connection; where it is random, its mean.
    pub every: Duration,
    /// How that time is distributed.
    pub spread: ThinkTime,
    /// Payloads of several sizes; empty: all are [`Self::bytes`] long.
    pub mix: Vec<Portion>,
}

impl Message {
    /// Messages of one size at one interval.
    pub fn plain(bytes: u32, every: Duration) -> Self {
        Self { bytes, every, spread: ThinkTime::Fixed, mix: Vec::new() }
    }

    /// The longest payload in bytes.
    pub fn longest(&self) -> u32 {
        self.mix.iter().map(|portion| portion.bytes).max().unwrap_or(self.bytes)
    }
}

/// How the time between two messages of a connection is distributed, around its mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThinkTime {
    /// Always the same.
    #[default]
    Fixed,
    /// Between nothing and twice the mean, all equally likely.
    Uniform,
    /// Exponential: what independent users make (a Poisson process).
    Exponential,
}

/// Messages of one size in a mix.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Portion {
    /// Payload in bytes.
    pub bytes: u32,
    /// Share of all messages, 0 to 1; the shares of a mix add up to 1.
    pub share: f64,
}

/// Conditions that a step must meet to count as held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gates {
    /// Least share of the requested connections that must be open at the end of the hold, 0 to 1.
    pub connected: f64,
    /// Least share of the open connections whose last message must have come back, 0 to 1.
    pub echoed: f64,
    /// Longest 99th percentile of the time from a message's intended sending to its reply.
    pub p99: Duration,
}

/// Settings of the scenario `broadcast`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Broadcast {
    /// Connections in one room.
    pub room: u32,
    /// Time between two messages published into one room.
    pub every: Duration,
    /// Payload of a published message in bytes.
    pub bytes: u32,
}

/// Settings of the scenario `churn`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Churn {
    /// Mean time a connection stays open before the client closes it and opens another.
    pub lifetime: Duration,
}

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
    /// How it starts as a process, and what is packed for docker unless `docker` says otherwise.
    pub process: Option<ProcessSpec>,
    /// An image of the user's own instead of the packed process.
    pub docker: Option<DockerSpec>,
    /// How an experiment sets what only the server itself can set.
    #[serde(default)]
    pub confirm: ConfirmArgs,
}

impl Target {
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
}

/// What a target speaks on top of WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Text and binary messages come back as they were sent.
    Echo,
    /// The JSON protocol of `targets/PROTOCOL.md`.
    App,
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

/// A named CPU and memory limit for each instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Name in the matrix.
    pub name: String,
    /// CPUs an instance may use; `None`: no limit.
    pub cpus: Option<f64>,
    /// Memory in bytes an instance may use; `None`: no limit.
    pub memory_bytes: Option<u64>,
    /// Most descriptors an instance may open; `None`: the harness's own hard limit.
    pub nofile: Option<u64>,
    /// Most processes and threads of an instance; `None`: no limit.
    pub pids: Option<u64>,
    /// Price per month of such a machine, in the user's currency.
    pub price_per_month: Option<f64>,
}

/// How instances run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// A process on the host.
    Bare,
    /// A container.
    Docker,
}

/// What connections do once open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// A rare heartbeat.
    Idle,
    /// Messages that come back.
    Echo,
    /// Rooms whose members all receive what is published.
    Broadcast,
    /// Connections that come and go.
    Churn,
}

/// One combination of the axes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// Readable, stable, safe as a file name: `[a-z0-9._-]+`, never starting with a dot.
    pub id: String,
    /// Name of the target.
    pub target: String,
    /// How the instances run.
    pub runtime: Runtime,
    /// How many run.
    pub instances: u32,
    /// Name of the front; `None`: the instances are reached directly.
    pub front: Option<String>,
    /// Name of the size; `None`: no limits.
    pub size: Option<String>,
    /// What the connections do.
    pub scenario: Scenario,
}

impl Cell {
    /// Whether workers in containers can reach its instances: those are containers with nothing before them.
    pub fn is_reached_from_containers(&self) -> bool {
        self.runtime == Runtime::Docker && self.front.is_none()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let portions: Vec<String> =
            self.mix.iter().map(|portion| format!("{} x {} bytes", portion.share, portion.bytes)).collect();
        let sizes = if portions.is_empty() { format!("{} bytes", self.bytes) } else { portions.join(" + ") };
        write!(f, "{sizes} every {:?}", self.every)?;
        if self.spread == ThinkTime::Fixed { Ok(()) } else { write!(f, " ({})", self.spread) }
    }
}

impl fmt::Display for ThinkTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed => "fixed",
            Self::Uniform => "uniform",
            Self::Exponential => "exponential",
        })
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bare => "bare",
            Self::Docker => "docker",
        })
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Echo => "echo",
            Self::Broadcast => "broadcast",
            Self::Churn => "churn",
        })
    }
}
