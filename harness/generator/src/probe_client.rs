//! A careful client for single connections. It does the upgrade with the generator's own codec, so that every way in which
//! a server can get it wrong is told apart as in a load; after that the library speaks, which knows nothing of the codec.
//! Load is not made with it: see [`crate::worker`].

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use crate::codec::handshake::{self, BadRequest, Fault, HEAD_MAX, Head, Refusal, Request};
use wsceiling_model::record::FailureReason;

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
    /// The request cannot be sent.
    #[error(transparent)]
    Request(#[from] BadRequest),
    /// The keys of TLS were not agreed.
    #[error("{0}")]
    Tls(FailureReason),
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

/// One open connection.
#[derive(Debug)]
pub struct ProbeClient<S> {
    socket: WebSocketStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ProbeClient<S> {
    /// Upgrades a fresh connection. `path` includes the query; `host` becomes the `Host` header, `headers` are more of them.
    /// Takes as long as the server does: put a timeout around it.
    pub async fn upgrade(
        mut stream: S,
        host: &str,
        path: &str,
        headers: &[(String, String)],
    ) -> Result<Self, UpgradeError> {
        let request = Request::new(host, path, headers)?;
        let key = handshake::key(fastrand::u64(..), 0);
        let mut bytes = Vec::new();
        request.write(&key, &mut bytes);
        stream.write_all(&bytes).await.map_err(|error| UpgradeError::Io(error.to_string()))?;
        let (head, rest) = read_head(&mut stream).await?;
        request.examine(&head, &key).map_err(|fault| upgrade_error(&fault, &head))?;
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
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Result<(Vec<u8>, Vec<u8>), UpgradeError> {
    let mut read = Vec::with_capacity(1024);
    loop {
        match stream.read_buf(&mut read).await {
            Ok(0) if read.is_empty() => return Err(UpgradeError::Closed),
            Ok(0) => return Err(UpgradeError::NotHttp(clip(&read))),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Err(UpgradeError::Closed),
            Err(error) => return Err(UpgradeError::Io(error.to_string())),
        }
        let end = match Head::default().take(&read) {
            Ok((_, None)) => continue,
            Ok((end, Some(_))) => end,
            Err(Refusal::Oversized) => return Err(UpgradeError::TooLong),
            Err(_) => return Err(UpgradeError::NotHttp(clip(&read))),
        };
        let rest = read.split_off(end);
        return Ok((read, rest));
    }
}

fn upgrade_error(fault: &Fault<'_>, head: &[u8]) -> UpgradeError {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    match (fault.refusal, &fault.header) {
        (Refusal::Status(code), _) => UpgradeError::Status { code, line: clip(line) },
        (_, Some(header)) => {
            UpgradeError::Header { name: header.name, expected: header.expected.to_string(), got: header.got.map(clip) }
        }
        _ => UpgradeError::NotHttp(clip(line)),
    }
}

/// The first bytes as text that is safe to print.
fn clip(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
    text.chars().map(|c| if c.is_control() { '\u{b7}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\nsec-websocket-accept: KEY\r\n\r\n";

    fn check(head: &str) -> Result<(), String> {
        let (request, key) = (Request::new("localhost", "/", &[]).unwrap(), handshake::key(1, 2));
        let head = head.replace("KEY", &handshake::accept_key(&key));
        request.examine(head.as_bytes(), &key).map_err(|fault| upgrade_error(&fault, head.as_bytes()).to_string())
    }

    #[test]
    fn a_good_head_passes_whatever_its_case() {
        assert_eq!(check(GOOD), Ok(()));
    }

    #[test]
    fn every_fault_of_a_head_is_told_apart() {
        let accept = handshake::accept_key(&handshake::key(1, 2));
        let fault = |from: &str, to: &str| check(&GOOD.replace(from, to)).unwrap_err();
        assert_eq!(fault("101 Switching Protocols", "200 OK"), "HTTP status 200 (`HTTP/1.1 200 OK`)");
        assert_eq!(fault("101 Switching", "abc"), "an answer that is not HTTP: HTTP/1.1 abc Protocols");
        assert_eq!(fault("upgrade: WebSocket", "X: y"), "`Upgrade` missing, not `websocket`");
        assert_eq!(fault("WebSocket", "h2c"), "`Upgrade` is `h2c`, not `websocket`");
        assert_eq!(fault("keep-alive, upgrade", "close"), "`Connection` is `close`, not `Upgrade`");
        assert_eq!(fault("KEY", "key"), format!("`Sec-WebSocket-Accept` is `key`, not `{accept}`"));
        assert_eq!(
            fault("sec-websocket-accept: KEY", "a: b"),
            format!("`Sec-WebSocket-Accept` missing, not `{accept}`")
        );
        assert!(fault("KEY", "KEY\r\nSec-WebSocket-Extensions: permessage-deflate").contains("none was asked for"));
        assert!(fault("KEY", "KEY\r\nSec-WebSocket-Protocol: chat").contains("none was asked for"));
    }

    #[test]
    fn what_is_shown_of_an_answer_is_short_and_has_no_control_characters() {
        let shown = clip(&[b"\x1b[31m\xff".as_slice(), &[b'x'; 500]].concat());
        assert!(shown.len() < 100 && !shown.contains('\u{1b}'), "{shown}");
    }

    #[tokio::test]
    async fn a_server_is_upgraded_and_heard_however_its_answer_is_cut() {
        let (client, mut server) = tokio::io::duplex(4096);
        let serve = tokio::spawn(async move {
            let mut head = vec![0; 4096];
            let length = server.read(&mut head).await.unwrap();
            let mut answer = handshake::accept(&head[..length]).unwrap();
            answer.extend(b"\x81\x02hi");
            for part in answer.chunks(50) {
                server.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            server
        });
        let mut client = ProbeClient::upgrade(client, "localhost", "/", &[]).await.unwrap();
        assert_eq!(client.receive().await, Received::Text("hi".to_owned()));
        drop(serve.await.unwrap());
        assert!(matches!(client.receive().await, Received::Ended(_)));
    }
}
