//! haproxy as a front, in HTTP mode: see its configuration manual, sections 3.2 (`maxconn`), 4.2 (`timeout tunnel`) and
//! 5.2 (`source`, `maxconn` of a server).

use std::fmt::Write as _;

use super::log_patterns::{LogPattern, Matches};
use super::proxy::{HopSettings, Proxy};
use wsceiling_model::record::KnownLine;

/// haproxy.
pub struct Haproxy;

impl Proxy for Haproxy {
    fn program(&self) -> Option<(&'static str, &'static str)> {
        Some(("haproxy", "apt-get install haproxy, or leave this front out of the axes"))
    }

    fn config(&self, settings: &HopSettings<'_>) -> Option<String> {
        Some(config(settings))
    }

    fn args(&self, settings: &HopSettings<'_>) -> Vec<String> {
        ["-db", "-f", settings.config].map(str::to_owned).to_vec()
    }

    fn has_stats(&self) -> bool {
        true
    }

    fn log_patterns(&self) -> &'static [LogPattern] {
        const {
            &[
                LogPattern::containing(KnownLine::NoFreePorts, &["no free ports"]),
                LogPattern::containing(KnownLine::SourcePortTaken, &["Cannot bind to source address before connect()"]),
                LogPattern { line: KnownLine::QueueTimeout, matches: Matches::Line(timed_out_in_the_queue) },
            ]
        }
    }
}

/// A 503 with the termination state `sQ`: the session waited in the queue until `timeout queue`.
fn timed_out_in_the_queue(line: &str) -> bool {
    line.contains(" 503 ") && line.split_whitespace().any(|word| word.starts_with("sQ"))
}

fn config(settings: &HopSettings<'_>) -> String {
    let front = settings.front;
    let mut text = String::from("# Generated for one trial.\nglobal\n    log stdout format raw local0\n");
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a string never fails.
        let _ = writeln!(text, "{words}");
    };
    if let Some(threads) = front.workers {
        line(format_args!("    nbthread {threads}"));
    }
    if let Some(maxconn) = front.maxconn {
        line(format_args!("    maxconn {maxconn}"));
    }
    if let Some(stats) = settings.stats {
        line(format_args!("    stats socket {stats} level user"));
    }
    let (idle, queue) = (front.idle_timeout.as_millis(), front.queue_timeout.as_millis());
    line(format_args!("defaults\n    mode http\n    log global\n    option httplog\n    option dontlog-normal"));
    line(format_args!("    timeout connect 5s\n    timeout client {idle}ms\n    timeout server {idle}ms"));
    line(format_args!("    timeout tunnel {idle}ms\n    timeout queue {queue}ms"));
    let backlog = front.backlog.map(|backlog| format!(" backlog {backlog}")).unwrap_or_default();
    line(format_args!("frontend front\n    bind {}{backlog}", settings.listen));
    if let Some(maxconn) = front.frontend_maxconn {
        line(format_args!("    maxconn {maxconn}"));
    }
    // An upgraded connection is logged when it ends, and the end of a trial ends thousands at once.
    line(format_args!("    http-response set-log-level silent if {{ status 101 }}\n    default_backend instances"));
    line(format_args!("backend instances\n    balance roundrobin"));
    let maxconn = front.server_maxconn.map(|maxconn| format!(" maxconn {maxconn}")).unwrap_or_default();
    for (index, (upstream, source)) in servers(settings).into_iter().enumerate() {
        line(format_args!("    server server-{index} {upstream}{maxconn}{source}"));
    }
    text
}

/// Each pair of a destination and a source; to haproxy a source belongs to a server.
fn servers(settings: &HopSettings<'_>) -> Vec<(String, String)> {
    let ports = settings.ports.map(|(first, last)| format!(":{first}-{last}")).unwrap_or_default();
    let mut sources: Vec<String> =
        settings.sources.iter().map(|source| format!(" source {}{ports}", source_address(*source))).collect();
    if sources.is_empty() {
        sources.push(match (settings.ports, settings.upstreams.first()) {
            // On loopback the kernel connects from where it connects to.
            (Some(_), Some(first)) => format!(" source {}{ports}", source_address(first.ip())),
            _ => String::new(),
        });
    }
    let each = |source: &String| {
        let source = source.clone();
        settings.upstreams.iter().map(move |upstream| (upstream.to_string(), source.clone()))
    };
    sources.iter().flat_map(each).collect()
}

fn source_address(address: std::net::IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}
