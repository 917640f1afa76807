//! Hostile servers: each of their faults is a counted, named outcome, and the worker goes on.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};
use wsceiling_generator::ipc::Window;
use wsceiling_model::matrix::Protocol;

use crate::driver::{Worker, config, due_in, failures};
use crate::server::{drain, request, response, says, server};

/// What a server does with each connection.
type Server = Box<dyn Fn(TcpStream) + Send + Sync>;

/// Opens 3 connections to such a server and waits until nothing is open or half a second has passed.
fn outcome(each: impl Fn(TcpStream) + Send + Sync + 'static) -> (Vec<String>, Window) {
    let mut config = config(&[server(each)]);
    config.handshake_timeout = Duration::from_millis(1500);
    let mut worker = Worker::start(config);
    let opened = worker.open(3);
    let patience = Instant::now() + Duration::from_secs(20);
    let settled = worker.status(|status| status.open == 0 || Instant::now() > patience);
    let held = worker.hold(Duration::from_millis(50));
    assert_eq!(settled.failed + settled.lost, 3, "{held:?}");
    worker.quit();
    (failures(&[&opened, &held]), held)
}

fn reset(stream: TcpStream) {
    setsockopt(&stream, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 }).unwrap();
    drop(stream);
}

/// Answers the request with this text.
fn answers(text: &'static str) -> impl Fn(TcpStream) + Send + Sync + 'static {
    move |mut stream| {
        request(&mut stream);
        let _ = stream.write_all(text.as_bytes());
        drain(&mut stream);
    }
}

#[test]
fn faults_of_the_upgrade_are_named() {
    let cases: Vec<(&str, Server)> = vec![
        ("timeout", Box::new(|mut stream| drop(drain(&mut stream)))),
        ("timeout", Box::new(answers("HTTP/1.1 101 Switching"))),
        ("eof", Box::new(|mut stream| drop(request(&mut stream)))),
        (
            "eof",
            Box::new(|mut stream| {
                request(&mut stream);
                let _ = stream.write_all(b"HTTP/1.1 101");
            }),
        ),
        (
            "reset",
            Box::new(|stream| {
                // A reset that overtakes the news of the connection belongs to the stage before.
                std::thread::sleep(Duration::from_millis(50));
                reset(stream);
            }),
        ),
        (
            "reset",
            Box::new(|mut stream| {
                request(&mut stream);
                reset(stream);
            }),
        ),
        ("http 503", Box::new(answers("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))),
        ("http 200", Box::new(answers("HTTP/1.1 200 OK\r\n\r\n<html>"))),
        ("malformed response", Box::new(answers("220 smtp.example.com ESMTP\r\n"))),
        ("malformed response", Box::new(answers("HTTP/1.1 abc\r\n\r\n"))),
        ("missing upgrade header", Box::new(answers("HTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\n"))),
        (
            "missing accept key",
            Box::new(answers("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")),
        ),
        (
            "wrong accept key",
            Box::new(|mut stream| {
                request(&mut stream);
                let _ = stream.write_all(response("another key").as_bytes());
                drain(&mut stream);
            }),
        ),
        (
            "unexpected extension",
            Box::new(|mut stream| {
                let key = request(&mut stream);
                let extension = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
                let _ = stream.write_all(response(&key).replace("\r\n\r\n", extension).as_bytes());
                drain(&mut stream);
            }),
        ),
        (
            "oversized response head",
            Box::new(|mut stream| {
                request(&mut stream);
                let mut line = "HTTP/1.1 101 Switching Protocols\r\n";
                while stream.write_all(line.as_bytes()).is_ok() {
                    line = "X-More: and more and more and more and more\r\n";
                }
            }),
        ),
    ];
    for (cause, each) in cases {
        assert_eq!(outcome(each).0, [format!("handshake: {cause} x3")], "{cause}");
    }
}

#[test]
fn faults_of_an_open_connection_are_named() {
    let long = vec![0_u8; 200];
    for (cause, bytes) in [
        ("protocol error: masked frame", vec![0x81, 0x81, 0, 0, 0, 0, b'a']),
        ("protocol error: reserved bits", vec![0xC1, 0]),
        ("protocol error: unknown opcode", vec![0x83, 0]),
        ("protocol error: invalid utf-8", vec![0x81, 2, 0xC3, 0x28]),
        ("protocol error: control frame over 125 bytes", [&[0x89, 126, 0, 200], long.as_slice()].concat()),
        ("protocol error: fragmented control frame", vec![0x09, 0]),
        ("protocol error: unexpected continuation", vec![0x80, 0]),
        ("protocol error: unfinished message", vec![0x01, 0, 0x81, 0]),
        ("protocol error: bad length", vec![0x82, 126, 0, 1, 0]),
        ("protocol error: bad close code", vec![0x88, 2, 0x03, 0xED]),
        ("protocol error: bad close code", vec![0x88, 1, 0x03]),
        ("protocol error: frame too big", vec![0x82, 127, 0, 0, 0, 0, 0xFF, 0, 0, 0]),
        ("close 1001", vec![0x88, 2, 0x03, 0xE9]),
        ("close without code", vec![0x88, 0]),
        ("wrong echo", vec![0x81, 5, b'h', b'e', b'l', b'l', b'o']),
        ("wrong echo", [&[0x82, 64], &long[..64]].concat()),
    ] {
        let (causes, held) = outcome(says(bytes));
        assert_eq!(causes, [format!("open: {cause} x3")]);
        assert_eq!((held.open, held.held), (vec![0], vec![0]));
    }
}

#[test]
fn ends_of_an_open_connection_are_told_apart() {
    let upgrade = |stream: &mut TcpStream| {
        let key = request(stream);
        stream.write_all(response(&key).as_bytes()).unwrap();
    };
    let eof = move |mut stream: TcpStream| {
        upgrade(&mut stream);
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        drain(&mut stream);
    };
    assert_eq!(outcome(eof).0, ["open: eof x3"]);
    let rst = move |mut stream: TcpStream| {
        upgrade(&mut stream);
        std::thread::sleep(Duration::from_millis(30));
        reset(stream);
    };
    assert_eq!(outcome(rst).0, ["open: reset x3"]);
    let polite = move |mut stream: TcpStream| {
        upgrade(&mut stream);
        std::thread::sleep(Duration::from_millis(30));
        stream.write_all(&[0x88, 2, 0x03, 0xE9]).unwrap();
    };
    assert_eq!(outcome(polite).0, ["open: close 1001 x3"]);
}

#[test]
fn a_violation_is_answered_with_its_close_code() {
    for (bytes, code) in [
        (vec![0x81, 1, 0xFF], 1007_u16),
        (vec![0x81, 0x80, 0, 0, 0, 0], 1002),
        (vec![0x82, 127, 0, 0, 0, 0, 0xFF, 0, 0, 0], 1009),
        (vec![0x88, 2, 0x03, 0xF3], 1011),
    ] {
        let (sender, receiver) = mpsc::channel();
        let hears = move |mut stream: TcpStream| {
            let key = request(&mut stream);
            stream.write_all(&[response(&key).as_bytes(), &bytes].concat()).unwrap();
            let _ = sender.send(drain(&mut stream));
        };
        let mut worker = Worker::start(config(&[server(hears)]));
        worker.open(1);
        let last_words = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        // The last frame is the close: 2 bytes of header, 4 of mask, 2 of code.
        let [close @ .., m0, m1, _, _, high, low] = last_words.as_slice() else { panic!("{last_words:?}") };
        assert_eq!(close[close.len() - 2..], [0x88, 0x82]);
        assert_eq!(u16::from_be_bytes([high ^ m0, low ^ m1]), code);
        worker.quit();
    }
}

#[test]
fn a_stalled_server_is_open_and_not_held() {
    let mut config = config(&[server(says([]))]);
    config.message_every = Duration::from_millis(100);
    let mut worker = Worker::start(config);
    worker.open(3);
    let (held, probe) = worker.hold_and_probe(Duration::from_millis(300));
    assert_eq!((held.open.clone(), held.lost), (vec![3], 0));
    assert_eq!((probe.open.clone(), probe.held.clone(), probe.lost), (vec![3], vec![0], 0));
    // Each still waits for its first word, so nothing could be sent; it was due all the same, and has waited.
    let due = held.messages_due + probe.messages_due;
    assert_eq!((held.messages_sent, held.messages_answered, probe.messages_sent), (0, 0, 0));
    let expected = due_in(&held, &probe, 3, Duration::from_millis(100));
    assert!((due as f64 - expected).abs() <= 3.0, "{due} messages were due, not {expected}");
    let reply = probe.reply.decode().unwrap();
    assert!(reply.len() == due && reply.min() >= 1_000_000, "{} from {} us", reply.len(), reply.min());
    assert_eq!((probe.probes, probe.probes_answered), (0, 0));
    worker.quit();
}

#[test]
fn a_server_that_stops_answering_is_found_out_by_the_probe() {
    let once = |stream: TcpStream| {
        let Ok(mut socket) = tokio_tungstenite::tungstenite::accept(stream) else { return };
        let _ = socket.read().map(|first| socket.send(first));
        while socket.read().is_ok() {}
    };
    let mut config = config(&[server(once)]);
    config.message_every = Duration::from_secs(3600);
    let mut worker = Worker::start(config);
    worker.open(3);
    worker.status(|status| status.held == 3);
    let (held, probe) = worker.hold_and_probe(Duration::from_millis(100));
    assert_eq!((held.messages_due, probe.messages_due), (0, 0));
    assert_eq!((probe.open, probe.held, probe.probes, probe.probes_answered), (vec![3], vec![0], 3, 0));
    assert_eq!(probe.probe.decode().unwrap().len(), 3, "they have waited");
    worker.quit();
}

#[test]
fn lost_connections_leave_their_messages_unanswered() {
    // Takes two messages of each connection, answers one, and resets it after a while.
    let rude = |stream: TcpStream| {
        let raw = stream.try_clone().unwrap();
        let Ok(mut socket) = tokio_tungstenite::tungstenite::accept(stream) else { return };
        let _ = socket.read().map(|first| socket.send(first));
        let _ = socket.read();
        std::thread::sleep(Duration::from_millis(500));
        setsockopt(&raw, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 }).unwrap();
    };
    let mut config = config(&[server(rude)]);
    config.message_every = Duration::from_millis(100);
    let mut worker = Worker::start(config);
    worker.open(4);
    let (held, probe) = worker.hold_and_probe(Duration::from_secs(2));
    assert_eq!((held.lost, held.open, probe.open), (4, vec![0], vec![0]));
    let due = held.messages_due + probe.messages_due;
    let mut reply = held.reply.decode().unwrap();
    reply.add(probe.reply.decode().unwrap()).unwrap();
    assert!(reply.len() == due && due > 4 * 3, "{due} due, {} of them are accounted for", reply.len());
    worker.quit();
}

/// Answers each message, and closes half a second after the upgrade.
fn lives_half_a_second(stream: TcpStream) {
    let mut socket = tokio_tungstenite::tungstenite::accept(stream).unwrap();
    socket.get_ref().set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let opened = Instant::now();
    while opened.elapsed() < Duration::from_millis(500) {
        if let Ok(message) = socket.read() {
            let _ = socket.send(message);
        }
    }
    let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame { code: 1001.into(), reason: "".into() };
    let _ = socket.close(Some(frame));
    while socket.read().is_ok() {}
}

#[test]
fn lost_connections_are_told_apart_by_whether_they_had_said_anything() {
    for (every_ms, silent) in [(20, 0), (60_000, 3)] {
        let mut config = config(&[server(lives_half_a_second)]);
        config.message_every = Duration::from_millis(every_ms);
        let mut worker = Worker::start(config);
        let opened = worker.open(3);
        worker.status(|status| status.open == 0);
        let held = worker.hold(Duration::from_millis(10));
        worker.quit();
        let losses: Vec<_> = opened.losses.iter().chain(&held.losses).collect();
        assert!(losses.iter().all(|lost| lost.reason.to_string() == "close 1001"), "{losses:?}");
        assert_eq!(losses.iter().map(|lost| lost.silent).sum::<u64>(), silent);
        let (age, quiet) = (losses[0].age.decode().unwrap(), losses[0].quiet.decode().unwrap());
        assert_eq!((age.len(), quiet.len()), (3, 3));
        assert!(age.min() > 100, "the server waits half a second before it closes: {} ms", age.min());
        // What says something at random moments is not as quiet as it is old.
        assert!(silent == 3 || quiet.min() < age.min(), "{} ms quiet", quiet.min());
    }
}

#[test]
fn floods_end_and_do_not_starve_the_others() {
    let flood = |frame: &'static [u8]| {
        move |mut stream: TcpStream| {
            let key = request(&mut stream);
            let _ = stream.write_all(response(&key).as_bytes());
            let frames = frame.repeat(10_000);
            while stream.write_all(&frames).is_ok() {}
        }
    };
    // Pings whose pongs nobody reads.
    assert_eq!(outcome(flood(&[0x89, 4, 1, 2, 3, 4])).0, ["open: server does not read x3"]);
    // A message without end.
    let endless = |mut stream: TcpStream| {
        let key = request(&mut stream);
        let _ = stream.write_all(response(&key).as_bytes());
        let mut first = vec![0x02, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        first.resize(10 + 65_536, 0);
        while stream.write_all(&first).is_ok() {
            first[0] = 0;
        }
    };
    assert_eq!(outcome(endless).0, ["open: protocol error: message too big x3"]);
    // Pongs for ever: legal, so it stays open, and a good server beside it is still served.
    let mut config = config(&[server(flood(&[0x8A, 0])), server(crate::server::echo)]);
    config.message_every = Duration::from_millis(100);
    let mut worker = Worker::start(config);
    worker.open(4);
    let (_, held) = worker.hold_and_probe(Duration::from_secs(1));
    assert_eq!((held.open, held.held), (vec![2, 2], vec![0, 2]));
    worker.quit();
}

#[test]
fn errors_of_the_app_are_counted_and_nonsense_is_not_its_protocol() {
    let error = br#"{"type":"error","code":"room-full"}"#;
    let mut bytes = vec![0x81, error.len() as u8];
    bytes.extend(error);
    let mut config = config(&[server(says(bytes))]);
    config.protocol = Protocol::App;
    let mut worker = Worker::start(config.clone());
    let opened = worker.open(2);
    let held = worker.hold(Duration::from_millis(100));
    assert_eq!(failures(&[&opened, &held]), ["open: app error: room-full x2"]);
    assert_eq!((held.open, held.lost), (vec![2], 0));
    worker.quit();

    config.destinations = vec![server(says(*b"\x81\x05hello"))];
    let mut worker = Worker::start(config);
    let opened = worker.open(2);
    let held = worker.hold(Duration::from_millis(100));
    assert_eq!(failures(&[&opened, &held]), ["open: wrong echo x2"]);
    worker.quit();
}
