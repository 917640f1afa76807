//! Servers that are not ours, each under one limit: the rules must not know only our own.

use super::{InjectedLimit, Kind, Need, Numbers};
use wsceiling_model::record::Cause;

/// A server that is not ours, whose source is in `selftest/strangers/`.
#[derive(Clone, Copy)]
enum Server {
    Node,
    Bun,
    /// Python, one thread.
    Asyncio,
    /// Python, a thread for each connection.
    Threads,
    /// Go.
    Gorilla,
    /// Java, a thread for each connection.
    Java,
    /// Java with a heap of so many MiB.
    JavaHeap(u32),
    /// Ruby, one thread.
    Ruby,
    /// PHP, one thread.
    Php,
}

impl Server {
    const fn words(self) -> &'static str {
        match self {
            Self::Node => "Node with ws",
            Self::Bun => "Bun",
            Self::Asyncio => "Python with websockets",
            Self::Threads => "Python with threads",
            Self::Gorilla => "Go with gorilla",
            Self::Java | Self::JavaHeap(_) => "Java with threads",
            Self::Ruby => "Ruby with em-websocket",
            Self::Php => "PHP with select",
        }
    }

    /// MiB that it has before the first connection, about.
    const fn footprint(self) -> u32 {
        match self {
            Self::Node | Self::Bun => 48,
            Self::Asyncio | Self::Ruby => 22,
            Self::Threads | Self::Gorilla | Self::Php => 12,
            Self::Java | Self::JavaHeap(_) => 64,
        }
    }

    /// The limit with this server, which keeps so many KiB a connection and works so many rounds for each.
    fn put(self, limit: InjectedLimit, state: u32, rounds: u32) -> InjectedLimit {
        let args = |source: &str| format!("{source} {{port}} {state} {rounds}");
        match self {
            Self::Node => limit.needs(Need::Node).stranger("node", args("{strangers}/node.js")),
            Self::Bun => limit.needs(Need::Program("bun")).stranger("bun", args("{strangers}/bun.ts")),
            Self::Asyncio => {
                let source = "{strangers}/websockets_asyncio.py";
                limit.needs(Need::PythonWebsockets).stranger("{python}", args(source))
            }
            Self::Threads => limit.needs(Need::Program("python3")).stranger("python3", args("{strangers}/threads.py")),
            Self::Gorilla => limit.needs(Need::Gorilla).stranger("{strangers}/gorilla", args("")),
            Self::Java => limit.needs(Need::Java).stranger("java", args("-cp {strangers} Echo")),
            Self::JavaHeap(mib) => {
                let heap = format!("-Xmx{mib}m -XX:+UseSerialGC -cp {{strangers}} Echo");
                limit.needs(Need::Java).stranger("java", args(&heap))
            }
            Self::Ruby => limit.needs(Need::RubyWebsocket).stranger("ruby", args("{strangers}/em.rb")),
            Self::Php => limit.needs(Need::Program("php")).stranger("php", args("{strangers}/select.php")),
        }
    }
}

/// The limit that it meets.
#[derive(Clone, Copy)]
enum Limit {
    Descriptors,
    Memory,
    Pids,
    /// A share of a core, and these rounds of work.
    Quota(u32),
    /// One busy thread, with these rounds of work.
    Thread(u32),
    /// An interpreter's lock, with these rounds of work.
    Lock(u32),
    Nginx,
    Haproxy,
    /// The runtime's own heap.
    Heap,
}

const ALL: [(&str, Server, Limit); 32] = [
    ("node-descriptors", Server::Node, Limit::Descriptors),
    ("node-memory", Server::Node, Limit::Memory),
    ("node-quota", Server::Node, Limit::Quota(36_000)),
    ("node-thread", Server::Node, Limit::Thread(100_000)),
    ("node-nginx", Server::Node, Limit::Nginx),
    ("bun-descriptors", Server::Bun, Limit::Descriptors),
    ("bun-memory", Server::Bun, Limit::Memory),
    ("bun-quota", Server::Bun, Limit::Quota(36_000)),
    ("asyncio-descriptors", Server::Asyncio, Limit::Descriptors),
    ("asyncio-memory", Server::Asyncio, Limit::Memory),
    ("asyncio-quota", Server::Asyncio, Limit::Quota(18_000)),
    ("asyncio-thread", Server::Asyncio, Limit::Thread(40_000)),
    ("asyncio-haproxy", Server::Asyncio, Limit::Haproxy),
    ("threads-pids", Server::Threads, Limit::Pids),
    ("threads-memory", Server::Threads, Limit::Memory),
    ("threads-lock", Server::Threads, Limit::Lock(120_000)),
    ("gorilla-descriptors", Server::Gorilla, Limit::Descriptors),
    ("gorilla-memory", Server::Gorilla, Limit::Memory),
    ("gorilla-quota", Server::Gorilla, Limit::Quota(48_000)),
    ("java-descriptors", Server::Java, Limit::Descriptors),
    ("java-pids", Server::Java, Limit::Pids),
    ("java-quota", Server::Java, Limit::Quota(24_000)),
    ("java-lock", Server::Java, Limit::Lock(60_000)),
    ("java-heap", Server::JavaHeap(40), Limit::Heap),
    ("ruby-descriptors", Server::Ruby, Limit::Descriptors),
    ("ruby-memory", Server::Ruby, Limit::Memory),
    ("ruby-quota", Server::Ruby, Limit::Quota(18_000)),
    ("ruby-thread", Server::Ruby, Limit::Thread(40_000)),
    ("php-descriptors", Server::Php, Limit::Descriptors),
    ("php-memory", Server::Php, Limit::Memory),
    ("php-quota", Server::Php, Limit::Quota(18_000)),
    ("php-thread", Server::Php, Limit::Thread(40_000)),
];

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let mut all: Vec<InjectedLimit> =
        ALL.into_iter().map(|(name, server, limit)| injected(name, server, limit, numbers)).collect();
    all.extend(PROXIES.map(|proxy| proxied(proxy, numbers)));
    for limit in &mut all {
        limit.kind = Kind::Strangers;
    }
    all
}

