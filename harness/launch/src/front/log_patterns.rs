//! What proxies say in their logs when connections fail.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use wsceiling_model::record::KnownLine;

/// How a known line is recognized.
#[derive(Debug, Clone, Copy)]
pub struct LogPattern {
    pub line: KnownLine,
    pub matches: Matches,
}

/// The test of a [`LogPattern`].
#[derive(Debug, Clone, Copy)]
pub enum Matches {
    /// The line contains one of these texts.
    AnyOf(&'static [&'static str]),
    /// The line passes this test.
    Line(fn(&str) -> bool),
}

impl LogPattern {
    /// A line that contains one of these texts.
    pub const fn containing(line: KnownLine, texts: &'static [&'static str]) -> Self {
        Self { line, matches: Matches::AnyOf(texts) }
    }

    fn fits(&self, line: &str) -> bool {
        match self.matches {
            Matches::AnyOf(texts) => texts.iter().any(|text| line.contains(text)),
            Matches::Line(test) => test(line),
        }
    }
}

/// The system's own errors, as nginx and the relay write them.
const SHARED: [LogPattern; 5] = [
    LogPattern::containing(KnownLine::CannotAssignAddress, &["(99: Cannot assign requested address)", "EADDRNOTAVAIL"]),
    LogPattern::containing(KnownLine::AcceptDescriptors, &["accept4() failed (24", "accept() failed (24"]),
    LogPattern::containing(KnownLine::SocketDescriptors, &["socket() failed (24"]),
    LogPattern::containing(KnownLine::UpstreamRefused, &["(111: Connection refused)"]),
    LogPattern::containing(KnownLine::UpstreamTimeout, &["(110: Connection timed out)", "(110: Operation timed out)"]),
];

/// Most bytes of a log that are looked at.
const MOST_BYTES: u64 = 256 << 20;
/// Most characters of a line that are kept.
const LINE_CHARS: usize = 500;

/// Known lines of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownLines {
    /// How often each is there.
    pub counts: BTreeMap<KnownLine, u64>,
    /// The first of each, in the order of the log.
    pub first: Vec<String>,
}

/// Looks for the lines of `own` patterns and of those that all proxies share; a log that cannot be read has none.
pub(super) fn known_lines(log: &Path, own: &[LogPattern]) -> KnownLines {
    let mut found = KnownLines::default();
    let Ok(file) = File::open(log) else { return found };
    let mut lines = BufReader::with_capacity(1 << 16, file.take(MOST_BYTES));
    let mut bytes = Vec::new();
    while lines.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
        take(&String::from_utf8_lossy(&bytes), own, &mut found);
        bytes.clear();
    }
    found
}

fn take(line: &str, own: &[LogPattern], found: &mut KnownLines) {
    let Some(pattern) = own.iter().chain(&SHARED).find(|pattern| pattern.fits(line)) else { return };
    let count = found.counts.entry(pattern.line).or_default();
    *count += 1;
    if *count == 1 {
        found.first.push(line.trim_end().chars().take(LINE_CHARS).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::super::haproxy::Haproxy;
    use super::super::nginx::Nginx;
    use super::super::proxy::Proxy as _;
    use super::*;

    #[test]
    fn lines_of_each_proxy_are_counted_and_the_first_is_kept() {
        let text = "\
            2026/11/24 04:00:01 [alert] 12#12: 200 worker_connections are not enough\n\
            2026/11/24 04:00:01 [alert] 12#12: 200 worker_connections are not enough\n\
            2026/11/24 04:00:02 [crit] 12#12: *9 connect() to 10.0.0.2:80 failed (99: Cannot assign requested address)\n\
            Connect() failed for backend instances: no free ports.\n\
            [ALERT] (7) : Cannot bind to source address before connect() for backend instances. Aborting.\n\
            127.0.0.1:3 [24/Nov/2026] front instances/<NOSRV> 0/2001/-1/-1/2001 503 217 - - sQ-- 9/9/8/0/0 0/9 \"GET /\"\n\
            127.0.0.1:3 [24/Nov/2026] front instances/server-0 0/0/-1/-1/3 503 217 - - SC-- 9/9/8/0/3 0/0 \"GET /\"\n\
            relay: accept4() failed (24: Too many open files)\n\
            \u{fffd} nothing of note\n";
        let own = [Nginx.log_patterns(), Haproxy.log_patterns()].concat();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("log"), text).unwrap();
        let found = known_lines(&folder.path().join("log"), &own);
        let counts: Vec<(&str, u64)> = found.counts.iter().map(|(name, count)| (name.name(), *count)).collect();
        let expected = [
            ("accept-descriptors", 1),
            ("cannot-assign-address", 1),
            ("no-free-ports", 1),
            ("queue-timeout", 1),
            ("source-port-taken", 1),
            ("worker-connections", 2),
        ];
        assert_eq!(counts, expected);
        assert_eq!(found.first.len(), 6);
        assert!(found.first[0].ends_with("200 worker_connections are not enough"), "{:?}", found.first);
        assert_eq!(known_lines(&folder.path().join("missing"), &own), KnownLines::default());
    }
}
