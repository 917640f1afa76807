//! Connections of a front onwards, counted by pair of source address and destination: a pair has no more of them than
//! source ports.
//!
//! The kernel walks its table of connections for the answer, so it is asked at most once a second, and less often where
//! that takes long.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::context::Context;
use super::diag::{Pair, established, open_diag, open_diag_of};
use super::processes::is_due;
use super::row::Row;
use super::watch::FrontWatch;
use wsceiling_model::record::Metric;

const SOURCE: &str = "sock_diag established by idiag_src and idiag_dst";
const RANGE: &str = "source ports given to the front";

/// Shortest time between two countings, and the share of a core they may take: one in so many.
const EVERY: Duration = Duration::from_secs(1);
const SHARE: u32 = 50;

/// Counts the connections of one front.
pub(super) struct Pairs {
    upstreams: Vec<SocketAddr>,
    ports: Option<u64>,
    socket: Option<File>,
    /// Its namespace may not be entered.
    closed: bool,
    counted: Option<Instant>,
    every: Duration,
}

impl Pairs {
    pub(super) fn new(front: &FrontWatch) -> Self {
        let (upstreams, ports) = (front.upstreams.clone(), front.ports_per_pair);
        Self { upstreams, ports, socket: None, closed: false, counted: None, every: EVERY }
    }

    pub(super) fn sample(&mut self, context: &Context, pid: u32, is_ours: bool, row: &mut Row) {
        row.count(Metric::PairPorts, self.ports, RANGE);
        if self.closed || !context.kernel.is_real() || !is_due(self.counted, self.every, context.now) {
            return;
        }
        self.counted = Some(context.now);
        let begin = Instant::now();
        let Some(counts) = self.count(pid, is_ours) else {
            self.closed = true;
            return;
        };
        self.every = EVERY.max(begin.elapsed() * SHARE);
        row.count(Metric::PairEstablished, Some(counts.values().copied().max().unwrap_or(0)), SOURCE);
        row.count(Metric::UpstreamEstablished, Some(counts.values().sum()), SOURCE);
    }

    fn count(&mut self, pid: u32, is_ours: bool) -> Option<BTreeMap<Pair, u64>> {
        if self.socket.is_none() {
            self.socket = open(pid, is_ours);
        }
        count(self.socket.as_mut()?, &self.upstreams)
    }
}

fn open(pid: u32, is_ours: bool) -> Option<File> {
    if is_ours { open_diag().ok() } else { open_diag_of(&pid.to_string()).ok() }
}

fn count(socket: &mut File, upstreams: &[SocketAddr]) -> Option<BTreeMap<Pair, u64>> {
    let ports = upstreams.iter().map(SocketAddr::port);
    let range = (ports.clone().min()?, ports.max()?);
    let mut counts = BTreeMap::new();
    for (family, wanted) in [(libc::AF_INET, true), (libc::AF_INET6, false)] {
        if upstreams.iter().any(|upstream| upstream.is_ipv4() == wanted) {
            let add = |pair: Pair| {
                if upstreams.contains(&pair.1) {
                    *counts.entry(pair).or_insert(0) += 1;
                }
            };
            established(socket, family as u8, range, add).ok()?;
        }
    }
    Some(counts)
}

/// Established connections to each of these addresses at this moment, in the network namespace of a process; `None`: the
/// kernel may not be asked there.
pub fn connections_to(pid: u32, addresses: &[SocketAddr]) -> Option<Vec<u64>> {
    let link = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let is_ours = link("self").is_some_and(|ours| Some(ours) == link(&pid.to_string()));
    let counts = count(&mut open(pid, is_ours)?, addresses)?;
    let to = |address: &SocketAddr| counts.iter().filter(|((_, to), _)| to == address).map(|(_, count)| count).sum();
    Some(addresses.iter().map(to).collect())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, TcpListener, TcpStream};

    use super::*;
    use crate::environment::kernel::Kernel;

    fn connect(from: &str, to: SocketAddr) -> TcpStream {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};
        use std::os::fd::AsRawFd as _;
        let opened = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let from: IpAddr = from.parse().unwrap();
        bind(opened.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(from, 0))).unwrap();
        connect(opened.as_raw_fd(), &SockaddrStorage::from(to)).unwrap();
        TcpStream::from(opened)
    }

    #[test]
    fn connections_are_counted_by_source_and_destination_and_no_others() {
        let listeners: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let to: Vec<SocketAddr> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let mut streams: Vec<TcpStream> = (0..3).map(|_| connect("127.7.0.1", to[0])).collect();
        streams.extend((0..2).map(|_| connect("127.7.0.2", to[0])));
        streams.push(connect("127.7.0.1", to[1]));
        streams.push(connect("127.7.0.1", to[2]));
        assert_eq!(connections_to(std::process::id(), &to[..2]), Some(vec![5, 1]));
        let front = FrontWatch { upstreams: to[..2].to_vec(), ports_per_pair: Some(200), stats: None };
        let (mut pairs, mut row) = (Pairs::new(&front), Row::new());
        let mut context = Context::new(Kernel::real());
        pairs.sample(&context, std::process::id(), true, &mut row);
        let expected = [(Metric::PairEstablished, 3.0), (Metric::PairPorts, 200.0), (Metric::UpstreamEstablished, 6.0)];
        assert_eq!(row.take(), expected);
        // Not again within the second: no number, rather than an old one.
        context.now += Duration::from_millis(250);
        pairs.sample(&context, std::process::id(), true, &mut row);
        assert_eq!(row.take(), [(Metric::PairPorts, 200.0)]);
    }
}
