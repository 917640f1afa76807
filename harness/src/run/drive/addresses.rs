//! Which source addresses and ports each worker may bind.
//!
//! The kernel's own search for a free port gets 12 to 20 times slower past half of the range, and one address pair has
//! 28,232 ports by default. So ports are given out here, explicitly: on loopback every worker has an address of
//! 127.0.0.0/8 of its own, another one in every trial; elsewhere the host has one address towards the instances and the
//! workers share its ports, a slice each.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use super::protocol::PortRange;

/// First port that needs no privilege.
const FIRST_PORT: u16 = 1024;

/// Source addresses and ports for each of `workers` workers towards `destinations`.
///
/// `block` tells trials apart, so that a trial does not meet the sockets of the one before it. No range for a worker
/// means that the kernel chooses (IPv6 loopback has one address only, and unknown routes have none).
pub fn sources(destinations: &[SocketAddr], workers: u32, block: u32) -> Vec<Vec<PortRange>> {
    let Some(first) = destinations.first() else { return vec![Vec::new(); workers as usize] };
    if destinations.iter().all(|address| address.ip().is_loopback() && address.is_ipv4()) {
        return (0..workers).map(|worker| vec![whole(loopback(block, worker))]).collect();
    }
    match local_address(*first) {
        Some(address) => slices(address, workers),
        None => vec![Vec::new(); workers as usize],
    }
}

/// Ports that each (source, destination) pair has over all workers.
pub fn ports_per_pair(sources: &[Vec<PortRange>]) -> u64 {
    let mut ports = std::collections::BTreeMap::new();
    for range in sources.iter().flatten() {
        *ports.entry(range.address).or_insert(0) += u64::from(range.last - range.first) + 1;
    }
    ports.into_values().max().unwrap_or(0)
}

fn whole(address: IpAddr) -> PortRange {
    PortRange { address, first: FIRST_PORT, last: u16::MAX }
}

/// An address of 127.0.0.0/8 that no other worker of this trial or the last 200 trials has.
fn loopback(block: u32, worker: u32) -> IpAddr {
    let (high, low) = ((worker / 250) as u8, (worker % 250) as u8);
    IpAddr::V4(Ipv4Addr::new(127, 20 + (block % 200) as u8, high, low + 1))
}

/// The host's own address on the route to `destination`: what the kernel would choose. Nothing is sent.
fn local_address(destination: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if destination.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().ok()?;
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(destination).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn slices(address: IpAddr, workers: u32) -> Vec<Vec<PortRange>> {
    let all = u32::from(u16::MAX - FIRST_PORT) + 1;
    let each = all / workers.max(1);
    (0..workers)
        .map(|worker| {
            let first = u32::from(FIRST_PORT) + worker * each;
            vec![PortRange { address, first: first as u16, last: (first + each - 1) as u16 }]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_on_loopback_has_an_address_of_its_own() {
        let sources = sources(&["127.0.0.1:9000".parse().unwrap()], 300, 7);
        let mut addresses: Vec<_> = sources.iter().map(|ranges| ranges[0].address).collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 300);
        assert!(addresses.iter().all(IpAddr::is_loopback));
        assert_eq!(ports_per_pair(&sources), 64_512);
    }

    #[test]
    fn trials_that_follow_each_other_use_other_addresses() {
        let destination = ["127.0.0.1:9000".parse().unwrap()];
        assert_ne!(sources(&destination, 1, 0), sources(&destination, 1, 1));
    }

    #[test]
    fn workers_that_share_an_address_share_no_port() {
        let slices = slices("10.0.0.1".parse().unwrap(), 7);
        for pair in slices.windows(2) {
            assert!(pair[0][0].last < pair[1][0].first);
        }
        assert_eq!(ports_per_pair(&slices), 64_512 / 7 * 7);
    }
}
