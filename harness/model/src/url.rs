//! Addresses of servers: `ws://host:port/path?query` and `wss://` (RFC 6455, section 3), and `ws+unix://socket:/path` for
//! a unix-domain socket, as Node's `ws` writes it.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::keyword::recorded_as_text;

/// The address of a server. Shown without what is secret in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Url {
    /// `wss://`.
    pub secure: bool,
    /// The unix-domain socket; then there is no host but `localhost`, as far as HTTP is concerned.
    pub socket: Option<PathBuf>,
    /// Name or address, without brackets.
    pub host: String,
    /// Port; 80 and 443 where none is written.
    pub port: u16,
    /// Path with query, from `/` on.
    pub path: String,
    /// `user:password` in base64, for `Authorization: Basic`.
    pub basic: Option<String>,
}

/// Why a text is no address of a server. `Display` says what, [`Self::hint`] what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No `://`.
    #[error("`{0}` has no scheme")]
    NoScheme(String),
    /// Another scheme, of which it is known what is meant.
    #[error("`{text}` is no WebSocket address")]
    OtherScheme {
        /// The address.
        text: String,
        /// Its scheme, and the one to write.
        schemes: (&'static str, &'static str),
    },
    /// `wss+unix://`.
    #[error("there is no TLS over unix-domain sockets")]
    TlsOverSocket,
    /// Any other scheme.
    #[error("`{0}` is no scheme of WebSocket")]
    UnknownScheme(String),
    /// A `#`, which RFC 6455, section 3, forbids.
    #[error("`{0}` has a fragment, which WebSocket addresses cannot have")]
    Fragment(String),
    /// `ws+unix://` and nothing.
    #[error("no path of a socket")]
    NoSocket,
    /// A path that no socket can have.
    #[error("`{path}` is no path of a socket: {why}")]
    BadSocket {
        /// The path.
        path: String,
        /// What the system says of it.
        why: String,
    },
    /// A character that a path cannot have.
    #[error("the path `{path}` has `{character}` in it")]
    BadPath {
        /// The path.
        path: String,
        /// The character.
        character: String,
    },
    /// No host name that anybody could have.
    #[error("`{0}` is no host name")]
    BadHost(String),
    /// No number of a port.
    #[error("`{0}` is no port")]
    BadPort(String),
    /// Nothing before the path or the port.
    #[error("no host before the path or port")]
    NoHost,
    /// IPv6 as it is written elsewhere.
    #[error("`{0}` is an IPv6 address without brackets")]
    NoBrackets(String),
    /// `[` without `]`.
    #[error("`{0}` has no closing bracket")]
    OpenBracket(String),
    /// IPv4 in brackets.
    #[error("`{0}` has an IPv4 address in brackets")]
    Ipv4InBrackets(String),
    /// Something behind the brackets.
    #[error("`{0}` is no host")]
    AfterBrackets(String),
    /// No address in the brackets.
    #[error("`{0}` is no IPv6 address")]
    BadIpv6(String),
    /// `%` without two digits.
    #[error("{0} has a bad percent sequence")]
    BadPercent(&'static str),
}

impl UrlError {
    /// What to write instead.
    pub fn hint(&self) -> String {
        let hint = match self {
            Self::NoScheme(text) => return format!("ws://{text}"),
            Self::OtherScheme { schemes: (scheme, instead), .. } => return format!("{instead} instead of {scheme}"),
            Self::NoBrackets(text) => return format!("[{text}]"),
            Self::TlsOverSocket => "ws+unix://",
            Self::Fragment(_) => "%23 for a `#`",
            Self::NoSocket | Self::BadSocket { .. } => "ws+unix:///run/app.sock:/PATH",
            Self::BadPath { .. } => "percent-encode it",
            Self::BadHost(_) => "in ASCII form, xn--...",
            Self::BadPort(_) => "from 1 to 65535",
            Self::Ipv4InBrackets(_) => "leave them out",
            Self::BadPercent(_) => "%25 for a `%`",
            Self::UnknownScheme(_)
            | Self::NoHost
            | Self::OpenBracket(_)
            | Self::AfterBrackets(_)
            | Self::BadIpv6(_) => "ws://HOST[:PORT][/PATH][?QUERY] or wss://...",
        };
        hint.to_owned()
    }
}

