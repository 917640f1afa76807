//! What real browsers do with the snippet. The server's own count is the truth.

use std::fmt::Write as _;
use std::time::Duration;

use crate::browser::{Browser, Kind};
use crate::run::{Run, until};
use crate::target::{Target, page};

/// Time in which all must be closed, with the slack of a busy machine.
const DEAD_MAN: Duration = Duration::from_millis(15_500);

fn site(run: &Run) -> String {
    format!(
        "<!doctype html><title>site</title><script src=\"{}\"></script><script>wsceiling.start({{consent:true}})</script>",
        run.visitors
    )
}

async fn opened(kind: Kind, arguments: &[&str]) -> Option<(Target, Run, Browser)> {
    let target = Target::start().await;
    let run = Run::start(&target, arguments);
    let address = page(site(&run)).await;
    let browser = Browser::open(kind, &format!("http://{address}/"))?;
    Some((target, run, browser))
}

async fn up_down_and_stop(kind: Kind) {
    let Some((target, mut run, _browser)) = opened(kind, &["--goal", "5", "--message", "64B every 1s"]).await else {
        return;
    };
    let took = until("five are open", || target.open() == 5).await;
    eprintln!("{kind:?}: 5 open after {took:.1?}");
    for (goal, open) in [("2", 2), ("4", 4)] {
        run.operate(&["set", "--goal", goal]);
        let took = until(goal, || target.open() == open).await;
        eprintln!("{kind:?}: goal {goal} after {took:.1?}");
    }
    run.operate(&["pause"]);
    let took = until("paused", || target.open() == 0).await;
    eprintln!("{kind:?}: paused after {took:.1?}");
    run.operate(&["resume"]);
    until("resumed", || target.open() == 4).await;
    until("messages came back", || run.status()["tick"]["answered"].as_u64() > Some(10)).await;
    run.operate(&["stop"]);
    let took = until("stopped", || target.open() == 0).await;
    eprintln!("{kind:?}: stopped after {took:.1?}");
    assert_eq!(target.most(), 5, "never more than the goal");
    let (code, out) = run.wait();
    assert!(code == 0 && out.starts_with("At least 5 connections"), "{out}");
    let page = std::fs::read_to_string(run.folder().join("index.html")).unwrap();
    assert!(page.contains(if kind == Kind::Firefox { "Firefox" } else { "Chromium and relatives" }));
    assert!(page.contains("Every report was taken as it came."), "an honest browser is believed");
}

async fn server_gone(kind: Kind) {
    let Some((target, mut run, _browser)) = opened(kind, &["--goal", "5"]).await else { return };
    until("five are open", || target.open() == 5).await;
    run.kill();
    let took = until("all are closed", || target.open() == 0).await;
    eprintln!("{kind:?}: all closed {took:.1?} after the collector was killed");
    assert!(took < DEAD_MAN, "{took:?}");
}

async fn hidden(kind: Kind) {
    let Some((target, run, browser)) = opened(kind, &["--goal", "5"]).await else { return };
    until("five are open", || target.open() == 5).await;
    browser.in_front("about:blank").await;
    let took = until("the hidden tab holds nothing", || target.open() == 0).await;
    eprintln!("{kind:?}: nothing held {took:.1?} after the tab was hidden");
    until("it said so", || run.status()["tick"]["hidden"] == 1).await;
}

async fn one_tab_leads(kind: Kind) {
    let Some((target, run, _browser)) = opened_twice(kind).await else { return };
    until("five are open", || target.open() == 5).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!((target.open(), target.most()), (5, 5), "two frames of one site hold as many as one");
    assert_eq!(run.status()["tick"]["visitors"], 1);
}

/// Two frames of the same site, both in sight.
async fn opened_twice(kind: Kind) -> Option<(Target, Run, Browser)> {
    let target = Target::start().await;
    let run = Run::start(&target, &["--goal", "50"]);
    let address = page(site(&run)).await;
    let frame = format!("<iframe src=\"http://{address}/\"></iframe>");
    let outer = page(format!("<!doctype html>{frame}{frame}")).await;
    let browser = Browser::open(kind, &format!("http://{outer}/"))?;
    Some((target, run, browser))
}

async fn own_limit(kind: Kind, sites: usize, limit: u32) {
    let target = Target::start().await;
    let goal = (sites * 30).to_string();
    let mut run = Run::start(&target, &["--goal", &goal, "--per-visitor", "30"]);
    let mut frames = String::from("<!doctype html>");
    for _ in 0..sites {
        let _ = write!(frames, "<iframe src=\"http://{}/\"></iframe>", page(site(&run)).await);
    }
    let outer = page(frames).await;
    let Some(_browser) = Browser::open(kind, &format!("http://{outer}/")) else { return };
    until("the browser holds what it can", || target.open() + 2 >= limit).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    let tick = run.status()["tick"].clone();
    eprintln!("{kind:?}: {} open of {goal}, {} at most; {tick}", target.open(), target.most());
    assert!(target.most() <= limit, "{}", target.most());
    assert!(tick["failed"].as_u64().unwrap() + tick["stuck"].as_u64().unwrap() > 0, "{tick}");
    run.operate(&["stop"]);
    let (_, out) = run.wait();
    eprintln!("{kind:?}: {out}");
}

async fn capped(kind: Kind) {
    let Some((target, mut run, _browser)) = opened(kind, &["--goal", "30", "--per-visitor", "30"]).await else {
        return;
    };
    target.hold_at_most(12);
    until("the server is full", || target.open() == 12).await;
    tokio::time::sleep(Duration::from_secs(75)).await;
    run.operate(&["stop"]);
    let (_, out) = run.wait();
    assert!(out.starts_with("Plateau near 12 connections"), "{out}");
}

macro_rules! of_both {
    ($($name:ident)*) => { $(mod $name {
        use super::*;

        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "starts a browser"]
        async fn in_chromium() {
            super::$name(Kind::Chromium).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "starts a browser"]
        async fn in_firefox() {
            super::$name(Kind::Firefox).await;
        }
    })* };
}

of_both! { up_down_and_stop server_gone hidden one_tab_leads capped }

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a browser"]
async fn chromium_meets_its_own_limit() {
    own_limit(Kind::Chromium, 9, 255).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a browser"]
async fn firefox_meets_its_own_limit() {
    own_limit(Kind::Firefox, 7, 200).await;
}
