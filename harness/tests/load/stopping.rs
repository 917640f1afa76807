//! Stopping early: the summary says what was done.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::server::{echo, server};
use crate::tool::{PROGRAM, Ran, short};

fn interrupted(arguments: &[&str], after: Duration) -> Ran {
    let url = format!("ws://{}", server(echo));
    let child = Command::new(PROGRAM)
        .args(["load", &url, "--format", "json"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn an_interrupt_in_the_hold_ends_with_the_summary() {
    let ran = interrupted(&["-n", "20", "--hold", "10m"], Duration::from_secs(2));
    assert_eq!(ran.code, 130, "{ran:?}");
    let json = ran.json();
    assert_eq!(
        (json["ended"].as_str(), json["connections"]["held"].as_u64()),
        (Some("interrupted"), Some(20)),
        "{ran:?}"
    );
    assert!(json["verdict"].as_str().unwrap().starts_with("interrupted: all 20 connections opened"), "{ran:?}");
    assert!(ran.err.contains("stopping"), "{ran:?}");
}

#[test]
fn an_interrupt_while_opening_ends_with_the_summary() {
    let ran = interrupted(&["-n", "5000", "--rate", "5/s"], Duration::from_secs(2));
    assert_eq!(ran.code, 130, "{ran:?}");
    let json = ran.json();
    let opened = json["connections"]["opened"].as_u64().unwrap();
    assert!((1..100).contains(&opened), "{ran:?}");
    assert_eq!(json["connections"]["requested"], 5000);
    assert_eq!(json["stages"][0]["held_to_its_end"], false);
    assert_eq!(json["passed"], false);
}

#[test]
fn the_longest_duration_ends_a_load_that_counts() {
    let url = format!("ws://{}", server(echo));
    let ran =
        short(&url, &["--hold", "10m", "--max-duration", "1s", "--scenario", "echo", "--every", "5ms", "-n", "50"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!((ran.json()["ended"].as_str(), ran.json()["passed"].as_bool()), (Some("max-duration"), Some(true)));
    // What was asked for and not reached in the time is not met.
    let ran = short(&url, &["-n", "5000", "--rate", "10/s", "--max-duration", "1s"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.json()["verdict"].as_str().unwrap().contains("of 5,000 connections opened"), "{ran:?}");
}
