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

/// A hint at the end of most errors.
const FORM: &str = "hint: ws://HOST[:PORT][/PATH][?QUERY] or wss://...";

impl Url {
    /// Reads an address. The error is a fragment for a person, with a hint.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let shown = text.escape_debug();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("`{shown}` has no scheme (hint: ws://{shown})"));
        };
        if scheme.eq_ignore_ascii_case("ws+unix") {
            return Self::unix(rest);
        }
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            "http" => return Err(format!("`{shown}` is no WebSocket address (hint: ws:// instead of http://)")),
            "unix" | "http+unix" => {
                return Err(format!("`{shown}` is no WebSocket address (hint: ws+unix:// for a unix-domain socket)"));
            }
            "wss+unix" => return Err("there is no TLS over unix-domain sockets (hint: ws+unix://)".to_owned()),
            "https" => return Err(format!("`{shown}` is no WebSocket address (hint: wss:// instead of https://)")),
            _ => return Err(format!("`{}` is no scheme of WebSocket ({FORM})", scheme.escape_debug())),
        };
        if rest.contains('#') {
            return Err(format!(
                "`{shown}` has a fragment, which WebSocket addresses cannot have (hint: %23 for a `#`)"
            ));
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
    fn unix(text: &str) -> Result<Self, String> {
        let (socket, path) = text.split_once(':').unwrap_or((text, "/"));
        let socket = PathBuf::from(OsString::from_vec(percent_decoded(socket, "the path of the socket")?));
        if socket.as_os_str().is_empty() {
            return Err("no path of a socket (hint: ws+unix:///run/app.sock:/PATH)".to_owned());
        }
        std::os::unix::net::SocketAddr::from_pathname(&socket)
            .map_err(|error| format!("`{}` is no path of a socket: {error}", socket.display()))?;
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
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
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

fn upgrade_path(text: &str) -> Result<String, String> {
    let path = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
    match path.chars().find(|char| !char.is_ascii_graphic()) {
        Some(bad) => {
            let (path, bad) = (path.escape_debug(), bad.escape_debug());
            Err(format!("the path `{path}` has `{bad}` in it (hint: percent-encode it)"))
        }
        None => Ok(path),
    }
}

/// Host and port as browsers read them (WHATWG URL): lower case, numbers as addresses; `None`: the scheme's own port.
fn host_and_port(scheme: &str, text: &str) -> Result<(String, Option<u16>), String> {
    let shown = text.escape_debug();
    let no_name = || format!("`{shown}` is no host name (hint: in ASCII form, xn--...)");
    let no_port = || {
        let port = text.rsplit(':').next().unwrap_or_default();
        format!("`{}` is no port (hint: from 1 to 65535)", port.escape_debug())
    };
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(no_name());
    }
    let bracket = text.strip_prefix('[');
    let parsed = ::url::Url::parse(&format!("{scheme}://{text}")).map_err(|error| match (error, bracket) {
        (_, None) if text.matches(':').count() > 1 => {
            format!("`{shown}` is an IPv6 address without brackets (hint: [{shown}])")
        }
        (::url::ParseError::InvalidPort, _) => no_port(),
        (::url::ParseError::EmptyHost, _) => format!("no host before the path or port ({FORM})"),
        (_, Some(rest)) => match rest.split_once(']') {
            None => format!("`{shown}` has no closing bracket ({FORM})"),
            Some((host, _)) if host.parse::<Ipv4Addr>().is_ok() => {
                format!("`{shown}` has an IPv4 address in brackets (hint: leave them out)")
            }
            Some((host, _)) if host.parse::<Ipv6Addr>().is_ok() => format!("`{shown}` is no host ({FORM})"),
            Some((host, _)) => format!("`{}` is no IPv6 address", host.escape_debug()),
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

fn percent_decoded(text: &str, what: &str) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let pair = [bytes.next(), bytes.next()].map(|digit| digit.and_then(|digit| (digit as char).to_digit(16)));
        let [Some(high), Some(low)] = pair else {
            return Err(format!("{what} has a bad percent sequence (hint: %25 for a `%`)"));
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
            assert!(error.contains(says), "{text}: {error}");
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
