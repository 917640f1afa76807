//! The upgrade (RFC 6455, section 4): the request, prepared once and completed with a key for each connection, and the
//! check of the response.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Longest response head in bytes.
pub const HEAD_MAX: usize = 16 << 10;

/// Beginning of a TLS alert (RFC 8446, section 5.1): its type, and the first byte of every version.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// Most header lines of a response.
const HEADERS_MAX: usize = 64;

/// Bytes of a `Sec-WebSocket-Key`: base64 of 16 random bytes.
pub const KEY_LENGTH: usize = 24;

/// A `Sec-WebSocket-Key`.
pub type Key = [u8; KEY_LENGTH];

/// The key of a connection, made again from its number when the response is checked, so that it is not kept.
pub fn key(seed: u64, serial: u32) -> Key {
    let mut random = fastrand::Rng::with_seed(seed ^ (u64::from(serial) << 32 | u64::from(serial)));
    let mut text = [b'='; KEY_LENGTH];
    // 16 bytes are 24 characters, so the slice always suffices.
    let _ = STANDARD.encode_slice(random.u128(..).to_ne_bytes(), &mut text);
    text
}

/// The bytes of an upgrade request, but for the key.
#[derive(Debug, Clone)]
pub struct Request {
    bytes: Vec<u8>,
    key_at: usize,
    /// Subprotocols that it offers.
    subprotocols: Vec<String>,
}

/// What an upgrade request cannot have. `Display` is a fragment for a person, with a hint where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The path.
    #[error("bad path `{}` (hint: it starts with `/` and has no spaces)", .0.escape_debug())]
    Path(String),
    /// The host.
    #[error("bad host `{}`", .0.escape_debug())]
    Host(String),
    /// A header's name, or its value.
    #[error("bad header `{}: {}`", name.escape_debug(), value.escape_debug())]
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A header that the upgrade sets itself.
    #[error("header `{0}` cannot be set (hint: the upgrade sets its own)")]
    Own(String),
}

impl Request {
    /// Prepares the request.
    ///
    /// # Errors
    /// When a part of it would not be HTTP, or a header is the upgrade's own.
    pub fn new(host: &str, path: &str, headers: &[(String, String)]) -> Result<Self, BadRequest> {
        let clean = |text: &str| text.bytes().all(|byte| byte >= b' ' && byte != 0x7F || byte == b'\t');
        if !path.starts_with('/') || path.bytes().any(|byte| byte <= b' ' || byte == 0x7F) {
            return Err(BadRequest::Path(path.to_owned()));
        }
        if host.is_empty() || !clean(host) {
            return Err(BadRequest::Host(host.to_owned()));
        }
        let mut text = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
        );
        let key_at = text.len();
        text.push_str("========================\r\nSec-WebSocket-Version: 13\r\n");
        let mut subprotocols = Vec::new();
        for (name, value) in headers {
            let lower = name.to_ascii_lowercase();
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(token) || !clean(value) {
                return Err(BadRequest::Header { name: name.clone(), value: value.clone() });
            }
            match lower.as_str() {
                "host"
                | "upgrade"
                | "connection"
                | "sec-websocket-key"
                | "sec-websocket-version"
                | "sec-websocket-extensions"
                | "content-length"
                | "transfer-encoding" => {
                    return Err(BadRequest::Own(name.clone()));
                }
                "sec-websocket-protocol" => subprotocols.extend(value.split(',').map(|name| name.trim().to_owned())),
                _ => {}
            }
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        Ok(Self { bytes: text.into_bytes(), key_at, subprotocols })
    }

    /// Appends the request with a key.
    pub fn write(&self, key: &Key, out: &mut Vec<u8>) {
        let at = out.len() + self.key_at;
        out.extend_from_slice(&self.bytes);
        out[at..at + KEY_LENGTH].copy_from_slice(key);
    }

    /// Checks a whole response head.
    pub fn check(&self, head: &[u8], key: &Key) -> Result<(), Refusal> {
        self.examine(head, key).map_err(|fault| fault.refusal)
    }

