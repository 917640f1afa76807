//! Loads of other shapes than the staircase, and other ways to reach a server.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::scenarios::run;
use super::support::{Bench, assert_valid, shipped, text, trials_of};

/// The trials of a matrix of `tests/matrices`, all of which have to be `ok`.
pub fn good_trials(matrix: &str, reports: &Path) -> (Vec<Value>, PathBuf) {
    let (output, folder) = run(matrix, reports);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_valid(&folder);
    let trials = trials_of(&folder);
    for trial in &trials {
        assert_eq!(trial["outcome"], "ok", "{trial:#}");
    }
    (trials, folder)
}

#[test]
fn stages_go_up_and_down_and_everyone_is_back_after_the_storm() {
    let reports = tempfile::tempdir().unwrap();
    let (trials, _) = good_trials("stages.toml", reports.path());
    assert_eq!(trials.len(), 2);
    for trial in &trials {
        let steps = trial["steps"].as_array().unwrap();
        let of = |key: &str| steps.iter().map(|step| step[key].clone()).collect::<Vec<_>>();
        assert_eq!(of("kind"), ["stage", "storm", "stage"], "{trial:#}");
        assert_eq!(of("open"), [300, 300, 50]);
        assert_eq!(of("lost"), [0, 0, 0]);
        assert_eq!(trial["ceiling"], json!({"last_good": 300, "first_bad": null, "peak": 300}));
        let storm = &steps[1]["storm"];
        assert_eq!((&storm["dropped"], &storm["restored"]["count"]), (&json!(300), &json!(300)));
        assert!(storm["restored_ms_p999"].as_f64().unwrap() > 100.0, "{storm:#}");
        assert!(steps[0]["storm"].is_null() && steps[0]["slowest_worker"]["worker"] == 0);
    }
}

#[test]
fn targets_are_measured_over_unix_sockets_which_are_gone_afterwards() {
    let reports = tempfile::tempdir().unwrap();
    let (trials, _) = good_trials("unix.toml", reports.path());
    assert_eq!(trials.len(), 4);
    for trial in &trials {
        assert_eq!(trial["ceiling"]["last_good"], 200, "{trial:#}");
        assert_eq!((&trial["generator"]["sources"], &trial["generator"]["ports_per_pair"]), (&json!([]), &json!(0)));
        for instance in trial["instances"].as_array().unwrap() {
            let path = instance["address"].as_str().unwrap().strip_prefix("unix:").unwrap();
            assert!(!Path::new(path).parent().unwrap().exists(), "{path} is left");
        }
    }
}

#[test]
fn workers_in_containers_have_addresses_of_their_own_and_leave_nothing() {
    if !super::scenarios::engine() {
        return;
    }
    let reports = tempfile::tempdir().unwrap();
    let (trials, folder) = good_trials("workers.toml", reports.path());
    let trial = &trials[0];
    assert_eq!(trial["steps"][1]["spread"], json!([200, 200]), "{trial:#}");
    let generator = &trial["generator"];
    assert_eq!((&generator["workers"], &generator["ports_per_pair"]), (&json!(2), &json!(64_512)));
    let list = |key: &str| generator[key].as_array().unwrap().clone();
    assert_eq!((list("containers").len(), list("sources").len()), (2, 2), "{generator:#}");
    let of_instances: Vec<&str> =
        trial["instances"].as_array().unwrap().iter().map(|i| i["address"].as_str().unwrap()).collect();
    assert!(
        list("sources").iter().all(|source| !of_instances.iter().any(|it| it.starts_with(source.as_str().unwrap())))
    );
    // Read from the cgroups of both, where the engine's are visible.
    let cpu = trial["sources"]["generator"]["cpu_usage_us_total"].as_str().unwrap_or_default().to_owned();
    assert!(cpu.starts_with("cgroup") || cpu.starts_with("/proc"), "{:#}", trial["sources"]["generator"]);
    assert!(generator["cpu_us"].as_u64().unwrap() > 0);
    let run = folder.file_name().unwrap().to_string_lossy().into_owned();
    let output = std::process::Command::new("docker").args(["ps", "-a", "--format", "{{.Names}}"]).output();
    assert!(output.is_ok_and(|output| !String::from_utf8_lossy(&output.stdout).contains(&run)), "containers are left");
}

#[test]
fn connections_beside_the_load_show_the_idle_timeout_that_the_load_is_too_short_for() {
    let bench = Bench::new(&format!(
        r#"
        [run]
        name = "test"
        repeats = 1
        [targets.planted.process]
        program = "{}"
        args = ["--address", "{{address}}", "--idle", "1000000"]
        [load]
        step = 50
        rate = "1000/s"
        hold = "300ms"
        max = 100
        message = {{ bytes = 32, every = "200ms" }}
        long = {{ connections = 6, silent = 0.5, stay = "2s" }}
        [axes]
        target = ["planted"]
        "#,
        shipped("planted").display()
    ));
    let findings = bench.findings();
    let trial = &bench.trials()[0];
    assert_eq!(trial["outcome"], "ok", "{trial:#}");
    let sides = trial["long"]["sides"].as_array().unwrap();
    let of = |key: &str| sides.iter().map(|side| side[key].clone()).collect::<Vec<_>>();
    assert_eq!(
        (of("silent"), of("opened"), of("open")),
        (vec![json!(false), json!(true)], vec![json!(3); 2], vec![json!(3), json!(0)])
    );
    assert_eq!((&sides[1]["lost"][0]["count"], &sides[1]["lost"][0]["silent"]), (&json!(3), &json!(3)), "{trial:#}");
    let found = &findings["cells"][0]["long"];
    assert_eq!(found["kind"], "idle", "{found:#}");
    // They are no part of the load.
    assert_eq!(trial["steps"][1]["open"], 100);
}