impl Url {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, with a hint.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        let shown = || text.escape_debug().to_string();
        let Some((scheme, rest)) = text.split_once("://") else { return Err(UrlError::NoScheme(shown())) };
        let other = |schemes| Err(UrlError::OtherScheme { text: shown(), schemes });
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            "ws+unix" => return Self::unix(rest),
            "http" => return other(("http://", "ws://")),
            "https" => return other(("https://", "wss://")),
            "unix" => return other(("unix://", "ws+unix://")),
            "http+unix" => return other(("http+unix://", "ws+unix://")),
            "wss+unix" => return Err(UrlError::TlsOverSocket),
            _ => return Err(UrlError::UnknownScheme(scheme.escape_debug().to_string())),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment(shown()));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, host_port) = authority.rsplit_once('@').map_or((None, authority), |(user, rest)| (Some(user), rest));
        let (host, port) = host_and_port(if secure { "wss" } else { "ws" }, host_port)?;
        let path = upgrade_path(path)?;
        let decoded = |user| percent_decoded(user, "the user name or password").map(|bytes| STANDARD.encode(bytes));
        let basic = user.map(decoded).transpose()?;
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { secure, socket: None, host, port, path, basic })
    }

    /// What follows `ws+unix://`: the socket's path, and after a colon that of the upgrade.
    fn unix(text: &str) -> Result<Self, UrlError> {
        let (socket, path) = text.split_once(':').unwrap_or((text, "/"));
        let socket = PathBuf::from(OsString::from_vec(percent_decoded(socket, "the path of the socket")?));
        if socket.as_os_str().is_empty() {
            return Err(UrlError::NoSocket);
        }
        std::os::unix::net::SocketAddr::from_pathname(&socket)
            .map_err(|error| UrlError::BadSocket { path: socket.display().to_string(), why: error.to_string() })?;
        let path = upgrade_path(path)?;
        Ok(Self { secure: false, socket: Some(socket), host: "localhost".to_owned(), port: 80, path, basic: None })
    }

    /// Value of the `Host` header.
    pub fn host_header(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.secure { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    /// Adds `name=value` to the query.
    pub fn add_query(&mut self, name: &str, value: &str) {
        let separator = match self.path.find('?') {
            None => "?",
            Some(at) if at + 1 == self.path.len() => "",
            Some(_) => "&",
        };
        self.path = format!("{}{separator}{}={}", self.path, percent_encoded(name), percent_encoded(value));
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(socket) = &self.socket {
            return write!(f, "ws+unix://{}:{}", shown(socket), self.path);
        }
        let scheme = if self.secure { "wss" } else { "ws" };
        let user = if self.basic.is_some() { "***@" } else { "" };
        write!(f, "{scheme}://{user}{}{}", self.host_header(), self.path)
    }
}

impl std::str::FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

recorded_as_text!(Url);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// The path of a socket, in the form that is read.
fn shown(socket: &Path) -> String {
    percent_encoded(&socket.to_string_lossy()).replace("%2F", "/")
}

fn upgrade_path(text: &str) -> Result<String, UrlError> {
    let path = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
    match path.chars().find(|char| !char.is_ascii_graphic()) {
        Some(bad) => {
            Err(UrlError::BadPath { path: path.escape_debug().to_string(), character: bad.escape_debug().to_string() })
        }
        None => Ok(path),
    }
}

/// Host and port as browsers read them (WHATWG URL): lower case, numbers as addresses; `None`: the scheme's own port.
fn host_and_port(scheme: &str, text: &str) -> Result<(String, Option<u16>), UrlError> {
    let escaped = |text: &str| text.escape_debug().to_string();
    let no_name = || UrlError::BadHost(escaped(text));
    let no_port = || UrlError::BadPort(escaped(text.rsplit(':').next().unwrap_or_default()));
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(no_name());
    }
    let bracket = text.strip_prefix('[');
    let parsed = ::url::Url::parse(&format!("{scheme}://{text}")).map_err(|error| match (error, bracket) {
        (_, None) if text.matches(':').count() > 1 => UrlError::NoBrackets(escaped(text)),
        (::url::ParseError::InvalidPort, _) => no_port(),
        (::url::ParseError::EmptyHost, _) => UrlError::NoHost,
        (_, Some(rest)) => match rest.split_once(']') {
            None => UrlError::OpenBracket(escaped(text)),
            Some((host, _)) if host.parse::<Ipv4Addr>().is_ok() => UrlError::Ipv4InBrackets(escaped(text)),
            Some((host, _)) if host.parse::<Ipv6Addr>().is_ok() => UrlError::AfterBrackets(escaped(text)),
            Some((host, _)) => UrlError::BadIpv6(escaped(host)),
        },
        _ => no_name(),
    })?;
    if parsed.port() == Some(0) {
        return Err(no_port());
    }
    match parsed.host() {
        // A backslash begins a path there.
        _ if parsed.path() != "/" => Err(no_name()),
        Some(::url::Host::Domain(name)) => Ok((name.to_owned(), parsed.port())),
        Some(::url::Host::Ipv4(address)) => Ok((address.to_string(), parsed.port())),
        Some(::url::Host::Ipv6(address)) => Ok((address.to_string(), parsed.port())),
        None => Err(no_name()),
    }
}

