//! What to do about a cause.

use crate::record::Stage;
use crate::run::tls::cause;

/// End of a cause that was overcome with another source port, so that nothing failed.
pub const RETRIED: &str = "(retried)";

/// Causes, by their beginning, with what to do about them. The first that fits counts.
const HINTS: [(&str, &str); 29] = [
    ("errno ECONNREFUSED", "nothing listens at that address and port"),
    (
        "errno EADDRNOTAVAIL",
        "this machine has no free source port towards the server; more addresses, or fewer connections",
    ),
    ("errno ENOENT", "there is no such socket file"),
    ("errno EAGAIN", "the queue of the listener on that unix-domain socket is full"),
    ("errno EMFILE", "more workers: --workers N"),
    ("errno ENFILE", "the machine's descriptors are used up: fs.file-max"),
    ("errno ENETUNREACH", "there is no route to that address"),
    ("errno EHOSTUNREACH", "the host does not answer, or a firewall says so"),
    ("timeout", "the server or something on the way does not answer; see --connect-timeout and --handshake-timeout"),
    ("http 200", "an ordinary page answered: the path takes no WebSocket"),
    ("http 301", "the server redirects; give the address it redirects to"),
    ("http 302", "the server redirects; give the address it redirects to"),
    ("http 307", "the server redirects; give the address it redirects to"),
    ("http 308", "the server redirects; give the address it redirects to"),
    ("http 400", "the server refuses the upgrade; on a TLS port wss:// is needed, some servers want --subprotocol"),
    ("http 401", "the server wants to know who connects: --token, --bearer, --cookie or --header"),
    ("http 403", "the server forbids it: --origin, --cookie or --token may be missing"),
    ("http 404", "the server knows no such path"),
    ("http 405", "the path takes no WebSocket"),
    ("http 426", "the path takes another protocol"),
    ("http 429", "the server limits the rate of connects"),
    ("http 502", "a proxy does not reach the server behind it"),
    ("http 503", "the server or a proxy is at its limit"),
    ("http 504", "a proxy waits in vain for the server behind it"),
    ("tls alert instead", "the server speaks TLS: wss:// instead of ws://"),
    ("malformed response", "what listens there speaks no HTTP; a TLS server may be reached with wss://"),
    ("missing subprotocol", "the server chose none of the offered subprotocols; browsers fail then too"),
    ("unexpected subprotocol", "the server wants another subprotocol: --subprotocol NAME"),
    (
        "tls: handshake failed (alert CertificateRequired",
        "the server wants a client certificate: --cert FILE --key FILE",
    ),
];

/// What to do about a cause; `None`: nothing that is known.
pub fn hint(stage: Stage, what: &str) -> Option<&'static str> {
    match what {
        cause::NOT_TRUSTED => return Some("--ca FILE with the authority or the certificate, or --insecure"),
        cause::WRONG_NAME => return Some("the certificate is another host's: --sni NAME, or --insecure"),
        cause::EXPIRED => return Some("the server needs a new certificate; --insecure ignores it"),
        cause::NOT_TLS => return Some("ws:// instead of wss://"),
        "wrong echo" => return Some("another message than the sent one came: --expect any, or --expect among"),
        // Also what the other side does at random; only a handshake that ends at once says something.
        "eof" | "reset" if stage == Stage::Handshake => {
            return Some("the server accepts and closes: is it WebSocket, and with wss:// or without?");
        }
        _ => {}
    }
    HINTS.iter().find(|(start, _)| what.starts_with(start)).map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_causes_have_a_hint() {
        for cause in
            ["errno ECONNREFUSED", "http 401", "tls: certificate not trusted", "wrong echo", "errno EADDRNOTAVAIL (x)"]
        {
            assert!(hint(Stage::Connect, cause).is_some(), "{cause}");
        }
        assert!(hint(Stage::Handshake, "eof").is_some());
        assert!(hint(Stage::Open, "eof").is_none());
        assert!(hint(Stage::Open, "close 1001").is_none());
    }
}
