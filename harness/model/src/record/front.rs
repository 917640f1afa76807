//! The front of a trial, in its line of `trials.jsonl`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AppliedLimit, Exit};
use crate::keyword::{keywords, recorded_as_text};
use crate::matrix::FrontKind;

/// One launched hop of a front: the proxy itself, and behind it the balancer where all instances have one address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontRecord {
    /// Index among the hops, from 0: [`super::Component::Front`].
    pub index: u32,
    /// Which launch of the instances it stood before, see [`super::InstanceRecord::launch`].
    pub launch: u32,
    /// What it is.
    pub kind: HopKind,
    /// What the program says of itself: `nginx version: nginx/1.22.1`.
    pub version: Option<String>,
    /// The command line.
    pub command: Vec<String>,
    /// Generated configuration, relative to the run folder.
    pub config: Option<String>,
    /// SHA-256 of the program, hex.
    pub binary_sha256: Option<String>,
    /// Address that it listens on.
    pub address: String,
    /// Addresses that it connects to.
    pub upstreams: Vec<String>,
    /// Source addresses that it was told to connect from; empty: the kernel chooses one.
    pub sources: Vec<String>,
    /// Source ports of each pair of one of its source addresses and one of `upstreams`.
    pub ports_per_pair: Option<u64>,
    /// Process id on the host.
    pub pid: Option<u32>,
    /// Id of the container.
    pub container: Option<String>,
    /// Id or digest of the image.
    pub image: Option<String>,
    /// Limits of its size, as they were applied.
    pub limits: Vec<AppliedLimit>,
    /// How it ended; `None` while it is still running or where it was never known.
    pub exit: Option<Exit>,
    /// Log file relative to the run folder.
    pub log: Option<String>,
    /// The first line of each kind that `known_lines` counts, then the last lines where it ended by itself; at most 20.
    pub log_tail: Vec<String>,
    /// How often the log has each line that says why a front fails connections; one that is absent was not found.
    pub known_lines: BTreeMap<KnownLine, u64>,
}

/// What a hop of a front is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum HopKind {
    /// The proxy that the matrix asks for.
    Proxy(FrontKind),
    /// A relay behind it, which spreads over the instances where the proxy is to connect to one address.
    Balancer,
}

/// The word for [`HopKind::Balancer`].
const BALANCER: &str = "balancer";

impl fmt::Display for HopKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proxy(kind) => kind.name(),
            Self::Balancer => BALANCER,
        })
    }
}

impl FromStr for HopKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == BALANCER {
            return Ok(Self::Balancer);
        }
        text.parse().map(Self::Proxy).map_err(|_| format!("unknown kind of front `{text}`"))
    }
}

recorded_as_text!(HopKind);

keywords! {
    /// A line in the log of a front that says why connections fail.
    pub enum KnownLine {
        AcceptDescriptors = "accept-descriptors", "No descriptor was left to accept with";
        CannotAssignAddress = "cannot-assign-address", "No source port was left (`EADDRNOTAVAIL`)";
        NoFreePorts = "no-free-ports", "haproxy: no source port was left of the range that it was given";
        NoLiveUpstreams = "no-live-upstreams", "nginx: all instances are taken for dead";
        QueueTimeout = "queue-timeout", "haproxy: a request waited for a server for longer than `timeout queue`";
        SocketDescriptors = "socket-descriptors", "No descriptor was left for a socket towards an instance";
        SourcePortTaken = "source-port-taken", "haproxy: the next port of its range is somebody else's";
        UpstreamRefused = "upstream-refused", "An instance refused a connection";
        UpstreamTimeout = "upstream-timeout", "An instance did not accept a connection in time";
        WorkerConnections = "worker-connections", "nginx: `worker_connections` are used up";
    }
}
