//! The causes: everything that a trial can be found to have been stopped by. One list for the rules that look for them,
//! the experiments that confirm them, the walls that predict them and the plants that provoke them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Declares [`Cause`] with its names, so that a cause and its name cannot drift apart.
macro_rules! causes {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// What stopped the connections of a trial. `docs/limits.md` has a section for each, under its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "&'static str", try_from = "String")]
        pub enum Cause { $(#[doc = $doc] $variant,)* }

        impl Cause {
            /// All causes.
            pub const ALL: &'static [Cause] = &[$(Cause::$variant,)*];

            /// Short, stable name, in the record and on pages.
            pub const fn name(self) -> &'static str {
                match self { $(Cause::$variant => $name,)* }
            }
        }
    };
}

causes! {
    None = "none", "Nothing: the load ended first.";
    Unknown = "unknown", "None of those that are known.";
    ClientLimited = "client-limited", "The generator could not do what was asked of it.";
    MemoryLimit = "memory-limit", "The memory limit of an instance.";
    MemoryPressure = "memory-pressure", "The machine took memory back faster than the server could work.";
    HostMemory = "host-memory", "The memory of the machine.";
    TcpMemory = "tcp-memory", "The kernel's memory for TCP.";
    RuntimeHeap = "runtime-heap", "The heap limit of the server's own runtime.";
    ServerDescriptors = "server-descriptors", "The descriptor limit of an instance.";
    PidsLimit = "pids-limit", "The limit of processes and threads of an instance.";
    CpuQuota = "cpu-quota", "The CPU quota of an instance.";
    SingleThread = "single-thread", "One busy thread of the server.";
    CpuSaturated = "cpu-saturated", "All cores of the machine.";
    AcceptQueue = "accept-queue", "The queue of connections that wait to be accepted.";
    SynQueue = "syn-queue", "The queue of connections that are being established.";
    ConntrackFull = "conntrack-full", "The kernel's table of tracked connections.";
    PortExhaustion = "port-exhaustion", "The source ports of the front, or of the client.";
    ProxyCap = "proxy-cap", "A limit of connections of the front.";
    ApplicationCap = "application-cap", "A limit of connections that the server sets itself.";
    Lifetime = "lifetime-limit", "The time for which a connection may live.";
    Hang = "hang", "A server that does nothing any more.";
    ServerWaits = "server-waits", "A server that waits for something else than the CPU.";
    Crash = "crash", "An instance that ended.";
    PathDied = "path-died", "What stands between client and server.";
    SilentLoss = "silent-loss", "Packets that were lost without a word.";
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Cause> for &'static str {
    fn from(cause: Cause) -> Self {
        cause.name()
    }
}

/// A name that is no cause of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown cause `{0}`")]
pub struct UnknownCause(pub String);

impl FromStr for Cause {
    type Err = UnknownCause;

    fn from_str(name: &str) -> Result<Self, UnknownCause> {
        let found = Self::ALL.iter().copied().find(|cause| cause.name() == name);
        found.ok_or_else(|| UnknownCause(name.to_owned()))
    }
}

impl TryFrom<String> for Cause {
    type Error = UnknownCause;

    fn try_from(name: String) -> Result<Self, UnknownCause> {
        name.parse()
    }
}
