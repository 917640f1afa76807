//! Source addresses and ports. The kernel's own search gets slow past half of its range, so the worker binds each
//! socket itself. A (source, port) is used once towards each destination at a time.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::ipc::PortRange;

/// A source address and port of one connection: index of the range, and the port. Port 0: the kernel chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Source {
    range: u16,
    port: u16,
}

/// Ports that are free towards one destination.
#[derive(Debug)]
pub struct Ports {
    /// Ranges of the destination's address family.
    ranges: Vec<Cursor>,
    /// The range that the next fresh port comes from.
    turn: usize,
    /// Ports that were used and are free again, oldest first.
    freed: VecDeque<Source>,
}

#[derive(Debug)]
struct Cursor {
    address: IpAddr,
    /// The next fresh port; past `last`: none.
    next: u32,
    last: u16,
}

impl Ports {
    /// All ports of `ranges` towards a destination of the family of `destination`. Without any, the kernel chooses.
    pub fn new(ranges: &[PortRange], destination: IpAddr) -> Self {
        let ranges = ranges
            .iter()
            .filter(|range| range.address.is_ipv4() == destination.is_ipv4())
            .take(usize::from(u16::MAX))
            .map(|range| Cursor { address: range.address, next: u32::from(range.first.max(1)), last: range.last })
            .collect();
        Self { ranges, turn: 0, freed: VecDeque::new() }
    }

    /// No ports: there are none, or the kernel chooses.
    pub fn none() -> Self {
        Self { ranges: Vec::new(), turn: 0, freed: VecDeque::new() }
    }

    /// Takes a port: a fresh one, so that those of closed connections rest, else the one that was freed first. `None`:
    /// all are in use.
    pub fn take(&mut self) -> Option<Source> {
        if self.ranges.is_empty() {
            return Some(Source::default());
        }
        for _ in 0..self.ranges.len() {
            let range = self.turn;
            self.turn = (self.turn + 1) % self.ranges.len();
            let cursor = &mut self.ranges[range];
            if cursor.next <= u32::from(cursor.last) {
                let port = cursor.next as u16;
                cursor.next += 1;
                return Some(Source { range: range as u16, port });
            }
        }
        self.freed.pop_front()
    }

    /// Gives a port back.
    pub fn give(&mut self, source: Source) {
        if source.port != 0 {
            self.freed.push_back(source);
        }
    }

    /// The address to bind; `None`: the kernel chooses.
    pub fn address(&self, source: Source) -> Option<SocketAddr> {
        let cursor = self.ranges.get(usize::from(source.range))?;
        (source.port != 0).then(|| SocketAddr::new(cursor.address, source.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(address: &str, first: u16, last: u16) -> PortRange {
        PortRange { address: address.parse().unwrap(), first, last }
    }

    #[test]
    fn every_port_is_taken_once_and_then_the_freed_ones_in_their_order() {
        let ranges = [range("127.0.0.1", 10, 12), range("127.0.0.2", 65_535, 65_535), range("::1", 1, 9)];
        let mut ports = Ports::new(&ranges, "127.0.0.9".parse().unwrap());
        let mut taken = Vec::new();
        while let Some(source) = ports.take() {
            taken.push(source);
        }
        let names: Vec<_> = taken.iter().map(|source| ports.address(*source).unwrap().to_string()).collect();
        assert_eq!(names, ["127.0.0.1:10", "127.0.0.2:65535", "127.0.0.1:11", "127.0.0.1:12"]);
        ports.give(taken[2]);
        ports.give(taken[0]);
        assert_eq!([ports.take(), ports.take(), ports.take()], [Some(taken[2]), Some(taken[0]), None]);
    }

    #[test]
    fn without_a_source_of_the_family_the_kernel_chooses() {
        let mut ports = Ports::new(&[range("127.0.0.1", 10, 12)], "::1".parse().unwrap());
        for _ in 0..5 {
            let source = ports.take().unwrap();
            assert_eq!(ports.address(source), None);
            ports.give(source);
        }
    }
}
