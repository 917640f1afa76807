//! `verdict`, `compare`, `--summary` and `--github` as a user calls them, on records made from scripts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use wsceiling_model::matrix::Order;
use wsceiling_simulate::{arms, fixture};

/// A run of these targets, each with the bytes of a connection.
fn run(reports: &Path, targets: &[(&str, f64)], repeats: u32, order: Order) -> PathBuf {
    arms::run(reports, "ab", targets, repeats, order)
}

fn wsceiling(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("wsceiling").unwrap();
    command.args(arguments).env_remove("GITHUB_STEP_SUMMARY").env_remove("GITHUB_OUTPUT");
    command
}

fn out(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn err(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

const ROLES: [&str; 6] = ["--base", "base", "--head", "head", "--again", "base-again"];

fn verdict(run: &Path) -> Command {
    let mut command = wsceiling(&["verdict", run.to_str().unwrap()]);
    command.args(ROLES);
    command
}

fn shuffled(reports: &Path, head: f64) -> PathBuf {
    run(reports, &[("base", 6200.0), ("head", head), ("base-again", 6200.0)], 7, Order::Shuffled)
}

#[test]
fn more_memory_is_convicted_and_the_same_code_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let guilty = verdict(&shuffled(&folder.path().join("a"), 7800.0)).assert().code(1);
    let text = out(&guilty);
    assert!(text.starts_with("# head against base: 1 confirmed worse, 0 confirmed better\n"), "{text}");
    let row = text.lines().find(|line| line.contains("memory per connection")).unwrap();
    assert!(row.contains("confirmed worse, p") && row.contains("+20."), "{text}");
    assert!(text.contains("1 number: no ceiling was met on either side"), "{text}");
    let innocent = shuffled(&folder.path().join("b"), 6200.0);
    let text = out(&verdict(&innocent).assert().code(0));
    assert!(text.contains("0 confirmed worse") && text.contains("3 the same"), "{text}");
    let json = out(&verdict(&innocent).args(["--format", "json"]).assert().code(0));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["counts"]["same"], 3, "{json:#}");
    let memory = &json["cells"][0]["changes"][1];
    assert_eq!((&memory["name"], &memory["trials_before"]), (&"memory_per_connection_bytes".into(), &14.into()));
    assert!(memory["provable"].as_f64().unwrap() < 0.05, "{memory:#}");
}

#[test]
fn what_cannot_be_judged_is_bad_usage_and_never_a_conviction() {
    let folder = tempfile::tempdir().unwrap();
    let targets = [("base", 6200.0), ("head", 9000.0), ("base-again", 6200.0)];
    let rounds = run(&folder.path().join("a"), &targets, 7, Order::Rounds);
    assert!(err(&verdict(&rounds).assert().code(2)).contains("order = \"shuffled\""));
    let shuffled = run(&folder.path().join("b"), &targets, 7, Order::Shuffled);
    let path = shuffled.to_str().unwrap();
    let unknown = wsceiling(&["verdict", path, "--base", "bsae", "--head", "head"]).assert().code(2);
    assert!(err(&unknown).contains("did you mean `base`?"), "{}", err(&unknown));
    wsceiling(&["verdict", "no/such/run", "--base", "base", "--head", "head"]).assert().code(2);
    wsceiling(&["verdict", path, "--base", "base", "--head", "base"]).assert().code(2);
    let number =
        wsceiling(&["verdict", path, "--base", "base", "--head", "head", "--number", "memory"]).assert().code(2);
    assert!(err(&number).contains("no such number"), "{}", err(&number));
    wsceiling(&["verdict", path, "--base", "base", "--head", "head", "--floor", "0.001"]).assert().code(2);
    // With three trials each nothing could be proven, however far they are apart.
    let few = run(&folder.path().join("c"), &targets, 3, Order::Shuffled);
    let text = out(&verdict(&few).assert().code(0));
    assert!(text.contains("too few trials, 4 of each cell are needed"), "{text}");
}

#[test]
fn fewer_numbers_are_judged_where_only_they_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let run = shuffled(folder.path(), 7800.0);
    let mut command = verdict(&run);
    command.args(["--number", "cpu_per_open_us", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out(&command.assert().code(0))).unwrap();
    assert_eq!((&json["tested"], &json["counts"]["worse"]), (&1.into(), &0.into()), "{json:#}");
}

