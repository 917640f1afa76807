//! A careful client for single connections. It does the upgrade itself, byte by byte, so that every way in which a server
//! can get it wrong is told apart; after that the library speaks. Load is not made with it: see the generator.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use wsceiling_launch::endpoint::Stream;

/// A longer answer to the upgrade is refused: 16 KiB.
const HEAD_MAX: usize = 16 * 1024;

/// Longest message that is accepted from a server, 1 MiB: more than any check asks for.
const MESSAGE_MAX: usize = 1024 * 1024;

/// Why an upgrade did not lead to a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// The server closed the connection before it had answered.
    #[error("the connection was closed without an answer")]
    Closed,
    /// Reading or writing failed.
    #[error("{0}")]
    Io(String),
    /// The answer is not HTTP; its first bytes.
    #[error("an answer that is not HTTP: {0}")]
    NotHttp(String),
    /// The answer's head has no end within 16 KiB.
    #[error("an answer whose head does not end within {HEAD_MAX} bytes")]
    TooLong,
    /// HTTP, but not status 101.
    #[error("HTTP status {code} (`{line}`)")]
    Status {
        /// The status code.
        code: u16,
        /// The whole status line.
        line: String,
    },
    /// A header of the answer is missing or wrong.
    #[error("`{name}` {}, not `{expected}`", .got.as_ref().map_or("missing".to_owned(), |got| format!("is `{got}`")))]
    Header {
        /// Name of the header.
        name: &'static str,
        /// What RFC 6455, section 4.2.2, asks for.
        expected: String,
        /// What the server sent; `None`: nothing.
        got: Option<String>,
    },
}

/// What arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A pong with its payload.
    Pong(Vec<u8>),
    /// A close frame with its code and reason, where it has them.
    Close(Option<(u16, String)>),
    /// The connection ended without (or after) a close frame, or the server broke the protocol; why.
    Ended(String),
}

/// The value of `Sec-WebSocket-Accept` for a key: base64 of SHA-1 of the key and a fixed GUID (RFC 6455, 4.2.2).
pub fn accept_key(key: &str) -> String {
    derive_accept_key(key.as_bytes())
}

/// One open connection. Dropping it resets it: no `TIME_WAIT` is left behind for the trial that follows.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<Stream>,
}

impl Client {
    /// Upgrades a fresh connection. `path` includes the query; `host` becomes the `Host` header. Takes as long as the
    /// server does: put a timeout around it.
    pub async fn upgrade(mut stream: Stream, host: &str, path: &str) -> Result<Self, UpgradeError> {
        let io = |error: std::io::Error| UpgradeError::Io(error.to_string());
        stream.be_abrupt().map_err(io)?;
        let key = generate_key();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.map_err(io)?;
        let (head, rest) = read_head(&mut stream).await?;
        check_head(&head, &accept_key(&key))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(4096)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(MESSAGE_MAX));
        Ok(Self { socket: WebSocketStream::from_partially_read(stream, rest, Role::Client, Some(config)).await })
    }

    /// Sends a text message.
    pub async fn send_text(&mut self, text: &str) -> Result<(), String> {
        self.send(Message::text(text)).await
    }

    /// Sends a binary message.
    pub async fn send_binary(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.send(Message::binary(bytes.to_vec())).await
    }

    /// Sends one text message in a frame for each of `parts`, with a ping after the first. A part may end within a
    /// character: only the whole message has to be UTF-8 (RFC 6455, 5.6).
    pub async fn send_fragments(&mut self, parts: &[&[u8]], ping: &[u8]) -> Result<(), String> {
        for (index, part) in parts.iter().enumerate() {
            let code = OpCode::Data(if index == 0 { Data::Text } else { Data::Continue });
            let frame = Frame::message(Bytes::copy_from_slice(part), code, index + 1 == parts.len());
            self.send(Message::Frame(frame)).await?;
            if index == 0 {
                self.ping(ping).await?;
            }
        }
        Ok(())
    }

    /// Sends a ping; `payload` has at most 125 bytes.
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), String> {
        self.send(Message::Ping(Bytes::copy_from_slice(payload))).await
    }

    /// Sends a close frame.
    pub async fn close(&mut self, code: u16, reason: &str) -> Result<(), String> {
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from(reason) };
        self.send(Message::Close(Some(frame))).await
    }

    async fn send(&mut self, message: Message) -> Result<(), String> {
        self.socket.send(message).await.map_err(|error| error.to_string())
    }

    /// The next thing that arrives. Pings are answered on the way and not returned.
    pub async fn receive(&mut self) -> Received {
        loop {
            return match self.socket.next().await {
                Some(Ok(Message::Text(text))) => Received::Text(text.to_string()),
                Some(Ok(Message::Binary(bytes))) => Received::Binary(bytes.to_vec()),
                Some(Ok(Message::Pong(payload))) => Received::Pong(payload.to_vec()),
                Some(Ok(Message::Close(frame))) => {
                    Received::Close(frame.map(|frame| (frame.code.into(), frame.reason.to_string())))
                }
                Some(Ok(Message::Ping(_) | Message::Frame(_))) => continue,
                Some(Err(error)) => Received::Ended(error.to_string()),
                None => Received::Ended("the connection is closed".to_owned()),
            };
        }
    }
}

