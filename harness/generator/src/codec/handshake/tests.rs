//! Tests of the upgrade.

use super::*;

const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n";

fn request(headers: &[(&str, &str)]) -> Result<Request, BadRequest> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Request::new("127.0.0.1:80", "/chat?token=x", &headers)
}

#[test]
fn the_request_carries_the_key_and_the_headers() {
    let mut out = b"before".to_vec();
    let key = key(1, 2);
    request(&[("Origin", "http://x")]).unwrap().write(&key, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("beforeGET /chat?token=x HTTP/1.1\r\nHost: 127.0.0.1:80\r\n"), "{text}");
    let key = std::str::from_utf8(&key).unwrap();
    assert!(text.contains(&format!("\r\nSec-WebSocket-Key: {key}\r\n")), "{text}");
    assert!(text.ends_with("\r\nOrigin: http://x\r\n\r\n"), "{text}");
}

#[test]
fn keys_are_random_bytes_that_can_be_made_again() {
    assert_eq!(key(7, 9), key(7, 9));
    assert_ne!(key(7, 9), key(7, 10));
    assert_ne!(key(8, 9), key(7, 9));
    assert_eq!(STANDARD.decode(key(7, 9)).unwrap().len(), 16);
}

#[test]
fn headers_that_would_break_the_upgrade_are_refused() {
    for (name, value) in
        [("host", "a"), ("Sec-WebSocket-Extensions", "x"), ("a b", "c"), ("a", "b\r\nc: d"), ("", "x"), ("a:", "x")]
    {
        assert!(request(&[(name, value)]).is_err(), "{name}: {value}");
    }
    assert!(Request::new("h", "/a b", &[]).is_err());
    assert!(Request::new("h\r\n", "/", &[]).is_err());
}

#[test]
fn each_fault_of_a_response_has_its_name() {
    let key = key(3, 4);
    let accept = format!("Sec-WebSocket-Accept: {}\r\n", derive_accept_key(&key));
    let check = |head: &str| request(&[("Sec-WebSocket-Protocol", "a, b")]).unwrap().check(head.as_bytes(), &key);
    assert_eq!(request(&[]).unwrap().check(format!("{GOOD}{accept}\r\n").as_bytes(), &key), Ok(()));
    assert_eq!(check(&format!("{GOOD}{accept}Sec-WebSocket-Protocol: b\r\n\r\n")), Ok(()));
    for (head, refusal) in [
        ("HTTP/1.1 503 Busy\r\n\r\n".to_owned(), Refusal::Status(503)),
        (format!("HTTP/1.0 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n{accept}\r\n"), Refusal::Malformed),
        ("HTTP/1.1 banana\r\n\r\n".to_owned(), Refusal::Malformed),
        (format!("{GOOD}Sec-WebSocket-Accept: nonsense\r\n\r\n"), Refusal::WrongAcceptKey),
        (format!("{GOOD}\r\n"), Refusal::NoAcceptKey),
        (format!("{GOOD}{accept}{accept}\r\n"), Refusal::Malformed),
        (format!("HTTP/1.1 101 x\r\nConnection: upgrade\r\n{accept}\r\n"), Refusal::NoUpgrade),
        (format!("HTTP/1.1 101 x\r\nUpgrade: websocket\r\n{accept}\r\n"), Refusal::NoConnection),
        (format!("{GOOD}{accept}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"), Refusal::Extension),
        (format!("{GOOD}{accept}Sec-WebSocket-Protocol: c\r\n\r\n"), Refusal::Subprotocol),
        (format!("{GOOD}{accept}\r\n"), Refusal::NoSubprotocol),
        (format!("{GOOD}{accept}{}\r\n", "a: b\r\n".repeat(100)), Refusal::Malformed),
    ] {
        assert_eq!(check(&head), Err(refusal), "{head}");
    }
}

#[test]
fn a_head_ends_at_the_same_byte_at_every_cutting() {
    let bytes = format!("{GOOD}\r\n\u{81}rest").into_bytes();
    let end = GOOD.len() + 2;
    for cut in 1..bytes.len() {
        let mut head = Head::default();
        let mut rest = bytes.as_slice();
        let mut used = 0;
        loop {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            rest = after;
            let (length, whole) = head.take(piece).unwrap();
            used += length;
            if let Some(whole) = whole {
                assert_eq!((whole, used), (&bytes[..end], end), "pieces of {cut}");
                break;
            }
        }
    }
}

#[test]
fn what_is_no_response_is_named_the_same_at_every_cutting() {
    let long = b"SSH-2.0-OpenSSH\r\n".repeat(2000);
    let long_with_end = [long.as_slice(), b"\r\n"].concat();
    for (bytes, refusal) in [
        (&b"\x15\x03\x03\x00\x02\x02\x46"[..], Refusal::Tls),
        (b"\x15\x04", Refusal::Malformed),
        (b"\r\n\r\n", Refusal::Malformed),
        (&long, Refusal::Malformed),
        (&long_with_end, Refusal::Malformed),
    ] {
        for cut in [1, 2, 7, bytes.len()] {
            let mut head = Head::default();
            let refused = bytes.chunks(cut).find_map(|piece| head.take(piece).err());
            assert_eq!(refused, Some(refusal), "pieces of {cut}");
        }
    }
}

#[test]
fn an_endless_head_is_cut_off_and_a_foreign_protocol_named_at_once() {
    let mut head = Head::default();
    let line = b"HTTP/1.1 101 x\r\n".repeat(100);
    let refusal = (0..20).find_map(|_| head.take(&line).err());
    assert_eq!(refusal, Some(Refusal::Oversized));
    assert!(head.buffered() <= 3 * HEAD_MAX);
    let mut one_piece = b"HTTP/1.1 101 x\r\n".repeat(2000);
    one_piece.extend(b"\r\n");
    assert_eq!(Head::default().take(&one_piece), Err(Refusal::Oversized));
    assert_eq!(Head::default().take(b"SSH-2.0-OpenSSH\r\n"), Err(Refusal::Malformed));
}

#[test]
fn the_key_is_answered_as_in_the_example_of_the_rfc() {
    assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
