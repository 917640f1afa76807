//! The front of a trial, in its line of `trials.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AppliedLimit, Exit};

/// One launched stage of a front: the proxy itself, and behind it the balancer where all instances have one address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontRecord {
    /// Index among the stages, from 0: [`super::Component::Front`].
    pub index: u32,
    /// Which launch of the instances it stood before, see [`super::InstanceRecord::launch`].
    pub launch: u32,
    /// `nginx`, `haproxy`, `relay`, `docker-publish`, or `balancer`.
    pub kind: String,
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
    /// How often the log has each line that says why a front fails connections, by its short name
    /// (`worker-connections`, `no-free-ports`, ...); a name that is absent was not found.
    pub known_lines: BTreeMap<String, u64>,
}
