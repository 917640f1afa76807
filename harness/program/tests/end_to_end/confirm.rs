//! Confirmation, as a user goes it: a limit of the real kernel or of a real proxy, and the one thing that moves it.

use serde_json::Value;

use super::fronts::there;
use super::support::{Bench, misbehave};

/// Steps of 50, each held for a second: counters of pairs are read once a second. Nothing is so slow here that it would
/// fail but a machine with other things to do, so that has time.
const LOAD: &str = r#"
[load]
step = 50
rate = "500/s"
hold = "1s"
max = 300
narrow = 0
connect_timeout = "4s"
handshake_timeout = "4s"
gates = { p99 = "2s" }
message = { bytes = 32, every = "300ms" }
"#;

/// A matrix with `misbehave` as the server and with confirmation, but for `run`.
fn bench(run: &str, args: &str, tables: &str, axes: &str) -> Bench {
    Bench::new(&format!(
        r#"
        [run]
        name = "confirm"
        repeats = 1
        sample_every = "50ms"
        {run}
        [targets.server.process]
        program = "{}"
        args = [{args}]
        {tables}
        [axes]
        target = ["server"]
        {axes}
        {LOAD}
        "#,
        misbehave().display()
    ))
}

const PLAIN: &str = r#""none", "{address}""#;
const ON: &str = "confirm = true";

/// The only cell: its verdict with the confidence, and its experiments.
fn cell(findings: &Value) -> (&str, f64, &Vec<Value>) {
    let cell = &findings["cells"][0];
    let verdict = &cell["verdict"];
    let tried = cell["experiments"].as_array().unwrap();
    (verdict["cause"].as_str().unwrap(), verdict["confidence"].as_f64().unwrap(), tried)
}

/// The cause is confirmed by one experiment with this knob; what it measured before and after.
fn confirmed(findings: &Value, cause: &str, knob: &str) -> (f64, f64) {
    let (found, confidence, tried) = cell(findings);
    assert_eq!((found, confidence), (cause, 0.97), "{findings:#}");
    assert_eq!(tried.len(), 1, "{tried:#?}");
    assert_eq!((&tried[0]["finding"], &tried[0]["change"]["knob"]), (&"confirmed".into(), &knob.into()));
    (tried[0]["before"].as_f64().unwrap(), tried[0]["after"].as_f64().unwrap())
}

#[test]
fn half_as_many_descriptors_again_hold_as_many_connections_more() {
    let bench = bench(ON, PLAIN, "[sizes.small]\nnofile = 120", "size = [\"small\"]");
    let findings = bench.findings();
    let (before, after) = confirmed(&findings, "server-descriptors", "nofile");
    assert!((after - before - 60.0).abs() <= 1.0, "{before} -> {after}");
    let trials = bench.trials();
    assert_eq!(trials[1]["trial"], serde_json::json!({ "cell": "server-bare-x1-small", "repeat": 1, "confirm": true }));
    let page = std::fs::read_to_string(bench.run_folder().join("cells/server-bare-x1-small.html")).unwrap();
    assert!(page.contains("escriptors of an instance 120 -&gt; 180: ceiling moved"), "the page tells it");
}

#[test]
fn half_as_much_memory_again_holds_what_arithmetic_says() {
    let bench = bench(ON, r#""state", "{address}", "120""#, "[sizes.small]\nmemory = \"20MiB\"", "size = [\"small\"]");
    let findings = bench.findings();
    let limits = &bench.trials()[0]["instances"][0]["limits"];
    if limits[0]["enforced_by"].is_null() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI may make cgroups");
        eprintln!("skipped: {}", limits[0]["reason"]);
        return;
    }
    let (before, after) = confirmed(&findings, "memory-limit", "memory");
    assert!(after > 1.3 * before, "{before} -> {after}");
}

#[test]
fn one_more_source_address_of_a_relay_doubles_its_ports() {
    let bench = bench(ON, PLAIN, "[fronts.edge]\nkind = \"relay\"\nports = 200", "front = [\"edge\"]");
    let findings = bench.findings();
    let (before, after) = confirmed(&findings, "port-exhaustion", "front-sources");
    // How many of its 200 ports a pair has depends on what else listens on this machine.
    assert!(before <= 200.0 && after > 1.8 * before && after <= 400.0, "{before} -> {after}");
}

#[test]
fn half_as_many_connections_again_of_a_proxy_hold_as_many_more() {
    let caps = [
        ("nginx", "workers = 1\nworker_connections = 200", "worker-connections", (99.0, 149.0)),
        ("haproxy", "maxconn = 120", "maxconn", (120.0, 180.0)),
    ];
    for (proxy, settings, knob, caps) in caps.into_iter().filter(|(proxy, ..)| there(proxy)) {
        let bench = bench(ON, PLAIN, &format!("[fronts.{proxy}]\n{settings}"), &format!("front = [\"{proxy}\"]"));
        let findings = bench.findings();
        let (before, after) = confirmed(&findings, "proxy-cap", knob);
        // Less the slots of connections that the proxy has not let go yet: a busy machine has more of those.
        for (held, cap) in [(before, caps.0), (after, caps.1)] {
            assert!((cap - 9.0..=cap).contains(&held), "{proxy}: {before} -> {after}, caps {caps:?}");
        }
        // The client had more to give, and so had the server.
        let demand = &bench.trials()[0]["demand"];
        for dial in ["null", "direct"] {
            assert_eq!(demand[dial]["opened"], demand[dial]["asked"], "{proxy}: {demand:#}");
        }
        assert_eq!(findings["cells"][0]["wall"]["score"], "hit", "{findings:#}");
    }
}

#[test]
fn a_cap_of_the_server_is_met_again_and_only_suspected() {
    let bench = bench(ON, r#""cap", "{address}", "130""#, "", "");
    let findings = bench.findings();
    let (cause, confidence, tried) = cell(&findings);
    assert_eq!((cause, confidence), ("application-cap", 0.60), "{findings:#}");
    let found: Vec<_> = tried.iter().map(|it| (it["finding"].clone(), it["after"].clone())).collect();
    assert_eq!(found, [("suspected".into(), 130.0.into()), ("suspected".into(), 130.0.into())]);
}

#[test]
fn nothing_is_tried_unless_it_is_asked_for_and_a_run_can_be_asked_later() {
    let bench = bench("", PLAIN, "[sizes.small]\nnofile = 120", "size = [\"small\"]");
    let (_, confidence, tried) = {
        let found = bench.findings();
        let (cause, confidence, tried) = cell(&found);
        (cause.to_owned(), confidence, tried.clone())
    };
    assert_eq!((confidence, tried.len()), (0.85, 0));
    let resumed = bench.command().arg("--resume").arg(bench.run_folder()).arg("--confirm").output().unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{}", super::support::text(&resumed));
    let trials = bench.trials();
    assert_eq!(trials.len(), 2);
    assert_eq!(trials[1]["experiment"]["suspect"], "server-descriptors");
}
