//! What is sent, and what counts as an answer.

use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, accept};

use crate::server::{drain, echo, request, server};
use crate::tool::{Ran, short};

/// A server that keeps what it hears, and answers as `answer` says.
fn keeping(answer: fn(Message) -> Option<Message>) -> (String, Arc<Mutex<Vec<Message>>>) {
    let kept: Arc<Mutex<Vec<Message>>> = Arc::default();
    let keeps = Arc::clone(&kept);
    let address = server(move |stream| {
        let Ok(mut socket) = accept(stream) else { return };
        while let Ok(message) = socket.read() {
            if !(message.is_text() || message.is_binary()) {
                continue;
            }
            keeps.lock().unwrap().push(message.clone());
            if let Some(answer) = answer(message) {
                let _ = socket.send(answer);
            }
        }
    });
    (format!("ws://{address}"), kept)
}

fn held(ran: &Ran) -> u64 {
    assert_eq!(ran.code, 0, "{ran:?}");
    let json = ran.json();
    // The hold is shorter than the interval of messages, so most are asked after it.
    assert!(json["latency"]["probe"]["p50_us"].is_u64(), "{ran:?}");
    json["connections"]["held"].as_u64().unwrap()
}

#[test]
fn variables_of_a_payload_are_replaced() {
    let (url, kept) = keeping(Some);
    let ran =
        short(&url, &["--payload", r#"{"c":{connection},"n":{sequence},"t":{now_ns},"x":{}}"#, "--expect", "echo"]);
    assert_eq!(held(&ran), 5);
    let kept = kept.lock().unwrap();
    let mut connections = std::collections::BTreeSet::new();
    for message in kept.iter() {
        let text = message.to_text().unwrap();
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        connections.insert(value["c"].as_u64().unwrap());
        assert!(value["n"].as_u64().unwrap() >= 1);
        let year = value["t"].as_u64().unwrap() / 1_000_000_000 / 31_556_952 + 1970;
        assert!((2024..2200).contains(&year), "{text}");
    }
    assert_eq!(connections.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_file_that_is_no_text_is_sent_as_binary() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("payload");
    std::fs::write(&file, [0xFF, 0x00, 0xFE]).unwrap();
    let (url, kept) = keeping(Some);
    let ran = short(&url, &["--payload-file", file.to_str().unwrap()]);
    assert_eq!(held(&ran), 5);
    assert!(kept.lock().unwrap().iter().all(|message| *message == Message::binary(vec![0xFF, 0x00, 0xFE])));
}

#[test]
fn a_word_in_braces_that_is_no_variable_is_noticed() {
    let ran = short(&format!("ws://{}", server(echo)), &["--payload", "hello {connetion}"]);
    assert_eq!(held(&ran), 5);
    assert!(ran.err.contains("warning: `{connetion}` in the payload is no variable"), "{ran:?}");
}

#[test]
fn what_answers_is_found_out_and_said() {
    let (url, _) = keeping(|_| Some(Message::text("received")));
    let ran = short(&url, &[]);
    assert_eq!((held(&ran), ran.json()["request"]["expect"].as_str()), (5, Some("any")));
    assert!(ran.err.contains("answers: any message"), "{ran:?}");
    let (url, kept) = keeping(|_| None);
    let ran = short(&url, &[]);
    assert_eq!((held(&ran), ran.json()["request"]["expect"].as_str()), (5, Some("none")));
    assert!(ran.err.contains("its ping was answered"), "{ran:?}");
    assert_eq!(kept.lock().unwrap().len(), 1, "only the first connection said something");
}

#[test]
fn a_message_that_the_server_refuses_fails_the_load() {
    let address = server(|stream: TcpStream| {
        let Ok(mut socket) = accept(stream) else { return };
        let _ = socket.read();
        let _ = socket.close(Some(CloseFrame { code: CloseCode::Size, reason: "too long".into() }));
        while socket.read().is_ok() {}
    });
    let ran = short(&format!("ws://{address}"), &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.errors(), [("open".to_owned(), "close 1009".to_owned(), 5)]);
}

#[test]
fn a_payload_without_an_answer_is_sent_with_pings() {
    let (url, kept) = keeping(|_| None);
    let ran = short(&url, &["--payload", "log this", "--expect", "none"]);
    assert_eq!(held(&ran), 5);
    assert!(kept.lock().unwrap().len() >= 5);
}

#[test]
fn a_greeting_is_no_fault_unless_nothing_but_an_echo_may_come() {
    let address = server(|stream: TcpStream| {
        let Ok(mut socket) = accept(stream) else { return };
        let _ = socket.send(Message::text("welcome"));
        while let Ok(message) = socket.read() {
            let _ = socket.send(message);
        }
    });
    let url = format!("ws://{address}");
    let ran = short(&url, &[]);
    assert_eq!((held(&ran), ran.json()["messages"]["unasked"].as_u64()), (5, Some(5)), "{ran:?}");
    let ran = short(&url, &["--expect", "echo"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.errors(), [("open".to_owned(), "wrong echo".to_owned(), 5)]);
}

#[test]
fn headers_cookies_and_tokens_arrive() {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let keeps = Arc::clone(&heads);
    let address = server(move |mut stream: TcpStream| {
        let mut seen = vec![0; 4096];
        let length = stream.peek(&mut seen).unwrap_or(0);
        keeps.lock().unwrap().push(String::from_utf8_lossy(&seen[..length]).into_owned());
        request(&mut stream);
        drain(&mut stream);
    });
    let arguments = [
        "--header",
        "X-One: a: b",
        "--cookie",
        "s=1",
        "--cookie",
        "t=2",
        "--token",
        "a b",
        "--origin",
        "https://example.com",
        "-H",
        "host: other.example",
        "--handshake-timeout",
        "200ms",
        "--expect",
        "any",
        "-n",
        "1",
    ];
    let url = format!("ws://{address}/chat?x=1");
    let ran = short(&url, &arguments[..arguments.len() - 2]);
    assert_eq!(ran.code, 1);
    assert!(!ran.out.contains("a%20b"), "the token is not shown: {ran:?}");
    let ran = short(&format!("ws://me:secret@{address}"), &["--handshake-timeout", "200ms", "--expect", "any"]);
    assert!(!ran.out.contains("secret"), "{ran:?}");
    short(&format!("ws://{address}"), &["--token", "T", "--bearer", "--handshake-timeout", "200ms", "--expect", "any"]);
    let heads = heads.lock().unwrap().join("\n");
    for line in [
        "GET /chat?x=1&token=a%20b HTTP/1.1\r\n",
        "\r\nX-One: a: b\r\n",
        "\r\nCookie: s=1; t=2\r\n",
        "\r\nOrigin: https://example.com\r\n",
        "\r\nHost: other.example\r\n",
        "\r\nAuthorization: Bearer T\r\n",
        "\r\nAuthorization: Basic bWU6c2VjcmV0\r\n",
    ] {
        assert!(heads.contains(line), "{line}: {heads}");
    }
}
