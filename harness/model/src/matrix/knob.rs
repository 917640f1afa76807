//! Knobs: the one thing that an experiment changes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares [`Knob`], a knob a line: its name, what it is in words for a person, and more for the reader of the code.
macro_rules! knobs {
    ($($variant:ident = $words:literal $(, $more:literal)?;)*) => {
        /// The one thing that an experiment changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Knob { $(#[doc = $words] $(#[doc = ""] #[doc = $more])? $variant,)* }

        impl Knob {
            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }

        impl fmt::Display for Knob {
            /// What it is, for a person.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $words,)* })
            }
        }
    };
}

impl Knob {
    /// Whether it is of the client, so that it can be changed whoever runs the server.
    pub const fn is_of_the_client(self) -> bool {
        matches!(
            self,
            Self::Rate
                | Self::MessageEvery
                | Self::Workers
                | Self::GeneratorDescriptors
                | Self::GeneratorPorts
                | Self::GeneratorCpus
                | Self::Again
        )
    }
}

knobs! {
    Nofile = "descriptors of an instance";
    Memory = "memory of an instance", "In bytes.";
    Cpus = "CPU quota of an instance", "In CPUs.";
    Pids = "processes and threads of an instance";
    Rate = "connections opened per second";
    MessageEvery = "time between two messages", "Of one connection, in seconds.";
    Workers = "workers of the generator", "Each has descriptors and, on loopback, a source address of its own.";
    GeneratorDescriptors = "descriptors of a worker of the generator";
    GeneratorPorts = "ports of the generator", "Source ports towards each destination.";
    GeneratorCpus = "CPUs of the generator";
    FrontPorts = "ports of the front towards each address", "Source ports.";
    FrontSources = "source addresses of the front";
    FrontNofile = "descriptors of the front";
    WorkerConnections = "worker_connections of nginx";
    Maxconn = "maxconn of haproxy", "Of the whole process.";
    FrontendMaxconn = "maxconn of haproxy's frontend";
    ServerMaxconn = "maxconn of each of haproxy's servers";
    Front = "front", "1: it stands before the instances; 0: they are reached directly.";
    Instances = "instances", "Of the target.";
    Backlog = "backlog of the server", "Of its `listen()`, as `[targets.NAME.confirm]` says how to set it.";
    Threads = "threads of the server", "Set as `[targets.NAME.confirm]` says.";
    Heap = "heap of the server's runtime", "In the unit of its own argument; set as `[targets.NAME.confirm]` says.";
    Again = "nothing", "The same again.";
}
