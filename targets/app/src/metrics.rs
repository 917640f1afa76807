//! Counters, and the page that Prometheus reads.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Declares the reasons for refusing an upgrade, so that each has a counter.
macro_rules! reasons {
    ($($variant:ident = $name:literal,)*) => {
        /// Why an upgrade was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Refusal { $($variant,)* }

        impl Refusal {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $name),)*];
        }
    };
}

reasons! {
    BadRequest = "bad-request",
    NotFound = "not-found",
    Unauthorized = "unauthorized",
    ConnectionLimit = "connection-limit",
    Timeout = "timeout",
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    pub connections: AtomicU64,
    pub connections_total: AtomicU64,
    pub messages_in: AtomicU64,
    pub messages_out: AtomicU64,
    pub slow_readers: AtomicU64,
    pub idle_closed: AtomicU64,
    pub rate_limited: AtomicU64,
    pub rate_closed: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
}

/// Adds to a counter. Counters are read by people, so no ordering is needed.
pub fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Metrics {
    /// Counts a refused upgrade.
    pub fn refuse(&self, reason: Refusal) {
        add(&self.refused[reason as usize], 1);
    }

    /// The page, in the text format 0.0.4 of Prometheus.
    pub fn render(&self, rooms: usize) -> String {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let rows = [
            ("connections", "gauge", "Open connections.", get(&self.connections)),
            ("connections_total", "counter", "Connections that were ever open.", get(&self.connections_total)),
            ("rooms", "gauge", "Rooms with at least one member.", rooms as u64),
            ("messages_in_total", "counter", "Messages received.", get(&self.messages_in)),
            ("messages_out_total", "counter", "Messages sent, each receiver counted.", get(&self.messages_out)),
            ("slow_readers_total", "counter", "Connections closed with 4008.", get(&self.slow_readers)),
            ("idle_closed_total", "counter", "Connections closed with 4000.", get(&self.idle_closed)),
            ("rate_limited_total", "counter", "Messages refused for their rate.", get(&self.rate_limited)),
            ("rate_closed_total", "counter", "Connections closed with 1008.", get(&self.rate_closed)),
        ];
        let mut text = String::with_capacity(2048);
        for (name, kind, help, value) in rows {
            // Writing to a string never fails.
            let _ = write!(text, "# HELP app_{name} {help}\n# TYPE app_{name} {kind}\napp_{name} {value}\n");
        }
        text.push_str("# HELP app_upgrades_refused_total Upgrades that were refused.\n");
        text.push_str("# TYPE app_upgrades_refused_total counter\n");
        for ((_, name), value) in Refusal::ALL.iter().zip(&self.refused) {
            let _ = writeln!(text, "app_upgrades_refused_total{{reason=\"{name}\"}} {}", get(value));
        }
        text
    }
}

/// An open connection; counted while it lives.
#[derive(Debug)]
pub struct OpenConnection<'a>(&'a Metrics);

impl<'a> OpenConnection<'a> {
    /// Counts one more, unless `limit` (0: none) are open.
    pub fn open(metrics: &'a Metrics, limit: usize) -> Option<Self> {
        let before = metrics.connections.fetch_add(1, Ordering::Relaxed);
        // Made before the check, so that dropping it uncounts a refused connection.
        let open = Self(metrics);
        if limit > 0 && before >= limit as u64 {
            return None;
        }
        add(&metrics.connections_total, 1);
        Some(open)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_counter_once() {
        let metrics = Metrics::default();
        metrics.refuse(Refusal::Unauthorized);
        metrics.refuse(Refusal::Unauthorized);
        add(&metrics.messages_in, 7);
        let page = metrics.render(3);
        assert!(page.contains("\napp_messages_in_total 7\n"), "{page}");
        assert!(page.contains("\napp_rooms 3\n"), "{page}");
        assert!(page.contains("\napp_upgrades_refused_total{reason=\"unauthorized\"} 2\n"), "{page}");
        assert!(page.contains("\napp_upgrades_refused_total{reason=\"timeout\"} 0\n"), "{page}");
        let mut names: Vec<_> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }

    #[test]
    fn a_connection_beyond_the_limit_is_not_counted() {
        let metrics = Metrics::default();
        let first = OpenConnection::open(&metrics, 1);
        assert!(first.is_some());
        assert!(OpenConnection::open(&metrics, 1).is_none());
        assert_eq!(metrics.connections.load(Ordering::Relaxed), 1);
        drop(first);
        assert_eq!(metrics.connections.load(Ordering::Relaxed), 0);
        assert_eq!(metrics.connections_total.load(Ordering::Relaxed), 1);
        assert!(OpenConnection::open(&metrics, 0).is_some());
    }
}
