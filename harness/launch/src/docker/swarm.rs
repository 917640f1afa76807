//! The swarm of an engine: whether it can take a service, where its tasks find this machine, and its overlay networks.
//! The harness uses a swarm that is there; it makes none, and leaves none.

use std::time::{Duration, Instant};

use bollard::errors::Error;
use bollard::models::{LocalNodeState, NetworkCreateRequest, NodeSpecAvailabilityEnum, NodeState, SwarmInfo};
use bollard::query_parameters::{InspectNetworkOptions, ListNodesOptions};

use super::super::error::SwarmFault;
use super::super::label::{PREFIX, hex_sha256};
use super::super::{LaunchError, Missing};
use super::{Engine, is_not_found, labels, readable};

/// The bridge by which tasks of a node reach what is not on an overlay network; the engine makes it.
const GATEWAY_BRIDGE: &str = "docker_gwbridge";
/// Longest wait for that.
const BRIDGE_WITHIN: Duration = Duration::from_secs(10);

/// A swarm whose manager the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swarm {
    /// Id of the engine's own node.
    pub node_id: String,
    /// The address that the engine advertises to other nodes.
    pub node_address: String,
    /// Nodes that take tasks now.
    pub nodes: usize,
}

impl Swarm {
    /// What the engine says of its swarm.
    fn of(info: SwarmInfo, nodes: usize) -> Result<Self, SwarmFault> {
        match info.local_node_state {
            Some(LocalNodeState::ACTIVE) if info.control_available == Some(true) => Ok(Self {
                node_id: info.node_id.unwrap_or_default(),
                node_address: info.node_addr.unwrap_or_default(),
                nodes,
            }),
            Some(LocalNodeState::ACTIVE) => Err(SwarmFault::NotManager),
            Some(LocalNodeState::LOCKED) => Err(SwarmFault::Locked),
            Some(LocalNodeState::PENDING | LocalNodeState::ERROR) => {
                Err(SwarmFault::Broken { why: info.error.filter(|why| !why.is_empty()).unwrap_or_default() })
            }
            Some(LocalNodeState::INACTIVE | LocalNodeState::EMPTY) | None => Err(SwarmFault::NoSwarm),
        }
    }
}

/// What an overlay network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overlay {
    /// Between workers and instances. Nothing reaches out from it.
    Load,
    /// By which workers reach this machine, and servers that are elsewhere.
    Control,
}

impl Overlay {
    fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Control => "control",
        }
    }
}

/// The name of something in a swarm, which is to be a label of the DNS (RFC 1123: 63 characters of `[a-z0-9-]`).
pub fn swarm_name(of: &str, what: &str) -> String {
    format!("{PREFIX}{}-{what}", &hex_sha256(of.as_bytes())[..16])
}

impl Engine {
    /// The engine's swarm, or why there is none to use.
    pub async fn swarm(&self) -> Result<Swarm, LaunchError> {
        let failed = |error: Error| LaunchError::failed(format!("cannot ask for the swarm: {}", readable(&error)));
        let info = self.docker.info().await.map_err(failed)?.swarm.unwrap_or_default();
        let mut nodes = 0;
        if info.control_available == Some(true) {
            let listed = self.docker.list_nodes(None::<ListNodesOptions>).await.map_err(failed)?;
            let takes_tasks = |node: &&bollard::models::Node| {
                let ready = node.status.as_ref().is_some_and(|status| status.state == Some(NodeState::READY));
                let spec = node.spec.as_ref().and_then(|spec| spec.availability);
                ready && spec == Some(NodeSpecAvailabilityEnum::ACTIVE)
            };
            nodes = listed.iter().filter(takes_tasks).count();
        }
        Swarm::of(info, nodes).map_err(|fault| Missing::Swarm(fault).into())
    }

    /// The address of this machine at which tasks of the swarm reach it. Where the swarm has this node only, that is the
    /// gateway of the node's own bridge, which no other machine has a route to; else what the node advertises.
    pub async fn address_for_tasks(&self, swarm: &Swarm) -> Result<std::net::IpAddr, LaunchError> {
        let text = if swarm.nodes > 1 { swarm.node_address.clone() } else { self.gateway().await? };
        text.parse().map_err(|_| LaunchError::failed(format!("the swarm names no address of this node, but `{text}`")))
    }

    async fn gateway(&self) -> Result<String, LaunchError> {
        let begun = Instant::now();
        let seen = loop {
            match self.docker.inspect_network(GATEWAY_BRIDGE, None::<InspectNetworkOptions>).await {
                // The engine makes it a moment after the swarm.
                Err(error) if is_not_found(&error) && begun.elapsed() < BRIDGE_WITHIN => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                seen => break seen,
            }
        };
        let seen = seen.map_err(|error| {
            LaunchError::failed(format!("cannot look at the network {GATEWAY_BRIDGE}: {}", readable(&error)))
        })?;
        let configs = seen.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let gateway = configs.into_iter().find_map(|config| config.gateway);
        // An engine with IPv6 may write it with the length of its prefix.
        let gateway = gateway.map(|text| text.split('/').next().unwrap_or_default().to_owned());
        gateway.ok_or_else(|| LaunchError::failed(format!("the network {GATEWAY_BRIDGE} has no gateway")))
    }

    /// Makes an overlay network of the run, which its containers and tasks can join, and returns its id.
    pub async fn create_overlay(&self, run_id: &str, overlay: Overlay) -> Result<String, LaunchError> {
        let request = NetworkCreateRequest {
            name: swarm_name(run_id, overlay.name()),
            driver: Some("overlay".to_owned()),
            internal: Some(overlay == Overlay::Load),
            attachable: Some(true),
            labels: Some(labels(run_id)),
            ..NetworkCreateRequest::default()
        };
        let docker = self.docker.clone();
        let made = self.pending.follow(async move { docker.create_network(request).await }).await;
        made.map(|made| made.id)
            .map_err(|error| LaunchError::failed(format!("cannot make an overlay network: {}", readable(&error))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(state: LocalNodeState, manages: bool) -> Result<Swarm, SwarmFault> {
        let info = SwarmInfo {
            local_node_state: Some(state),
            control_available: Some(manages),
            node_id: Some("n".into()),
            node_addr: Some("10.0.0.1".into()),
            error: Some("no quorum".into()),
            ..SwarmInfo::default()
        };
        Swarm::of(info, 1)
    }

    #[test]
    fn only_the_manager_of_an_active_swarm_can_be_used() {
        let swarm = Swarm { node_id: "n".into(), node_address: "10.0.0.1".into(), nodes: 1 };
        assert_eq!(of(LocalNodeState::ACTIVE, true), Ok(swarm));
        assert_eq!(of(LocalNodeState::ACTIVE, false), Err(SwarmFault::NotManager));
        assert_eq!(of(LocalNodeState::INACTIVE, false), Err(SwarmFault::NoSwarm));
        assert_eq!(of(LocalNodeState::LOCKED, false), Err(SwarmFault::Locked));
        assert_eq!(of(LocalNodeState::ERROR, false), Err(SwarmFault::Broken { why: "no quorum".into() }));
        assert_eq!(Swarm::of(SwarmInfo::default(), 0), Err(SwarmFault::NoSwarm));
    }

    #[test]
    fn names_in_a_swarm_are_labels_of_the_dns_whatever_the_run_is_called() {
        let name = swarm_name(&"2026-11-24T03:14:41Z ä".repeat(20), "workers");
        assert!(
            name.len() <= 63 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
            "{name}"
        );
        assert_ne!(name, swarm_name("another run", "workers"));
    }
}
