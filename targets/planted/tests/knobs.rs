//! The built program from outside: a plain echo server without options, and the knobs that a test can see at once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::TcpStream;
use std::time::Duration;

use target_testing::Server;
use tokio_tungstenite::tungstenite::{Error, HandshakeError, Message, WebSocket, client};

fn start(arguments: &[&str]) -> Server {
    Server::start(env!("CARGO_BIN_EXE_planted"), "/", arguments, 1024)
}

/// A client that blocks, since these tests wait for one thing at a time.
fn connect(server: &Server) -> Result<WebSocket<TcpStream>, Error> {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let upgrade = client(format!("ws://{}/", server.address), stream);
    upgrade.map(|(socket, _)| socket).map_err(|error| match error {
        HandshakeError::Failure(error) => error,
        other @ HandshakeError::Interrupted(_) => panic!("{other}"),
    })
}

fn echoes(socket: &mut WebSocket<TcpStream>) -> bool {
    socket.send(Message::text("hello")).is_ok() && socket.read().is_ok_and(|reply| reply == Message::text("hello"))
}

#[test]
fn without_a_knob_and_with_threads_it_echoes() {
    for args in [
        &[][..],
        &["--thread-per-connection"],
        &["--serial-pause", "1000", "--threads", "1"],
        &["--pool", "1", "--reply-pause", "1000"],
        &["--say", "heap", "--lock-work", "10", "--thread-per-connection"],
    ] {
        assert!(echoes(&mut connect(&start(args)).unwrap()), "{args:?}");
    }
}

#[test]
fn above_the_cap_it_refuses_with_a_status_or_closes_and_keeps_those_it_has() {
    let server = start(&["--cap", "1", "--at-cap", "refuse"]);
    let mut first = connect(&server).unwrap();
    assert!(matches!(connect(&server), Err(Error::Http(answer)) if answer.status() == 503));
    assert!(echoes(&mut first));
    let server = start(&["--cap", "1"]);
    let mut first = connect(&server).unwrap();
    assert!(connect(&server).is_err());
    assert!(echoes(&mut first));
}

#[test]
fn above_the_rate_it_answers_429_and_the_next_second_admits_again() {
    let server = start(&["--rate", "1"]);
    let mut first = connect(&server).unwrap();
    let refused = (0..20).any(|_| matches!(connect(&server), Err(Error::Http(answer)) if answer.status() == 429));
    assert!(refused && echoes(&mut first));
    std::thread::sleep(Duration::from_millis(1100));
    assert!(connect(&server).is_ok());
}

#[test]
fn above_the_cap_it_may_upgrade_and_close_with_1013() {
    let server = start(&["--cap", "1", "--at-cap", "later"]);
    let _first = connect(&server).unwrap();
    let closed = connect(&server).unwrap().read().unwrap();
    assert!(matches!(closed, Message::Close(Some(frame)) if u16::from(frame.code) == 1013));
}

#[test]
fn what_is_silent_or_old_is_closed() {
    for knob in [
        &["--idle", "100000"][..],
        &["--idle", "100000", "--thread-per-connection"],
        &["--lifetime", "100000"],
        &["--lifetime", "100000", "--thread-per-connection"],
    ] {
        let server = start(knob);
        let mut socket = connect(&server).unwrap();
        match socket.read() {
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("{knob:?}: still open"),
            Ok(Message::Close(_)) | Err(_) => {}
            Ok(message) => panic!("{knob:?}: {message:?}"),
        }
    }
}

#[test]
fn half_of_the_connections_may_get_nothing_any_more() {
    let server = start(&["--fail-at", "3", "--fail", "half"]);
    let (mut first, mut second) = (connect(&server).unwrap(), connect(&server).unwrap());
    assert!(echoes(&mut first) && echoes(&mut second));
    let mut third = connect(&server).unwrap();
    assert!(echoes(&mut third) && echoes(&mut first) && !echoes(&mut second));
}

#[test]
fn it_fails_at_the_number_and_in_the_way_that_was_asked_for() {
    use std::os::unix::process::ExitStatusExt as _;
    let ended = |how: &str| {
        let server = start(&["--fail-at", "2", "--fail", how]);
        let mut first = connect(&server).unwrap();
        assert!(echoes(&mut first));
        let _second = connect(&server);
        let (status, _) = server.wait();
        (status.code(), status.signal())
    };
    assert_eq!(ended("exit"), (Some(3), None));
    assert_eq!(ended("abort"), (None, Some(6)));
    assert_eq!(ended("segv"), (None, Some(11)));
}
