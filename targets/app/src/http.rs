//! The part of HTTP that comes before a WebSocket: one request's head, and short answers.

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse as _;
use tokio_tungstenite::tungstenite::handshake::server::Request;

/// A longer head is refused. Browsers with cookies send 1 to 4 KiB.
const HEAD_MAX: usize = 16 * 1024;

/// A request's head, and what was read behind it.
#[derive(Debug)]
pub struct Head {
    pub request: Request,
    pub rest: Vec<u8>,
}

/// Why there is no head.
#[derive(Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The peer closed before it had sent one.
    Gone,
    TooLong,
    WrongMethod,
    Malformed,
}

/// Reads up to the end of the head.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Result<Head, HeadError> {
    let mut read = Vec::with_capacity(1024);
    loop {
        match stream.read_buf(&mut read).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Err(HeadError::Gone),
        }
        match Request::try_parse(&read) {
            Ok(Some((length, request))) => {
                read.drain(..length);
                return Ok(Head { request, rest: read });
            }
            Ok(None) if read.len() >= HEAD_MAX => return Err(HeadError::TooLong),
            Ok(None) => read.reserve(1024),
            Err(Error::Protocol(ProtocolError::WrongHttpMethod)) => return Err(HeadError::WrongMethod),
            Err(_) => return Err(HeadError::Malformed),
        }
    }
}

/// A whole answer, after which the connection is closed. `headers` are lines with their ends.
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> Result<Head, HeadError> {
        read_head(&mut bytes).await
    }

    #[tokio::test]
    async fn a_head_is_split_from_what_follows() {
        let head = read(b"GET /ws?token=a HTTP/1.1\r\nHost: x\r\n\r\n\x81\x80rest").await.unwrap();
        assert_eq!(head.request.uri().path(), "/ws");
        assert_eq!(head.rest, b"\x81\x80rest");
    }

    #[tokio::test]
    async fn what_is_not_a_head_has_its_error() {
        assert_eq!(read(b"").await.unwrap_err(), HeadError::Gone);
        assert_eq!(read(b"GET / HTTP/1.1\r\nHost:").await.unwrap_err(), HeadError::Gone);
        assert_eq!(read(b"POST / HTTP/1.1\r\n\r\n").await.unwrap_err(), HeadError::WrongMethod);
        assert_eq!(read(b"\x16\x03\x01 tls\r\n\r\n").await.unwrap_err(), HeadError::Malformed);
        let long = format!("GET / HTTP/1.1\r\nCookie: {}", "x".repeat(20_000));
        assert_eq!(read(long.as_bytes()).await.unwrap_err(), HeadError::TooLong);
    }

    #[test]
    fn an_answer_says_how_long_it_is() {
        let text = String::from_utf8(answer("200 OK", "X: y\r\n", "ok\n")).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Length: 3\r\n") && text.ends_with("X: y\r\n\r\nok\n"), "{text}");
    }
}
