//! Verification against servers that misbehave, each in one way.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;
use wsceiling_generator::codec::handshake::accept_key;

/// The one thing a server does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flaw {
    None,
    AcceptKey,
    NoUpgradeHeader,
    Answer(&'static str),
    ClosesAtOnce,
    NeverAnswers,
    /// Answers 503 that many times before it works.
    Starting(u32),
    Uppercase,
    TextAsBinary,
    NoFragments,
    NoPong,
    EmptyPong,
    NoClose,
    CloseCode(u16),
    CloseWithoutCode,
    SilentOnceOpen,
    /// Not a flaw: a pong nobody asked for and a ping with every message.
    Chatty,
}

const WITHIN: Duration = Duration::from_secs(20);

fn target(protocol: Protocol) -> Target {
    Target {
        name: "t".to_owned(),
        protocol,
        path: "/".to_owned(),
        token: None,
        expect: Expect::Echo,
        process: None,
        folder: None,
        docker: None,
        confirm: wsceiling_model::matrix::ConfirmArgs::default(),
        remote: None,
    }
}

/// Starts a server with a flaw; it serves until the test's process ends.
fn start(flaw: Flaw, listen: &str) -> SocketAddr {
    let listener = TcpListener::bind(listen).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (index, stream) in (0..).zip(listener.incoming()) {
            thread::spawn(move || serve(flaw, index, stream.unwrap()));
        }
    });
    address
}

/// `None` where the connection ended, which is how every one of them ends.
fn serve(flaw: Flaw, index: u32, mut stream: TcpStream) -> Option<()> {
    if flaw == Flaw::ClosesAtOnce {
        return None;
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?;
    let accept =
        if flaw == Flaw::AcceptKey { "bm90IHRoZSByaWdodCBrZXk=".to_owned() } else { accept_key(key.as_bytes()) };
    let upgrade = if flaw == Flaw::NoUpgradeHeader { "" } else { "Upgrade: websocket\r\n" };
    let answer = match flaw {
        Flaw::NeverAnswers => loop {
            stream.read_exact(&mut [0]).ok()?;
        },
        Flaw::Answer(answer) => answer.to_owned(),
        Flaw::Starting(times) if index < times => "HTTP/1.1 503 Service Unavailable\r\n\r\n".to_owned(),
        _ => format!("HTTP/1.1 101 OK\r\n{upgrade}Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"),
    };
    stream.write_all(answer.as_bytes()).ok()?;
    let mut message = Vec::new();
    let mut opcode = 0;
    loop {
        let (first, payload) = read_frame(&mut stream)?;
        match first & 0x0f {
            _ if flaw == Flaw::SilentOnceOpen => {}
            8 => return close(flaw, &mut stream, &payload),
            9 if flaw == Flaw::NoPong => {}
            9 if flaw == Flaw::EmptyPong => write_frame(&mut stream, 0x8a, &[])?,
            9 => write_frame(&mut stream, 0x8a, &payload)?,
            10 => {}
            code => {
                if code != 0 || flaw == Flaw::NoFragments {
                    (opcode, message) = (code, Vec::new());
                }
                message.extend(payload);
                if first & 0x80 != 0 {
                    echo(flaw, &mut stream, opcode, &message)?;
                }
            }
        }
    }
}

fn echo(flaw: Flaw, stream: &mut TcpStream, opcode: u8, message: &[u8]) -> Option<()> {
    match flaw {
        Flaw::Uppercase => write_frame(stream, 0x80 | opcode, &message.to_ascii_uppercase()),
        Flaw::TextAsBinary => write_frame(stream, 0x82, message),
        Flaw::NoFragments => write_frame(stream, 0x80 | opcode.max(1), message),
        Flaw::Chatty => {
            write_frame(stream, 0x8a, b"unasked")?;
            write_frame(stream, 0x89, b"are you there")?;
            write_frame(stream, 0x80 | opcode, message)
        }
        _ => write_frame(stream, 0x80 | opcode, message),
    }
}

fn close(flaw: Flaw, stream: &mut TcpStream, payload: &[u8]) -> Option<()> {
    match flaw {
        // Stays silent, and open.
        Flaw::NoClose => loop {
            stream.read_exact(&mut [0]).ok()?;
        },
        Flaw::CloseCode(code) => write_frame(stream, 0x88, &code.to_be_bytes()),
        Flaw::CloseWithoutCode => write_frame(stream, 0x88, &[]),
        _ => write_frame(stream, 0x88, payload),
    }
}

/// First byte and payload of a masked frame of at most 64 KiB.
fn read_frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut start = [0; 2];
    stream.read_exact(&mut start).ok()?;
    let mut length = usize::from(start[1] & 0x7f);
    if length == 126 {
        let mut long = [0; 2];
        stream.read_exact(&mut long).ok()?;
        length = usize::from(u16::from_be_bytes(long));
    }
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).ok()?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).ok()?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Some((start[0], payload))
}

