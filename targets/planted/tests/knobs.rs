//! The built program from outside: a plain echo server without options, and the knobs that a test can see at once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_planted"))
            .args(["--address", "127.0.0.1:0"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, address }
    }

    fn connect(&self) -> Result<WebSocket<TcpStream>, Error> {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let upgrade = client(format!("ws://{}/", self.address), stream);
        upgrade.map(|(socket, _)| socket).map_err(|error| match error {
            tokio_tungstenite::tungstenite::HandshakeError::Failure(error) => error,
            other @ tokio_tungstenite::tungstenite::HandshakeError::Interrupted(_) => panic!("{other}"),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn echoes(socket: &mut WebSocket<TcpStream>) -> bool {
    socket.send(Message::text("hello")).is_ok() && socket.read().is_ok_and(|reply| reply == Message::text("hello"))
}

#[test]
fn without_a_knob_and_with_threads_it_echoes() {
    for args in [&[][..], &["--thread-per-connection"], &["--serial-pause", "1000", "--threads", "1"]] {
        assert!(echoes(&mut Server::start(args).connect().unwrap()), "{args:?}");
    }
}

#[test]
fn above_the_cap_it_refuses_with_a_status_or_closes_and_keeps_those_it_has() {
    let server = Server::start(&["--cap", "1", "--at-cap", "refuse"]);
    let mut first = server.connect().unwrap();
    assert!(matches!(server.connect(), Err(Error::Http(answer)) if answer.status() == 503));
    assert!(echoes(&mut first));
    let server = Server::start(&["--cap", "1"]);
    let mut first = server.connect().unwrap();
    assert!(server.connect().is_err());
    assert!(echoes(&mut first));
}

#[test]
fn what_is_silent_or_old_is_closed() {
    for knob in ["--idle", "--lifetime"] {
        let mut socket = Server::start(&[knob, "100000"]).connect().unwrap();
        assert!(socket.read().is_err(), "{knob}");
    }
}

#[test]
fn it_fails_at_the_number_and_in_the_way_that_was_asked_for() {
    use std::os::unix::process::ExitStatusExt as _;
    let ended = |how: &str| {
        let mut server = Server::start(&["--fail-at", "2", "--fail", how]);
        let mut first = server.connect().unwrap();
        assert!(echoes(&mut first));
        let _second = server.connect();
        let status = server.child.wait().unwrap();
        let mut log = String::new();
        server.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), status.signal())
    };
    assert_eq!(ended("exit"), (Some(3), None));
    assert_eq!(ended("abort"), (None, Some(6)));
    assert_eq!(ended("segv"), (None, Some(11)));
}
