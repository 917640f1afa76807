//! What servers, runtimes and proxies write into their logs when they meet a limit: lower-case parts of lines. A launch's
//! whole log is searched for them, since the line that matters is often followed by a long stack trace.

/// No descriptor left.
pub const DESCRIPTORS: &[&str] = &["emfile", "enfile", "too many open files", "no file descriptors available"];
/// No local port left towards an address: nginx, haproxy and plain programs.
pub const PORTS: &[&str] = &[
    "cannot assign requested address",
    "eaddrnotavail",
    "no free ports",
    "address not available",
    "cannot bind to source address",
];
/// nginx, haproxy and Envoy at their caps.
pub const PROXY_CAP: &[&str] = &[
    "worker_connections are not enough",
    "maxconn reached",
    "proxy reached its configured maximum",
    "upstream_cx_overflow",
];
/// The runtime's own heap is full, or its address space: V8, the JVM, Go, .NET, PHP and Rust.
pub const HEAP: &[&str] = &[
    "heap out of memory",
    "reached heap limit",
    "java.lang.outofmemoryerror",
    "runtime: out of memory",
    "runtime: cannot allocate memory",
    "system.outofmemoryexception",
    "allowed memory size of ",
    "memory allocation of ",
];
/// No thread or process can be made: pthreads, Rust, the JVM, Go, Python, Ruby, shells.
pub const THREADS: &[&str] = &[
    "resource temporarily unavailable",
    "unable to create native thread",
    "failed to create new os thread",
    "pthread_create failed",
    "newosproc",
    "can't start new thread",
    "can't create thread",
    "cannot create thread",
    "fork: retry",
];

/// Limits that no counter is read of; they are only quoted.
pub const OTHERS: &[&str] = &[
    "no space left on device",
    "disk quota exceeded",
    "cannot allocate memory",
    "failed to allocate memory",
    "memoryerror",
];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static str> {
    [DESCRIPTORS, PORTS, PROXY_CAP, HEAP, THREADS, OTHERS].into_iter().flatten().copied()
}
