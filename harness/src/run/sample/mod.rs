//! Sampling: kernel files of every component are read at a steady beat by a thread of its own.

use crate::record::Component;
use crate::run::launch::Cgroup;

/// A component to sample.
#[derive(Debug, Clone)]
pub struct Watch {
    /// Which one.
    pub component: Component,
    /// Its processes on the host; children are found by the sampler where there is no cgroup of its own.
    pub pids: Vec<u32>,
    /// Its own cgroup, where it has one.
    pub cgroup: Option<Cgroup>,
    /// Port that it listens on, for the accept queue; `None`: it does not listen.
    pub listens_on: Option<u16>,
}
