//! What goes wrong is said, counted, and ends in exit code 1.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use tokio_tungstenite::tungstenite::accept;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::server::{drain, echo, request, response, server};
use crate::tool::{PROGRAM, closed, load, short};

#[test]
fn a_good_server_passes_and_everything_is_in_the_summary() {
    let ran = load(&format!("ws://{}", server(echo)), &["-n", "40", "--hold", "500ms"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in [
        "all 40 connections opened, none was lost",
        "every threshold is met",
        "PASS  connected==100%  (100 %)",
        "it was not the limit",
        "reply",
        "40 opened of 40 asked for, 0 failed, 0 lost; at the end 40 open, 40 held",
    ] {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    assert!(ran.err.contains("answers: the same message; it came back to a first connection"), "{ran:?}");
}

#[test]
fn when_every_connect_is_refused_it_says_so_and_fails() {
    let ran = load(&closed(), &["-n", "50", "--hold", "10s"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.starts_with("50 of 50 connects failed: errno ECONNREFUSED"), "{ran:?}");
    assert!(ran.out.contains("FAIL  connected==100%  (0 %)"), "{ran:?}");
    assert!(ran.out.contains("nothing listens at that address"), "{ran:?}");
}

#[test]
fn quiet_is_quiet_but_not_about_the_outcome() {
    let ran = load(&closed(), &["-n", "2", "-q"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""), "{ran:?}");
    assert!(ran.out.contains("2 of 2 connects failed"), "{ran:?}");
}

/// Echoes for a while, then closes.
fn tires(stream: TcpStream) {
    let closer = stream.try_clone().unwrap();
    closer.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let Ok(mut socket) = accept(stream) else { return };
    while let Ok(message) = socket.read() {
        let _ = socket.send(message);
    }
    let _ = socket.close(Some(CloseFrame { code: CloseCode::Away, reason: "tired".into() }));
    let _ = socket.flush();
    std::thread::sleep(Duration::from_millis(200));
}

#[test]
fn connections_lost_in_the_middle_are_counted_with_their_cause() {
    let url = format!("ws://{}", server(tires));
    let ran = short(&url, &["--hold", "1500ms", "--every", "10s"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.errors(), [("open".to_owned(), "close 1001".to_owned(), 5)]);
    assert_eq!(ran.json()["connections"]["lost"], 5);
    assert!(ran.json()["verdict"].as_str().unwrap().contains("5 of 5 were lost: close 1001"), "{ran:?}");
}

/// Answers an upgrade with this.
fn answers(text: &'static str) -> String {
    let address = server(move |mut stream: TcpStream| {
        request(&mut stream);
        let _ = stream.write_all(text.as_bytes());
        drain(&mut stream);
    });
    format!("ws://{address}")
}

#[test]
fn refusals_are_named_with_a_hint() {
    for (response, cause, hint) in [
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "http 401", "--token"),
        ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "http 503", "limit"),
        ("HTTP/1.1 200 OK\r\n\r\n<html>", "http 200", "takes no WebSocket"),
        (
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: eA==\r\n\r\n",
            "wrong accept key",
            "",
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n", "malformed response", "speaks no HTTP"),
        ("\x15\x03\x01\x00\x02\x02\x46", "tls alert instead of a response", "wss://"),
    ] {
        let ran = short(&answers(response), &[]);
        assert_eq!(ran.code, 1, "{cause}: {ran:?}");
        assert_eq!(ran.errors(), [("handshake".to_owned(), cause.to_owned(), 5)]);
        let said = ran.json()["errors"][0]["hint"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains(hint), "{cause}: {said}");
        assert!(ran.err.contains(cause), "the first connection said so too: {ran:?}");
    }
}

#[test]
fn subprotocols_must_match() {
    let choosing = |line: &'static str| {
        let address = server(move |mut stream: TcpStream| {
            let key = request(&mut stream);
            let head = response(&key).replace("\r\n\r\n", &format!("\r\n{line}\r\n"));
            let _ = stream.write_all(head.as_bytes());
            drain(&mut stream);
        });
        format!("ws://{address}")
    };
    let with = ["--subprotocol", "chat", "--subprotocol", "v2", "--expect", "none"];
    for (line, cause) in [("", "missing subprotocol"), ("Sec-WebSocket-Protocol: x\r\n", "unexpected subprotocol")] {
        let ran = short(&choosing(line), &with);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(ran.errors(), [("handshake".to_owned(), cause.to_owned(), 5)]);
    }
    let ran = short(&choosing("Sec-WebSocket-Protocol: v2\r\n"), &with);
    assert_eq!(ran.json()["connections"]["opened"], 5, "{ran:?}");
}

#[test]
fn a_server_that_never_answers_is_open_but_not_held() {
    let address = server(|stream| {
        let Ok(mut socket) = accept(stream) else { return };
        while socket.read().is_ok() {}
    });
    let url = format!("ws://{address}");
    let ran = short(&url, &["--expect", "echo"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.json()["verdict"].as_str().unwrap().contains("5 of 5 were not answered"), "{ran:?}");
}

#[test]
fn few_descriptors_are_met_with_more_workers() {
    let url = format!("ws://{}", server(echo));
    let line = format!("ulimit -n 200 && exec {PROGRAM} load {url} -n 400 --rate 2000/s --hold 500ms --format json -q");
    let ran: crate::tool::Ran = std::process::Command::new("sh").args(["-c", &line]).output().unwrap().into();
    assert_eq!(ran.code, 0, "{ran:?}");
    let json = ran.json();
    assert_eq!((json["own"]["workers"].as_u64(), json["own"]["descriptor_limit"].as_u64()), (Some(3), Some(200)));
    assert_eq!((json["connections"]["held"].as_u64(), json["errors"].as_array().map(Vec::len)), (Some(400), Some(0)));
}

#[test]
fn a_name_that_does_not_resolve_is_an_error() {
    let ran = load("ws://no-such-host.invalid/", &["-n", "1"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("error: failed to resolve the host name `no-such-host.invalid`"), "{ran:?}");
}
