//! The generator beside the visitors.

use std::process::Command;

use serde_json::Value;

use crate::run::{PROGRAM, Run, until};
use crate::target::Target;

/// A run with so many connections of the generator, all of them open.
async fn started(connections: u32) -> (Target, Run) {
    let target = Target::start().await;
    let number = connections.to_string();
    let run = Run::start(&target, &["--goal", "1", "--generator", &number, "--rate", "400/s"]);
    until("all are open", || target.open() == connections).await;
    (target, run)
}

fn generator(run: &Run) -> Value {
    run.status()["tick"]["generator"].clone()
}

/// Waits until the record, which has a line a second, says that so many were open.
async fn recorded(run: &Run, open: u32) {
    let file = run.folder().join("visitors.jsonl");
    let is_there = || {
        let text = std::fs::read_to_string(&file).unwrap();
        let ticks = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        ticks.into_iter().any(|line| line["tick"]["generator"]["open"] == open)
    };
    until("it is recorded", is_there).await;
}

fn page(run: &Run) -> String {
    let folder = run.folder();
    let output = Command::new(PROGRAM).arg("validate").arg(&folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    std::fs::read_to_string(folder.join("index.html")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_changed_paused_and_stopped_as_visitors_are() {
    let (target, mut run) = started(200).await;
    assert_eq!(target.most(), 200);
    run.operate(&["set", "--generator", "300"]);
    until("more are open", || target.open() == 300).await;
    recorded(&run, 300).await;
    run.operate(&["set", "--generator", "50"]);
    until("fewer are open", || target.open() == 50).await;
    run.operate(&["pause"]);
    until("all are closed", || target.open() == 0).await;
    assert_eq!(generator(&run)["goal"], 0);
    run.operate(&["resume"]);
    until("they are back", || target.open() == 50).await;
    // Another message is for all: they are opened anew.
    let (before, messages) = (target.accepted(), target.messages());
    assert!(messages > 0);
    run.operate(&["set", "--message", "none"]);
    until("they were opened anew", || target.accepted() == before + 50 && target.open() == 50).await;
    assert_eq!(target.most(), 300, "never more than was wanted");
    run.operate(&["stop"]);
    until("all are closed", || target.open() == 0).await;
    let (code, out) = run.wait();
    assert_eq!(code, 0);
    assert!(out.starts_with("At least 300 connections\n"), "{out}");
    let page = page(&run);
    for says in
        ["generator 200 → 300", "generator 300 → 50", "The generator alone held 300", "None of its connects failed"]
    {
        assert!(page.contains(says), "{says}");
    }
    let lines = std::fs::read_to_string(run.folder().join("visitors.jsonl")).unwrap();
    let ticks = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["tick"].clone());
    let ticks: Vec<Value> = ticks.filter(|tick| !tick.is_null()).collect();
    assert_eq!(ticks.iter().filter_map(|tick| tick["generator"]["open"].as_u64()).max(), Some(300));
    let last = &ticks.last().unwrap()["generator"];
    assert_eq!((&last["open"], &last["lost"], &last["failed"]), (&Value::from(0), &Value::from(0), &Value::from(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_the_targets_consent_and_ends_with_it() {
    let target = Target::start().await;
    target.withhold(true);
    let place = target.clone();
    let starting = tokio::task::spawn_blocking(move || {
        Run::start(&place, &["--goal", "1", "--generator", "50", "--rate", "400/s"])
    });
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let before = (target.accepted(), starting.is_finished());
    target.withhold(false);
    let run = starting.await.unwrap();
    assert_eq!(before, (0, false), "nothing is sent without consent");
    until("it started", || target.open() == 50).await;
    target.withhold(true);
    until("it ended", || target.open() == 0).await;
    assert_eq!(run.status()["paused"], "target");
    let before = target.accepted();
    run.operate(&["set", "--generator", "60"]);
    run.operate(&["resume"]);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(target.accepted(), before, "nobody resumes it against the target");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_why_connects_failed_and_what_a_dead_server_lost() {
    let target = Target::start().await;
    target.hold_at_most(120);
    let mut run = Run::start(&target, &["--goal", "1", "--generator", "200", "--rate", "400/s"]);
    until("the server is full", || target.open() == 120 && generator(&run)["failed"].as_u64() > Some(0)).await;
    target.hold_at_most(u32::MAX);
    until("it tries again", || target.open() == 200).await;
    recorded(&run, 200).await;
    // A collapse is judged against ten seconds before.
    tokio::time::sleep(std::time::Duration::from_secs(12)).await;
    target.die();
    until("it is told", || generator(&run)["lost"] == 200).await;
    until("it tries again", || {
        let met = run.status()["summary"]["generator"]["failures"].to_string();
        met.contains("ECONNREFUSED")
    })
    .await;
    run.operate(&["stop"]);
    let (_, out) = run.wait();
    assert!(out.starts_with("Collapse at 200 connections\n"), "{out}");
    let page = page(&run);
    for says in [
        "The generator beside them failed to connect: ",
        "http 503",
        "errno ECONNREFUSED",
        "It lost open connections: ",
    ] {
        assert!(page.contains(says), "{says}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_open_when_a_worker_hangs_or_the_program_dies() {
    let (target, mut run) = started(100).await;
    let workers = run.workers();
    assert!(!workers.is_empty());
    let ids = workers.iter().map(ToString::to_string);
    assert!(Command::new("kill").arg("-STOP").args(ids).status().unwrap().success());
    run.operate(&["pause"]);
    until("what hangs was killed", || target.open() == 0).await;
    run.operate(&["resume"]);
    until("others are in its place", || target.open() == 100).await;
    run.kill();
    until("it died with the program", || target.open() == 0).await;
}
