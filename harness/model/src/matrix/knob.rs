//! Knobs: the one thing that an experiment changes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The one thing that an experiment changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Knob {
    /// Descriptors that an instance may open.
    Nofile,
    /// Memory that an instance may use, in bytes.
    Memory,
    /// CPUs that an instance may use.
    Cpus,
    /// Processes and threads of an instance.
    Pids,
    /// Connections opened per second.
    Rate,
    /// Time between two messages of a connection, in seconds.
    MessageEvery,
    /// Workers of the generator; each has descriptors and, on loopback, a source address of its own.
    Workers,
    /// Descriptors of each worker of the generator.
    GeneratorDescriptors,
    /// Source ports of the generator towards each destination.
    GeneratorPorts,
    /// CPUs of the generator.
    GeneratorCpus,
    /// Source ports of the front towards each destination.
    FrontPorts,
    /// Source addresses of the front.
    FrontSources,
    /// Descriptors that the front may open.
    FrontNofile,
    /// nginx `worker_connections`.
    WorkerConnections,
    /// haproxy `maxconn` of the process.
    Maxconn,
    /// haproxy `maxconn` of the frontend.
    FrontendMaxconn,
    /// haproxy `maxconn` of each server.
    ServerMaxconn,
    /// 1: the front stands before the instances; 0: they are reached directly.
    Front,
    /// Instances of the target.
    Instances,
    /// Backlog of the server's `listen()`, as `[targets.NAME.confirm]` says how to set it.
    Backlog,
    /// Threads of the server, likewise.
    Threads,
    /// Heap of the server's runtime, in the unit of its own argument, likewise.
    Heap,
    /// Nothing: the same again.
    Again,
}

impl fmt::Display for Knob {
    /// What it is, for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nofile => "descriptors of an instance",
            Self::Memory => "memory of an instance",
            Self::Cpus => "CPU quota of an instance",
            Self::Pids => "processes and threads of an instance",
            Self::Rate => "connections opened per second",
            Self::MessageEvery => "time between two messages",
            Self::Workers => "workers of the generator",
            Self::GeneratorDescriptors => "descriptors of a worker of the generator",
            Self::GeneratorPorts => "ports of the generator",
            Self::GeneratorCpus => "CPUs of the generator",
            Self::FrontPorts => "ports of the front towards each address",
            Self::FrontSources => "source addresses of the front",
            Self::FrontNofile => "descriptors of the front",
            Self::WorkerConnections => "worker_connections of nginx",
            Self::Maxconn => "maxconn of haproxy",
            Self::FrontendMaxconn => "maxconn of haproxy's frontend",
            Self::ServerMaxconn => "maxconn of each of haproxy's servers",
            Self::Front => "front",
            Self::Instances => "instances",
            Self::Backlog => "backlog of the server",
            Self::Threads => "threads of the server",
            Self::Heap => "heap of the server's runtime",
            Self::Again => "nothing",
        })
    }
}
