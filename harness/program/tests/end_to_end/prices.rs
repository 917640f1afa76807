//! Plans of the catalogue: listed, imported, named by a size, and in the record and the report.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::server::{self, server};
use crate::support::{Bench, text};

/// `wsceiling prices ...` in a folder.
fn prices(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wsceiling")).arg("prices").args(arguments).current_dir(folder).output().unwrap()
}

const LIST: &str = "plan,cpus,memory,price,disk\nsmall,1,512MiB,3.50,10\nlarge,8,16GiB,80,160\n";

#[test]
fn the_list_has_every_row_with_its_source_and_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let output = prices(folder.path(), &["--only", "hetzner/"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = text(&output);
    let row = said.lines().find(|line| line.contains("cx23")).unwrap();
    for part in ["hetzner", "2 shared", "4GiB", "5.49 EUR", "excluded", "2026-11-24", "docs.hetzner.com", "second-hand"]
    {
        assert!(row.contains(part), "{part}: {row}");
    }
    assert!(!said.contains("vultr"), "{said}");
    let json = prices(folder.path(), &["--format", "json"]);
    let rows: Vec<Value> = serde_json::from_slice(&json.stdout).unwrap();
    let old = rows.iter().find(|row| row["name"] == "aws/c6i.large").unwrap();
    assert!(old["age_days"].as_i64().unwrap() > 600 && old["used"] == false, "{old}");
}

#[test]
fn a_list_is_imported_once_and_bad_rows_are_named_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("acme.csv"), format!("{LIST}broken,none,1GiB,2,3\n")).unwrap();
    let arguments = ["import", "acme.csv", "--provider", "acme", "--currency", "CHF", "--seen", "2026-11-20"];
    let output = prices(here, &arguments);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("acme.csv:4: `cpus` is `none`"), "{}", text(&output));
    assert!(!here.join("prices").exists(), "nothing is imported by halves");
    let output = prices(here, &[&arguments[..], &["--skip-bad"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("acme-2026-11-20.toml: 2 plans") && text(&output).contains("not read: disk"));
    let again = prices(here, &[&arguments[..], &["--skip-bad"]].concat());
    assert!(again.status.code() == Some(1) && text(&again).contains("--replace"), "{}", text(&again));
    let replaced = prices(here, &[&arguments[..], &["--skip-bad", "--replace"]].concat());
    assert_eq!(replaced.status.code(), Some(0), "{}", text(&replaced));
    let listed = text(&prices(here, &["--only", "acme"]));
    assert!(listed.contains("3.50 CHF") && listed.contains("acme.csv"), "{listed}");
}

/// A remote target with a size of this plan, beside a folder of prices.
fn bench(plan: &str, list: &str) -> Bench {
    let bench = Bench::new(&format!(
        "[run]\nname = \"test\"\nrepeats = 1\nready_within = \"10s\"\nsample_every = \"50ms\"\n\
         [sizes.s]\nplan = \"{plan}\"\n\
         [targets.shop]\nsettle = \"0s\"\nsize = \"s\"\nurl = \"ws://{}/ws\"\n[axes]\ntarget = [\"shop\"]\n",
        server(server::echo)
    ));
    std::fs::write(bench.folder.path().join("acme.csv"), list).unwrap();
    let arguments = ["import", "acme.csv", "--provider", "acme", "--currency", "CHF"];
    let output = prices(bench.folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    bench
}

#[test]
fn the_price_of_a_plan_is_in_the_plan_the_record_and_the_report() {
    let bench = bench("acme/small", LIST);
    let plan = Command::new(env!("CARGO_BIN_EXE_wsceiling")).arg("plan").arg(&bench.matrix).output().unwrap();
    let said = text(&plan);
    assert!(said.contains("s: 3.50 CHF, acme/small, 1 cpu, 512MiB, seen ") && said.contains(": acme.csv"), "{said}");
    let output = bench.run();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("Price of acme/small: 3.50 CHF"), "{}", text(&output));
    let file = |name: &str| std::fs::read_to_string(bench.run_folder().join(name)).unwrap();
    let header: Value = serde_json::from_str(&file("run.json")).unwrap();
    let size = &header["sizes"][0];
    let expected = json!({
        "name": "s", "cpus": 1.0, "memory_bytes": 512 << 20, "nofile": null, "pids": null,
        "price_per_month": 3.5, "currency": "CHF", "plan": "acme/small",
    });
    assert_eq!(size, &expected);
    let row = &header["prices"][0];
    assert_eq!((&row["source"], &row["price"], &row["provider"]), (&json!("acme.csv"), &json!(3.5), &json!("acme")));
    // 100 connections for 3.50: 35 for 1,000, and at most that, since it held all.
    let page = file("index.html");
    assert!(page.contains("at most 35.00 CHF") && page.contains("acme/small: 3.50 CHF"), "the table and the settings");
    let cell = file("cells/shop-remote-x1-s.html").replace("&#x2F;", "/");
    assert!(cell.contains("3.50 CHF per instance of acme/small, seen "), "{cell}");
    assert!(file("results.csv").contains(",CHF,acme/small,"));
    assert!(file("summary.md").contains("35.00 CHF"));
    bench.trials();
}

#[test]
fn a_price_over_a_year_old_is_warned_about_and_not_used() {
    let list = "plan,cpus,memory,price,seen\nsmall,1,512MiB,3.50,2024-01-01\n";
    let bench = bench("acme/small", list);
    let output = bench.run();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains("the price of `acme/small` was seen") && said.contains("not used"), "{said}");
    assert!(said.contains("note: the price of acme/small was seen") && !said.contains("1,000 a month"), "{said}");
    let page = std::fs::read_to_string(bench.run_folder().join("index.html")).unwrap();
    assert!(page.contains("The price of acme/small was seen") || page.contains("the price of acme/small was seen"));
}

#[test]
fn an_unknown_plan_is_a_fault_with_the_nearest_and_a_bad_list_is_named() {
    let bench = bench("acme/smal", LIST);
    let output = bench.run();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(
        text(&output).contains("cannot be `acme/smal`") && text(&output).contains("`acme/small`"),
        "{}",
        text(&output)
    );
    std::fs::write(bench.folder.path().join("prices/worse.toml"), "[[price]]\nplan = 3\n").unwrap();
    let output = bench.run();
    assert!(text(&output).contains("worse.toml, line "), "{}", text(&output));
}
