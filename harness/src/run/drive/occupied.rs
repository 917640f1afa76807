//! Ports that are not to be taken: those that the administrator reserved, and those that somebody listens on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::protocol::PortRange;

/// State `LISTEN` in `/proc/net/tcp`, see the kernel's `tcp_states.h`.
const LISTEN: &str = "0A";

/// Ports of this machine that are not free.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Occupied {
    /// Ranges of `net.ipv4.ip_local_reserved_ports`, first and last.
    reserved: Vec<(u16, u16)>,
    /// Addresses and ports that somebody listens on.
    listeners: Vec<(IpAddr, u16)>,
}

impl Occupied {
    /// Looks at this machine, at the network namespace of this process. What cannot be read is taken for free: a bind
    /// that fails is retried with the next port.
    pub fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self::parse(
            &read("/proc/sys/net/ipv4/ip_local_reserved_ports"),
            &[read("/proc/net/tcp"), read("/proc/net/tcp6")],
        )
    }

    fn parse(reserved: &str, tables: &[String]) -> Self {
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        };
        Self {
            reserved: reserved.split(',').filter_map(range).collect(),
            listeners: tables.iter().flat_map(|table| table.lines()).filter_map(listener).collect(),
        }
    }

    /// Whether a socket cannot, or should not, be bound to a port of a source address. A listener on every address is in
    /// the way of each of them, one on `[::]` of IPv4 too unless it says otherwise, which cannot be seen.
    fn blocks(&self, source: IpAddr, port: u16) -> bool {
        let reserved = |&(first, last): &(u16, u16)| (first..=last).contains(&port);
        let listens = |&(address, taken): &(IpAddr, u16)| {
            let wide = address == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
                || (address == IpAddr::V4(Ipv4Addr::UNSPECIFIED) && source.is_ipv4());
            taken == port && (wide || address == source)
        };
        self.reserved.iter().any(reserved) || self.listeners.iter().any(listens)
    }

    /// The free ports of a source address from `first` to `last`, as ranges in order.
    pub fn free(&self, address: IpAddr, first: u16, last: u16) -> Vec<PortRange> {
        let ports: Vec<u16> = (first..=last).filter(|port| !self.blocks(address, *port)).collect();
        ranges(address, &ports)
    }
}

/// Ports in order as ranges.
pub fn ranges(address: IpAddr, ports: &[u16]) -> Vec<PortRange> {
    let runs = ports.chunk_by(|one, next| one.checked_add(1) == Some(*next));
    runs.filter_map(|run| Some(PortRange { address, first: *run.first()?, last: *run.last()? })).collect()
}

/// Address and port of a line of `/proc/net/tcp` or `tcp6` whose socket listens, proc(5): both are hexadecimal, the
/// address in words of the machine's byte order.
fn listener(line: &str) -> Option<(IpAddr, u16)> {
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let word = |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok();
    let address = match address.len() {
        8 => IpAddr::from(word(0)?.to_ne_bytes()),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            IpAddr::from(bytes)
        }
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the kernel of a little-endian machine writes it.
    #[cfg(target_endian = "little")]
    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
           0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n\
           1: 0100007F:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n\
           2: 0100007F:2329 0500147F:0401 01 00000000:00000000 00:00000000 00000000     0\n";
    #[cfg(target_endian = "little")]
    const TCP6: &str = "  sl  local_address                         remote_address                        st\n\
           0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0\n\
           1: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 0\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn listeners_block_their_ports_where_they_are_in_the_way() {
        let occupied = Occupied::parse("", &[TCP.to_owned(), TCP6.to_owned()]);
        let blocks = |source: &str, port| occupied.blocks(source.parse().unwrap(), port);
        assert!(blocks("127.20.0.1", 0x07E8), "listens on every address");
        assert!(!blocks("::1", 0x07E8), "but on those of IPv4 only");
        assert!(blocks("127.0.0.1", 9001) && !blocks("127.20.0.1", 9001), "listens on one address");
        assert!(!blocks("127.20.0.5", 0x0401), "a connection is no listener");
        assert!(blocks("127.20.0.1", 8080) && blocks("::1", 8080), "both families");
        assert!(blocks("::1", 3000) && !blocks("127.0.0.1", 3000));
    }

    #[test]
    fn a_real_listener_is_seen() {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(Occupied::look().blocks("127.20.3.4".parse().unwrap(), port));
    }

    #[test]
    fn reserved_ports_are_left_out_of_the_ranges() {
        let occupied = Occupied::parse("1025,1030-1032\n", &[]);
        let free: Vec<_> =
            occupied.free("127.0.0.1".parse().unwrap(), 1024, 1040).iter().map(|r| (r.first, r.last)).collect();
        assert_eq!(free, [(1024, 1024), (1026, 1029), (1033, 1040)]);
        assert!(Occupied::parse("\n", &[]).reserved.is_empty());
    }

    proptest! {
        #[test]
        fn ranges_hold_exactly_the_free_ports(reserved in prop::collection::vec((0..300_u16, 0..20_u16), 0..12)) {
            let text: Vec<String> = reserved.iter().map(|(at, more)| format!("{at}-{}", at + more)).collect();
            let occupied = Occupied::parse(&text.join(","), &[]);
            let address = "10.0.0.1".parse().unwrap();
            let ranges = occupied.free(address, 10, 290);
            let listed: Vec<u16> = ranges.iter().flat_map(|range| range.first..=range.last).collect();
            let free: Vec<u16> = (10..=290)
                .filter(|port| !reserved.iter().any(|(at, more)| (*at..=at + more).contains(port)))
                .collect();
            prop_assert_eq!(listed, free);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
        }

        #[test]
        fn no_text_makes_the_parser_panic(reserved in "[0-9,-]{0,20}", table in "[0-9A-F: ]{0,60}") {
            Occupied::parse(&reserved, &[table]);
        }
    }
}
