use std::path::Path;

use toml::de::DeTable;

use super::super::sink::Sink;
use super::*;
use crate::matrix::Faults;

/// What is read from entries of `[[metrics]]`, and the faults as they are shown.
fn read(text: &str) -> (Vec<MetricSource>, String) {
    let sink = Sink::default();
    let document = DeTable::parse(text).unwrap();
    let mut root = Table::root(document.get_ref(), &sink);
    let sources = root.tables("metrics").into_iter().map(metrics).collect();
    let (faults, _) = sink.into_inner();
    let shown =
        if faults.is_empty() { String::new() } else { Faults::new(Path::new("m.toml"), text, faults).to_string() };
    (sources, shown)
}

#[test]
fn every_reader_is_read_with_its_defaults() {
    let (sources, faults) = read(
        r#"
[[metrics]]
part = "host"
prometheus = "http://10.0.0.2:9100/metrics"
[[metrics]]
part = "instance-1"
prometheus = "https://${HOST}/metrics?token=${T}"
every = "5s"
within = "3s"
labels = { pod = "shop" }
headers = { Authorization = "Bearer ${FLY_API_TOKEN}" }
ca = "ca.pem"
[[metrics]]
part = "instance-0"
query = "https://api.fly.io/prometheus/my-org"
queries = { cpu_usage_us_total = "1e6 * sum(x)" }
[[metrics]]
part = "instance-0"
docker = "ssh://root@203.0.113.7"
container = "shop-1"
[[metrics]]
part = "front"
command = ["./metrics.sh", "--json"]
"#,
    );
    assert_eq!(faults, "");
    let shown: Vec<String> = sources.iter().map(|source| format!("{} {source}", source.part)).collect();
    assert_eq!(
        shown,
        [
            "host prometheus http://10.0.0.2:9100/metrics",
            "instance-1 prometheus https://${HOST}/metrics",
            "instance-0 query https://api.fly.io/prometheus/my-org",
            "instance-0 docker ssh://203.0.113.7 shop-1",
            "front-0 command ./metrics.sh",
        ]
    );
    assert_eq!((sources[0].every, sources[0].within), (SECOND, 2 * SECOND));
    assert_eq!((sources[1].every, sources[1].within), (5 * SECOND, 3 * SECOND));
    assert!(sources[1].is_too_slow_for(14 * SECOND) && !sources[1].is_too_slow_for(15 * SECOND));
    assert_eq!(sources[1].tls.ca.as_deref(), Some(Path::new("ca.pem")));
    let json = serde_json::to_string(&sources).unwrap();
    assert_eq!(serde_json::from_str::<Vec<MetricSource>>(&json).unwrap(), sources);
}

#[test]
fn every_fault_stands_at_its_place() {
    let (_, faults) = read(
        r#"
[[metrics]]
[[metrics]]
part = "generator"
prometheus = "10.0.0.2:9100"
query = "http://me:pass@h"
queries = { cpu_usage = "x" }
every = "10ms"
[[metrics]]
part = "host"
prometheus = "http://h/metrics?api_key=abc"
headers = { Authorization = "Bearer abc", X = "${", "a b" = "c" }
container = "x"
[[metrics]]
part = "instance-0"
docker = "ssh://a:b@h"
cert = "c.pem"
[[metrics]]
part = "instance-0"
docker = "unix:///run/docker.sock"
container = "c"
ca = "ca.pem"
[[metrics]]
part = "front"
command = []
labels = { a = "b" }
[[metrics]]
part = "host"
query = "http://h"
"#,
    );
    insta::assert_snapshot!(faults);
}
