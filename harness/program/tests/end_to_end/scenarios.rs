//! The shipped targets in every scenario, bare and in containers.

use std::path::Path;
use std::process::Command;

use super::support::{Bench, assert_valid, misbehave, text, trials_of};

pub fn run(matrix: &str, reports: &Path) -> (std::process::Output, std::path::PathBuf) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/matrices").join(matrix);
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsceiling"));
    let output = command.arg("matrix").arg(file).arg("--reports").arg(reports).output().unwrap();
    let folder = std::fs::read_dir(reports).unwrap().next().unwrap().unwrap().path();
    (output, folder)
}

#[test]
fn every_scenario_holds_its_connections_on_the_shipped_targets() {
    let reports = tempfile::tempdir().unwrap();
    let (output, folder) = run("scenarios.toml", reports.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_valid(&folder);
    let trials = trials_of(&folder);
    assert_eq!(trials.len(), 7);
    for trial in &trials {
        assert_eq!(trial["outcome"], "ok", "{trial:#}");
        assert_eq!(trial["ceiling"]["last_good"], 200, "{trial:#}");
        let last = trial["steps"].as_array().unwrap().last().unwrap();
        assert!(last["reply"]["count"].as_u64().unwrap() > 0, "{trial:#}");
    }
    let broadcast = trials.iter().find(|trial| trial["trial"]["cell"] == "app-bare-x1-broadcast").unwrap();
    let last = broadcast["steps"].as_array().unwrap().last().unwrap();
    let (due, answered) = (last["messages_due"].as_u64().unwrap(), last["messages_answered"].as_u64().unwrap());
    assert!(answered > 200 && answered <= due, "{answered} of {due} deliveries");
    let churn = trials.iter().find(|trial| trial["trial"]["cell"] == "echo-bare-x1-churn").unwrap();
    let last = churn["steps"].as_array().unwrap().last().unwrap();
    assert!(last["handshake"]["count"].as_u64().unwrap() > 200, "connections were replaced: {last:#}");
}

/// Whether the docker tests can run; with `CI=true` a missing engine fails them instead.
pub fn engine() -> bool {
    let up = Command::new(env!("CARGO_BIN_EXE_wsceiling")).args(["doctor", "--format", "json"]).output().unwrap();
    let findings: serde_json::Value = serde_json::from_slice(&up.stdout).unwrap();
    let findings = findings["findings"].as_array().unwrap();
    let up = findings.iter().any(|finding| finding["name"] == "engine" && finding["level"] == "ok");
    assert!(up || std::env::var("CI").as_deref() != Ok("true"), "CI needs a Docker engine");
    if !up {
        eprintln!("skipped: no Docker engine");
    }
    up
}

#[test]
fn a_container_that_crashes_under_load_is_a_ceiling_with_its_exit_code_and_last_words() {
    if !engine() {
        return;
    }
    let bench = Bench::new(&format!(
        r#"
        [run]
        name = "crash"
        repeats = 1
        [targets.server.process]
        program = "{}"
        args = ["crash", "{{address}}", "70"]
        [axes]
        target = ["server"]
        runtime = ["docker"]
        "#,
        misbehave().display()
    ));
    let output = bench.run();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let trial = &bench.trials()[0];
    assert_eq!(trial["outcome"], "ceiling", "{trial:#}");
    assert_eq!(trial["instances"][0]["exit"]["code"], 1, "{trial:#}");
    assert!(trial["instances"][0]["log_tail"].to_string().contains("is too many"), "{trial:#}");
    let failed = trial["steps"].as_array().unwrap().iter().find(|step| step["passed"] == false).unwrap();
    assert_eq!(failed["open"], 0, "{failed:#}");
    assert!(failed["lost"].as_u64().unwrap() >= 50, "{failed:#}");
}

#[test]
fn containers_run_the_same_bytes_within_their_limits_and_leave_nothing() {
    if !engine() {
        return;
    }
    let reports = tempfile::tempdir().unwrap();
    let (output, folder) = run("docker.toml", reports.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_valid(&folder);
    let trials = trials_of(&folder);
    let hash = |cell: &str| {
        let trial = trials.iter().find(|trial| trial["trial"]["cell"] == cell).unwrap();
        assert_eq!(trial["outcome"], "ok", "{trial:#}");
        assert_eq!(trial["steps"][1]["spread"], serde_json::json!([200, 200]));
        trial["instances"][0]["binary_sha256"].as_str().unwrap().to_owned()
    };
    assert_eq!(hash("echo-bare-x2-tiny"), hash("echo-docker-x2-tiny"));
    let docker = trials.iter().find(|trial| trial["trial"]["cell"] == "echo-docker-x2-tiny").unwrap();
    let limits = docker["instances"][0]["limits"].as_array().unwrap();
    assert!(limits.iter().all(|limit| limit["enforced_by"].is_string()), "{limits:#?}");
    let run = folder.file_name().unwrap().to_string_lossy().into_owned();
    for kind in [&["ps", "-a", "--format", "{{.Names}}"][..], &["network", "ls", "--format", "{{.Name}}"]] {
        let Ok(output) = Command::new("docker").args(kind).output() else { continue };
        let left = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!left.contains(&run), "left behind: {left}");
    }
}
