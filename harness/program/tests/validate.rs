//! Each rule of the validator notices its fault, in the file and line where it is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wsceiling_runfolder::validate;

/// Changes the line of one trial of the fixture and returns what the validator says.
fn with_trial(trial: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
    let folder = copy();
    let path = folder.path().join("trials.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let mut change = Some(change);
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            let mut value: Value = serde_json::from_str(line).unwrap();
            let kind = if value["trial"]["confirm"] == json!(true) { "confirm-" } else { "" };
            let id = format!("{}.{kind}{}", value["trial"]["cell"].as_str().unwrap(), value["trial"]["repeat"]);
            if id == trial
                && let Some(change) = change.take()
            {
                change(&mut value);
            }
            format!("{value}\n")
        })
        .collect();
    assert!(change.is_none(), "no trial {trial}");
    fs::write(&path, lines.concat()).unwrap();
    words(folder.path())
}

/// Changes the text of a file.
fn with_file(name: &str, change: impl FnOnce(String) -> String) -> Vec<String> {
    let folder = copy();
    let path = folder.path().join(name);
    let text = fs::read_to_string(&path).unwrap();
    let changed = change(text.clone());
    assert_ne!(text, changed, "nothing was changed");
    fs::write(&path, changed).unwrap();
    words(folder.path())
}

fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run-small");
    fs::create_dir(folder.path().join("logs")).unwrap();
    for part in ["", "logs"] {
        for entry in fs::read_dir(fixture.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, folder.path().join(part).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    folder
}

fn words(run: &Path) -> Vec<String> {
    validate(run).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn says(problems: &[String], what: &str) {
    assert!(problems.iter().any(|problem| problem.contains(what)), "`{what}` is not among {problems:#?}");
}

const OK: &str = "echo-bare-x1-small.1";
const CEILING: &str = "app-docker-x1-small.1";
const INVALID: &str = "echo-bare-x2-small.1";
const SKIPPED: &str = "echo-docker-x2-small.1";

#[test]
fn outcomes_fit_their_fields() {
    says(&with_trial(OK, |t| t["ceiling"]["first_bad"] = json!(3000)), "the outcome is `ok`, so it needs a bracket");
    says(&with_trial(OK, |t| t["reason"] = json!({ "kind": "stopped" })), "so it has no reason");
    says(&with_trial(CEILING, |t| t["ceiling"] = Value::Null), "so it needs a bracket with a first bad number");
    says(
        &with_trial(CEILING, |t| t["generator"]["limited_by"] = json!([{ "kind": "words", "words": "ports" }])),
        "but its client was the limit",
    );
    says(&with_trial(INVALID, |t| t["reason"] = Value::Null), "the outcome is `invalid`, so it needs a reason");
    says(&with_trial(SKIPPED, |t| t["reason"]["hint"] = Value::Null), "so it needs a hint");
    says(&with_trial(SKIPPED, |t| t["started"] = json!("2026-11-24T03:00:00Z")), "so it has no start");
}

#[test]
fn brackets_times_and_counts_do_not_contradict_each_other() {
    says(&with_trial(CEILING, |t| t["ceiling"]["first_bad"] = json!(1500)), "is not above the last good one");
    says(&with_trial(CEILING, |t| t["ceiling"]["last_good"] = json!(1900)), "is above every step that passed");
    says(&with_trial(OK, |t| t["ceiling"]["peak"] = json!(7)), "the peak 7 is below the 2000 held");
    says(&with_trial(OK, |t| t["steps"][1]["opened_ms"] = json!(0.0)), "step 2: its moments are out of order");
    says(&with_trial(OK, |t| t["duration_ms"] = json!(100.0)), "is outside of the trial's 100 ms");
    says(&with_trial(OK, |t| t["steps"][0]["opened"] = json!(501)), "501 opened is above 500 issued");
    says(&with_trial(OK, |t| t["steps"][0]["issued"] = json!(501)), "501 issued is above 500 due");
    says(&with_trial(OK, |t| t["steps"][0]["held"] = json!(501)), "501 held is above 500 open");
    says(&with_trial(INVALID, |t| t["steps"][0]["spread"] = json!([249, 250])), "the spread sums to 499, open is 500");
    says(&with_trial(INVALID, |t| t["steps"][0]["spread"] = json!([500])), "1 entries for 2 addresses");
}

#[test]
fn gates_follow_from_their_numbers() {
    says(
        &with_trial(OK, |t| t["steps"][0]["gates"][0]["value"] = json!(0.5)),
        "gate connected has value 0.5, its numbers",
    );
    says(&with_trial(OK, |t| t["steps"][0]["gates"][0]["passed"] = json!(false)), "its value says otherwise");
    says(&with_trial(OK, |t| t["steps"][0]["passed"] = json!(false)), "`passed` does not follow from its gates");
    says(&with_trial(OK, |t| t["steps"][0]["gates"][2]["limit"] = json!(1.0)), "the matrix says 500000");
    says(
        &with_trial(OK, |t| t["steps"][0]["gates"][2]["name"] = json!("speed")),
        "unknown variant `speed`, expected one of `connected`",
    );
}

#[test]
fn histograms_decode_and_agree_with_what_was_read_from_them() {
    says(&with_trial(OK, |t| t["steps"][0]["reply"]["histogram"] = json!("%%%")), "is not base64");
    says(&with_trial(OK, |t| t["steps"][0]["reply"]["histogram"] = json!("AAAA")), "does not decode");
    says(&with_trial(OK, |t| t["steps"][0]["reply"]["count"] = json!(3)), "holds 500 values, count is 3");
    says(&with_trial(OK, |t| t["steps"][0]["reply"]["p50_us"] = json!(99_999_999)), "its percentiles fall");
    says(&with_trial(OK, |t| t["steps"][0]["reply"]["p99_us"] = json!(700)), "the histogram says");
    says(&with_trial(OK, |t| t["steps"][0]["reply"]["p99_us"] = Value::Null), "do not fit the percentiles");
}

#[test]
fn trials_belong_to_the_plan_once_and_their_files_are_there() {
    says(&with_trial(OK, |t| t["trial"]["repeat"] = json!(9)), "the trial is not in the plan");
    says(&with_trial(OK, |t| t["trial"]["repeat"] = json!(2)), "has a line already");
    says(
        &with_trial(OK, |t| t["instances"][0]["log"] = json!("logs/none")),
        "the log of instance 0 of launch 0 is not there",
    );
    says(&with_trial(OK, |t| t["instances"][0]["log"] = json!("../run.json")), "is outside of the run folder");
    says(&with_trial(OK, |t| t["instances"][0]["index"] = json!(4)), "the cell has 1 instances");
    says(&with_trial(OK, |t| t["instances"][0]["binary_sha256"] = json!("abc")), "is not a SHA-256");
    let unenforced = |t: &mut Value| t["instances"][0]["limits"][0]["enforced_by"] = Value::Null;
    says(&with_trial(OK, unenforced), "limit cpus of instance 0 of launch 0 is not enforced and no reason is given");
    says(&with_file("trials.jsonl", |text| text + "{\"trial\""), "the last line is torn");
    says(&with_file("trials.jsonl", |text| text + "{}\n"), "trials.jsonl:15: not a trial: missing field");
}

#[test]
fn experiments_say_what_they_change_on_a_cell_of_the_plan() {
    const EXPERIMENT: &str = "app-docker-x1-small.confirm-1";
    says(&with_trial(EXPERIMENT, |t| t["experiment"] = Value::Null), "an experiment does not say what it changes");
    says(
        &with_trial(EXPERIMENT, |t| t["trial"] = json!({ "cell": "app-docker-x1-small", "repeat": 9 })),
        "a trial of the plan has an experiment",
    );
    says(&with_trial(EXPERIMENT, |t| t["trial"]["cell"] = json!("none")), "on a cell that is not in the plan");
    says(&with_trial(EXPERIMENT, |t| t["experiment"]["predicted"] = json!(-1.0)), "a number of its experiment is neg");
    // Its gates are those of its own load.
    says(
        &with_trial(EXPERIMENT, |t| t["experiment"]["load"]["gates"]["connected"] = json!(0.5)),
        "the matrix says 0.5",
    );
}

#[test]
fn the_header_holds_together() {
    says(&with_file("run.json", |text| text.replace("repeats = 2", "repeats = 3")), "matrix_sha256 is");
    says(&with_file("run.json", |text| text.replace("2026-11-24T03:14:41Z", "yesterday")), "is not a moment");
    says(&with_file("run.json", |text| text.replacen("\"id\": \"", "\"id\": \"../", 1)), "not safe as a file name");
    says(
        &with_file("run.json", |text| text.replace("\"repeats\": 2", "\"repeats\": 1")),
        "is outside of the 1 repeats",
    );
}

/// Changes one field of the first row of a component.
fn with_field(component: &str, column: &str, value: &str, rows: usize) -> Vec<String> {
    with_file("samples.csv", |text| {
        let names: Vec<&str> = text.lines().next().unwrap().split(',').collect();
        let at = names.iter().position(|name| *name == column).unwrap();
        let mut left = rows;
        text.lines()
            .map(|line| {
                let mut fields: Vec<&str> = line.split(',').collect();
                if fields[2] == component && left > 0 {
                    left -= 1;
                    fields[at] = value;
                }
                fields.join(",") + "\n"
            })
            .collect()
    })
}

#[test]
fn samples_are_numbers_of_known_things_in_order() {
    says(&with_field("host", "t_ms", "99999999", 1), "after the trial's end");
    says(&with_field("host", "t_ms", "later", 1), "samples.csv:2: t_ms is not a number: `later`");
    says(&with_field("host", "host_idle_us_total", "9e99", 1), "host host_idle_us_total falls from");
    says(&with_field("instance-0", "pids_count", "-1", 1), "never a negative number");
    says(&with_field("instance-0", "pids_count", "0", usize::MAX), "pids_count is 0 in every sample");
    says(&with_field("host", "component", "moon", 1), "unknown component `moon`");
    says(&with_field("instance-0", "component", "instance-7", 1), "instance-7 is sampled");
    says(&with_field("host", "trial", "other.1", 1), "samples of other.1, which has no line");
    says(&with_field("host", "pids_count", "4", 1), "host pids_count has no source");
    says(&with_file("samples.csv", |text| text.replacen("pids_count", "pid_count", 1)), "unknown column `pid_count`");
    // A column that the writer did not know is no fault: its numbers are absent.
    let fewer = with_file("samples.csv", |text| text.replacen("pids_count", "pid_count", 1));
    assert!(!fewer.iter().any(|problem| problem.contains("`pids_count`")), "{fewer:#?}");
    says(&with_file("samples.csv", |text| text.trim_end_matches('\n')[..text.len() - 9].to_owned()), "fields expected");
}

#[test]
fn a_damaged_record_does_not_flood() {
    let problems = with_field("host", "t_ms", "later", usize::MAX);
    assert!(problems.len() <= 201, "{}", problems.len());
    says(&problems, "more problems follow");
}