fn write_frame(stream: &mut TcpStream, first: u8, payload: &[u8]) -> Option<()> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend(payload);
    stream.write_all(&frame).ok()
}

async fn verify_echo(flaw: Flaw, within: Duration) -> Result<Verified, VerifyError> {
    let address = start(flaw, "127.0.0.1:0");
    verify(address, &target(Protocol::Echo), within, std::future::pending()).await
}

#[track_caller]
fn assert_wrong(result: Result<Verified, VerifyError>, expected_check: Check, words: &str) {
    match result {
        Err(VerifyError::Wrong { check, got, .. }) => {
            assert_eq!(check, expected_check, "{got}");
            assert!(got.contains(words), "{got}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_without_flaws_is_verified() {
    for flaw in [Flaw::None, Flaw::Chatty] {
        let verified = verify_echo(flaw, WITHIN).await.unwrap();
        assert_eq!(verified.attempts, 1);
        let expected =
            [Check::Handshake, Check::TextEcho, Check::BinaryEcho, Check::Ping, Check::Fragments, Check::Close];
        assert_eq!(verified.checks, expected);
        assert!(verified.ready_after <= verified.took);
    }
}

#[tokio::test]
async fn addresses_of_version_6_work() {
    let address = start(Flaw::None, "[::1]:0");
    assert!(verify(address, &target(Protocol::Echo), WITHIN, std::future::pending()).await.is_ok());
}

#[tokio::test]
async fn a_wrong_answer_to_the_upgrade_fails_at_once() {
    for (flaw, words) in [
        (Flaw::AcceptKey, "`Sec-WebSocket-Accept` is `bm90IHRoZSByaWdodCBrZXk=`"),
        (Flaw::NoUpgradeHeader, "`Upgrade` missing"),
        (Flaw::Answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "HTTP status 200"),
        (Flaw::Answer("HTTP/1.1 401 Unauthorized\r\n\r\n"), "HTTP status 401"),
        (Flaw::Answer("SSH-2.0-OpenSSH_9\r\n"), "not HTTP: SSH-2.0-OpenSSH_9"),
    ] {
        // The hour is not waited for.
        assert_wrong(verify_echo(flaw, Duration::from_secs(3600)).await, Check::Handshake, words);
    }
}

#[tokio::test]
async fn an_answer_that_may_pass_is_waited_for_until_the_time_is_over() {
    for (flaw, words) in [
        (Flaw::Answer("HTTP/1.1 503 Service Unavailable\r\n\r\n"), "HTTP status 503"),
        (Flaw::ClosesAtOnce, "closed without an answer"),
        (Flaw::NeverAnswers, "no answer within"),
    ] {
        assert_wrong(verify_echo(flaw, Duration::from_millis(300)).await, Check::Handshake, words);
    }
    let verified = verify_echo(Flaw::Starting(3), WITHIN).await.unwrap();
    assert_eq!(verified.attempts, 4);
}

#[tokio::test]
async fn a_wrong_answer_to_a_message_names_the_check() {
    for (flaw, check, words) in [
        (Flaw::Uppercase, Check::TextEcho, "WSCEILING VERIFIES"),
        (Flaw::TextAsBinary, Check::TextEcho, "binary"),
        (Flaw::NoFragments, Check::Fragments, "the end of the connection"),
        (Flaw::EmptyPong, Check::Ping, "a pong with payload \"\""),
        (Flaw::CloseCode(1001), Check::Close, "code 1001"),
        (Flaw::CloseWithoutCode, Check::Close, "without a code"),
    ] {
        assert_wrong(verify_echo(flaw, WITHIN).await, check, words);
    }
}

#[tokio::test]
async fn silence_is_bounded_and_names_the_check() {
    // At the same time, as each takes the 2 s of a step; as tasks, which is how a caller may want to run it.
    let start = |flaw| tokio::spawn(verify_echo(flaw, WITHIN));
    let (open, pong, close) = (start(Flaw::SilentOnceOpen), start(Flaw::NoPong), start(Flaw::NoClose));
    assert_wrong(open.await.unwrap(), Check::TextEcho, "no answer within 2");
    assert_wrong(pong.await.unwrap(), Check::Ping, "no answer within 2");
    assert_wrong(close.await.unwrap(), Check::Close, "no answer within 2");
}

#[tokio::test]
async fn nobody_listening_is_told_with_the_last_error() {
    // Bound but not listening: nobody else can take the port, and connects are refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let within = Duration::from_millis(100);
    let error = verify(address, &target(Protocol::Echo), within, std::future::pending()).await.unwrap_err();
    let VerifyError::NeverListened { last, .. } = &error else { panic!("{error:?}") };
    assert!(last.contains("os error 111"), "{last}");
    assert!(error.to_string().starts_with(&format!("nothing listened on {address} within 100ms: ")), "{error}");
}

#[tokio::test]
async fn a_server_that_comes_late_is_met() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let late = async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let listener = socket.listen(16).unwrap().into_std().unwrap();
        listener.set_nonblocking(false).unwrap();
        thread::spawn(move || serve(Flaw::None, 0, listener.accept().unwrap().0));
        std::future::pending::<Exit>().await
    };
    let verified = verify(address, &target(Protocol::Echo), WITHIN, late).await.unwrap();
    assert!(verified.attempts > 1);
}

fn exit(code: Option<i32>, signal: Option<i32>) -> Exit {
    Exit { code, signal, oom_killed: None, requested: false, t_ms: 30.0 }
}

#[tokio::test]
async fn an_exit_ends_the_wait_and_is_the_reason() {
    let exited = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        exit(Some(3), None)
    };
    let address = start(Flaw::NeverAnswers, "127.0.0.1:0");
    let error = verify(address, &target(Protocol::Echo), WITHIN, exited).await.unwrap_err();
    assert_eq!(error.to_string(), "the server ended before it was verified: exit code 3");
    assert_eq!(error, VerifyError::Exited(exit(Some(3), None)));

    // The check meets the closed connection before the news of the exit arrives.
    let exited = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        exit(None, Some(9))
    };
    let address = start(Flaw::Answer("HTTP/1.1 200 OK\r\n\r\n"), "127.0.0.1:0");
    let error = verify(address, &target(Protocol::Echo), WITHIN, exited).await.unwrap_err();
    assert_eq!(error, VerifyError::Exited(exit(None, Some(9))));
}

#[tokio::test]
async fn an_echo_server_is_not_an_app() {
    let address = start(Flaw::None, "127.0.0.1:0");
    let result = verify(address, &target(Protocol::App), WITHIN, std::future::pending()).await;
    assert_wrong(result, Check::Heartbeat, "pad");
    let locked = Target { token: Some("secret".to_owned()), ..target(Protocol::App) };
    let result = verify(address, &locked, WITHIN, std::future::pending()).await;
    assert_wrong(result, Check::Token, "it lets everybody in");
}

#[test]
fn the_token_is_put_into_the_query() {
    let path = |path: &str, token: Option<&str>| {
        Target { path: path.to_owned(), token: token.map(str::to_owned), ..target(Protocol::App) }.upgrade_path()
    };
    assert_eq!(path("/ws", None), "/ws");
    assert_eq!(path("/ws", Some("se-cr.et")), "/ws?token=se-cr.et");
    assert_eq!(path("/ws?v=1", Some("a b&c")), "/ws?v=1&token=a%20b%26c");
}
