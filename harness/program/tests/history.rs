//! `wsceiling history` and `site --history` as a user calls them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// The program without what a workflow may have set.
fn wsceiling() -> Command {
    let mut command = Command::cargo_bin("wsceiling").unwrap();
    for name in [
        "GITHUB_RUN_ID",
        "GITHUB_RUN_ATTEMPT",
        "GITHUB_SHA",
        "GITHUB_REF",
        "GITHUB_SERVER_URL",
        "GITHUB_REPOSITORY",
        "ImageOS",
        "ImageVersion",
    ] {
        command.env_remove(name);
    }
    command
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(drop).unwrap() }
    }
}

/// All files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn collect(folder: &Path, prefix: &str, all: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                collect(&path, &format!("{name}/"), all);
            } else {
                all.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut all = BTreeMap::new();
    collect(folder, "", &mut all);
    all
}

fn stderr(command: &mut Command, code: i32) -> String {
    String::from_utf8(command.assert().code(code).get_output().stderr.clone()).unwrap()
}

const NIGHT: &str = "runs/2026/11/2026-11-24T03-14-41Z-local-1.jsonl";

#[test]
fn a_run_becomes_a_night_once() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history");
    for _ in 0..2 {
        wsceiling().args(["history", "add"]).arg(fixture("run-small")).arg(&history).assert().success();
    }
    let all = files(&history);
    assert_eq!(all.keys().collect::<Vec<_>>(), [NIGHT]);
    let text = String::from_utf8(all[NIGHT].clone()).unwrap();
    // A series that changes here changes for everybody: all of their lines would end. Think twice.
    insta::assert_snapshot!("night", text);
    let other = stderr(
        wsceiling()
            .args(["history", "add"])
            .arg(fixture("run-small"))
            .arg(&history)
            .env("GITHUB_SHA", "0123456789abcdef"),
        1,
    );
    assert!(other.contains("is there with other bytes, and a night is never overwritten"), "{other}");
    assert_eq!(files(&history), all);
}

#[test]
fn a_job_gives_its_facts() {
    let folder = tempfile::tempdir().unwrap();
    wsceiling()
        .args(["history", "add"])
        .arg(fixture("run-small"))
        .arg(folder.path())
        .env("GITHUB_RUN_ID", "4711")
        .env("GITHUB_RUN_ATTEMPT", "2")
        .env("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567")
        .env("GITHUB_SERVER_URL", "https://github.com")
        .env("GITHUB_REPOSITORY", "me/mine")
        .env("ImageVersion", "20261110.1")
        .assert()
        .success();
    let all = files(folder.path());
    let text = String::from_utf8(all["runs/2026/11/2026-11-24T03-14-41Z-4711-2.jsonl"].clone()).unwrap();
    let header = text.lines().next().unwrap();
    for part in [
        "\"commit\":\"0123456789abcdef0123456789abcdef01234567\"",
        "\"job\":\"https://github.com/me/mine/actions/runs/4711/attempts/2\"",
        "\"image\":\"20261110.1\"",
    ] {
        assert!(header.contains(part), "{part} in {header}");
    }
}

#[test]
fn what_is_no_run_or_no_selftest_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let error = stderr(wsceiling().args(["history", "add"]).arg(folder.path()).arg(folder.path()), 1);
    assert!(error.contains("failed to read"), "{error}");
    let add = |selftest: &Path| {
        let mut command = wsceiling();
        command.args(["history", "add"]).arg(fixture("run-small")).arg(folder.path().join("h"));
        command.arg("--selftest").arg(selftest);
        command
    };
    assert!(stderr(&mut add(folder.path()), 1).contains("selftest.json"));
    assert!(!folder.path().join("h").exists(), "nothing is written of a night that is not whole");
}

#[test]
fn a_history_without_a_night_is_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("out/judgement.json");
    let done = wsceiling().args(["history", "judge"]).arg(folder.path().join("none")).arg("--json").arg(&json).assert();
    done.success();
    let value: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert!(value["judgement"].is_null());
    let site = folder.path().join("site");
    wsceiling().arg("site").arg(&site).arg("--history").arg(folder.path().join("none")).assert().success();
    assert!(fs::read_to_string(site.join("index.html")).unwrap().contains("First night"));
}

