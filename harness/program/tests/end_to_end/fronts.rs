//! Fronts, as a user goes it: real proxies with small caps, judged by their own counters.
//!
//! nginx and haproxy are taken from PATH. Where tests run for others (`CI=true`) their absence is a failure, elsewhere it
//! is said.

use serde_json::Value;

use super::support::{Bench, misbehave, text};

/// Steps of 50 up to 300, each held for a second: counters of pairs are read once a second.
const LOAD: &str = r#"
[load]
step = 50
rate = "1000/s"
hold = "1s"
max = 300
narrow = 1
connect_timeout = "4s"
handshake_timeout = "4s"
gates = { p99 = "2s" }
message = { bytes = 32, every = "300ms" }
"#;

fn bench(fronts: &str, axes: &str) -> Bench {
    Bench::new(&format!(
        r#"
        [run]
        name = "fronts"
        repeats = 1
        sample_every = "50ms"
        [targets.server.process]
        program = "{}"
        args = ["none", "{{address}}"]
        {fronts}
        [axes]
        target = ["server"]
        {axes}
        {LOAD}
        "#,
        misbehave().display()
    ))
}

/// Whether a proxy is there.
pub fn there(program: &str) -> bool {
    let folders = ["/usr/sbin", "/usr/local/sbin"].map(std::path::PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).chain(folders).any(|folder| folder.join(program).is_file());
    if !found {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has no {program}");
        eprintln!("skipped: no {program}");
    }
    found
}

/// The kernel gives out no port of the range that somebody on this machine happens to listen on.
fn nearly(held: &Value, ports: u64) -> bool {
    held.as_u64().is_some_and(|held| held <= ports && held * 10 >= ports * 9)
}

fn verdict(findings: &Value) -> (String, f64) {
    let verdict = &findings["cells"][0]["verdict"];
    (verdict["cause"].as_str().unwrap_or_default().to_owned(), verdict["confidence"].as_f64().unwrap_or(0.0))
}

#[test]
fn a_proxy_finds_its_files_where_the_reports_are_named_from_another_folder() {
    for program in ["nginx", "haproxy"].into_iter().filter(|program| there(program)) {
        let bench = bench(&format!("[fronts.{program}]"), &format!("front = [\"{program}\"]"));
        let elsewhere = bench.folder.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        let mut command = bench.command_to("../reports");
        let output = command.current_dir(elsewhere).output().unwrap();
        assert_eq!(bench.trials()[0]["outcome"], "ok", "{program}: {}", text(&output));
    }
}

#[test]
fn the_connections_of_an_nginx_worker_are_its_cap() {
    if !there("nginx") {
        return;
    }
    let bench = bench("[fronts.nginx]\nworkers = 1\nworker_connections = 200", "front = [\"nginx\"]");
    let findings = bench.findings();
    let (cause, confidence) = verdict(&findings);
    assert_eq!(cause, "proxy-cap", "{findings:#}");
    let trials = bench.trials();
    let failed = trials[0]["steps"].as_array().unwrap().iter().find(|step| step["passed"] == false).unwrap();
    // (200 - 2) / 2, less the slots of connections that nginx has not let go yet: a busy machine has more of those.
    assert!(failed["open"].as_u64().is_some_and(|open| (90..=99).contains(&open)), "{failed:#}");
    let front = &trials[0]["fronts"][0];
    // Where a step fails by a single connection, nginx may reset it without a line in its log.
    if front["known_lines"]["worker-connections"].as_u64() >= Some(1) {
        // A busy machine may meet something else at the same moment.
        assert!(confidence >= 0.6, "{findings:#}");
    }
    assert!(front["version"].as_str().unwrap().contains("nginx/"), "{front:#}");
    let config = std::fs::read_to_string(bench.run_folder().join(front["config"].as_str().unwrap())).unwrap();
    assert!(config.contains("worker_connections 200;"), "{config}");
    assert!(bench.run_folder().join("cells/server-bare-x1-nginx.html").is_file());
}

