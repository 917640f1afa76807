//! Cells: one combination of the axes each, and the sizes that limit their instances.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::keyword::keywords;

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
    /// Whether workers in containers of this host can reach its instances: those are containers with nothing before them.
    pub fn is_reached_from_containers(&self) -> bool {
        self.runtime == Runtime::Docker && self.front.is_none()
    }
}

keywords! {
    /// How instances run.
    pub enum Runtime {
        Bare = "bare", "A process on the host";
        Docker = "docker", "A container";
        Remote = "remote", "A server that somebody else runs, reached by its URL";
    }
}

keywords! {
    /// What connections do once open.
    pub enum Scenario {
        Idle = "idle", "A rare heartbeat";
        Echo = "echo", "Messages that come back";
        Broadcast = "broadcast", "Rooms whose members all receive what is published";
        Churn = "churn", "Connections that come and go";
    }
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
    /// Price per month of such a machine; in the user's currency, unless [`Self::currency`] says which.
    pub price_per_month: Option<f64>,
    /// The currency of a price that comes from [`Self::plan`] (ISO 4217).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The plan of the catalogue that fills what the matrix leaves out: `hetzner/cx23`, or with its region
    /// `aws/c6i.large@eu-west-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

impl Size {
    /// CPUs that a size can have: Docker takes no less than a hundredth of one.
    pub const CPUS: RangeInclusive<f64> = 0.01..=1024.0;
    /// Memory that a size can have, in bytes.
    pub const MEMORY_BYTES: RangeInclusive<u64> = 4 << 20..=16 << 40;
    /// Prices a month that a size can have, in any currency.
    pub const PRICES: RangeInclusive<f64> = 0.0..=1e9;

    /// Whether its price is the user's own, and not that of its plan.
    pub fn has_own_price(&self) -> bool {
        self.price_per_month.is_some() && self.currency.is_none()
    }

    /// A size that limits nothing.
    pub fn unlimited(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            cpus: None,
            memory_bytes: None,
            nofile: None,
            pids: None,
            price_per_month: None,
            currency: None,
            plan: None,
        }
    }
}
