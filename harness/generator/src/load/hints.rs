//! What to do about a failure.

use crate::tls::cause;
use wsceiling_model::record::failure::bad_upgrade;
use wsceiling_model::record::{Errno, FailedAt, FailureReason};

/// What to do about a failure; `None`: nothing that is known.
pub fn hint(at: FailedAt, reason: &FailureReason) -> Option<&'static str> {
    match reason {
        FailureReason::Timeout => {
            Some("the server or something on the way does not answer; see --connect-timeout and --handshake-timeout")
        }
        FailureReason::NoSourcePort => Some(NO_PORT),
        FailureReason::Errno(errno) => of_errno(errno),
        FailureReason::Http(status) => of_status(*status),
        FailureReason::BadUpgrade(fault) => of_upgrade(fault),
        FailureReason::Tls(fault) => of_tls(fault),
        FailureReason::WrongEcho => Some("another message than the sent one came: --expect any, or --expect among"),
        // Also what the other side does at random; only a handshake that ends at once says something.
        FailureReason::Eof | FailureReason::Reset if at == FailedAt::Handshake => {
            Some("the server accepts and closes: is it WebSocket, and with wss:// or without?")
        }
        _ => None,
    }
}

const NO_PORT: &str = "this machine has no free source port towards the server; more addresses, or fewer connections";

fn of_errno(errno: &Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::ConnectionRefused => "nothing listens at that address and port",
        Errno::AddressNotAvailable => NO_PORT,
        Errno::ProcessFiles => "more workers: --workers N",
        Errno::SystemFiles => "the machine's descriptors are used up: fs.file-max",
        Errno::NetworkUnreachable => "there is no route to that address",
        Errno::HostUnreachable => "the host does not answer, or a firewall says so",
        Errno::NoSuchFile => "there is no such socket file",
        Errno::WouldBlock => "the queue of the listener on that unix-domain socket is full",
        _ => return None,
    })
}

fn of_status(status: u16) -> Option<&'static str> {
    Some(match status {
        200 => "an ordinary page answered: the path takes no WebSocket",
        301 | 302 | 307 | 308 => "the server redirects; give the address it redirects to",
        400 => "the server refuses the upgrade; on a TLS port wss:// is needed, some servers want --subprotocol",
        401 => "the server wants to know who connects: --token, --bearer, --cookie or --header",
        403 => "the server forbids it: --origin, --cookie or --token may be missing",
        404 => "the server knows no such path",
        405 => "the path takes no WebSocket",
        426 => "the path takes another protocol",
        429 => "the server limits the rate of connects",
        502 => "a proxy does not reach the server behind it",
        503 => "the server or a proxy is at its limit",
        504 => "a proxy waits in vain for the server behind it",
        _ => return None,
    })
}

fn of_upgrade(fault: &str) -> Option<&'static str> {
    Some(match fault {
        bad_upgrade::TLS_ALERT => "the server speaks TLS: wss:// instead of ws://",
        bad_upgrade::MALFORMED => "what listens there speaks no HTTP; a TLS server may be reached with wss://",
        bad_upgrade::NO_SUBPROTOCOL => "the server chose none of the offered subprotocols; browsers fail then too",
        bad_upgrade::SUBPROTOCOL => "the server wants another subprotocol: --subprotocol NAME",
        _ => return None,
    })
}

fn of_tls(fault: &str) -> Option<&'static str> {
    Some(match fault {
        cause::NOT_TRUSTED => "--ca FILE with the authority or the certificate, or --insecure",
        cause::WRONG_NAME => "the certificate is another host's: --sni NAME, or --insecure",
        cause::EXPIRED => "the server needs a new certificate; --insecure ignores it",
        cause::NOT_TLS => "ws:// instead of wss://",
        cause::CLIENT_CERTIFICATE => "the server wants a client certificate: --cert FILE --key FILE",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_causes_have_a_hint() {
        for cause in [
            "errno ECONNREFUSED",
            "http 401",
            "tls: certificate not trusted",
            "wrong echo",
            "errno EADDRNOTAVAIL (no source port left)",
            "tls: handshake failed (alert CertificateRequired)",
        ] {
            assert!(hint(FailedAt::Connect, &FailureReason::from(cause.to_owned())).is_some(), "{cause}");
        }
        assert!(hint(FailedAt::Handshake, &FailureReason::Eof).is_some());
        assert!(hint(FailedAt::Open, &FailureReason::Eof).is_none());
        assert!(hint(FailedAt::Open, &FailureReason::close(1001)).is_none());
    }
}