    /// The same, with the header that is at fault (RFC 6455, section 4.1).
    pub fn examine<'h>(&self, head: &'h [u8], key: &Key) -> Result<(), Fault<'h>> {
        let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut lines);
        match response.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            _ => return Err(Refusal::Malformed.into()),
        }
        match response.code {
            Some(101) => {}
            Some(code) => return Err(Refusal::Status(code).into()),
            None => return Err(Refusal::Malformed.into()),
        }
        if response.version != Some(1) {
            return Err(Refusal::Malformed.into());
        }
        self.examine_headers(response.headers, key)
    }

    fn examine_headers<'h>(&self, headers: &[httparse::Header<'h>], key: &Key) -> Result<(), Fault<'h>> {
        let values = |name| values(headers, name);
        let fault = |refusal, name: &'static str, expected: Cow<'static, str>| {
            Err(Fault { refusal, header: Some(HeaderFault { name, expected, got: values(name).next() }) })
        };
        if !values("Upgrade").any(|value| value.eq_ignore_ascii_case(b"websocket")) {
            return fault(Refusal::NoUpgrade, "Upgrade", "websocket".into());
        }
        if !values("Connection").flat_map(tokens).any(|token| token.eq_ignore_ascii_case(b"upgrade")) {
            return fault(Refusal::NoConnection, "Connection", "Upgrade".into());
        }
        let accept = accept_key(key);
        let mut given = values("Sec-WebSocket-Accept");
        let refusal = match (given.next(), given.next()) {
            (None, _) => Some(Refusal::NoAcceptKey),
            (Some(_), Some(_)) => Some(Refusal::Malformed),
            (Some(value), None) => (value != accept.as_bytes()).then_some(Refusal::WrongAcceptKey),
        };
        if let Some(refusal) = refusal {
            return fault(refusal, "Sec-WebSocket-Accept", accept.into());
        }
        if values("Sec-WebSocket-Extensions").any(|value| !value.is_empty()) {
            return fault(Refusal::Extension, "Sec-WebSocket-Extensions", NOT_ASKED_FOR.into());
        }
        let name = "Sec-WebSocket-Protocol";
        let expected =
            || if self.subprotocols.is_empty() { NOT_ASKED_FOR.into() } else { self.subprotocols.join(", ").into() };
        let offered = |value: &[u8]| self.subprotocols.iter().any(|offered| offered.as_bytes() == value);
        if !values(name).all(offered) {
            return fault(Refusal::Subprotocol, name, expected());
        }
        // As browsers have it (WHATWG WebSockets, "establish a WebSocket connection", step 11).
        if values(name).next().is_none() && !self.subprotocols.is_empty() {
            return fault(Refusal::NoSubprotocol, name, expected());
        }
        Ok(())
    }
}

/// What a server answers to a request: `None` while its head is not whole, or where it is no upgrade.
pub fn accept(head: &[u8]) -> Option<Vec<u8>> {
    let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut lines);
    let whole = request.parse(head).is_ok_and(|status| status.is_complete());
    let key = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"));
    let accepted = accept_key(key.filter(|_| whole)?.value.trim_ascii());
    let text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    Some(format!("{text}Sec-WebSocket-Accept: {accepted}\r\n\r\n").into_bytes())
}

/// The value of `Sec-WebSocket-Accept` for a key: base64 of SHA-1 of the key and a fixed GUID (RFC 6455, section 4.2.2).
pub fn accept_key(key: &[u8]) -> String {
    derive_accept_key(key)
}

/// Values of the headers of a name.
fn values<'a, 'h>(
    headers: &'a [httparse::Header<'h>],
    name: &'static str,
) -> impl Iterator<Item = &'h [u8]> + use<'a, 'h> {
    let named = headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| header.value.trim_ascii())
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// What is expected of a header that offers something where nothing was asked for.
const NOT_ASKED_FOR: &str = "(nothing: none was asked for)";

/// Why a response is not an accepted upgrade, and which of its headers says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault<'h> {
    /// Why.
    pub refusal: Refusal,
    /// The header that is missing or wrong; `None`: it is the status line, or the form of the whole.
    pub header: Option<HeaderFault<'h>>,
}

