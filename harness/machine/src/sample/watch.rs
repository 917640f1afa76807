//! What is asked of a sampler, and what comes of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use wsceiling_model::record::{Component, Sample};

use crate::cgroup::Cgroup;

/// A component to sample. There is one watch a component; the host needs none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Which one.
    pub component: Component,
    /// Its processes on the host; children are found by the sampler where there is no cgroup of its own.
    pub pids: Vec<u32>,
    /// Its own cgroup, where it has one.
    pub cgroup: Option<Cgroup>,
    /// More cgroups, where it has several: their numbers are added up.
    pub more: Vec<Cgroup>,
    /// Port that it listens on, for the accept queue; `None`: it does not listen.
    pub listens_on: Option<u16>,
    /// What only a front has.
    pub front: Option<FrontWatch>,
}

/// What is sampled of a front beside what every component has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontWatch {
    /// Addresses that it connects to.
    pub upstreams: Vec<SocketAddr>,
    /// Source ports of each pair of one of its addresses and one of those.
    pub ports_per_pair: Option<u64>,
    /// Where haproxy tells its counters.
    pub stats: Option<SocketAddr>,
}

/// What was sampled, from start to stop.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampled {
    /// Rows in the order they were read; those of one tick have the same moment.
    pub samples: Vec<Sample>,
    /// Where each number of a component was read: metric name -> source.
    pub sources: BTreeMap<Component, BTreeMap<String, String>>,
    /// CPU time of the sampler's thread; `None`: not known.
    pub own_cpu: Option<Duration>,
}
