//! A configuration for the tests of the parts.

use std::time::Duration;

use crate::client::ClientConfig;
use crate::ipc::{PROTOCOL_VERSION, WorkerConfig};
use wsceiling_model::matrix::{Protocol, Scenario, ThinkTime};

/// Echo with messages of 64 bytes every 10 s, and timeouts of 10 s.
pub fn config() -> WorkerConfig {
    WorkerConfig {
        version: PROTOCOL_VERSION,
        worker: 0,
        destinations: Vec::new(),
        sockets: Vec::new(),
        sources: Vec::new(),
        host: "localhost".to_owned(),
        path: "/".to_owned(),
        headers: Vec::new(),
        protocol: Protocol::Echo,
        scenario: Scenario::Echo,
        message_bytes: 64,
        message_every: Duration::from_secs(10),
        message_spread: ThinkTime::Fixed,
        message_mix: Vec::new(),
        room: 4,
        publish_every: Duration::from_secs(10),
        publish_bytes: 100,
        lifetime: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(10),
        handshake_timeout: Duration::from_secs(10),
        seed: 1,
        status_every: Duration::from_secs(1),
        cpus: Vec::new(),
        descriptors: None,
        client: ClientConfig::default(),
    }
}
