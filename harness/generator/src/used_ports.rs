//! Ports that are not to be taken: those that the administrator reserved, those that somebody has, and those that rest in
//! `TIME_WAIT`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ipc::PortRange;

/// States in `/proc/net/tcp`, see the kernel's `tcp_states.h`.
const LISTEN: &str = "0A";
/// See [`LISTEN`].
const TIME_WAIT: &str = "06";

/// Ports of this machine that are not free.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsedPorts {
    /// Ranges of `net.ipv4.ip_local_reserved_ports`, first and last.
    reserved: Vec<(u16, u16)>,
    taken: Vec<Taken>,
}

/// A socket's address and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taken {
    local: SocketAddr,
    listens: bool,
}

impl Taken {
    /// Whether it keeps others from the same port of a source address. A listener on every address is in the way of each
    /// of them, one on `[::]` of IPv4 too unless it says otherwise, which cannot be seen.
    fn blocks(&self, source: IpAddr) -> bool {
        let address = self.local.ip();
        let wide = address == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            || (address == IpAddr::V4(Ipv4Addr::UNSPECIFIED) && source.is_ipv4());
        address == source || (self.listens && wide)
    }
}

impl UsedPorts {
    /// Looks at this machine, at the network namespace of this process, before it connects to `destinations`: what rests
    /// in `TIME_WAIT` rests towards its own other side only. What cannot be read is taken for free: a bind or connect
    /// that fails is retried with the next port.
    pub fn look(destinations: &[SocketAddr]) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self::parse(
            &read("/proc/sys/net/ipv4/ip_local_reserved_ports"),
            &[read("/proc/net/tcp"), read("/proc/net/tcp6")],
            destinations,
        )
    }

    fn parse(reserved: &str, tables: &[String], destinations: &[SocketAddr]) -> Self {
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        };
        let lines = tables.iter().flat_map(|table| table.lines());
        Self {
            reserved: reserved.split(',').filter_map(range).collect(),
            taken: lines.filter_map(|line| taken(line, destinations)).collect(),
        }
    }

    /// The free ports of a source address from `first` to `last`, as ranges in order.
    pub fn free(&self, address: IpAddr, first: u16, last: u16) -> Vec<PortRange> {
        let mut blocked = vec![false; usize::from(u16::MAX) + 1];
        for (first, last) in &self.reserved {
            (*first..=*last).for_each(|port| blocked[usize::from(port)] = true);
        }
        for taken in self.taken.iter().filter(|taken| taken.blocks(address)) {
            blocked[usize::from(taken.local.port())] = true;
        }
        let ports: Vec<u16> = (first..=last).filter(|port| !blocked[usize::from(*port)]).collect();
        ranges(address, &ports)
    }
}

/// Ports in order as ranges.
pub fn ranges(address: IpAddr, ports: &[u16]) -> Vec<PortRange> {
    let runs = ports.chunk_by(|one, next| one.checked_add(1) == Some(*next));
    runs.filter_map(|run| Some(PortRange { address, first: *run.first()?, last: *run.last()? })).collect()
}

/// The socket of a line of `/proc/net/tcp` or `tcp6`, proc(5), if its port is not free towards `destinations`.
fn taken(line: &str, destinations: &[SocketAddr]) -> Option<Taken> {
    let mut fields = line.split_ascii_whitespace();
    let local = socket_address(fields.nth(1)?)?;
    let remote = fields.next()?;
    let state = fields.next()?;
    let rests_elsewhere = || socket_address(remote).is_none_or(|remote| !destinations.contains(&remote));
    if state == TIME_WAIT && rests_elsewhere() {
        return None;
    }
    Some(Taken { local, listens: state == LISTEN })
}

