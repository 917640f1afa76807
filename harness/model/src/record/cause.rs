//! The causes: everything that can stop a trial. One list for the rules that look for them, the experiments that confirm
//! them, the walls that predict them and the selftest that provokes them.
//!
//! A new cause is a line here, at its place in the order, a rule under the same name in `wsceiling-analysis`
//! (`src/rules/`), and a section in `docs/limits.md`. The compiler asks for the rule and a test for the section.

use crate::keyword::keywords;

keywords! {
    /// What stopped the connections of a trial, in the order in which rules are judged. `docs/limits.md` has a section
    /// for each, under its name and in this order.
    pub enum Cause {
        None = "none", "Nothing: every step passed, and the load ended.";
        ClientLimited = "client-limited", "The load generator: it had no descriptors, ports or CPU left to do what was asked of it.";
        Lifetime = "lifetime-limit", "A timeout: every connection is closed from outside a fixed time after it opened or last spoke.";
        MemoryLimit = "memory-limit", "The memory limit of an instance: the kernel killed it, or took its page cache away over and over.";
        MemoryGrowth = "memory-growth", "Memory that grows with time or with messages while no connection is added: no number of connections is safe.";
        HostMemory = "host-memory", "The memory of the machine: the kernel killed an instance that was below its own limit.";
        RuntimeHeap = "runtime-heap", "The heap limit of the server's own runtime (V8, JVM, Go, .NET).";
        Crash = "crash", "An instance, or one of its processes, ended by itself, and no other rule explains it.";
        PathDied = "path-died", "What stands between client and server ended: every connection is lost and every instance lives.";
        PortExhaustion = "port-exhaustion", "The source ports of a front, or of address translation, towards one address.";
        ConntrackFull = "conntrack-full", "The kernel's table of tracked connections.";
        ProxyCap = "proxy-cap", "The front's own limit of connections or descriptors.";
        ServerDescriptors = "server-descriptors", "The descriptor limit of an instance.";
        PidsLimit = "pids-limit", "The limit of processes and threads of an instance.";
        UserProcesses = "user-processes", "The limit of processes and threads of the user that an instance runs as.";
        TcpMemory = "tcp-memory", "The kernel's memory for TCP buffers, one pool for the whole machine.";
        CpuQuota = "cpu-quota", "The CPU quota of an instance.";
        SingleThread = "single-thread", "One thread that uses a whole core, while other cores are idle.";
        GlobalLock = "global-lock", "One core's worth of CPU over many threads that take turns: an interpreter lock, a global mutex.";
        CpuSaturated = "cpu-saturated", "All cores of the machine, or all that the instances were pinned to.";
        MemoryPressure = "memory-pressure", "Memory reclaim: the kernel slows the instance down and kills nothing.";
        Hang = "hang", "A server that is alive and does nothing: no CPU used, no answer, no connection accepted.";
        AcceptQueue = "accept-queue", "The accept queue overflowed, and nothing else explains why the server did not empty it.";
        SynQueue = "syn-queue", "The queue of half-open connections, where SYN cookies are off.";
        RateLimit = "rate-limit", "A limit of new connections per second that the server or its provider sets itself.";
        PlatformCap = "platform-cap", "A limit that the platform documents: its edge lets no more through, and the server is far from its own limits.";
        ApplicationCap = "application-cap", "A limit that the server or its provider sets itself. Only ever suspected.";
        SilentLoss = "silent-loss", "Packets that are lost on the way: the client repeats them, and the server drops none.";
        ServerWaits = "server-waits", "A server that waits for something other than CPU: a lock, a pool, another service.";
        Unknown = "unknown", "No rule explains it.";
    }
}
