//! Ports for bare instances.
//!
//! They are taken outside of `ip_local_port_range`: a port inside of it can be stolen at any moment by an outgoing
//! connection, of the generator above all.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::io_error::describe;

/// Lowest port that is handed out.
const LOWEST: u16 = 10_000;

/// A port that nobody else can bind while this lives.
#[derive(Debug)]
pub struct Reserved {
    /// The port.
    pub port: u16,
    _holder: TcpListener,
}

/// Reserves `count` free ports of 127.0.0.1.
///
/// The search goes on where the last one ended, so that a relaunched server does not meet the connections that its
/// predecessor left in TIME_WAIT.
pub fn reserve(count: usize) -> std::io::Result<Vec<Reserved>> {
    static RANGE: OnceLock<RangeInclusive<u16>> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let range = RANGE.get_or_init(|| outside(ephemeral().unwrap_or((32_768, 60_999))));
    let size = u32::from(range.end() - range.start()) + 1;
    let first = std::process::id().wrapping_mul(97);
    let mut reserved = Vec::with_capacity(count);
    for _ in 0..size {
        if reserved.len() == count {
            break;
        }
        let offset = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % size;
        let port = range.start() + offset as u16;
        if let Ok(holder) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            reserved.push(Reserved { port, _holder: holder });
        }
    }
    if reserved.len() < count {
        return Err(std::io::Error::other(format!(
            "found only {} of {count} free ports between {} and {}",
            reserved.len(),
            range.start(),
            range.end()
        )));
    }
    Ok(reserved)
}

/// Reserves a port that a server has in its code, on every address of IPv4. As long as somebody listens on it, a server that
/// is started could not, and the load would go to a stranger.
pub async fn wait_for(port: u16, within: Duration) -> Result<Reserved, String> {
    let started = Instant::now();
    loop {
        let error = match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
            Ok(holder) => return Ok(Reserved { port, _holder: holder }),
            Err(error) => error,
        };
        if started.elapsed() >= within {
            return Err(match error.kind() {
                std::io::ErrorKind::AddrInUse => format!(
                    "port {port} is taken: another program of this machine listens on it, and the target has it in its code; \
                     hint: end that program, or give the target a port of its own by `{{port}}`"
                ),
                _ => format!("port {port} cannot be listened on: {}", describe(&error)),
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// `ip_local_port_range` of this network namespace.
pub fn ephemeral() -> Option<(u16, u16)> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut bounds = text.split_whitespace().map(str::parse);
    Some((bounds.next()?.ok()?, bounds.next()?.ok()?))
}

/// The larger of the two ranges beside the ephemeral one; the whole one where a user has left (almost) nothing.
fn outside((low, high): (u16, u16)) -> RangeInclusive<u16> {
    let below = LOWEST..=low.saturating_sub(1).max(1);
    let above = high.saturating_add(1).max(LOWEST)..=u16::MAX;
    let size = |range: &RangeInclusive<u16>| range.end().saturating_sub(*range.start());
    let best = if size(&below) >= size(&above) { below } else { above };
    if size(&best) < 500 { LOWEST..=u16::MAX } else { best }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_distinct_outside_of_the_ephemeral_range_and_held() {
        let reserved = reserve(20).unwrap();
        let mut ports: Vec<u16> = reserved.iter().map(|r| r.port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
        if ephemeral() == Some((32_768, 60_999)) {
            assert!(ports.iter().all(|port| (10_000..32_768).contains(port)));
        }
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, ports[0])).is_err(), "a reserved port is held");
        drop(reserved);
        assert!(becomes_free(ports[0]), "and free again afterwards");
    }

    #[tokio::test]
    async fn a_port_that_somebody_listens_on_is_waited_for_and_then_named() {
        let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = stranger.local_addr().unwrap().port();
        let error = wait_for(port, Duration::from_millis(50)).await.unwrap_err();
        assert!(error.starts_with(&format!("port {port} is taken")) && error.contains("hint: "), "{error}");
        let waiting = tokio::spawn(wait_for(port, Duration::from_secs(20)));
        drop(stranger);
        assert_eq!(waiting.await.unwrap().unwrap().port, port);
    }

    /// A process that another test has forked holds the listener too until it has executed its program.
    fn becomes_free(port: u16) -> bool {
        (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        })
    }

    #[test]
    fn the_larger_side_of_the_ephemeral_range_is_taken() {
        assert_eq!(outside((32_768, 60_999)), 10_000..=32_767);
        assert_eq!(outside((1024, 40_000)), 40_001..=65_535);
        assert_eq!(outside((1024, 65_535)), 10_000..=65_535);
        assert_eq!(outside((0, 0)), 10_000..=65_535);
    }
}