/// Proxies with a limit that no setting of a front has, before the server of threads: name, program, configuration in
/// `proxied.py`, cause, and what stops there.
const PROXIES: [(&str, &str, &str, Cause, &str); 4] = [
    ("nginx-number", "nginx", "nginx-number", Cause::ApplicationCap, "nginx with a limit_conn of"),
    ("nginx-rate", "nginx", "nginx-rate", Cause::RateLimit, "nginx with a limit_req, in requests a second, of"),
    ("envoy-number", "envoy", "envoy", Cause::ApplicationCap, "Envoy with a maximum of downstream connections of"),
    ("caddy-descriptors", "caddy", "caddy", Cause::ServerDescriptors, "Caddy, with descriptors of"),
];

fn proxied(
    (name, program, proxy, cause, what): (&'static str, &'static str, &str, Cause, &str),
    numbers: &mut Numbers,
) -> InjectedLimit {
    let at = if cause == Cause::RateLimit { numbers.pick(90, 60..=130) } else { numbers.pick(400, 250..=600) };
    let limit = InjectedLimit::new(name, cause, format!("{what} {at}"));
    let limit = limit.needs(Need::Program("python3")).needs(Need::Program(program));
    let limit = limit.stranger("python3", format!("{{strangers}}/proxied.py {{port}} {proxy} {at}"));
    if cause == Cause::ServerDescriptors { limit.size(format!("nofile = {at}")) } else { limit }
}

fn injected(name: &'static str, server: Server, limit: Limit, numbers: &mut Numbers) -> InjectedLimit {
    let at = numbers.pick(400, 250..=600);
    let words = server.words();
    let new = |cause, what: String| InjectedLimit::new(name, cause, format!("{words}, {what}"));
    match limit {
        Limit::Descriptors => {
            server.put(new(Cause::ServerDescriptors, format!("nofile {at}")), 0, 0).size(format!("nofile = {at}"))
        }
        Limit::Memory => {
            let mib = server.footprint() + at * 110 / 1024;
            let memory = server.put(new(Cause::MemoryLimit, format!("{mib} MiB, 100 KiB a connection")), 100, 0);
            memory.needs(Need::Cgroups).size(format!("memory = \"{mib}MiB\"")).load("max = 1600")
        }
        Limit::Pids => server
            .put(new(Cause::PidsLimit, format!("{at} processes and threads")), 0, 0)
            .needs(Need::Cgroups)
            .size(format!("pids = {at}")),
        Limit::Quota(rounds) => {
            let cpus = numbers.pick_hundredths(20, 15..=30);
            let quota =
                server.put(new(Cause::CpuQuota, format!("{cpus} CPU, {rounds} rounds a connection")), 0, rounds);
            quota.needs(Need::Cgroups).size(format!("cpus = {cpus}")).load("rate = \"300/s\"").load("step = 600")
        }
        Limit::Thread(rounds) => busy(server.put(
            new(Cause::SingleThread, format!("{rounds} rounds for each connection in its one thread")),
            0,
            rounds,
        )),
        Limit::Lock(rounds) => busy(server.put(
            new(Cause::GlobalLock, format!("{rounds} rounds of the interpreter for each connection")),
            0,
            rounds,
        )),
        Limit::Heap => {
            let kib = numbers.pick(120, 90..=160);
            server.put(new(Cause::RuntimeHeap, format!("a heap of 40 MiB, {kib} KiB a connection")), kib, 0)
        }
        Limit::Nginx => server
            .put(new(Cause::ProxyCap, format!("nginx with {at} worker_connections before it")), 0, 0)
            .nginx()
            .front(format!("worker_connections = {at}")),
        Limit::Haproxy => server
            .put(new(Cause::ProxyCap, format!("haproxy with a maxconn of {at} before it")), 0, 0)
            .haproxy()
            .front(format!("maxconn = {at}")),
    }
}

/// Asks for more than one core can do, while another one is free.
fn busy(limit: InjectedLimit) -> InjectedLimit {
    limit.needs(Need::Cores(2)).load("rate = \"400/s\"").load("step = 1000").load("max = 2000")
}
