//! Stopping early: the summary says what was done.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::server::{echo, server};
use crate::tool::{PROGRAM, Ran, short};

/// Interrupts a load that has had so many connections, and then some time.
fn interrupted(arguments: &[&str], connections: usize, after: Duration) -> Ran {
    let (sender, receiver) = mpsc::channel();
    let address = server(move |stream| {
        let _ = sender.send(());
        echo(stream);
    });
    let url = format!("ws://{address}");
    let child = Command::new(PROGRAM)
        .args(["load", &url, "--format", "json"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..connections {
        receiver.recv_timeout(Duration::from_secs(30)).unwrap();
    }
    std::thread::sleep(after);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn an_interrupt_in_the_hold_ends_with_the_summary() {
    let ran = interrupted(&["-n", "20", "--hold", "10m", "--expect", "echo"], 20, Duration::from_secs(1));
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
fn an_interrupt_that_comes_twice_at_once_is_one() {
    let url = format!("ws://{}", server(echo));
    let output = Command::new("timeout").args(["--signal=INT", "5", PROGRAM, "load", &url, "--hold", "10m"]).output();
    let ran: Ran = output.unwrap().into();
    assert!(ran.out.contains("interrupted: all 100 connections opened"), "{ran:?}");
    assert!(ran.out.contains("100 close frames sent, all answered"), "{ran:?}");
}

#[test]
fn an_interrupt_while_opening_ends_with_the_summary() {
    let ran = interrupted(&["-n", "5000", "--rate", "5/s", "--expect", "echo"], 3, Duration::ZERO);
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
        short(&url, &["--hold", "10m", "--max-duration", "1s", "--scenario", "echo", "--every", "50ms", "-n", "20"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!((ran.json()["ended"].as_str(), ran.json()["passed"].as_bool()), (Some("max-duration"), Some(true)));
    // What was asked for and not reached in the time is not met.
    let ran = short(&url, &["-n", "5000", "--rate", "10/s", "--max-duration", "1s"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.json()["verdict"].as_str().unwrap().contains("of 5,000 connections opened"), "{ran:?}");
}
