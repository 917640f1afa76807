//! `history experiment` and `history convict` as a user calls them, on records made from scripts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};
use wsceiling_model::matrix::Order;
use wsceiling_simulate::arms;

const BEFORE: &str = "0123456789012345678901234567890123456789";
const TONIGHT: &str = "fedcba9876543210fedcba9876543210fedcba98";
const CELL: &str = "echo-bare-x1-small";

fn wsceiling(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("wsceiling").unwrap();
    for name in ["GITHUB_REF", "GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "ImageOS", "ImageVersion"] {
        command.env_remove(name);
    }
    command.env("GITHUB_RUN_ID", "4711").env("GITHUB_RUN_ATTEMPT", "1").env("GITHUB_SHA", TONIGHT);
    command.args(arguments);
    command
}

fn out(command: &mut Command, code: i32) -> String {
    String::from_utf8(command.assert().code(code).get_output().stdout.clone()).unwrap()
}

fn err(command: &mut Command, code: i32) -> String {
    String::from_utf8(command.assert().code(code).get_output().stderr.clone()).unwrap()
}

/// A run of these targets, each with the bytes of a connection.
fn run(reports: &Path, targets: &[(&str, f64)], repeats: u32, order: Order) -> PathBuf {
    arms::run(reports, "experiment", targets, repeats, order)
}

/// The run of an experiment in which tonight's connections take so many bytes, and older ones 6,200.
fn experiment(reports: &Path, bytes: f64) -> PathBuf {
    let targets = [("before-1", 6200.0), ("echo", bytes), ("before-1-again", 6200.0)];
    run(reports, &targets, 7, Order::Shuffled)
}

fn setup(folder: &Path, suspected: &[&str], floor: f64) -> PathBuf {
    let file = folder.join("experiment.json");
    let cells = json!([{ "cell": CELL, "suspected": suspected }]);
    let pair =
        json!({ "head": "echo", "base": "before-1", "again": "before-1-again", "commit": BEFORE, "cells": cells });
    let setup = json!({ "schema": 1, "commit": TONIGHT, "floors": { "memory": floor }, "pairs": [pair] });
    fs::write(&file, setup.to_string()).unwrap();
    file
}

/// The lines of the only file of the history that ends so.
fn lines(history: &Path, end: &str) -> Vec<Value> {
    let found = walk(history).into_iter().filter(|path| path.to_str().unwrap().ends_with(end)).collect::<Vec<_>>();
    assert_eq!(found.len(), 1, "{found:?}");
    fs::read_to_string(&found[0]).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let of = |path: PathBuf| if path.is_dir() { walk(&path) } else { vec![path] };
    entries.flat_map(|entry| of(entry.unwrap().path())).collect()
}

fn convict(run: &Path, setup: &Path, history: &Path) -> Command {
    let mut command = wsceiling(&["history", "convict"]);
    command.args([run, setup, history]);
    command
}

#[test]
fn what_an_experiment_proves_is_kept_under_the_series_of_the_night() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history");
    let night = run(&folder.path().join("night"), &[("echo", 7440.0)], 3, Order::Rounds);
    wsceiling(&["history", "add"]).args([&night, &history]).assert().success();
    let measured = &lines(&history, "-4711-1.jsonl")[1];
    assert_eq!(measured["id"], CELL);
    let guilty = experiment(&folder.path().join("ab"), 7440.0);
    let setup = setup(folder.path(), &["memory", "ceiling"], 0.03);
    let said = out(&mut convict(&guilty, &setup, &history), 0);
    assert!(said.starts_with("# echo against before-1: 1 confirmed worse, 0 confirmed better\n"), "{said}");
    let kept = lines(&history, "-4711-1-experiment.jsonl");
    assert_eq!((kept[0]["kind"].as_str(), kept[0]["commit"].as_str()), (Some("experiment"), Some(TONIGHT)));
    assert_eq!(kept.len(), 2, "the ceiling was not met and cannot be tested; CPU was not suspected: {kept:#?}");
    let memory = &kept[1];
    assert_eq!(memory["series"], measured["series"], "or the night would not find it");
    assert_eq!(
        [&memory["metric"], &memory["before"], &memory["after"], &memory["confirmed"]],
        [&json!("memory"), &json!(BEFORE), &json!(TONIGHT), &json!(true)]
    );
    assert!(memory["p"].as_f64().unwrap() <= 0.01, "{memory}");
    let ratio = memory["value_after"].as_f64().unwrap() / memory["value_before"].as_f64().unwrap();
    assert!((1.15..1.25).contains(&ratio), "{memory}");
    // The same again is the same file, and another one is refused.
    out(&mut convict(&guilty, &setup, &history), 0);
    let other = experiment(&folder.path().join("other"), 6200.0);
    assert!(err(&mut convict(&other, &setup, &history), 1).contains("is there with other bytes"));
    wsceiling(&["history", "judge"]).arg(&history).assert().success();
}

