//! Tests of the receiver: every cutting of the bytes gives the same items.

use proptest::prelude::*;

use super::*;

/// An [`Item`] that owns its payload.
#[derive(Debug, Clone, PartialEq)]
enum Owned {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
}

impl From<Item<'_>> for Owned {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Text(bytes) => Self::Text(bytes.to_vec()),
            Item::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Item::Ping(bytes) => Self::Ping(bytes.to_vec()),
            Item::Pong => Self::Pong,
            Item::Close(code) => Self::Close(code),
        }
    }
}

fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length @ 126..=0xFFFF => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// All items of `bytes`, cut into pieces of the given lengths (the last length repeats).
fn items(bytes: &[u8], cuts: &[usize], limits: Limits) -> (Vec<Owned>, Option<Violation>, usize) {
    let mut receiver = Receiver::default();
    let mut found = Vec::new();
    let mut rest = bytes;
    let mut cuts = cuts.iter().copied().chain(std::iter::repeat(*cuts.last().unwrap_or(&usize::MAX)));
    while !rest.is_empty() {
        let (mut piece, after) = rest.split_at(cuts.next().unwrap_or(1).clamp(1, rest.len()));
        rest = after;
        loop {
            match receiver.next(piece, limits) {
                Ok((used, Some(item))) => {
                    found.push(item.into());
                    piece = &piece[used..];
                }
                Ok((used, None)) => {
                    assert_eq!(used, piece.len(), "`None` means that all is used up");
                    break;
                }
                Err(violation) => return (found, Some(violation), usize::MAX),
            }
        }
    }
    (found, None, receiver.buffered())
}

#[test]
fn fragments_with_a_ping_between_them_make_one_message() {
    let bytes = [
        server_frame(0x01, b"hel"),
        server_frame(0x89, b"?"),
        server_frame(0x00, b""),
        server_frame(0x80, b"lo"),
        server_frame(0x82, b"\xFF"),
        server_frame(0x8A, b""),
        server_frame(0x88, &[0x03, 0xE9]),
    ]
    .concat();
    let expected = vec![
        Owned::Ping(b"?".to_vec()),
        Owned::Text(b"hello".to_vec()),
        Owned::Binary(vec![0xFF]),
        Owned::Pong,
        Owned::Close(Some(1001)),
    ];
    for cut in 1..=bytes.len() {
        let (found, violation, buffered) = items(&bytes, &[cut], Limits::default());
        assert_eq!((found, violation, buffered), (expected.clone(), None, 0), "pieces of {cut}");
    }
}

#[test]
fn violations_are_found_at_every_cutting() {
    let limits = Limits { frame: 300, message: 400 };
    for (bytes, violation) in [
        (server_frame(0x81, &[0xC3]), Violation::InvalidUtf8),
        ([server_frame(0x01, &[0xC3]), server_frame(0x80, b"a")].concat(), Violation::InvalidUtf8),
        (server_frame(0x01, &[b'a', 0xED, 0xA0]), Violation::InvalidUtf8),
        (server_frame(0x80, b""), Violation::UnexpectedContinuation),
        ([server_frame(0x01, b""), server_frame(0x81, b"")].concat(), Violation::UnfinishedMessage),
        (server_frame(0x88, &[3]), Violation::BadCloseCode),
        (server_frame(0x88, &[0x03, 0xED]), Violation::BadCloseCode),
        (server_frame(0x88, &[0x03, 0xE7]), Violation::BadCloseCode),
        (server_frame(0x88, &[0x03, 0xE8, 0xFF]), Violation::InvalidUtf8),
        (server_frame(0x82, &[0; 301]), Violation::FrameTooBig),
        ([server_frame(0x02, &[0; 300]), server_frame(0x00, &[0; 101])].concat(), Violation::MessageTooBig),
    ] {
        for cut in [1, 2, 3, usize::MAX] {
            assert_eq!(items(&bytes, &[cut], limits).1, Some(violation), "{violation} in pieces of {cut}");
        }
    }
}

#[test]
fn a_character_may_be_cut_by_fragments_and_by_reads() {
    let text = "\u{20AC}\u{1F600}".as_bytes();
    let bytes: Vec<u8> = text
        .iter()
        .enumerate()
        .flat_map(|(index, byte)| {
            let first = u8::from(index == 0) | if index + 1 == text.len() { 0x80 } else { 0 };
            server_frame(first, &[*byte])
        })
        .collect();
    assert_eq!(items(&bytes, &[1], Limits::default()).0, vec![Owned::Text(text.to_vec())]);
}

#[test]
fn endless_empty_fragments_keep_no_memory() {
    let bytes = [server_frame(0x01, b""), server_frame(0x00, b"").repeat(100_000)].concat();
    let (found, violation, buffered) = items(&bytes, &[4096], Limits::default());
    assert_eq!((found, violation), (vec![], None));
    assert!(buffered < 512, "{buffered} bytes");
}

/// A legal stream: messages in fragments with control frames between.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let fragment = proptest::collection::vec(any::<u8>(), 0..300);
    let message = (any::<bool>(), proptest::collection::vec(fragment, 1..4), any::<Option<u8>>());
    proptest::collection::vec(message, 0..8).prop_map(|messages| {
        let mut bytes = Vec::new();
        for (text, fragments, ping) in messages {
            let last = fragments.len() - 1;
            for (index, fragment) in fragments.iter().enumerate() {
                let opcode = if index > 0 { 0 } else { 2 - u8::from(text) };
                let ascii: Vec<u8> = fragment.iter().map(|byte| byte & 0x7F).collect();
                bytes.extend(server_frame(opcode | if index == last { 0x80 } else { 0 }, &ascii));
                bytes.extend(ping.iter().flat_map(|ping| server_frame(0x89, &[*ping])));
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn every_cutting_gives_the_same_items(
        bytes in stream(),
        cuts in proptest::collection::vec(1_usize..700, 1..20),
    ) {
        let whole = items(&bytes, &[usize::MAX], Limits::default());
        prop_assert_eq!(whole.1, None);
        prop_assert_eq!(whole.2, 0);
        prop_assert_eq!(&items(&bytes, &cuts, Limits::default()), &whole);
        prop_assert_eq!(&items(&bytes, &[1], Limits::default()), &whole);
    }

    #[test]
    fn garbage_never_panics_and_gives_the_same_at_every_cutting(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        cuts in proptest::collection::vec(1_usize..50, 1..20),
    ) {
        let limits = Limits { frame: 200, message: 250 };
        let whole = items(&bytes, &[usize::MAX], limits);
        let cut = items(&bytes, &cuts, limits);
        prop_assert_eq!((whole.0, whole.1), (cut.0, cut.1));
    }
}
