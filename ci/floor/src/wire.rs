//! The fixed bytes on the wire (RFC 6455): the upgrade with the key of section 1.3, and one message of 64 bytes.

/// What a server must send for [`request`]'s key.
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Bytes of the message.
pub const MESSAGE_BYTES: usize = 64;

/// The mask of every message; a real client takes a random one.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The upgrade request.
pub fn request(host: &str) -> Vec<u8> {
    format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// Whether a server accepted the upgrade: the status, the accept value, and nothing after the end.
pub fn is_accepted(response: &[u8]) -> bool {
    response.starts_with(b"HTTP/1.1 101 ")
        && response.ends_with(b"\r\n\r\n")
        && response.windows(ACCEPT.len()).any(|window| window == ACCEPT)
}

/// The message's payload.
fn payload() -> [u8; MESSAGE_BYTES] {
    std::array::from_fn(|index| b'a' + (index % 26) as u8)
}

/// The message as a client sends it: masked.
pub fn message() -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | MESSAGE_BYTES as u8];
    frame.extend(MASK);
    frame.extend(payload().iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The same as a server sends it: not masked.
pub fn echo() -> Vec<u8> {
    let mut frame = vec![0x81, MESSAGE_BYTES as u8];
    frame.extend(payload());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_unmasked_is_the_echo() {
        let (message, echo) = (message(), echo());
        let unmasked: Vec<u8> = message[6..].iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(unmasked, echo[2..]);
        assert_eq!((message[1] & 0x7f, echo[1]), (64, 64));
    }

    #[test]
    fn only_the_right_accept_value_is_an_upgrade() {
        let response =
            |status: &str, accept: &str| format!("HTTP/1.1 {status}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n");
        let right = String::from_utf8(ACCEPT.to_vec()).unwrap();
        assert!(is_accepted(response("101 Switching Protocols", &right).as_bytes()));
        assert!(!is_accepted(response("101 Switching Protocols", "AAAA").as_bytes()));
        assert!(!is_accepted(response("200 OK", &right).as_bytes()));
        assert!(!is_accepted(&response("101 Switching Protocols", &right).as_bytes()[..60]));
    }
}