fn percent_encoded(text: &str) -> String {
    use fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte as char);
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn percent_decoded(text: &str, what: &'static str) -> Result<Vec<u8>, UrlError> {
    let mut decoded = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let pair = [bytes.next(), bytes.next()].map(|digit| digit.and_then(|digit| (digit as char).to_digit(16)));
        let [Some(high), Some(low)] = pair else {
            return Err(UrlError::BadPercent(what));
        };
        decoded.push((high << 4 | low) as u8);
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (bool, String, u16, String, String) {
        let url = Url::parse(text).unwrap();
        (url.secure, url.host.clone(), url.port, url.path.clone(), url.host_header())
    }

    #[test]
    fn addresses_are_read() {
        for (text, secure, host, port, path, header) in [
            ("ws://localhost", false, "localhost", 80, "/", "localhost"),
            ("wss://Example.com", true, "example.com", 443, "/", "example.com"),
            ("ws://localhost:8080/chat?room=1", false, "localhost", 8080, "/chat?room=1", "localhost:8080"),
            ("WS://127.0.0.1:443/", false, "127.0.0.1", 443, "/", "127.0.0.1:443"),
            ("wss://[::1]/a", true, "::1", 443, "/a", "[::1]"),
            ("ws://[::1]:9001", false, "::1", 9001, "/", "[::1]:9001"),
            ("ws://host?x", false, "host", 80, "/?x", "host"),
            ("ws://host:/x", false, "host", 80, "/x", "host"),
            ("wss://host:80/a/../b", true, "host", 80, "/a/../b", "host:80"),
        ] {
            let expected = (secure, host.to_owned(), port, path.to_owned(), header.to_owned());
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn a_socket_may_be_named_with_a_path_for_the_upgrade() {
        for (text, socket, path, shown) in [
            ("ws+unix:///run/app.sock", "/run/app.sock", "/", "ws+unix:///run/app.sock:/"),
            (
                "ws+unix:///run/app.sock:/chat?a=b:c",
                "/run/app.sock",
                "/chat?a=b:c",
                "ws+unix:///run/app.sock:/chat?a=b:c",
            ),
            ("WS+UNIX://here%3A%20x", "here: x", "/", "ws+unix://here%3A%20x:/"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.socket.as_deref(), Some(Path::new(socket)), "{text}");
            assert_eq!(
                (url.path.as_str(), url.to_string(), url.host_header()),
                (path, shown.to_owned(), "localhost".to_owned())
            );
        }
    }

    #[test]
    fn what_is_no_address_is_said_with_a_hint() {
        for (text, says) in [
            ("localhost:8080", "hint: ws://localhost:8080"),
            ("http://x", "ws:// instead of http://"),
            ("https://x", "wss:// instead of https://"),
            ("ftp://x", "no scheme of WebSocket"),
            ("ws://", "no host"),
            ("ws://:80", "no host"),
            ("ws://x:99999", "no port"),
            ("ws://x:+80", "no port"),
            ("ws://x:0", "no port"),
            ("ws://x\\y", "no host name"),
            ("ws://x\ty", "no host name"),
            ("ws://[::1]x", "no host"),
            ("ws://::1", "without brackets"),
            ("ws://[::1", "closing bracket"),
            ("ws://[x]", "no IPv6 address"),
            ("ws://[127.0.0.1]", "in brackets"),
            ("ws://x/#a", "fragment"),
            ("ws://x/a b", "percent-encode"),
            ("ws://x/\u{e4}", "percent-encode"),
            ("ws://m\u{fc}ller", "xn--"),
            ("ws://a%zz@x", "bad percent sequence"),
            ("ws+unix://", "no path of a socket"),
            ("ws+unix:///a%zz", "bad percent sequence"),
            ("wss+unix:///a", "no TLS"),
            (&format!("ws+unix:///{}", "a".repeat(200)), "is no path of a socket"),
        ] {
            let error = Url::parse(text).unwrap_err();
            let said = format!("{error} (hint: {})", error.hint());
            assert!(said.contains(says), "{text}: {said}");
        }
    }

    #[test]
    fn a_password_becomes_a_header_and_is_not_shown() {
        let url = Url::parse("ws://me:p%40ss@host/").unwrap();
        assert_eq!(url.basic.as_deref(), Some("bWU6cEBzcw=="));
        assert_eq!(url.to_string(), "ws://***@host/");
    }

    #[test]
    fn a_query_grows() {
        let mut url = Url::parse("ws://host").unwrap();
        url.add_query("token", "a b&c");
        url.add_query("x", "y");
        assert_eq!(url.path, "/?token=a%20b%26c&x=y");
    }
}