/// Address and port in hexadecimal, the address in words of the machine's byte order. An IPv4 address in the form of IPv6
/// is one of IPv4.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok();
    let address = match address.len() {
        8 => IpAddr::from(word(0)?.to_ne_bytes()),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            IpAddr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{Shutdown, TcpListener};
    use std::os::fd::AsRawFd as _;

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt};
    use proptest::prelude::*;

    use super::*;

    /// As the kernel of a little-endian machine writes it.
    #[cfg(target_endian = "little")]
    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
           0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n\
           1: 0100007F:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n\
           2: 0500147F:0401 0100007F:2329 01 00000000:00000000 00:00000000 00000000     0\n\
           3: 0500147F:0402 0100007F:2329 06 00000000:00000000 03:00001770 00000000     0\n\
           4: 0500147F:0403 0100007F:232A 06 00000000:00000000 03:00001770 00000000     0\n";
    #[cfg(target_endian = "little")]
    const TCP6: &str = "  sl  local_address                         remote_address                        st\n\
           0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0\n\
           1: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 0\n\
           2: 0000000000000000FFFF00000100007F:0BB9 00000000000000000000000000000000:0000 0A 0\n";

    fn blocks(used: &UsedPorts, source: &str, port: u16) -> bool {
        used.free(source.parse().unwrap(), port, port).is_empty()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn sockets_block_their_ports_where_they_are_in_the_way() {
        let used = UsedPorts::parse("", &[TCP.to_owned(), TCP6.to_owned()], &["127.0.0.1:9001".parse().unwrap()]);
        let blocks = |source: &str, port| blocks(&used, source, port);
        assert!(blocks("127.20.0.1", 0x07E8), "listens on every address");
        assert!(!blocks("::1", 0x07E8), "but on those of IPv4 only");
        assert!(blocks("127.0.0.1", 9001) && !blocks("127.20.0.1", 9001), "listens on one address");
        assert!(blocks("127.20.0.5", 0x0401), "is connected");
        assert!(blocks("127.20.0.5", 0x0402), "rests towards the destination");
        assert!(!blocks("127.20.0.5", 0x0403), "rests towards another");
        assert!(!blocks("127.20.0.6", 0x0401), "connections block one address");
        assert!(blocks("127.20.0.1", 8080) && blocks("::1", 8080), "both families");
        assert!(blocks("::1", 3000) && !blocks("127.0.0.1", 3000));
        assert!(blocks("127.0.0.1", 3001), "an IPv4 address written as IPv6");
    }

    #[test]
    fn a_real_listener_is_seen() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(blocks(&UsedPorts::look(&[]), "127.20.3.4", port));
    }

    #[test]
    fn a_port_that_rests_after_a_close_is_seen_until_it_is_free_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let destination = listener.local_addr().unwrap();
        let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
        // So that this test can be repeated at once.
        setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
        bind(socket.as_raw_fd(), &SockaddrIn::new(127, 20, 3, 5, 2222)).unwrap();
        connect(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, destination.port())).unwrap();
        let mut client = std::net::TcpStream::from(socket);
        let (server, _) = listener.accept().unwrap();
        assert!(blocks(&UsedPorts::look(&[destination]), "127.20.3.5", 2222), "it is connected");
        // The side that closes first is the one that waits.
        client.shutdown(Shutdown::Write).unwrap();
        drop(server);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop(client);
        assert!(blocks(&UsedPorts::look(&[destination]), "127.20.3.5", 2222), "it rests");
        assert!(!blocks(&UsedPorts::look(&[]), "127.20.3.5", 2222), "towards others it is free");
    }

    #[test]
    fn reserved_ports_are_left_out_of_the_ranges() {
        let used = UsedPorts::parse("1025,1030-1032\n", &[], &[]);
        let free: Vec<_> =
            used.free("127.0.0.1".parse().unwrap(), 1024, 1040).iter().map(|r| (r.first, r.last)).collect();
        assert_eq!(free, [(1024, 1024), (1026, 1029), (1033, 1040)]);
        assert!(UsedPorts::parse("\n", &[], &[]).reserved.is_empty());
    }

    proptest! {
        #[test]
        fn ranges_hold_exactly_the_free_ports(reserved in prop::collection::vec((0..300_u16, 0..20_u16), 0..12)) {
            let text: Vec<String> = reserved.iter().map(|(at, more)| format!("{at}-{}", at + more)).collect();
            let used = UsedPorts::parse(&text.join(","), &[], &[]);
            let address = "10.0.0.1".parse().unwrap();
            let ranges = used.free(address, 10, 290);
            let listed: Vec<u16> = ranges.iter().flat_map(|range| range.first..=range.last).collect();
            let free: Vec<u16> = (10..=290)
                .filter(|port| !reserved.iter().any(|(at, more)| (*at..=at + more).contains(port)))
                .collect();
            prop_assert_eq!(listed, free);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
        }

        #[test]
        fn no_text_makes_the_parser_panic(reserved in "[0-9,-]{0,20}", table in "[0-9A-F: ]{0,60}") {
            UsedPorts::parse(&reserved, &[table], &[]).free(IpAddr::from([127, 0, 0, 1]), 1, 9);
        }
    }
}
