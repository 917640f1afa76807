//! What an operator can do, and how another process of this machine does it.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use wsceiling_model::visitors::{Change, PausedBy, Setting, SettingError, StoppedBy, Summary, Tick};

/// Header that a command has and a page of a stranger cannot send unasked.
pub(crate) const COMMAND_HEADER: &str = "x-wsceiling";
/// Longest answer that is read.
const ANSWER_MAX: usize = 1 << 20;
/// Longest time for one.
const WITHIN: Duration = Duration::from_secs(5);

/// What the operator wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Another goal, number per visitor, rate or message.
    Set(Change),
    /// All close everything until it is resumed.
    Pause,
    /// The goal counts again.
    Resume,
    /// The end.
    Stop,
    /// A mark with words.
    Note {
        /// One line.
        text: String,
    },
}

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejected {
    /// The setting cannot be.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// It has ended.
    #[error("it has been stopped")]
    Stopped,
    /// The target no longer agrees.
    #[error(
        "the target no longer says that it may be loaded (hint: put the line back into its file; it is looked at every 10 s)"
    )]
    TargetDenies,
    /// No words.
    #[error("a note needs words")]
    EmptyNote,
    /// Too many changes.
    #[error("there are {0} marks already (hint: start a new run)")]
    TooManyMarks(usize),
}

/// How it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What visitors connect to.
    pub target: String,
    /// The setting that counts.
    pub setting: Setting,
    /// Who paused it; `None`: it runs.
    pub paused: Option<PausedBy>,
    /// Who stopped it.
    pub stopped: Option<StoppedBy>,
    /// The counters.
    pub tick: Tick,
    /// Everything else.
    pub summary: Summary,
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    /// Whether it was done.
    pub done: bool,
    /// In words.
    pub said: String,
}

/// Why a collector could not be told anything.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens.
    #[error(
        "no run with visitors answers at {address}: {why} (hint: `--operator` names its address; it says so when it starts)"
    )]
    NotThere {
        /// Where.
        address: SocketAddr,
        /// Why.
        why: String,
    },
    /// Something else listens.
    #[error("what answers at {0} is no run with visitors")]
    SomethingElse(SocketAddr),
    /// It said no.
    #[error("{0}")]
    Rejected(String),
}

/// Sends a command; what was done, in a line.
pub async fn send(address: SocketAddr, command: &Command) -> Result<String, ControlError> {
    let body = serde_json::to_vec(command).map_err(|_| ControlError::SomethingElse(address))?;
    let answer = ask(address, Method::POST, "/command", body).await?;
    let said: Said = serde_json::from_slice(&answer).map_err(|_| ControlError::SomethingElse(address))?;
    if said.done { Ok(said.said) } else { Err(ControlError::Rejected(said.said)) }
}

/// Asks how it is; whoever asks, watches.
pub async fn status(address: SocketAddr) -> Result<Status, ControlError> {
    let answer = ask(address, Method::GET, "/status", Vec::new()).await?;
    serde_json::from_slice(&answer).map_err(|_| ControlError::SomethingElse(address))
}

async fn ask(address: SocketAddr, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes, ControlError> {
    let not_there = |why: &dyn std::fmt::Display| ControlError::NotThere { address, why: why.to_string() };
    let exchange = async {
        let stream = TcpStream::connect(address).await.map_err(|error| not_there(&error))?;
        let connected = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connected.map_err(|error| not_there(&error))?;
        // It ends with this call.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let request = Request::builder().method(method).uri(path).header(header::HOST, address.to_string());
        let request = request.header(COMMAND_HEADER, "1").header(header::CONNECTION, "close");
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| not_there(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| not_there(&error))?;
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        Ok(body.map_err(|_| ControlError::SomethingElse(address))?.to_bytes())
    };
    tokio::time::timeout(WITHIN, exchange).await.unwrap_or_else(|_| Err(not_there(&"no answer within 5 s")))
}
