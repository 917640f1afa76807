//! The head of a request or an answer: its bytes up to the empty line, and the few things of it that the edge looks at.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longest head, in bytes.
const HEAD_MAX: usize = 16 << 10;

/// A head, and what came after it.
#[derive(Debug)]
pub struct Head {
    bytes: Vec<u8>,
    /// Length of the head with its empty line.
    length: usize,
}

impl Head {
    /// Reads a head. `None`: the stream ended before, or the head is too long.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut bytes = Vec::with_capacity(1024);
        loop {
            let from = bytes.len().saturating_sub(3);
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
            if let Some(at) = bytes[from..].windows(4).position(|four| four == b"\r\n\r\n") {
                return Ok(Some(Self { bytes, length: from + at + 4 }));
            }
            if bytes.len() > HEAD_MAX {
                return Ok(None);
            }
        }
    }

    /// All bytes that were read.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What came after the head.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.length..]
    }

    /// The head with more lines, each with its end.
    pub fn with_lines(&self, lines: &str) -> Vec<u8> {
        [&self.bytes[..self.length - 2], lines.as_bytes(), b"\r\n"].concat()
    }

    /// Method and path, where it is the head of a request.
    pub fn request(&self) -> Option<(&str, &str)> {
        let mut words = self.first_line()?.split(' ');
        let (method, path, version) = (words.next()?, words.next()?, words.next()?);
        (version.starts_with("HTTP/") && words.next().is_none()).then_some((method, path))
    }

    /// The status, where it is the head of an answer.
    pub fn status(&self) -> Option<u16> {
        let line = self.first_line()?;
        line.starts_with("HTTP/").then(|| line.split(' ').nth(1)?.parse().ok()).flatten()
    }

    /// The value of a header.
    pub fn header(&self, wanted: &str) -> Option<&str> {
        let lines = self.bytes[..self.length].split(|byte| *byte == b'\n').skip(1);
        lines.filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':')).find_map(|(name, value)| {
            let value = value.trim();
            name.eq_ignore_ascii_case(wanted).then_some(value)
        })
    }

    fn first_line(&self) -> Option<&str> {
        let line = self.bytes[..self.length].split(|byte| *byte == b'\r').next()?;
        std::str::from_utf8(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str) -> Option<Head> {
        // In two pieces, with the end of the head in both.
        let (first, second) = text.as_bytes().split_at(text.find("\r\n\r\n").map_or(0, |at| at + 2));
        Head::read(&mut first.chain(second)).await.unwrap()
    }

    #[tokio::test]
    async fn a_request_has_a_path_headers_and_what_follows() {
        let head = read("GET /ws?a=b HTTP/1.1\r\nHOST:  shop.example \r\n\r\nxyz").await.unwrap();
        assert_eq!(head.request(), Some(("GET", "/ws?a=b")));
        assert_eq!((head.header("host"), head.header("origin")), (Some("shop.example"), None));
        assert_eq!(head.rest(), b"xyz");
    }

    #[tokio::test]
    async fn an_answer_has_a_status_and_takes_more_lines() {
        let head = read("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n").await.unwrap();
        assert_eq!(head.status(), Some(101));
        let longer = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nvia: me\r\n\r\n";
        assert_eq!(head.with_lines("via: me\r\n"), longer.as_bytes());
    }

    #[tokio::test]
    async fn what_is_no_head_is_none() {
        assert!(read("GET / HTTP/1.1\r\nhost: x\r\n").await.is_none());
        assert!(read(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(40_000))).await.is_none());
        for text in ["hello\r\n\r\n", "GET /\r\n\r\n", "GET / x HTTP/1.1\r\n\r\n"] {
            assert_eq!(read(text).await.unwrap().request(), None, "{text:?}");
        }
        assert_eq!(read("SSH-2.0\r\n\r\n").await.unwrap().status(), None);
    }
}