/// Reads up to the empty line; returns the head and what was read behind it.
async fn read_head(stream: &mut Stream) -> Result<(String, Vec<u8>), UpgradeError> {
    let mut read = Vec::with_capacity(1024);
    loop {
        match stream.read_buf(&mut read).await {
            Ok(0) if read.is_empty() => return Err(UpgradeError::Closed),
            Ok(0) => return Err(UpgradeError::NotHttp(clip(&read))),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Err(UpgradeError::Closed),
            Err(error) => return Err(UpgradeError::Io(error.to_string())),
        }
        let start = b"HTTP/1.";
        if read[..read.len().min(start.len())] != start[..read.len().min(start.len())] {
            return Err(UpgradeError::NotHttp(clip(&read)));
        }
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&read[..end]).into_owned(), rest));
        }
        if read.len() >= HEAD_MAX {
            return Err(UpgradeError::TooLong);
        }
    }
}

/// Checks an answer to an upgrade against RFC 6455, section 4.1; no extension or subprotocol was asked for.
fn check_head(head: &str, accept: &str) -> Result<(), UpgradeError> {
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    match line.split(' ').nth(1).and_then(|code| code.parse().ok()) {
        Some(101) => {}
        Some(code) => return Err(UpgradeError::Status { code, line: clip(line.as_bytes()) }),
        None => return Err(UpgradeError::NotHttp(clip(line.as_bytes()))),
    }
    let headers: Vec<(&str, &str)> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim())).collect();
    let get = |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
    let wrong = |name: &'static str, expected: &str| {
        let got = get(name).map(|value| clip(value.as_bytes()));
        Err(UpgradeError::Header { name, expected: expected.to_owned(), got })
    };
    if !get("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return wrong("Upgrade", "websocket");
    }
    let is_upgrade = |value: &str| value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    if !get("Connection").is_some_and(is_upgrade) {
        return wrong("Connection", "Upgrade");
    }
    if get("Sec-WebSocket-Accept") != Some(accept) {
        return wrong("Sec-WebSocket-Accept", accept);
    }
    for name in ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"] {
        if get(name).is_some_and(|value| !value.is_empty()) {
            return wrong(name, "(nothing: none was asked for)");
        }
    }
    Ok(())
}

/// The first bytes as text that is safe to print.
fn clip(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
    text.chars().map(|c| if c.is_control() { '\u{b7}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\nsec-websocket-accept: KEY";

    #[test]
    fn the_key_is_answered_as_in_the_example_of_the_rfc() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_good_head_passes_whatever_its_case() {
        assert_eq!(check_head(GOOD, "KEY"), Ok(()));
    }

    #[test]
    fn every_fault_of_a_head_is_told_apart() {
        let fault = |from: &str, to: &str| check_head(&GOOD.replace(from, to), "KEY").unwrap_err().to_string();
        assert_eq!(fault("101 Switching Protocols", "200 OK"), "HTTP status 200 (`HTTP/1.1 200 OK`)");
        assert_eq!(fault("101 Switching", "abc"), "an answer that is not HTTP: HTTP/1.1 abc Protocols");
        assert_eq!(fault("upgrade: WebSocket", "X: y"), "`Upgrade` missing, not `websocket`");
        assert_eq!(fault("WebSocket", "h2c"), "`Upgrade` is `h2c`, not `websocket`");
        assert_eq!(fault("keep-alive, upgrade", "close"), "`Connection` is `close`, not `Upgrade`");
        assert_eq!(fault("KEY", "key"), "`Sec-WebSocket-Accept` is `key`, not `KEY`");
        assert!(fault("KEY", "KEY\r\nSec-WebSocket-Extensions: permessage-deflate").contains("none was asked for"));
    }

    #[test]
    fn what_is_shown_of_an_answer_is_short_and_has_no_control_characters() {
        let shown = clip(&[b"\x1b[31m\xff".as_slice(), &[b'x'; 500]].concat());
        assert!(shown.len() < 100 && !shown.contains('\u{1b}'), "{shown}");
    }
}
