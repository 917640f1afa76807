//! Walls: limits that arithmetic knows before a trial.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::component::Component;

/// A limit known before the trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wall {
    /// Which limit.
    pub name: WallName,
    /// Whose limit it is.
    pub component: Component,
    /// Connections of the whole cell at which it stands.
    pub connections: u64,
    /// The arithmetic, for a person.
    pub why: String,
}

impl Wall {
    /// Whether it rests on an assumption about the least that a connection takes, so that it stands there or before.
    pub const fn is_upper_bound(&self) -> bool {
        matches!(self.name, WallName::Memory | WallName::HostMemory)
    }
}

/// The limits that arithmetic can know before a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WallName {
    /// Descriptors of an instance.
    #[serde(rename = "descriptors")]
    Descriptors,
    /// Source ports of the generator.
    #[serde(rename = "ports")]
    Ports,
    /// Memory of an instance.
    #[serde(rename = "memory")]
    Memory,
    /// Memory of the machine.
    #[serde(rename = "host memory")]
    HostMemory,
    /// Descriptors of the generator's workers.
    #[serde(rename = "generator descriptors")]
    GeneratorDescriptors,
    /// Source ports of the front.
    #[serde(rename = "front ports")]
    FrontPorts,
    /// Connections that the front allows.
    #[serde(rename = "front cap")]
    FrontCap,
    /// Descriptors of the front.
    #[serde(rename = "front descriptors")]
    FrontDescriptors,
}

impl WallName {
    /// The words in the record and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::Ports => "ports",
            Self::Memory => "memory",
            Self::HostMemory => "host memory",
            Self::GeneratorDescriptors => "generator descriptors",
            Self::FrontPorts => "front ports",
            Self::FrontCap => "front cap",
            Self::FrontDescriptors => "front descriptors",
        }
    }
}

impl fmt::Display for WallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
