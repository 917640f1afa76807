//! Why connections fail: how far they had come, and the reason. One list for the generator that sees it, the rules that
//! judge it and the pages that explain it. The record has the words of [`FailureReason`]'s `Display`.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keyword::keywords;

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailureTally {
    /// How far connections had come.
    #[serde(rename = "stage")]
    pub at: FailedAt,
    /// Why.
    #[serde(rename = "cause")]
    pub reason: FailureReason,
    /// How many.
    pub count: u64,
    /// Milliseconds since the trial's start of the first of them.
    pub first_ms: u64,
}

keywords! {
    /// How far a connection had come when it failed.
    pub enum FailedAt {
        Socket = "socket", "`socket()`";
        Bind = "bind", "`bind()` of the source address and port";
        Connect = "connect", "`connect()` up to the established TCP connection";
        Handshake = "handshake", "The upgrade, with the TLS handshake before it";
        Open = "open", "After the upgrade";
    }
}

/// Why a connection failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum FailureReason {
    /// It took longer than the load allows.
    Timeout,
    /// The other side closed the TCP connection without a close frame.
    Eof,
    /// The other side reset the TCP connection (RST).
    Reset,
    /// A system call of the client failed.
    Errno(Errno),
    /// Every source port that the worker may take towards the address is in use.
    NoSourcePort,
    /// A port was still in use and the next one was taken: it cost time, and no connection.
    Retried(Errno),
    /// The upgrade was answered with this HTTP status.
    Http(u16),
    /// The upgrade was answered with 101 and a fault (RFC 6455, section 4.1), or not with HTTP.
    BadUpgrade(Cow<'static, str>),
    /// A close frame, with its code where it has one.
    Close(Option<u16>),
    /// A frame that RFC 6455 does not allow; which rule.
    Protocol(Cow<'static, str>),
    /// The answer was not the message that had been sent.
    WrongEcho,
    /// An error message of the app's protocol, with its code where it has one.
    App(Option<String>),
    /// TLS; what was wrong.
    Tls(Cow<'static, str>),
    /// The server takes nothing that is sent to it.
    ServerDoesNotRead,
    /// The client's memory for input that is not yet whole is used up.
    InputMemory,
    /// Every instance had ended.
    NoInstanceLeft,
    /// More different reasons than a worker tells apart in one window.
    ManyOthers,
    /// Words of another version's record.
    Other(String),
}

/// How the record has [`FailureReason::NoSourcePort`].
const NO_SOURCE_PORT: &str = "errno EADDRNOTAVAIL (no source port left)";
/// How the record has [`FailureReason::ManyOthers`].
const MANY_OTHERS: &str = "other causes";
/// What a protocol fault begins with in the record.
const PROTOCOL: &str = "protocol error: ";
/// What an error of the app begins with in the record.
const APP: &str = "app error";
/// What a TLS fault begins with in the record.
const TLS: &str = "tls: ";

/// Faults of an upgrade that was answered, as the record has them.
pub mod bad_upgrade {
    /// Not an HTTP/1.1 response.
    pub const MALFORMED: &str = "malformed response";
    /// A head without an end.
    pub const OVERSIZED: &str = "oversized response head";
    /// No `Upgrade: websocket`.
    pub const NO_UPGRADE: &str = "missing upgrade header";
    /// No `Connection: Upgrade`.
    pub const NO_CONNECTION: &str = "missing connection header";
    /// No `Sec-WebSocket-Accept`.
    pub const NO_ACCEPT_KEY: &str = "missing accept key";
    /// A `Sec-WebSocket-Accept` that does not belong to the key.
    pub const WRONG_ACCEPT_KEY: &str = "wrong accept key";
    /// An extension, though none was offered.
    pub const EXTENSION: &str = "unexpected extension";
    /// A subprotocol that was not offered.
    pub const SUBPROTOCOL: &str = "unexpected subprotocol";
    /// Subprotocols were offered and none was chosen.
    pub const NO_SUBPROTOCOL: &str = "missing subprotocol";
    /// A TLS alert: the server expects TLS.
    pub const TLS_ALERT: &str = "tls alert instead of a response";
    /// All of them.
    pub const ALL: [&str; 10] = [
        MALFORMED,
        OVERSIZED,
        NO_UPGRADE,
        NO_CONNECTION,
        NO_ACCEPT_KEY,
        WRONG_ACCEPT_KEY,
        EXTENSION,
        SUBPROTOCOL,
        NO_SUBPROTOCOL,
        TLS_ALERT,
    ];
}

impl FailureReason {
    /// A close frame with a code.
    pub const fn close(code: u16) -> Self {
        Self::Close(Some(code))
    }

    /// Whether the attempt was made again with another port, so that nothing failed in the end.
    pub const fn is_retried(&self) -> bool {
        matches!(self, Self::Retried(_))
    }

    /// Whether time ran out: the client's own limit, or the kernel's.
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout | Self::Errno(Errno::TimedOut))
    }

    /// Whether the other side broke the connection, or refused it.
    pub const fn is_broken(&self) -> bool {
        matches!(
            self,
            Self::Eof
                | Self::Reset
                | Self::Errno(Errno::ConnectionRefused | Errno::ConnectionReset | Errno::ConnectionAborted)
        )
    }

    /// The HTTP status, where it is one.
    pub const fn http_status(&self) -> Option<u16> {
        match self {
            Self::Http(status) => Some(*status),
            _ => None,
        }
    }

    /// The errno, where a system call failed for good.
    pub const fn errno(&self) -> Option<&Errno> {
        match self {
            Self::Errno(errno) => Some(errno),
            _ => None,
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Eof => f.write_str("eof"),
            Self::Reset => f.write_str("reset"),
            Self::Errno(errno) => write!(f, "errno {errno}"),
            Self::NoSourcePort => f.write_str(NO_SOURCE_PORT),
            Self::Retried(errno) => write!(f, "errno {errno} (retried)"),
            Self::Http(status) => write!(f, "http {status}"),
            Self::BadUpgrade(fault) => f.write_str(fault),
            Self::Close(Some(code)) => write!(f, "close {code}"),
            Self::Close(None) => f.write_str("close without code"),
            Self::Protocol(rule) => write!(f, "{PROTOCOL}{rule}"),
            Self::WrongEcho => f.write_str("wrong echo"),
            Self::App(Some(code)) => write!(f, "{APP}: {code}"),
            Self::App(None) => f.write_str(APP),
            Self::Tls(fault) => write!(f, "{TLS}{fault}"),
            Self::ServerDoesNotRead => f.write_str("server does not read"),
            Self::InputMemory => f.write_str("input memory limit"),
            Self::NoInstanceLeft => f.write_str("no instance left"),
            Self::ManyOthers => f.write_str(MANY_OTHERS),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl From<String> for FailureReason {
    fn from(text: String) -> Self {
        let (word, rest) = text.split_once(' ').filter(|(_, rest)| !rest.is_empty()).unwrap_or((&text, ""));
        match (word, rest) {
            _ if text == "timeout" => Self::Timeout,
            _ if text == "eof" => Self::Eof,
            _ if text == "reset" => Self::Reset,
            _ if text == NO_SOURCE_PORT => Self::NoSourcePort,
            ("errno", name) if !name.is_empty() => match name.strip_suffix(" (retried)") {
                Some(name) => Self::Retried(Errno::from_name(name)),
                None => Self::Errno(Errno::from_name(name)),
            },
            ("http", status) if status.parse::<u16>().is_ok() => Self::Http(status.parse().unwrap_or_default()),
            ("close", "without code") => Self::Close(None),
            ("close", code) if code.parse::<u16>().is_ok() => Self::Close(code.parse().ok()),
            ("wrong", "echo") => Self::WrongEcho,
            ("server", "does not read") => Self::ServerDoesNotRead,
            ("input", "memory limit") => Self::InputMemory,
            ("no", "instance left") => Self::NoInstanceLeft,
            _ if text == APP => Self::App(None),
            _ if text == MANY_OTHERS => Self::ManyOthers,
            _ => {
                let after = |prefix: &str| text.strip_prefix(prefix).map(str::to_owned);
                let fault = bad_upgrade::ALL.into_iter().find(|fault| *fault == text);
                fault
                    .map(|fault| Self::BadUpgrade(fault.into()))
                    .or_else(|| after(PROTOCOL).map(|rule| Self::Protocol(rule.into())))
                    .or_else(|| after("app error: ").map(|code| Self::App(Some(code))))
                    .or_else(|| after(TLS).map(|fault| Self::Tls(fault.into())))
                    .unwrap_or_else(|| Self::Other(text.clone()))
            }
        }
    }
}

impl From<FailureReason> for String {
    fn from(reason: FailureReason) -> Self {
        reason.to_string()
    }
}

/// Declares [`Errno`] with its names.
macro_rules! errnos {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// The number that a failed system call left (`errno(3)`), by name.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Errno {
            $(#[doc = $doc] $variant,)*
            /// Any other, by its name.
            Other(String),
        }

        impl Errno {
            /// `EMFILE`, ...
            pub fn name(&self) -> &str {
                match self { $(Self::$variant => $name,)* Self::Other(name) => name }
            }

            /// The errno of a name.
            pub fn from_name(name: &str) -> Self {
                match name { $($name => Self::$variant,)* other => Self::Other(other.to_owned()) }
            }
        }
    };
}

errnos! {
    ProcessFiles = "EMFILE", "the process has no descriptor left";
    SystemFiles = "ENFILE", "the machine has no descriptor left";
    AddressNotAvailable = "EADDRNOTAVAIL", "no source port is left towards the address";
    AddressInUse = "EADDRINUSE", "the source port is in use";
    NoBufferSpace = "ENOBUFS", "the kernel has no memory for buffers";
    NoMemory = "ENOMEM", "the kernel has no memory";
    ConnectionReset = "ECONNRESET", "the other side reset the connection";
    ConnectionAborted = "ECONNABORTED", "the connection was aborted";
    ConnectionRefused = "ECONNREFUSED", "nothing listens at the address";
    HostUnreachable = "EHOSTUNREACH", "no way leads to the address";
    NetworkUnreachable = "ENETUNREACH", "no way leads to the network";
    NoSuchFile = "ENOENT", "there is no such socket file";
    WouldBlock = "EAGAIN", "the queue of the listener on a unix-domain socket is full";
    TimedOut = "ETIMEDOUT", "the kernel gave up: no answer";
}

impl Errno {
    /// Whether it says that the process or the machine has no descriptor left.
    pub const fn is_descriptors(&self) -> bool {
        matches!(self, Self::ProcessFiles | Self::SystemFiles)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_from_the_word_in_the_record() {
        let reasons = [
            FailureReason::Timeout,
            FailureReason::Eof,
            FailureReason::Reset,
            FailureReason::Errno(Errno::ProcessFiles),
            FailureReason::Errno(Errno::Other("EPROTO".into())),
            FailureReason::Retried(Errno::AddressInUse),
            FailureReason::Http(503),
            FailureReason::Close(Some(1001)),
            FailureReason::Close(None),
            FailureReason::Protocol("masked frame".into()),
            FailureReason::WrongEcho,
            FailureReason::App(Some("rate-limit".into())),
            FailureReason::App(None),
            FailureReason::Tls("expired".into()),
            FailureReason::ServerDoesNotRead,
            FailureReason::InputMemory,
            FailureReason::NoInstanceLeft,
            FailureReason::NoSourcePort,
            FailureReason::ManyOthers,
            FailureReason::Other("some words".into()),
        ];
        let faults = bad_upgrade::ALL.map(|fault| FailureReason::BadUpgrade(fault.into()));
        for reason in reasons.into_iter().chain(faults) {
            assert_eq!(FailureReason::from(reason.to_string()), reason);
        }
    }

    #[test]
    fn words_that_only_look_like_a_reason_stay_words() {
        for text in ["", "http", "http x", "close 70000", "errno", "timeout ", "eof x"] {
            assert_eq!(FailureReason::from(text.to_owned()), FailureReason::Other(text.to_owned()), "{text}");
        }
    }
}
