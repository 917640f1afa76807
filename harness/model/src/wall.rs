//! Walls: limits that arithmetic knows before a trial.

use serde::{Deserialize, Serialize};

use crate::component::Component;
use crate::keyword::keywords;

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

keywords! {
    /// The limits that arithmetic can know before a trial.
    pub enum WallName {
        Descriptors = "descriptors", "Descriptors of an instance";
        Ports = "ports", "Source ports of the generator";
        Memory = "memory", "Memory of an instance";
        HostMemory = "host memory", "Memory of the machine";
        GeneratorDescriptors = "generator descriptors", "Descriptors of the generator's workers";
        FrontPorts = "front ports", "Source ports of the front";
        FrontCap = "front cap", "Connections that the front allows";
        FrontDescriptors = "front descriptors", "Descriptors of the front";
    }
}
