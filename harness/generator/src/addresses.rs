//! Which source addresses and ports each worker may bind.
//!
//! The kernel's own search for a free port gets 12 to 20 times slower past half of the range, and one address pair has
//! 28,232 ports by default. So ports are given out here, explicitly: on IPv4 loopback every worker has an address of
//! 127.0.0.0/8 of its own, another one in every trial; elsewhere the host has one address towards the instances (on IPv6
//! loopback there is none but `::1`), and the workers share its ports, a slice each. Ports that are in use
//! (`used_ports`) are left out; one that is taken later, or still in `TIME_WAIT`, is passed over by the worker and counted.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use super::ipc::PortRange;
use super::used_ports::{UsedPorts, ranges};

/// First port that needs no privilege.
const FIRST_PORT: u16 = 1024;

/// Ports that a source address has towards a destination.
pub const PORTS_PER_ADDRESS: u64 = (u16::MAX - FIRST_PORT) as u64 + 1;

/// Source addresses and ports for each of `workers` workers towards `destinations`.
///
/// `block` tells trials apart, so that a trial does not meet the sockets of the one before it. Where a family of addresses
/// has no range the kernel chooses: unknown routes have none, and destinations that are reached over several of the
/// host's addresses.
pub fn sources(destinations: &[SocketAddr], workers: u32, block: u32) -> Vec<Vec<PortRange>> {
    sources_beside(&UsedPorts::look(destinations), destinations, workers, block)
}

fn sources_beside(used: &UsedPorts, destinations: &[SocketAddr], workers: u32, block: u32) -> Vec<Vec<PortRange>> {
    let mut all = vec![Vec::new(); workers as usize];
    for v4 in [true, false] {
        let family: Vec<SocketAddr> = destinations.iter().copied().filter(|address| address.is_ipv4() == v4).collect();
        if family.is_empty() {
            continue;
        }
        let mine = if v4 && family.iter().all(|address| address.ip().is_loopback()) {
            let whole = |worker| used.free(loopback(block, worker), FIRST_PORT, u16::MAX);
            (0..workers).map(whole).collect()
        } else {
            let local: Option<BTreeSet<IpAddr>> = family.iter().map(|address| local_address(*address)).collect();
            match local.unwrap_or_default().into_iter().collect::<Vec<_>>().as_slice() {
                [address] => slices(used, *address, workers),
                _ => continue,
            }
        };
        all.iter_mut().zip(mine).for_each(|(worker, ranges)| worker.extend(ranges));
    }
    all
}

/// Ports of a worker that has its addresses for itself and nobody else's sockets around it: in a container of its own.
pub fn alone(addresses: &[IpAddr]) -> Vec<PortRange> {
    addresses.iter().map(|address| PortRange { address: *address, first: FIRST_PORT, last: u16::MAX }).collect()
}