#[test]
fn haproxys_maxconn_is_its_cap_with_any_number_of_instances() {
    if !there("haproxy") {
        return;
    }
    let bench = bench("[fronts.haproxy]\nmaxconn = 150", "front = [\"haproxy\"]\ninstances = [1, 2]");
    let findings = bench.findings();
    let (cause, confidence) = verdict(&findings);
    // A busy machine may meet something else at the same moment, or read its counters late.
    assert!(cause == "proxy-cap" && confidence >= 0.6, "{findings:#}");
    assert_eq!(findings["scaling"][0]["reading"], "shared-hop", "{findings:#}");
    for trial in bench.trials() {
        let failed = trial["steps"].as_array().unwrap().iter().find(|step| step["passed"] == false).unwrap().clone();
        assert_eq!((&failed["open"], &failed["target"]), (&Value::from(150), &Value::from(200)), "{failed:#}");
    }
}

#[test]
fn one_pair_of_addresses_is_a_shared_hop_whatever_stands_behind_it() {
    let bench = bench(
        "[fronts.edge]\nkind = \"relay\"\nports = 200\nspread = \"one-address\"",
        "front = [\"edge\"]\ninstances = [1, 2, 4]",
    );
    let findings = bench.findings();
    for cell in findings["cells"].as_array().unwrap() {
        assert_eq!(cell["verdict"]["cause"], "port-exhaustion", "{cell:#}");
        assert!(nearly(&cell["ceiling"]["connections"], 200), "{cell:#}");
    }
    assert_eq!(findings["scaling"][0]["reading"], "shared-hop", "{findings:#}");
    let trials = bench.trials();
    let four = trials.iter().find(|trial| trial["trial"]["cell"] == "server-bare-x4-edge").unwrap();
    let good = four["steps"].as_array().unwrap().iter().find(|step| step["target"] == 100).unwrap();
    assert_eq!(good["upstream_spread"], serde_json::json!([25, 25, 25, 25]));
    assert_eq!(four["fronts"][1]["kind"], "balancer");
    let index = std::fs::read_to_string(bench.run_folder().join("index.html")).unwrap();
    assert!(index.contains("More instances") && index.contains("shared hop"), "the page shows it");
}

#[test]
fn with_an_address_for_each_instance_the_ports_are_of_each_pair() {
    let bench = bench("[fronts.relay]\nports = 100", "front = [\"relay\"]\ninstances = [1, 2]");
    let findings = bench.findings();
    let held = |at: usize| &findings["cells"][at]["ceiling"]["connections"];
    assert!(nearly(held(0), 100) && nearly(held(1), 200), "{findings:#}");
    assert_eq!(findings["scaling"][0]["reading"], "per-instance", "{findings:#}");
}

#[test]
fn a_front_that_is_not_there_is_skipped_and_the_cell_without_it_runs() {
    let fronts = "[fronts.edge]\nkind = \"nginx\"\nprogram = \"no-such-proxy-anywhere\"";
    let bench = bench(fronts, "front = [\"none\", \"edge\"]");
    let output = bench.run();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let trials = bench.trials();
    let of = |cell: &str| trials.iter().find(|trial| trial["trial"]["cell"] == cell).unwrap();
    assert_eq!(of("server-bare-x1")["outcome"], "ok");
    let skipped = of("server-bare-x1-edge");
    assert_eq!(
        (&skipped["outcome"], &skipped["reason"]["what"]),
        (&"skipped".into(), &"no-such-proxy-anywhere is not on PATH".into())
    );
}

#[test]
fn a_front_that_does_not_start_is_a_row_with_its_last_words() {
    let fronts = format!("[fronts.edge]\nkind = \"nginx\"\nprogram = \"{}\"", "/bin/false");
    let bench = bench(&fronts, "front = [\"edge\"]");
    bench.run();
    let trial = &bench.trials()[0];
    assert_eq!(trial["outcome"], "failed-to-start", "{trial:#}");
    assert_eq!((&trial["reason"]["kind"], &trial["reason"]["who"]), (&"not-verified".into(), &"front-0".into()));
    assert_eq!(trial["fronts"][0]["exit"]["code"], 1);
}