#[test]
fn unchanged_code_is_cleared_and_a_change_below_the_noise_of_the_nights_is_none() {
    for (bytes, floor) in [(6200.0, 0.02), (7440.0, 0.30)] {
        let folder = tempfile::tempdir().unwrap();
        let history = folder.path().join("history");
        let run = experiment(&folder.path().join("ab"), bytes);
        let said = out(&mut convict(&run, &setup(folder.path(), &["memory"], floor), &history), 0);
        assert!(said.contains("0 confirmed worse"), "{said}");
        let kept = lines(&history, "-experiment.jsonl");
        assert_eq!((kept.len(), &kept[1]["confirmed"]), (2, &json!(false)), "{kept:#?}");
    }
}

#[test]
fn a_conviction_is_kept_even_of_a_number_that_nobody_suspected() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history");
    let run = experiment(&folder.path().join("ab"), 7440.0);
    out(&mut convict(&run, &setup(folder.path(), &["cpu"], 0.02), &history), 0);
    let kept = lines(&history, "-experiment.jsonl");
    let found: Vec<_> = kept[1..].iter().map(|line| (line["metric"].as_str(), line["confirmed"].as_bool())).collect();
    assert_eq!(found, [(Some("memory"), Some(true)), (Some("cpu"), Some(false))]);
}

#[test]
fn what_is_no_experiment_is_said_and_nothing_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history");
    let setup = setup(folder.path(), &["memory"], 0.02);
    let rounds = run(&folder.path().join("a"), &[("before-1", 6200.0), ("echo", 6200.0)], 3, Order::Rounds);
    let error = err(&mut convict(&rounds, &setup, &history), 1);
    assert!(error.contains("is not the experiment of") && error.contains("before-1-again"), "{error}");
    let run = experiment(&folder.path().join("b"), 6200.0);
    fs::write(&setup, "{}").unwrap();
    assert!(err(&mut convict(&run, &setup, &history), 1).contains("is no set-up; hint"));
    assert!(err(&mut convict(&run, &folder.path().join("none"), &history), 1).contains("failed to read"));
    assert!(!history.exists());
}

const MATRIX: &str = r#"
[load]
step = 100
max = 300
[targets.app.process]
program = "./server"
args = ["{port}"]
[sizes.medium]
memory = "256MiB"
[axes]
target = ["app"]
size = ["medium"]
"#;

#[test]
fn the_matrix_of_an_experiment_has_the_nominated_cells_of_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("old/ci")).unwrap();
    fs::write(at("night.toml"), MATRIX).unwrap();
    wsceiling(&["history", "demo", "--seed", "1"]).arg(at("history")).assert().success();
    wsceiling(&["history", "judge"]).arg(at("history")).arg("--json").arg(at("judged.json")).assert().success();
    let judged: Value = serde_json::from_slice(&fs::read(at("judged.json")).unwrap()).unwrap();
    let base = judged["judgement"]["nominated"][0]["base"].as_str().unwrap();
    let make = |matrix: &Path, out: &Path, old: &[String]| {
        let mut command = wsceiling(&["history", "experiment"]);
        command.args([&at("history"), matrix]).args(old.iter().flat_map(|old| ["--old", old.as_str()]));
        command.arg("--out").arg(out).arg("--setup").arg(at("setup.json")).args(["--minutes", "1"]);
        command
    };
    let old = [format!("{base}={}", at("old/ci").display())];
    let said = out(&mut make(&at("night.toml"), &at("experiment.toml"), &old), 0);
    assert!(said.contains(&format!("app-bare-x1-medium: tonight against {base}")), "{said}");
    let plan = out(wsceiling(&["plan", "--format", "json"]).arg(at("experiment.toml")), 0);
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let ids: Vec<&str> =
        plan["cells"].as_array().unwrap().iter().map(|cell| cell["cell"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["app-bare-x1-medium", "before-1-bare-x1-medium", "before-1-again-bare-x1-medium"]);
    let text = fs::read_to_string(at("experiment.toml")).unwrap();
    assert!(text.contains(&format!("folder = \"{}\"", at("old/ci").canonicalize().unwrap().display())), "{text}");
    fs::remove_file(at("experiment.toml")).unwrap();
    let said = out(&mut make(&at("night.toml"), &at("experiment.toml"), &[]), 0);
    assert!(said.contains("there is no checkout") && said.contains("nothing is put to the test"), "{said}");
    assert!(!at("experiment.toml").exists());
    let error = err(&mut make(&at("night.toml"), &at("old/experiment.toml"), &old), 1);
    assert!(error.contains("is in another folder"), "{error}");
    assert!(
        err(&mut make(&at("night.toml"), &at("experiment.toml"), &["nonsense".into()]), 2).contains("COMMIT=FOLDER")
    );
}
