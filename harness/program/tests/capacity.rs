//! `capacity` as a user calls it, on records made from scripts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use wsceiling_simulate::sizes::{SERVER, run, size};
use wsceiling_simulate::write;

fn wsceiling(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("wsceiling").unwrap();
    command.args(arguments);
    command
}

fn out(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn err(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

/// Three sizes that memory stops and two that CPU stops.
fn measured(folder: &Path) -> PathBuf {
    let mut sizes = [64, 128, 256].map(|mib| size(&format!("m{mib}"), 1.0, mib)).to_vec();
    sizes.extend([size("c5", 0.05, 512), size("c20", 0.2, 512)]);
    for (size, price) in sizes.iter_mut().zip([3.0, 4.0, 6.0, 1.0, 2.0]) {
        size.price_per_month = Some(price);
    }
    let (header, trials) = run(&SERVER, &sizes, &[1], 3, 0.02, 5);
    write(folder, &header, &trials)
}

fn capacity(run: &Path, more: &[&str]) -> Assert {
    let mut arguments = vec!["capacity", run.to_str().unwrap()];
    arguments.extend(more);
    wsceiling(&arguments).assert()
}

#[test]
fn a_plan_names_what_stops_each_size_and_the_cheapest() {
    let folder = tempfile::tempdir().unwrap();
    let run = measured(folder.path());
    let text = out(&capacity(&run, &["--connections", "20000"]).success());
    assert!(text.starts_with("# 20,000 connections with 30 % in reserve\n\n## echo bare\n"), "{text}");
    assert!(text.contains("memory-limit") && text.contains("cpu-quota") && text.contains("- cheapest: "), "{text}");
    assert!(text.contains("extrapolated: more instances than measured"), "{text}");
    assert!(text.contains("There was no network card"), "{text}");

    let json =
        out(&capacity(&run, &["--connections", "2000", "--reserve", "0", "--json", "--sizes", "1cpu,96MiB,price=1"])
            .success());
    let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
    let size = &plan["set_ups"][0]["sizes"][0];
    let (holds, _) = SERVER.holds(&wsceiling_simulate::sizes::size("x", 1.0, 96));
    let held = size["one"]["held"].as_f64().unwrap();
    assert!((held / holds - 1.0).abs() < 0.1, "{held} {holds}");
    assert_eq!(size["one"]["cause"], "memory-limit");
    assert_eq!(size["one"]["basis"]["is"], "interpolated");
    assert_eq!(size["plan"]["prediction"]["instances"], 1);
    assert_eq!(size["plan"]["per_month"], 1.0);

    let page = folder.path().join("plan.html");
    capacity(&run, &["--connections", "20000", "--out", page.to_str().unwrap()]).success();
    let html = fs::read_to_string(page).unwrap();
    assert!(html.contains("Instances for 20,000") && html.contains("limits.html#memory-limit"), "{html}");
}

#[test]
fn the_report_has_a_page_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = measured(folder.path());
    wsceiling(&["report", run.to_str().unwrap()]).assert().success();
    let html = fs::read_to_string(run.join("capacity.html")).unwrap();
    assert!(
        html.contains("Goals, since none was given: 10,000") || html.contains("Goals, since none was given: "),
        "{html}"
    );
    assert!(html.contains("plots/capacity-1.svg") && run.join("plots/capacity-1.svg").is_file());
    assert!(fs::read_to_string(run.join("index.html")).unwrap().contains("href=\"capacity.html\""));
}

#[test]
fn what_was_left_out_is_predicted_and_published() {
    let folder = tempfile::tempdir().unwrap();
    let run = measured(folder.path());
    let page = folder.path().join("accuracy.md");
    fs::write(&page, "# Title\n\n<!-- capacity: begin -->\n<!-- capacity: end -->\n\nrest\n").unwrap();
    let found =
        capacity(&run, &["--validate", "--held-out", "m128,c5", "--markdown", page.to_str().unwrap()]).success();
    let text = out(&found);
    assert!(text.starts_with("**Within 10 %: 2 of 2 (100 %)"), "{text}");
    let written = fs::read_to_string(&page).unwrap();
    assert!(
        written.starts_with("# Title\n") && written.ends_with("rest\n") && written.contains(text.trim()),
        "{written}"
    );
    let json = out(&capacity(&run, &["--validate", "--json"]));
    let validation: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(validation["cells"].as_array().unwrap().len(), 5);
    let twice = out(&capacity(&run, &["--validate", "--held-out", "m128,c5", run.to_str().unwrap()]));
    assert!(twice.starts_with("**Within 10 %: 4 of 4 (100 %)"), "the cells of both runs: {twice}");
    let other = folder.path().join("other.md");
    fs::write(&other, "mine\n").unwrap();
    let refused = capacity(&run, &["--validate", "--markdown", other.to_str().unwrap()]).failure();
    assert!(err(&refused).contains("no marks"), "{}", err(&refused));
}

#[test]
fn bad_questions_are_told_what_is_wrong_and_how_to_ask() {
    let folder = tempfile::tempdir().unwrap();
    let run = measured(folder.path());
    let said = |more: &[&str]| err(&capacity(&run, more).code(2));
    assert!(said(&["--connections", "0"]).contains("a plan for 0 connections"));
    assert!(said(&["--connections", "9", "--sizes", "m46"]).contains("did you mean `m64`?"));
    let several = said(&["--connections", "9", "--sizes", "m46", "--sizes", "hetzner/cx24"]);
    assert!(several.contains("`m46`") && several.contains("hetzner/cx23"), "{several}");
    let message = said(&["--connections", "9", "--message", "every 30s, 200 B"]);
    assert!(message.contains("not told apart") && message.contains("hint:"), "{message}");
    assert!(said(&["--connections", "9", "--message", "often"]).contains("every 30s, 200 B"));
    assert!(said(&["--connections", "9", "--reserve", "100%"]).contains("below 100 %"));
    assert!(said(&["--connections", "9", "--only", "docker"]).contains("no set-up of the run"));
    assert!(said(&["--validate", "--held-out", "m46"]).contains("did you mean `m64`?"));
    assert!(said(&["--validate", "--connections", "9"]).contains("cannot be used with"));
    assert!(said(&["--connections", "9", run.to_str().unwrap()]).contains("only --validate takes several"));
    assert!(said(&[]).contains("required"));
    let (header, _) = wsceiling_simulate::sizes::run(&SERVER, &[size("m64", 1.0, 64)], &[1], 1, 0.0, 1);
    let empty = write(&folder.path().join("empty"), &header, &[]);
    let nothing = err(&capacity(&empty, &["--connections", "9"]).code(2));
    assert!(nothing.contains("the run has no coefficients"), "{nothing}");
}