#[test]
fn a_torn_line_and_a_later_schema_are_named_and_the_rest_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    wsceiling().args(["history", "add"]).arg(fixture("run-small")).arg(folder.path()).assert().success();
    let night = folder.path().join(NIGHT);
    let text = fs::read_to_string(&night).unwrap();
    fs::write(&night, format!("{text}{{\"line\":\"cell\"")).unwrap();
    let later = text.lines().next().unwrap().replacen(
        "\"schema\":1,\"wsceiling\":\"0.1.0\"",
        "\"schema\":9,\"wsceiling\":\"3.0.0\"",
        1,
    );
    fs::write(folder.path().join("runs/2026/11/later.jsonl"), format!("{later}\n")).unwrap();
    let before = files(folder.path());
    let json = folder.path().with_extension("json");
    let error = stderr(wsceiling().args(["history", "judge"]).arg(folder.path()).arg("--json").arg(&json), 1);
    assert!(error.contains(&format!("left out {NIGHT}:8: the line is torn")), "{error}");
    assert!(error.contains("later.jsonl:1: its schema is 9: it needs wsceiling >= 3.0.0"), "{error}");
    let value: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(value["faults"].as_array().unwrap().len(), 2);
    assert_eq!(value["judgement"]["cells"].as_array().unwrap().len(), 6);
    let site = folder.path().join("site");
    stderr(wsceiling().arg("site").arg(&site).arg("--history").arg(folder.path()), 1);
    assert!(fs::read_to_string(site.join("index.html")).unwrap().contains("2 faults of the history"));
    fs::remove_dir_all(site).unwrap();
    assert_eq!(files(folder.path()), before, "nothing is overwritten");
    fs::remove_file(json).unwrap();
}

#[test]
fn merging_is_a_union_in_any_order_and_refuses_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
    for (history, seed) in [(&a, "1"), (&b, "1")] {
        wsceiling().args(["history", "demo", "--nights", "3", "--seed", seed]).arg(history).assert().success();
    }
    let night = files(&a).into_keys().next().unwrap();
    fs::write(b.join(&night), "something else\n").unwrap();
    wsceiling().args(["history", "add"]).arg(fixture("run-small")).arg(&b).assert().success();
    let error = stderr(wsceiling().args(["history", "merge"]).args([&a, &b]), 1);
    assert!(error.contains(&format!("refused {night}: it has different bytes in these histories")), "{error}");
    stderr(wsceiling().args(["history", "merge"]).args([&b, &a]), 1);
    assert_eq!(files(&a), files(&b));
    assert!(!files(&a).contains_key(&night) && files(&a).contains_key(NIGHT));
    assert_eq!(files(&a).keys().filter(|name| name.starts_with("refused/")).count(), 2);
}

#[test]
fn a_step_is_suspected_and_nominated_in_the_file_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let (history, json) = (folder.path().join("history"), folder.path().join("judgement.json"));
    wsceiling().args(["history", "demo", "--seed", "1"]).arg(&history).assert().success();
    wsceiling().args(["history", "judge"]).arg(&history).arg("--json").arg(&json).assert().success();
    let value: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let judgement = &value["judgement"];
    assert_eq!(judgement["nominated"][0]["cell"], "app-bare-x1-medium");
    assert_eq!(judgement["nominated"][0]["base"].as_str().map(str::len), Some(40));
    let cells = judgement["cells"].as_array().unwrap();
    let word = |id: &str| cells.iter().find(|cell| cell["cell"] == id).unwrap()["word"].as_str().unwrap().to_owned();
    assert_eq!(word("app-bare-x1-medium"), "suspected");
    assert_eq!(word("echo-bare-x1-small"), "same");
}

/// A run folder of about 90 kB, with its pages about twice as much.
fn reports(folder: &Path, names: &[&str]) -> PathBuf {
    let reports = folder.join("reports");
    for name in names {
        copy(&fixture("run-small"), &reports.join(name));
    }
    reports
}

#[test]
fn a_budget_moves_the_oldest_runs_out_and_deletes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["2026-11-22-small", "2026-11-23-small", "2026-11-24-small"];
    let reports = reports(folder.path(), &names);
    wsceiling().arg("site").arg(&reports).assert().success();
    let size = |folder: &Path| -> usize { files(folder).values().map(Vec::len).sum() };
    let run = size(&reports.join(names[2]));
    let history = folder.path().join("none");
    let site = |budget: usize| {
        let mut command = wsceiling();
        command.arg("site").arg(&reports).arg("--history").arg(&history).arg("--budget").arg(budget.to_string());
        command
    };
    let pages = 400_000;
    let said = stderr(&mut site(2 * run + pages), 0);
    assert!(said.contains(&format!("no room for {}", names[0])), "{said}");
    assert!(folder.path().join("reports-left-out").join(names[0]).join("trials.jsonl").is_file());
    assert!(reports.join(names[1]).is_dir() && reports.join(names[2]).is_dir());
    let list = fs::read_to_string(reports.join("runs.html")).unwrap();
    assert!(list.contains(names[1]) && !list.contains(names[0]), "{list}");
    assert!(size(&reports) <= 2 * run + pages);
}
