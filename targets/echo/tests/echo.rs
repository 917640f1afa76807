//! The server from outside: what comes back, how it ends, and what it does without descriptors.

use futures_util::{SinkExt, StreamExt};
use target_testing::{Server, closed, next};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// Starts it on a free port with at most `descriptors` open files.
fn start(arguments: &[&str], descriptors: u32) -> Server {
    Server::start(env!("CARGO_BIN_EXE_echo"), "/", arguments, descriptors)
}

#[tokio::test]
async fn text_and_binary_come_back_on_both_kinds_of_runtime() {
    for threads in ["1", "2", "0"] {
        let server = start(&["--threads", threads], 1024);
        let mut socket = server.connect().await.unwrap();
        // Longer than the read buffer as well.
        for message in [Message::text("grüße"), Message::text(""), Message::binary(vec![0xff; 100_000])] {
            socket.send(message.clone()).await.unwrap();
            assert_eq!(next(&mut socket).await.unwrap(), message);
        }
    }
}

#[tokio::test]
async fn a_fragmented_message_comes_back_whole_and_a_ping_in_between_is_answered() {
    let server = start(&["--threads", "1"], 1024);
    let mut socket = server.connect().await.unwrap();
    let frame = |data: &'static str, code, last| Message::Frame(Frame::message(data, OpCode::Data(code), last));
    socket.send(frame("one ", Data::Text, false)).await.unwrap();
    socket.send(Message::Ping(Bytes::from_static(b"?"))).await.unwrap();
    socket.send(frame("two ", Data::Continue, false)).await.unwrap();
    socket.send(frame("three", Data::Continue, true)).await.unwrap();
    assert_eq!(next(&mut socket).await.unwrap(), Message::Pong(Bytes::from_static(b"?")));
    assert_eq!(next(&mut socket).await.unwrap(), Message::text("one two three"));
}

#[tokio::test]
async fn a_close_is_answered_with_the_same_code() {
    let server = start(&[], 1024);
    let mut socket = server.connect().await.unwrap();
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "bye".into() })).await.unwrap();
    assert_eq!(closed(&mut socket).await, (1000, "bye".to_owned()));
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn a_message_beyond_the_limit_closes_with_1009() {
    let server = start(&["--max-message", "1KiB"], 1024);
    let mut socket = server.connect().await.unwrap();
    socket.send(Message::binary(vec![0; 1024])).await.unwrap();
    assert_eq!(next(&mut socket).await.unwrap().len(), 1024);
    socket.send(Message::binary(vec![0; 200_000])).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1009);
}

#[tokio::test]
async fn a_shutdown_closes_every_connection_with_1001_and_exits_with_0() {
    let server = start(&[], 1024);
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(server.connect().await.unwrap());
    }
    // This one never answers the close frame.
    let silent = server.connect().await.unwrap();
    server.terminate();
    for socket in &mut sockets {
        assert_eq!(closed(socket).await, (1001, "server is shutting down".to_owned()));
    }
    assert_eq!(server.wait().0.code(), Some(0));
    drop(silent);
}

#[tokio::test]
async fn without_descriptors_it_waits_and_goes_on_when_some_are_free() {
    let server = start(&[], 64);
    let mut sockets = server.exhaust().await;
    let last = sockets.last_mut().unwrap();
    last.send(Message::text("still here")).await.unwrap();
    assert_eq!(next(last).await.unwrap(), Message::text("still here"));

    // A few more than one: those that gave up above are still in the queue and get theirs first.
    sockets.truncate(20);
    let mut again = server.connect().await.unwrap();
    again.send(Message::text("room again")).await.unwrap();
    assert_eq!(next(&mut again).await.unwrap(), Message::text("room again"));

    let log = server.end_after_backing_off();
    assert!(log.contains("Too many open files"), "{log}");
}

#[test]
fn an_address_that_is_taken_is_a_clear_error() {
    let server = start(&[], 1024);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_echo"))
        .args(["--address", &server.address.to_string()])
        .output()
        .unwrap();
    assert_ne!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("cannot listen on {}", server.address)));
}

#[tokio::test]
async fn a_unix_socket_serves_like_a_port_and_goes_with_the_server() {
    let folder = std::env::temp_dir().join(format!("echo-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_echo"))
        .args(["--address", &format!("unix:{}", path.display())])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    assert_eq!(line, format!("listening on unix:{}\n", path.display()));
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("ws://localhost/", stream).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
    let status = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
    while let Some(Ok(_)) = socket.next().await {}
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!path.exists());
    std::fs::remove_dir(folder).unwrap();
}