/// A header that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderFault<'h> {
    /// Its name.
    pub name: &'static str,
    /// What RFC 6455 asks for.
    pub expected: Cow<'static, str>,
    /// Its first value; `None`: there is none.
    pub got: Option<&'h [u8]>,
}

impl From<Refusal> for Fault<'_> {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, header: None }
    }
}

/// Why a response is not an accepted upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A status other than 101.
    Status(u16),
    /// Not an HTTP/1.1 response.
    Malformed,
    /// The head is longer than [`HEAD_MAX`].
    Oversized,
    /// No `Upgrade: websocket`.
    NoUpgrade,
    /// No `Connection: Upgrade`.
    NoConnection,
    /// No `Sec-WebSocket-Accept`.
    NoAcceptKey,
    /// A `Sec-WebSocket-Accept` that does not belong to the key.
    WrongAcceptKey,
    /// An extension, though none was offered.
    Extension,
    /// A subprotocol that was not offered.
    Subprotocol,
    /// Subprotocols were offered and none was chosen.
    NoSubprotocol,
    /// A TLS alert: the server expects TLS.
    Tls,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status(code) => return write!(f, "http {code}"),
            Self::Malformed => "malformed response",
            Self::Oversized => "oversized response head",
            Self::NoUpgrade => "missing upgrade header",
            Self::NoConnection => "missing connection header",
            Self::NoAcceptKey => "missing accept key",
            Self::WrongAcceptKey => "wrong accept key",
            Self::Extension => "unexpected extension",
            Self::Subprotocol => "unexpected subprotocol",
            Self::NoSubprotocol => "missing subprotocol",
            Self::Tls => "tls alert instead of a response",
        })
    }
}

/// Collects a response head from pieces of any size.
#[derive(Debug, Default)]
pub struct Head {
    kept: Vec<u8>,
}

impl Head {
    /// Bytes kept from earlier pieces.
    pub fn buffered(&self) -> usize {
        self.kept.capacity()
    }

    /// Takes what belongs to the head from the start of `input`, and says how many bytes that were. `Some`: the head is
    /// whole, and this is all of it; `None`: all of `input` is used up.
    pub fn take<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<&'a [u8]>), Refusal> {
        let before = self.kept.len();
        if before == 0 {
            check_beginning(input)?;
            if let Some(end) = head_end(input) {
                return if end > HEAD_MAX { Err(Refusal::Oversized) } else { Ok((end, Some(&input[..end]))) };
            }
        }
        let room = (HEAD_MAX + 1).saturating_sub(before).min(input.len());
        self.kept.extend_from_slice(&input[..room]);
        check_beginning(&self.kept)?;
        // The end may be cut anywhere, so the search starts a little before the new bytes.
        let from = before.saturating_sub(3);
        let end = head_end(&self.kept[from..]).map(|end| from + end);
        if end.unwrap_or(self.kept.len()) > HEAD_MAX {
            return Err(Refusal::Oversized);
        }
        let Some(end) = end else { return Ok((input.len(), None)) };
        Ok((end - before, Some(&self.kept[..end])))
    }
}

/// What is no HTTP is named as soon as it can be told, so that nobody waits for the rest.
fn check_beginning(head: &[u8]) -> Result<(), Refusal> {
    let fits = |beginning: &[u8]| head.iter().zip(beginning).all(|(got, wanted)| got == wanted);
    if fits(b"HTTP/1.") {
        Ok(())
    } else if !fits(&TLS_ALERT) {
        Err(Refusal::Malformed)
    } else if head.len() >= TLS_ALERT.len() {
        Err(Refusal::Tls)
    } else {
        Ok(())
    }
}

/// Length of a head that ends with an empty line.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == b'\n') {
        let line = from + at + 1;
        match &bytes[line..] {
            [b'\n', ..] => return Some(line + 1),
            [b'\r', b'\n', ..] => return Some(line + 2),
            _ => from = line,
        }
    }
    None
}

#[cfg(test)]
mod tests;
