//! What the server does when a client, or the machine, goes too far.

use std::time::Duration;

use crate::common::{ask, connect_with_small_window, is_reference, join, metric, send, start, text};
use futures_util::SinkExt as _;
use target_testing::{Server, Socket, closed, next};
use tokio_tungstenite::tungstenite::{Bytes, Message};

#[tokio::test]
async fn a_connection_that_sends_too_much_is_warned_then_closed() {
    let server = start(&["--rate", "0.01", "--burst", "5", "--strikes", "3"], 1024);
    let mut socket = server.connect().await.unwrap();
    for id in 0..5 {
        assert!(ask(&mut socket, &format!(r#"{{"type":"heartbeat","id":{id}}}"#)).await.contains("heartbeat"));
    }
    for _ in 0..3 {
        let answer = ask(&mut socket, r#"{"type":"heartbeat","id":9}"#).await;
        assert!(answer.starts_with(r#"{"type":"error","code":"rate-limited","#), "{answer}");
    }
    send(&mut socket, r#"{"type":"heartbeat","id":9}"#).await;
    assert_eq!(closed(&mut socket).await, (1008, "rate limit".to_owned()));
    assert_eq!(metric(&server, "app_rate_limited_total").await, 4);
    assert_eq!(metric(&server, "app_rate_closed_total").await, 1);
}

#[tokio::test]
async fn pings_are_limited_as_well() {
    let server = start(&["--rate", "0.01", "--burst", "5", "--strikes", "0"], 1024);
    let mut socket = server.connect().await.unwrap();
    for _ in 0..6 {
        socket.send(Message::Ping(Bytes::new())).await.unwrap();
    }
    assert_eq!(closed(&mut socket).await.0, 1008);
}

#[tokio::test]
async fn a_silent_connection_is_closed_and_a_living_one_is_not() {
    let server = start(&["--idle", "1500ms"], 1024);
    let (mut silent, mut living) = (server.connect().await.unwrap(), server.connect().await.unwrap());
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        living.send(Message::Ping(Bytes::new())).await.unwrap();
    }
    assert_eq!(closed(&mut silent).await, (4000, "idle".to_owned()));
    living.flush().await.unwrap();
    send(&mut living, r#"{"type":"heartbeat","id":1}"#).await;
    loop {
        match next(&mut living).await.unwrap() {
            Message::Pong(_) => {}
            Message::Text(text) => break assert_eq!(text, r#"{"type":"heartbeat","id":1}"#),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(metric(&server, "app_idle_closed_total").await, 1);
}

#[tokio::test]
async fn too_long_or_not_text_closes_the_connection() {
    let server = start(&["--max-message", "1KiB"], 1024);
    let mut socket = server.connect().await.unwrap();
    send(&mut socket, &"x".repeat(100_000)).await;
    assert_eq!(closed(&mut socket).await.0, 1009);
    let mut socket = server.connect().await.unwrap();
    socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(closed(&mut socket).await, (1003, "text only".to_owned()));
}

async fn publisher_and_slow_reader(server: &Server) -> (Socket, Socket) {
    let mut publisher = server.connect().await.expect("a connection");
    let mut slow = connect_with_small_window(server).await;
    join(&mut publisher, "r").await;
    join(&mut slow, "r").await;
    (publisher, slow)
}

#[tokio::test]
async fn a_slow_reader_is_dropped_and_the_others_hear_everything() {
    let server = start(
        &["--queue", "16", "--send-buffer", "4KiB", "--rate", "100000", "--burst", "100000", "--threads", "1"],
        1024,
    );
    let (mut publisher, _slow) = publisher_and_slow_reader(&server).await;
    let body = "x".repeat(8000);
    // Without `--send-buffer` the kernel takes up to 4 MiB for a peer that does not read.
    let messages = if is_reference() { 200 } else { 1000 };
    for n in 1..=messages {
        let answer =
            ask(&mut publisher, &format!(r#"{{"type":"publish","room":"r","at":"{n}","body":"{body}"}}"#)).await;
        assert!(answer.contains(&format!(r#""seq":{n},"#)));
    }
    assert_eq!(metric(&server, "app_slow_readers_total").await, 1);
    // The publisher is the only member left.
    send(&mut publisher, r#"{"type":"presence","room":"r"}"#).await;
    loop {
        if let Message::Text(text) = next(&mut publisher).await.unwrap()
            && text.contains(r#""count":1}"#)
        {
            break;
        }
    }
}

#[tokio::test]
async fn a_slow_reader_that_reads_again_learns_why_it_was_dropped() {
    let server = start(
        &["--queue", "4", "--send-buffer", "4KiB", "--rate", "100000", "--burst", "100000", "--threads", "1"],
        1024,
    );
    let (mut publisher, mut slow) = publisher_and_slow_reader(&server).await;
    let body = "x".repeat(8000);
    let mut told = 0;
    while metric(&server, "app_slow_readers_total").await == 0 {
        ask(&mut publisher, &format!(r#"{{"type":"publish","room":"r","body":"{body}"}}"#)).await;
        told += 1;
        assert!(told < 500, "never dropped");
    }
    assert_eq!(closed(&mut slow).await, (4008, "slow reader".to_owned()));
}

#[tokio::test]
async fn beyond_the_connection_limit_upgrades_get_503() {
    let server = start(&["--connections", "2"], 1024);
    let (first, _second) = (server.connect().await.unwrap(), server.connect().await.unwrap());
    assert_eq!(server.connect().await.unwrap_err(), "HTTP error: 503 Service Unavailable");
    assert_eq!(metric(&server, "app_upgrades_refused_total{reason=\"connection-limit\"}").await, 1);
    drop(first);
    while metric(&server, "app_connections").await > 1 {}
    assert!(server.connect().await.is_ok());
}

#[tokio::test]
async fn a_shutdown_closes_every_connection_with_1001_and_exits_with_0() {
    let server = start(&[], 1024);
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = server.connect().await.unwrap();
        join(&mut socket, "r").await;
        sockets.push(socket);
    }
    // Neither an open connection that never answers the close frame nor one without a request holds it up.
    let silent = server.connect().await.unwrap();
    let unasked = tokio::net::TcpStream::connect(server.address).await.unwrap();
    server.terminate();
    for socket in &mut sockets {
        assert_eq!(closed(socket).await, (1001, "server is shutting down".to_owned()));
    }
    assert_eq!(server.wait().0.code(), Some(0));
    drop((silent, unasked));
}

#[tokio::test]
async fn without_descriptors_it_waits_and_goes_on_when_some_are_free() {
    if !is_reference() {
        return; // the runtime has its own way
    }
    let server = start(&[], 64);
    let mut sockets = server.exhaust().await;
    let last = sockets.last_mut().unwrap();
    send(last, r#"{"type":"heartbeat","id":1}"#).await;
    assert_eq!(text(last).await, r#"{"type":"heartbeat","id":1}"#);

    sockets.truncate(20);
    assert!(server.connect().await.is_ok());

    server.end_after_backing_off();
}

#[tokio::test]
async fn burnt_work_and_state_are_really_there() {
    if !is_reference() {
        return; // it has no `--work`
    }
    let plain = start(&["--state", "0"], 1024);
    let heavy = start(&["--state", "1MiB", "--work", "2000"], 1024);
    let mut sockets = Vec::new();
    for server in [&plain, &heavy] {
        for _ in 0..50 {
            sockets.push(server.connect().await.unwrap());
        }
    }
    assert!(heavy.resident_bytes() > plain.resident_bytes() + 45 * 1024 * 1024);
    for socket in &mut sockets {
        ask(socket, r#"{"type":"heartbeat","id":1}"#).await;
    }
    // 100 times 2 ms, on a machine that may have become quicker since it was calibrated.
    assert!(heavy.cpu_ticks() >= plain.cpu_ticks() + 5, "{} and {}", heavy.cpu_ticks(), plain.cpu_ticks());
}

#[test]
fn bad_options_are_explained() {
    for (arguments, words) in [
        (["--read-buffer", "4kB"], "hint"),
        (["--idle", "5"], "a time needs a unit"),
        (["--rate", "0"], "must be a number between"),
        (["--queue", "0"], "1..=1000000"),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_app")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(words), "{text}");
    }
}
