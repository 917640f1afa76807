//! Counters of network namespaces. Each namespace is read once a tick, however many components share it.
//!
//! Sources: `Documentation/networking/snmp_counter.rst`, `Documentation/networking/proc_net_tcp.rst`,
//! `net/netfilter/nf_conntrack_standalone.c` (columns of `stat/nf_conntrack`, hexadecimal, a line a CPU).

use super::context::{Context, Kept};
use super::listen::Listeners;
use super::row::Row;
use crate::environment::parse::{hex, lines, number, words};
use wsceiling_model::record::Metric;

/// A number with its source, as rows take it.
type Reading = (Metric, f64, &'static str);

const TCP_EXT: [(&str, Metric, &str); 8] = [
    ("ListenOverflows", Metric::ListenOverflows, "/proc/PID/net/netstat TcpExt ListenOverflows"),
    ("ListenDrops", Metric::ListenDrops, "/proc/PID/net/netstat TcpExt ListenDrops"),
    ("TCPSynRetrans", Metric::SynRetransmits, "/proc/PID/net/netstat TcpExt TCPSynRetrans"),
    ("TCPReqQFullDrop", Metric::ReqQFullDrops, "/proc/PID/net/netstat TcpExt TCPReqQFullDrop"),
    ("TCPReqQFullDoCookies", Metric::ReqQFullCookies, "/proc/PID/net/netstat TcpExt TCPReqQFullDoCookies"),
    ("TCPAbortOnMemory", Metric::AbortOnMemory, "/proc/PID/net/netstat TcpExt TCPAbortOnMemory"),
    ("TCPMemoryPressures", Metric::MemoryPressures, "/proc/PID/net/netstat TcpExt TCPMemoryPressures"),
    ("TCPRcvQDrop", Metric::RcvQDrops, "/proc/PID/net/netstat TcpExt TCPRcvQDrop"),
];

const TCP: [(&str, Metric, &str); 4] = [
    ("PassiveOpens", Metric::PassiveOpens, "/proc/PID/net/snmp Tcp PassiveOpens"),
    ("ActiveOpens", Metric::ActiveOpens, "/proc/PID/net/snmp Tcp ActiveOpens"),
    ("OutRsts", Metric::OutRsts, "/proc/PID/net/snmp Tcp OutRsts"),
    ("CurrEstab", Metric::Established, "/proc/PID/net/snmp Tcp CurrEstab"),
];

const CONNTRACK: &str = "/proc/PID/net/stat/nf_conntrack";
const IN_USE: &str = "/proc/PID/net/sockstat TCP inuse + sockstat6 TCP6 inuse";

/// One network namespace.
struct Namespace {
    /// `net:[4026531840]`, or the process where the link may not be read.
    key: String,
    netstat: Kept,
    snmp: Kept,
    sockstat: Kept,
    sockstat6: Kept,
    conntrack: Kept,
    readings: Vec<Reading>,
    listeners: Listeners,
    /// Tick at which the numbers were read.
    tick: u64,
}

/// The network namespaces of all components.
pub(super) struct Namespaces {
    all: Vec<Namespace>,
    ours: Option<String>,
    tick: u64,
}

/// Name of the network namespace of a process.
pub(super) fn key_of(context: &Context, pid: u32) -> String {
    context.kernel.link(format!("/proc/{pid}/ns/net")).unwrap_or_else(|| format!("process {pid}"))
}

impl Namespaces {
    pub(super) fn new(context: &Context) -> Self {
        Self { all: Vec::new(), ours: context.kernel.link("/proc/self/ns/net"), tick: 0 }
    }

    /// Name of our own namespace.
    pub(super) fn ours(&self) -> Option<&str> {
        self.ours.as_deref()
    }

    /// Begins a tick. Namespaces that nobody asked for during the last one are let go: an open file of theirs keeps
    /// the kernel from taking them down.
    pub(super) fn begin(&mut self) {
        self.all.retain(|namespace| namespace.tick == self.tick);
        self.tick += 1;
    }

    /// Adds the numbers of a namespace to the row of a component that lives in it, through a process of its own.
    pub(super) fn sample(&mut self, context: &mut Context, key: &str, pid: &str, port: Option<u16>, row: &mut Row) {
        let index = self.all.iter().position(|namespace| namespace.key == key).unwrap_or_else(|| {
            let is_ours = self.ours.as_deref() == Some(key) && context.kernel.is_real();
            self.all.push(Namespace::new(context, key, pid, is_ours));
            self.all.len() - 1
        });
        let namespace = &mut self.all[index];
        if namespace.tick != self.tick {
            namespace.tick = self.tick;
            namespace.read(context);
        }
        for (metric, value, source) in &namespace.readings {
            row.set(*metric, *value, source);
        }
        if let Some(port) = port {
            namespace.listeners.sample(context, self.tick, port, row);
        }
    }
}

impl Namespace {
    fn new(context: &Context, key: &str, pid: &str, is_ours: bool) -> Self {
        let file = |name: &str| Kept::new(format!("/proc/{pid}/net/{name}"));
        Self {
            key: key.to_owned(),
            netstat: file("netstat"),
            snmp: file("snmp"),
            sockstat: file("sockstat"),
            sockstat6: file("sockstat6"),
            conntrack: file("stat/nf_conntrack"),
            readings: Vec::new(),
            listeners: Listeners::new(context, pid, is_ours),
            tick: 0,
        }
    }

    fn read(&mut self, context: &mut Context) {
        let readings = &mut self.readings;
        readings.clear();
        if let Some(text) = context.read(&mut self.netstat) {
            paired(text, "TcpExt:", &TCP_EXT, readings);
        }
        if let Some(text) = context.read(&mut self.snmp) {
            paired(text, "Tcp:", &TCP, readings);
        }
        let in_use_v6 = context.read(&mut self.sockstat6).and_then(|text| sockets(text, "TCP6:", "inuse"));
        if let Some(text) = context.read(&mut self.sockstat) {
            let mut read = |metric, value: Option<u64>, source| {
                readings.extend(value.map(|value| (metric, value as f64, source)));
            };
            let in_use = sockets(text, "TCP:", "inuse").map(|v4| v4.saturating_add(in_use_v6.unwrap_or(0)));
            read(Metric::SocketsInUse, in_use, IN_USE);
            read(Metric::SocketsTimeWait, sockets(text, "TCP:", "tw"), "/proc/PID/net/sockstat TCP tw");
            read(Metric::SocketsOrphan, sockets(text, "TCP:", "orphan"), "/proc/PID/net/sockstat TCP orphan");
            read(Metric::SocketsMemory, sockets(text, "TCP:", "mem"), "/proc/PID/net/sockstat TCP mem");
        }
        if let Some(text) = context.read(&mut self.conntrack) {
            conntrack(text, readings);
        }
    }
}

/// Files of two lines each, names and values, behind the same prefix.
fn paired(text: &[u8], prefix: &str, wanted: &[(&str, Metric, &'static str)], readings: &mut Vec<Reading>) {
    let mut both = lines(text).filter_map(|line| line.strip_prefix(prefix.as_bytes()));
    let (Some(names), Some(values)) = (both.next(), both.next()) else { return };
    for (name, value) in words(names).zip(words(values)) {
        let wanted = wanted.iter().find(|(wanted, ..)| wanted.as_bytes() == name);
        if let (Some((_, metric, source)), Some(value)) = (wanted, number(value)) {
            readings.push((*metric, value as f64, source));
        }
    }
}

/// `TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 331`
fn sockets(text: &[u8], line: &str, name: &str) -> Option<u64> {
    let line = lines(text).find_map(|candidate| candidate.strip_prefix(line.as_bytes()))?;
    let mut words = words(line);
    words.find(|word| *word == name.as_bytes())?;
    number(words.next()?)
}

/// `entries` is the same in every line; the events are counted by CPU.
fn conntrack(text: &[u8], readings: &mut Vec<Reading>) {
    let mut lines = lines(text);
    let Some(names) = lines.next() else { return };
    let column = |name: &str| words(names).position(|word| word == name.as_bytes());
    let (entries, drops, failed) = (column("entries"), column("drop"), column("insert_failed"));
    let (mut count, mut sums) = (None, [None::<u64>; 2]);
    for line in lines {
        let value = |column: Option<usize>| column.and_then(|column| words(line).nth(column)).and_then(hex);
        count = count.or_else(|| value(entries));
        for (sum, column) in sums.iter_mut().zip([drops, failed]) {
            if let Some(value) = value(column) {
                *sum = Some(sum.unwrap_or(0).saturating_add(value));
            }
        }
    }
    let metrics = [Metric::ConntrackCount, Metric::ConntrackDrops, Metric::ConntrackInsertFailed];
    for (metric, value) in metrics.into_iter().zip([count, sums[0], sums[1]]) {
        readings.extend(value.map(|value| (metric, value as f64, CONNTRACK)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::tree::Tree;

    #[test]
    fn counters_are_found_by_name() {
        let mut readings = Vec::new();
        let text = b"IpExt: A\nIpExt: 9\nTcpExt: X ListenDrops TCPSynRetrans\nTcpExt: 1 22 -1\n";
        paired(text, "TcpExt:", &TCP_EXT, &mut readings);
        assert_eq!(
            readings.iter().map(|reading| (reading.0, reading.1)).collect::<Vec<_>>(),
            [(Metric::ListenDrops, 22.0)]
        );
    }

    #[test]
    fn conntrack_sums_events_over_cpus_but_not_entries() {
        let text =
            b"entries  insert_failed drop early_drop\n00000010  00000001 0000000a 0\n00000010 00000002 00000001 0\n";
        let mut readings = Vec::new();
        conntrack(text, &mut readings);
        let values: Vec<f64> = readings.iter().map(|reading| reading.1).collect();
        assert_eq!(values, [16.0, 11.0, 3.0]);
    }

    #[test]
    fn both_families_of_sockets_are_in_use() {
        let tree = Tree::new();
        tree.write("/proc/5/net/sockstat", "sockets: used 32\nTCP: inuse 3 orphan 1 tw 7 alloc 9 mem 331\n");
        tree.write("/proc/5/net/sockstat6", "TCP6: inuse 40\n");
        let mut context = Context::new(tree.kernel());
        let mut all = Namespaces::new(&context);
        let mut row = Row::new();
        all.begin();
        all.sample(&mut context, "net:[1]", "5", None, &mut row);
        let values = row.take();
        assert!(values.contains(&(Metric::SocketsInUse, 43.0)));
        assert!(values.contains(&(Metric::SocketsTimeWait, 7.0)));
        assert!(values.contains(&(Metric::SocketsMemory, 331.0)));
        assert_eq!(values.len(), 4);
    }

    #[test]
    fn a_shared_namespace_is_read_once_and_let_go_when_nobody_asks() {
        let tree = Tree::new();
        tree.write("/proc/5/net/sockstat", "TCP: inuse 3\n");
        tree.link("/proc/5/ns/net", "net:[1]");
        let mut context = Context::new(tree.kernel());
        let mut all = Namespaces::new(&context);
        let mut row = Row::new();
        all.begin();
        for pid in ["5", "6"] {
            all.sample(&mut context, "net:[1]", pid, None, &mut row);
            assert_eq!(row.take(), [(Metric::SocketsInUse, 3.0)]);
        }
        assert_eq!(all.all.len(), 1);
        assert_eq!(key_of(&context, 5), "net:[1]");
        assert_eq!(key_of(&context, 6), "process 6");
        all.begin();
        all.begin();
        assert!(all.all.is_empty());
    }

    proptest! {
        #[test]
        fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut readings = Vec::new();
            conntrack(&text, &mut readings);
            paired(&text, "", &TCP, &mut readings);
            let _ = sockets(&text, "", "a");
        }
    }
}
