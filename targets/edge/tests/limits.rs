//! The built program from outside, before an echo server: what passes, and each limit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use target_testing::{Server, Socket, closed, next};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// A server that sends back text and binary, answers pings, and answers `GET /plain` without an upgrade.
async fn echo() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 10];
                stream.peek(&mut head).await.unwrap();
                if head.starts_with(b"GET /plain") {
                    stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello").await.unwrap();
                    return;
                }
                let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

async fn edge(arguments: &str) -> Server {
    edge_before(echo().await, arguments)
}

fn edge_before(upstream: SocketAddr, arguments: &str) -> Server {
    let upstream = upstream.to_string();
    let arguments: Vec<&str> = ["--upstream", &upstream].into_iter().chain(arguments.split_whitespace()).collect();
    Server::start(env!("CARGO_BIN_EXE_edge"), "/ws", &arguments, 1024)
}

async fn echoes(socket: &mut Socket) -> bool {
    socket.send(Message::text("hello")).await.is_ok()
        && matches!(socket.next().await, Some(Ok(reply)) if reply == Message::text("hello"))
}

/// Whether the connection ends without a close frame. Until then it may answer.
async fn cut_off(socket: &mut Socket) -> bool {
    loop {
        match tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect("an end in time") {
            None | Some(Err(_)) => return true,
            Some(Ok(Message::Close(_))) => return false,
            Some(Ok(_)) => {}
        }
    }
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn without_limits_everything_passes() {
    let server = edge("").await;
    let mut socket = server.connect().await.unwrap();
    assert!(echoes(&mut socket).await);
    let large = Message::binary(vec![7; 3 << 20]);
    socket.send(large.clone()).await.unwrap();
    assert_eq!(next(&mut socket).await.unwrap(), large);
    socket.send(Message::Ping(Bytes::from_static(b"p"))).await.unwrap();
    assert_eq!(next(&mut socket).await.unwrap(), Message::Pong(Bytes::from_static(b"p")));
    socket.close(None).await.unwrap();
    assert!(matches!(next(&mut socket).await, Ok(Message::Close(_))));
    let plain = server.raw("GET /plain HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(plain.starts_with("HTTP/1.1 200 OK\r\n") && plain.ends_with("hello"), "{plain}");
}

#[tokio::test]
async fn many_connections_take_turns_over_the_upstreams() {
    let (first, second) = (echo().await, echo().await);
    let server = edge_before(first, &format!("--upstream {second} --threads 1"));
    let mut sockets = Vec::new();
    for _ in 0..200 {
        sockets.push(server.connect().await.unwrap());
    }
    for socket in &mut sockets {
        assert!(echoes(socket).await);
    }
}

#[tokio::test]
async fn above_the_number_it_refuses_in_the_words_of_the_platform_and_lets_in_again_who_comes_later() {
    for (style, status, says) in [
        ("plain", "503 Service Unavailable", "content-length: 20"),
        ("heroku", "503 Service Unavailable", "code=H11"),
        ("cloudflare", "522 ", "cf-ray: "),
    ] {
        let server = edge(&format!("--connections 2 --refuse {style}")).await;
        let mut first = server.connect().await.unwrap();
        let second = server.connect().await.unwrap();
        let refused = server.raw(UPGRADE).await;
        assert!(refused.starts_with(&format!("HTTP/1.1 {status}")) && refused.contains(says), "{refused}");
        assert!(echoes(&mut first).await);
        drop(second);
        while server.connect().await.is_err() {}
    }
}

#[tokio::test]
async fn above_the_rate_it_says_when_to_try_again_and_the_next_second_admits_again() {
    for (arguments, status) in [("--rate 1/s", "429"), ("--rate 1/s --at-rate 503", "503")] {
        let server = edge(arguments).await;
        let mut refused = String::new();
        let mut sockets = Vec::new();
        while refused.is_empty() {
            match server.connect().await {
                Ok(socket) => sockets.push(socket),
                Err(_) => refused = server.raw(UPGRADE).await,
            }
        }
        // The second that ends in between lets one in: then there is nothing to see.
        if !refused.contains(" 101 ") {
            assert!(refused.contains(status) && refused.contains("retry-after: 1"), "{refused}");
        }
        assert!(echoes(&mut sockets[0]).await);
        while server.connect().await.is_err() {}
    }
}

#[tokio::test]
async fn a_lifetime_ends_those_that_speak_and_those_that_do_not() {
    let server = edge("--lifetime 600ms").await;
    let (mut active, mut silent) = (server.connect().await.unwrap(), server.connect().await.unwrap());
    while echoes(&mut active).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(cut_off(&mut silent).await);
    let server = edge("--lifetime 300ms --end-code 1001").await;
    assert_eq!(closed(&mut server.connect().await.unwrap()).await.0, 1001);
}

#[tokio::test]
async fn silence_ends_a_connection_and_a_ping_is_none_unless_it_is_swallowed() {
    for (arguments, lives) in [("--idle 2s", true), ("--idle 2s --drop-pings", false)] {
        let server = edge(arguments).await;
        let (mut silent, mut pings) = (server.connect().await.unwrap(), server.connect().await.unwrap());
        let (mut pinging, mut reading) = (&mut pings).split();
        let keep_on = async {
            loop {
                let _ = pinging.send(Message::Ping(Bytes::new())).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let read_on = async { while let Some(Ok(_)) = reading.next().await {} };
        let ended = async {
            assert!(cut_off(&mut silent).await);
            // Both were quiet for as long, so the other one is next.
            tokio::time::sleep(Duration::from_millis(if lives { 0 } else { 2000 })).await;
        };
        let alive = tokio::select! { () = keep_on => unreachable!(), () = read_on => false, () = ended => true };
        assert_eq!(alive, lives, "{arguments}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_is_closed_with_1009_however_it_is_framed() {
    let server = edge("--message-max 128KiB --frame-max 32KiB").await;
    let mut socket = server.connect().await.unwrap();
    let fragments = |count: usize| {
        (0..count).map(move |at| {
            let opcode = OpCode::Data(if at == 0 { Data::Binary } else { Data::Continue });
            Message::Frame(Frame::message(vec![1; 32 << 10], opcode, at + 1 == count))
        })
    };
    for frame in fragments(4) {
        socket.send(frame).await.unwrap();
    }
    assert_eq!(next(&mut socket).await.unwrap().len(), 128 << 10);
    for frame in fragments(5) {
        socket.send(frame).await.unwrap();
    }
    assert_eq!(closed(&mut socket).await.0, 1009);
    let mut socket = server.connect().await.unwrap();
    // The whole of it may find the connection closed already.
    let _ = socket.send(Message::binary(vec![1; (32 << 10) + 1])).await;
    assert_eq!(closed(&mut socket).await.0, 1009);
}

#[tokio::test]
async fn a_redirect_and_an_upstream_that_is_not_there_are_answers() {
    let server = edge("--redirect").await;
    let answer = server.raw(UPGRADE).await;
    assert!(answer.starts_with("HTTP/1.1 301 ") && answer.contains("location: https://shop.example/ws\r\n"));
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (style, status) in [("plain", "502"), ("cloudflare", "521"), ("heroku", "503")] {
        let answer = edge_before(nowhere, &format!("--refuse {style}")).raw(UPGRADE).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    // It takes connections and never answers.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap();
    let answer = edge_before(address, "--answer-within 200ms --refuse cloudflare").raw(UPGRADE).await;
    assert!(answer.starts_with("HTTP/1.1 524 "), "{answer}");
    let answer = edge("").await.raw("hello\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn a_platform_marks_what_it_passes_on() {
    let server = edge("--like cloudflare").await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut head = [0; 1024];
    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await.unwrap();
    let head = String::from_utf8_lossy(&head[..read]);
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("server: cloudflare\r\ncf-ray: "), "{head}");
}

#[tokio::test]
async fn sigterm_closes_every_connection_with_1001_and_exits_with_0() {
    let server = edge("").await;
    let mut socket = server.connect().await.unwrap();
    assert!(echoes(&mut socket).await);
    server.terminate();
    assert_eq!(closed(&mut socket).await.0, 1001);
    drop(socket);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert!(log.starts_with("edge: to 127.0.0.1:") && log.contains("no limits"), "{log}");
}

#[tokio::test]
async fn without_descriptors_it_neither_ends_nor_spins() {
    let upstream = echo().await.to_string();
    let server = Server::start(env!("CARGO_BIN_EXE_edge"), "/ws", &["--upstream", &upstream], 64);
    let mut sockets = Vec::new();
    while let Ok(socket) = server.connect().await {
        sockets.push(socket);
        assert!(sockets.len() < 64, "the limit was not met");
    }
    let before = server.cpu_ticks();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(server.cpu_ticks() - before < 30, "it spins");
    assert!(echoes(&mut sockets[0]).await);
}
