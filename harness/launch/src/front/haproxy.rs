//! haproxy as a front, in HTTP mode: see its configuration manual, sections 3.2 (`maxconn`), 4.2 (`timeout tunnel`) and
//! 5.2 (`source`, `maxconn` of a server).

use std::fmt::Write as _;

use super::Setup;

/// The configuration.
pub(super) fn config(setup: &Setup<'_>) -> String {
    let front = setup.front;
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
    if let Some(stats) = setup.stats {
        line(format_args!("    stats socket {stats} level user"));
    }
    let (idle, queue) = (front.idle_timeout.as_millis(), front.queue_timeout.as_millis());
    line(format_args!("defaults\n    mode http\n    log global\n    option httplog\n    option dontlog-normal"));
    line(format_args!("    timeout connect 5s\n    timeout client {idle}ms\n    timeout server {idle}ms"));
    line(format_args!("    timeout tunnel {idle}ms\n    timeout queue {queue}ms"));
    let backlog = front.backlog.map(|backlog| format!(" backlog {backlog}")).unwrap_or_default();
    line(format_args!("frontend front\n    bind {}{backlog}", setup.listen));
    if let Some(maxconn) = front.frontend_maxconn {
        line(format_args!("    maxconn {maxconn}"));
    }
    // An upgraded connection is logged when it ends, and the end of a trial ends thousands at once.
    line(format_args!("    http-response set-log-level silent if {{ status 101 }}\n    default_backend instances"));
    line(format_args!("backend instances\n    balance roundrobin"));
    let maxconn = front.server_maxconn.map(|maxconn| format!(" maxconn {maxconn}")).unwrap_or_default();
    for (index, (upstream, source)) in servers(setup).into_iter().enumerate() {
        line(format_args!("    server server-{index} {upstream}{maxconn}{source}"));
    }
    text
}

/// The arguments.
pub(super) fn args(config: &str) -> Vec<String> {
    ["-db", "-f", config].map(str::to_owned).to_vec()
}

/// Each pair of a destination and a source; to haproxy a source belongs to a server.
fn servers(setup: &Setup<'_>) -> Vec<(String, String)> {
    let ports = setup.ports.map(|(first, last)| format!(":{first}-{last}")).unwrap_or_default();
    let mut sources: Vec<String> =
        setup.sources.iter().map(|source| format!(" source {}{ports}", source_words(*source))).collect();
    if sources.is_empty() {
        sources.push(match (setup.ports, setup.upstreams.first()) {
            // On loopback the kernel connects from where it connects to.
            (Some(_), Some(first)) => format!(" source {}{ports}", source_words(first.ip())),
            _ => String::new(),
        });
    }
    let each = |source: &String| {
        let source = source.clone();
        setup.upstreams.iter().map(move |upstream| (upstream.to_string(), source.clone()))
    };
    sources.iter().flat_map(each).collect()
}

fn source_words(address: std::net::IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}