/// Leaves at most `ports` ports of each address, spread over the workers that have it.
pub fn limit(sources: &mut [Vec<PortRange>], ports: u32) {
    let addresses: BTreeSet<IpAddr> = sources.iter().flatten().map(|range| range.address).collect();
    for address in addresses {
        let has = |ranges: &&mut Vec<PortRange>| ranges.iter().any(|range| range.address == address);
        let mut sharing: Vec<_> = sources.iter_mut().filter(has).collect();
        let each = (ports / sharing.len() as u32).max(1);
        for ranges in &mut sharing {
            let mut left = each;
            ranges.retain_mut(|range| {
                if range.address == address && left > 0 {
                    let taken = (u32::from(range.last - range.first) + 1).min(left);
                    range.last = range.first + (taken - 1) as u16;
                    left -= taken;
                    return true;
                }
                range.address != address
            });
        }
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

/// An address of 127.0.0.0/8 that no other worker of this trial or the last 200 trials has.
fn loopback(block: u32, worker: u32) -> IpAddr {
    let (high, low) = ((worker / 250) as u8, (worker % 250) as u8);
    IpAddr::V4(Ipv4Addr::new(127, 20 + (block % 200) as u8, high, low + 1))
}

/// The host's own address on the route to `destination`: what the kernel would choose. Nothing is sent.
pub(crate) fn local_address(destination: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if destination.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().ok()?;
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(destination).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The free ports of an address, as many for each worker.
fn slices(used: &UsedPorts, address: IpAddr, workers: u32) -> Vec<Vec<PortRange>> {
    let free = used.free(address, FIRST_PORT, u16::MAX);
    let ports: Vec<u16> = free.iter().flat_map(|range| range.first..=range.last).collect();
    let each = ports.len() / workers.max(1) as usize;
    let slice = |worker: usize| ports.get(worker * each..(worker + 1) * each).unwrap_or_default();
    (0..workers as usize).map(|worker| ranges(address, slice(worker))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn free(destinations: &[&str], workers: u32, block: u32) -> Vec<Vec<PortRange>> {
        let destinations: Vec<_> = destinations.iter().map(|text| text.parse().unwrap()).collect();
        sources_beside(&UsedPorts::default(), &destinations, workers, block)
    }

    #[test]
    fn every_worker_on_loopback_has_an_address_of_its_own() {
        let sources = free(&["127.0.0.1:9000"], 300, 7);
        let mut addresses: Vec<_> = sources.iter().map(|ranges| ranges[0].address).collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 300);
        assert!(addresses.iter().all(IpAddr::is_loopback));
        assert_eq!(ports_per_pair(&sources), 64_512);
    }

    #[test]
    fn trials_that_follow_each_other_use_other_addresses() {
        assert_ne!(free(&["127.0.0.1:9000"], 1, 0), free(&["127.0.0.1:9000"], 1, 1));
    }

    #[test]
    fn a_limit_of_ports_counts_for_each_address() {
        let mut apart = free(&["127.0.0.1:9000"], 2, 7);
        limit(&mut apart, 500);
        assert_eq!(ports_per_pair(&apart), 500);
        assert_eq!(apart[1][0].last - apart[1][0].first, 499);
        let mut together = slices(&UsedPorts::default(), "10.0.0.1".parse().unwrap(), 2);
        limit(&mut together, 500);
        assert_eq!(ports_per_pair(&together), 500);
        limit(&mut together, 60_000);
        assert_eq!(ports_per_pair(&together), 500, "a limit never gives");
        let address = "10.0.0.1".parse().unwrap();
        let range = |first, last| PortRange { address, first, last };
        let mut in_pieces = vec![vec![range(10, 14), range(20, 29), range(40, 99)]];
        limit(&mut in_pieces, 8);
        assert_eq!(in_pieces, [vec![range(10, 14), range(20, 22)]], "pieces are filled one after the other");
    }

    #[test]
    fn on_ipv6_loopback_the_workers_share_the_ports_of_its_only_address() {
        let sources = free(&["[::1]:9000", "[::1]:9001"], 2, 7);
        let one: IpAddr = "::1".parse().unwrap();
        assert!(sources.iter().flatten().all(|range| range.address == one), "{sources:?}");
        assert_eq!(ports_per_pair(&sources), 64_512);
        let both = free(&["[::1]:9000", "127.0.0.1:9000"], 1, 7);
        assert_eq!(both[0].iter().filter(|range| range.address.is_ipv4()).count(), 1);
        assert_eq!(both[0].len(), 2);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_given_to_nobody() {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sources = sources(&["127.0.0.1:9000".parse().unwrap()], 2, 3);
        assert!(sources.iter().all(|ranges| ranges.len() > 1), "{sources:?}");
        assert!(!sources.iter().flatten().any(|range| (range.first..=range.last).contains(&port)));
    }

    proptest! {
        #[test]
        fn workers_that_share_an_address_share_no_port(workers in 1..40_u32) {
            let slices = slices(&UsedPorts::default(), "10.0.0.1".parse().unwrap(), workers);
            let ports: Vec<u16> = slices.iter().flatten().flat_map(|range| range.first..=range.last).collect();
            prop_assert!(ports.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(ports.len() as u32, 64_512 / workers * workers);
            prop_assert_eq!(ports_per_pair(&slices), ports.len() as u64);
        }
    }
}