#[test]
fn two_runs_of_seven_trials_show_half_as_much_memory_again_and_three_show_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, bytes, repeats| run(&folder.path().join(name), &[("echo", bytes)], repeats, Order::Rounds);
    let compare = |a: &Path, b: &Path, code| {
        out(&wsceiling(&["compare", a.to_str().unwrap(), b.to_str().unwrap()]).assert().code(code))
    };
    let text = compare(&made("a", 6200.0, 7), &made("b", 10_200.0, 7), 1);
    assert!(text.contains("1 cell confirmed worse") && text.contains("confirmed worse, p"), "{text}");
    let text = compare(&made("c", 6200.0, 3), &made("d", 10_200.0, 3), 0);
    assert!(text.contains("0 cells confirmed worse"), "{text}");
    assert!(text.contains("too few trials, 6 of each cell are needed"), "{text}");
    // It is shown all the same, so that a person may look.
    assert!(text.lines().any(|line| line.contains("memory per connection") && line.contains("cannot know")), "{text}");
}

#[test]
fn a_summary_is_written_in_each_form_and_an_unknown_ending_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = shuffled(&folder.path().join("a"), 7800.0);
    let file = |name: &str| folder.path().join("out").join(name);
    let mut command = verdict(&run);
    for ending in ["md", "json", "csv", "prom", "xml"] {
        command.arg("--summary").arg(file(&format!("s.{ending}")));
    }
    command.assert().code(1);
    let read = |name: &str| fs::read_to_string(file(name)).unwrap();
    assert!(read("s.md").starts_with("# head against base: 1 confirmed worse"));
    let json: serde_json::Value = serde_json::from_str(&read("s.json")).unwrap();
    assert_eq!(json["judgement"], "confirmed-worse");
    assert!(read("s.csv").lines().nth(2).unwrap().starts_with("head-bare-x1-small,memory_per_connection_bytes,"));
    assert!(read("s.prom").contains("judgement=\"confirmed-worse\"} 1\n") && read("s.prom").ends_with("# EOF\n"));
    assert!(read("s.xml").contains("failures=\"1\""), "{}", read("s.xml"));
    for verb in
        [vec!["matrix", "no.toml"], vec!["compare", "a", "b"], vec!["verdict", "a", "--base", "b", "--head", "c"]]
    {
        let mut arguments = verb.clone();
        arguments.extend(["--summary", "s.html"]);
        let refused = wsceiling(&arguments).assert().code(2);
        assert!(err(&refused).contains(".md, .json, .csv, .prom, .xml"), "{}", err(&refused));
    }
}

#[test]
fn a_report_is_summarised_too() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("run");
    copy_all(&fixture(), &copy);
    let file = folder.path().join("r.xml");
    wsceiling(&["report", copy.to_str().unwrap(), "--summary", file.to_str().unwrap()]).assert().code(0);
    let xml = fs::read_to_string(file).unwrap();
    assert!(xml.contains("tests=\"6\" failures=\"1\"") && xml.contains("bun-bare-x1-small"), "{xml}");
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn github_gets_annotations_the_summary_of_the_job_and_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let run = shuffled(&folder.path().join("a"), 7800.0);
    let (summary, outputs) = (folder.path().join("summary"), folder.path().join("output"));
    fs::write(&summary, "before\n").unwrap();
    let mut command = verdict(&run);
    command.arg("--github").env("GITHUB_STEP_SUMMARY", &summary).env("GITHUB_OUTPUT", &outputs);
    let judged = command.assert().code(1);
    let commands = err(&judged);
    let title = "::error title=head-bare-x1-small%3A memory per connection confirmed worse::memory per connection ";
    assert!(commands.starts_with(title), "{commands}");
    assert!(commands.contains("::notice title=not judged::1 number: no ceiling was met"), "{commands}");
    assert!(!out(&judged).contains("::error"), "standard output has the judgement alone");
    let text = fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("before\n# head against base: 1 confirmed worse"), "{text}");
    let values = fs::read_to_string(&outputs).unwrap();
    assert!(values.starts_with("judgement=confirmed-worse\nworse=1\nbetter=0\n"), "{values}");
    // Outside of a workflow the annotations are there, and it says what is not.
    let outside = err(&verdict(&run).arg("--github").assert().code(1));
    assert!(outside.contains("::error") && outside.contains("GITHUB_STEP_SUMMARY is not set"), "{outside}");
    let full = folder.path().join("full");
    fs::write(&full, vec![b'x'; 1024 * 1024]).unwrap();
    let mut command = verdict(&run);
    command.arg("--github").env("GITHUB_STEP_SUMMARY", &full).assert().code(1);
    assert_eq!(fs::metadata(&full).unwrap().len(), 1024 * 1024, "a full summary is left as it is");
}
