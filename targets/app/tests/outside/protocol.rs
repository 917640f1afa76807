//! `targets/PROTOCOL.md`, point by point, from outside.

use crate::common::{ask, is_reference, join, metric, send, start, text};
use futures_util::{SinkExt, StreamExt};
use target_testing::{closed, next};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};

#[tokio::test]
async fn the_upgrade_asks_for_the_token() {
    let server = start(&["--token", "t0ken"], 1024);
    assert!(server.connect_to("/ws?token=t0ken").await.is_ok());
    for target in ["/ws", "/ws?token=secret", "/ws?token="] {
        assert_eq!(server.connect_to(target).await.unwrap_err(), "HTTP error: 401 Unauthorized", "{target}");
    }
    assert_eq!(server.connect_to("/other").await.unwrap_err(), "HTTP error: 404 Not Found");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let header = format!(
        "GET /ws HTTP/1.1\r\nHost: x\r\n{upgrade}Authorization: Bearer wrong\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    assert!(server.raw(&header).await.starts_with("HTTP/1.1 401 "));
    assert!(server.raw("GET /ws?token=t0ken HTTP/1.1\r\nHost: x\r\n\r\n").await.starts_with("HTTP/1.1 426 "));
    assert!(server.raw("nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    assert_eq!(metric(&server, "app_upgrades_refused_total{reason=\"unauthorized\"}").await, 4);
    assert_eq!(metric(&server, "app_upgrades_refused_total{reason=\"not-found\"}").await, 1);
    // What is no HTTP is answered by the library where there is one, and not counted.
    let bad = if is_reference() { 2 } else { 1 };
    assert_eq!(metric(&server, "app_upgrades_refused_total{reason=\"bad-request\"}").await, bad);
}

#[tokio::test]
async fn a_heartbeat_is_answered_with_its_id() {
    let server = start(&["--threads", "1"], 1024);
    let mut socket = server.connect().await.unwrap();
    for id in [0, 7, u64::MAX] {
        let answer = ask(&mut socket, &format!(r#"{{"type":"heartbeat","id":{id},"pad":"xxxxxxxx"}}"#)).await;
        assert_eq!(answer, format!(r#"{{"type":"heartbeat","id":{id}}}"#));
    }
}

#[tokio::test]
async fn a_message_reaches_every_member_in_the_exact_form() {
    let server = start(&["--threads", "2"], 1024);
    let (mut a, mut b, mut c) =
        (server.connect().await.unwrap(), server.connect().await.unwrap(), server.connect().await.unwrap());
    assert_eq!(join(&mut a, "r").await, r#"{"type":"joined","room":"r","count":1}"#);
    assert_eq!(join(&mut b, "r").await, r#"{"type":"joined","room":"r","count":2}"#);
    assert_eq!(join(&mut b, "r").await, r#"{"type":"joined","room":"r","count":2}"#);
    join(&mut c, "elsewhere").await;
    send(&mut a, r#"{"type":"publish","room":"r","at":"18446744073709551615","body":"say \"hi\"\n"}"#).await;
    let message = r#"{"type":"message","room":"r","seq":1,"at":"18446744073709551615","body":"say \"hi\"\n"}"#;
    assert_eq!(text(&mut a).await, message);
    assert_eq!(text(&mut b).await, message);
    assert_eq!(ask(&mut c, r#"{"type":"heartbeat","id":1}"#).await, r#"{"type":"heartbeat","id":1}"#);

    assert_eq!(ask(&mut b, r#"{"type":"leave","room":"r"}"#).await, r#"{"type":"left","room":"r"}"#);
    send(&mut a, r#"{"type":"publish","room":"r","body":"2"}"#).await;
    assert_eq!(text(&mut a).await, r#"{"type":"message","room":"r","seq":2,"at":"0","body":"2"}"#);
    assert_eq!(ask(&mut b, r#"{"type":"heartbeat","id":2}"#).await, r#"{"type":"heartbeat","id":2}"#);
}

#[tokio::test]
async fn all_members_see_the_same_order() {
    let server = start(&["--threads", "2", "--rate", "100000", "--burst", "100000"], 1024);
    let mut members = Vec::new();
    for _ in 0..4 {
        let mut socket = server.connect().await.unwrap();
        join(&mut socket, "r").await;
        members.push(socket);
    }
    let publishing = members.iter_mut().enumerate().map(|(member, socket)| async move {
        for n in 0..25 {
            send(socket, &format!(r#"{{"type":"publish","room":"r","at":"{n}","body":"from {member}"}}"#)).await;
        }
    });
    futures_util::future::join_all(publishing).await;
    let mut heard = Vec::new();
    for socket in &mut members {
        let mut messages = Vec::new();
        for _ in 0..100 {
            messages.push(text(socket).await);
        }
        heard.push(messages);
    }
    assert!(heard[0][99].contains(r#""seq":100,"#), "{}", heard[0][99]);
    assert!(heard.iter().all(|messages| *messages == heard[0]));
}

#[tokio::test]
async fn presence_is_told_to_members_and_to_who_asks() {
    let server = start(&["--presence-every", "50ms"], 1024);
    let (mut a, mut b) = (server.connect().await.unwrap(), server.connect().await.unwrap());
    join(&mut a, "r").await;
    assert_eq!(next(&mut a).await.unwrap(), Message::text(r#"{"type":"presence","room":"r","count":1}"#));
    send(&mut b, r#"{"type":"presence","room":"r"}"#).await;
    assert_eq!(next(&mut b).await.unwrap(), Message::text(r#"{"type":"presence","room":"r","count":1}"#));
    join(&mut b, "r").await;
    assert_eq!(next(&mut a).await.unwrap(), Message::text(r#"{"type":"presence","room":"r","count":2}"#));
    // A member that vanishes without a word leaves the room too.
    drop(b);
    assert_eq!(next(&mut a).await.unwrap(), Message::text(r#"{"type":"presence","room":"r","count":1}"#));
}

#[tokio::test]
async fn history_gives_the_last_messages_to_members_only() {
    let server = start(&["--history", "3"], 1024);
    let (mut a, mut b) = (server.connect().await.unwrap(), server.connect().await.unwrap());
    join(&mut a, "r").await;
    for n in 1..=5 {
        ask(&mut a, &format!(r#"{{"type":"publish","room":"r","at":"{n}","body":"m"}}"#)).await;
    }
    assert!(ask(&mut b, r#"{"type":"history","room":"r"}"#).await.contains(r#""code":"not-joined""#));
    join(&mut b, "r").await;
    let message = |n: u32| format!(r#"{{"type":"message","room":"r","seq":{n},"at":"{n}","body":"m"}}"#);
    assert_eq!(
        ask(&mut b, r#"{"type":"history","room":"r"}"#).await,
        format!(r#"{{"type":"history","room":"r","messages":[{},{},{}]}}"#, message(3), message(4), message(5))
    );
    assert_eq!(
        ask(&mut b, r#"{"type":"history","room":"r","last":1}"#).await,
        format!(r#"{{"type":"history","room":"r","messages":[{}]}}"#, message(5))
    );
}

#[tokio::test]
async fn a_bad_message_is_answered_with_its_code_and_the_connection_goes_on() {
    let server = start(&["--rooms", "2", "--rooms-per-connection", "1"], 1024);
    let mut socket = server.connect().await.unwrap();
    join(&mut socket, "mine").await;
    for (message, code) in [
        ("{", "bad-message"),
        (r#"{"type":"heartbeat"}"#, "bad-message"),
        (r#"{"type":"dance"}"#, "unknown-type"),
        (r#"{"type":"join","room":"a b"}"#, "bad-room"),
        (r#"{"type":"publish","room":"other","body":""}"#, "not-joined"),
        (r#"{"type":"leave","room":"other"}"#, "not-joined"),
        (r#"{"type":"join","room":"second"}"#, "room-limit"),
    ] {
        let answer = ask(&mut socket, message).await;
        assert!(answer.starts_with(&format!(r#"{{"type":"error","code":"{code}","text":""#)), "{message}: {answer}");
    }
    assert_eq!(ask(&mut socket, r#"{"type":"heartbeat","id":1}"#).await, r#"{"type":"heartbeat","id":1}"#);
    let mut other = server.connect().await.unwrap();
    join(&mut other, "second").await;
    let mut third = server.connect().await.unwrap();
    assert!(join(&mut third, "third").await.contains("room-limit"));
}

#[tokio::test]
async fn pings_are_answered_and_a_close_is_returned() {
    let server = start(&[], 1024);
    let mut socket = server.connect().await.unwrap();
    socket.send(Message::Ping(Bytes::from_static(b"payload"))).await.unwrap();
    assert_eq!(next(&mut socket).await.unwrap(), Message::Pong(Bytes::from_static(b"payload")));
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "bye".into() })).await.unwrap();
    assert_eq!(closed(&mut socket).await, (1000, "bye".to_owned()));
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn health_and_metrics_are_served_on_the_same_port() {
    let server = start(&[], 1024);
    let health = server.raw("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n") && health.ends_with("\r\n\r\nok\n"), "{health}");
    assert!(server.raw("POST /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
    let mut socket = server.connect().await.unwrap();
    join(&mut socket, "r").await;
    ask(&mut socket, r#"{"type":"publish","room":"r","body":"x"}"#).await;
    ask(&mut socket, r#"{"type":"heartbeat","id":1}"#).await;
    assert_eq!(metric(&server, "app_connections").await, 1);
    assert_eq!(metric(&server, "app_connections_total").await, 1);
    assert_eq!(metric(&server, "app_rooms").await, 1);
    assert_eq!(metric(&server, "app_messages_in_total").await, 3);
    assert!(metric(&server, "app_messages_out_total").await >= 3);
}
