//! The coordinator's end: a listener that lets in the expected workers, and nobody else.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::hello::{Hello, Token};
use super::{boot_id, prepare};
use crate::coordinator::{Node, WorkerLine};
use crate::ipc::PROTOCOL_VERSION;

/// Longest first line in bytes.
const HELLO_BYTES: u64 = 4096;
/// How long one may take to say who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// Most callers that are listened to at once; more wait in the kernel's queue.
const CALLERS: usize = 256;

/// Why the workers are not all there.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The address cannot be listened on.
    #[error("cannot listen for workers on {address}: {source}")]
    Listen {
        /// The address.
        address: IpAddr,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// The kernel gives no random bytes.
    #[error("cannot make a token for the workers: {0}")]
    Token(std::io::Error),
    /// Not all of them came in time.
    #[error(
        "{came} of {expected} workers dialled {address} within {} s{}",
        within.as_secs(),
        if *strangers > 0 { format!("; {strangers} strangers were sent away") } else { String::new() }
    )]
    Late {
        /// Workers that came.
        came: usize,
        /// Workers that were expected.
        expected: usize,
        /// Where.
        address: SocketAddr,
        /// The time that they had.
        within: Duration,
        /// Callers that were none of them.
        strangers: u64,
    },
    /// A worker is of another version.
    #[error("the worker on node {node} speaks version {theirs} of the protocol, not {PROTOCOL_VERSION}")]
    Version {
        /// Its node.
        node: String,
        /// Its version.
        theirs: u32,
    },
}

/// Listens for the workers of one launch. It is closed once they are in, or when it is dropped.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
    token: Token,
}

/// Somebody who has said who he is.
struct Caller {
    hello: Hello,
    line: TcpStream,
}

impl Door {
    /// Listens on a free port of an address of this host.
    ///
    /// # Errors
    /// When the address is not this host's, or there is no randomness for the token.
    pub async fn open(address: IpAddr) -> Result<Self, DialError> {
        let failed = |source| DialError::Listen { address, source };
        let listener = TcpListener::bind(SocketAddr::new(address, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, token: Token::random().map_err(DialError::Token)? })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What lets in.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Lets in exactly `expected` workers, each slot once, and closes. They are in the order of their slots.
    ///
    /// # Errors
    /// When not all of them are there `within` that time, or one is of another version.
    pub async fn admit(self, expected: u32, within: Duration) -> Result<Vec<WorkerLine>, DialError> {
        let deadline = Instant::now() + within;
        let boot = boot_id();
        let mut workers: Vec<Option<WorkerLine>> = (0..expected).map(|_| None).collect();
        let mut strangers = 0;
        let mut callers = JoinSet::new();
        while workers.iter().any(Option::is_none) {
            tokio::select! {
                accepted = self.listener.accept(), if callers.len() < CALLERS => match accepted {
                    Ok((line, _)) => {
                        callers.spawn(timeout(HELLO_WITHIN, listen_to(line)));
                    }
                    // Descriptors may be short for a moment.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                },
                Some(heard) = callers.join_next() => {
                    let caller = heard.ok().and_then(Result::ok).flatten();
                    let caller = caller.filter(|caller| self.token.is(&caller.hello.token));
                    let Some(Caller { hello, line }) = caller else {
                        strangers += 1;
                        continue;
                    };
                    if hello.version != PROTOCOL_VERSION {
                        return Err(DialError::Version { node: shown(&hello.node), theirs: hello.version });
                    }
                    let slot = hello.slot.checked_sub(1).and_then(|slot| workers.get_mut(slot as usize));
                    match slot.filter(|slot| slot.is_none()) {
                        Some(slot) => *slot = Some(line_of(hello, line, boot.as_deref())),
                        None => strangers += 1,
                    }
                }
                () = tokio::time::sleep_until(deadline) => {
                    let came = workers.iter().flatten().count();
                    let (address, expected) = (self.address, workers.len());
                    return Err(DialError::Late { came, expected, address, within, strangers });
                }
            }
        }
        Ok(workers.into_iter().flatten().collect())
    }
}

/// Reads the first line of a caller; `None`: it is none of ours.
async fn listen_to(line: TcpStream) -> Option<Caller> {
    prepare(&line);
    let mut line = BufReader::new(line);
    let mut text = Vec::new();
    (&mut line).take(HELLO_BYTES).read_until(b'\n', &mut text).await.ok()?;
    // Without its end it is too long, or was cut off.
    let text = text.strip_suffix(b"\n")?;
    let hello = serde_json::from_slice(text).ok()?;
    // A worker says nothing more until it is asked.
    line.buffer().is_empty().then(|| Caller { hello, line: line.into_inner() })
}

fn line_of(hello: Hello, line: TcpStream, boot: Option<&str>) -> WorkerLine {
    let same_clock = boot.is_some() && hello.boot.as_deref() == boot;
    let (output, input) = line.into_split();
    WorkerLine {
        pid: None,
        addresses: hello.addresses,
        node: Some(Node { name: shown(&hello.node), same_clock }),
        input: Box::new(input),
        output: Box::new(output),
    }
}

/// A name as people may see it: a node chose it.
fn shown(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    if name.is_empty() { "without a name".to_owned() } else { name }
}
