//! Fronts: the proxy that a cell's connections pass before they reach the instances.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::keyword::keywords;

/// A front with its settings. Those that its kind does not have stand at their defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Front {
    /// Name in the matrix.
    pub name: String,
    /// What it is.
    pub kind: FrontKind,
    /// Program of nginx or haproxy: a name on PATH or a path relative to the matrix file; `None`: the kind's own name.
    pub program: Option<String>,
    /// nginx: worker processes (`None`: `auto`, one a core). haproxy: threads (`None`: one a core).
    pub workers: Option<u32>,
    /// nginx `worker_connections`, for each worker; a proxied WebSocket takes two. 1024 as nginx.org packages it.
    pub worker_connections: u32,
    /// haproxy `maxconn` of the whole process; `None`: what it computes from its descriptor limit.
    pub maxconn: Option<u32>,
    /// haproxy `maxconn` of the frontend; `None`: the process's.
    pub frontend_maxconn: Option<u32>,
    /// haproxy `maxconn` of each server, beyond which requests queue; `None`: no limit.
    pub server_maxconn: Option<u32>,
    /// haproxy `timeout queue`: a request that waits longer for a server gets a 503.
    pub queue_timeout: Duration,
    /// A connection over which nothing goes for so long is closed (nginx `proxy_read_timeout`, haproxy
    /// `timeout tunnel`). Both ship 60 s or less; an hour is the default here, so that quiet WebSockets stay open.
    pub idle_timeout: Duration,
    /// Length of the accept queue asked for; `None`: as it ships (nginx 511, haproxy its maxconn, relay 4096).
    pub backlog: Option<u32>,
    /// Source addresses towards the instances; 1: the one the kernel chooses.
    pub sources: u32,
    /// Source ports of each source address towards one destination; `None`: the whole `ip_local_port_range`.
    pub ports: Option<u32>,
    /// What the front connects to.
    pub spread: Spread,
    /// Descriptors that each of its processes may open; `None`: the size's, else the harness's own hard limit.
    pub nofile: Option<u64>,
    /// Name of the size that limits it; `None`: no limits.
    pub size: Option<String>,
}

impl Front {
    /// A front of a kind with the defaults of the kind.
    pub fn new(name: &str, kind: FrontKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            program: None,
            workers: None,
            worker_connections: 1024,
            maxconn: None,
            frontend_maxconn: None,
            server_maxconn: None,
            queue_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(3600),
            backlog: None,
            sources: 1,
            ports: None,
            spread: Spread::Direct,
            nofile: None,
            size: None,
        }
    }

    /// The front that a name stands for where no table describes it.
    pub fn built_in(name: &str) -> Option<Self> {
        name.parse().ok().map(|kind| Self::new(name, kind))
    }
}

keywords! {
    /// What a front is.
    pub enum FrontKind {
        Nginx = "nginx", "nginx with `proxy_pass`";
        Haproxy = "haproxy", "haproxy in HTTP mode";
        Relay = "relay", "A plain relay of TCP streams: the edge of a platform, from one source address";
        DockerPublish = "docker-publish", "Each container's port published on 127.0.0.1 by the engine's userland proxy";
    }
}

impl FrontKind {
    /// Whether its table in the matrix may have a key, beside `kind`.
    pub(super) fn has(self, key: &str) -> bool {
        // What the harness launches, what speaks HTTP, and what haproxy alone has.
        const LAUNCHED: [&str; 6] = ["backlog", "nofile", "spread", "sources", "ports", "size"];
        const HTTP: [&str; 3] = ["program", "workers", "idle_timeout"];
        const HAPROXY: [&str; 4] = ["maxconn", "frontend_maxconn", "server_maxconn", "queue_timeout"];
        let one_of = |lists: &[&[&str]]| lists.iter().any(|keys| keys.contains(&key));
        match self {
            Self::Nginx => one_of(&[&LAUNCHED, &HTTP, &["worker_connections"]]),
            Self::Haproxy => one_of(&[&LAUNCHED, &HTTP, &HAPROXY]),
            Self::Relay => one_of(&[&LAUNCHED]),
            Self::DockerPublish => one_of(&[]),
        }
    }

    /// Whether its workers are processes, each with descriptors of its own.
    pub const fn has_worker_processes(self) -> bool {
        matches!(self, Self::Nginx)
    }
}

keywords! {
    /// What a front connects to.
    pub enum Spread {
        Direct = "direct", "The address of each instance: a pair of source and destination address for each of them";
        OneAddress = "one-address", "One address, behind which a balancer spreads over the instances: one pair for all of them";
    }
}
