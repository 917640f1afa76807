//! What must hold for a connection whatever a server sends: run by the fuzz target on what it invents, and by
//! `cargo test` on the kept corpus.
//!
//! An input is three bytes and the stream. The first byte has flags: 1, the stream begins after an accepted upgrade;
//! 2, subprotocols `a` and `b` are offered; 4, the client closes when it has read as many bytes as the third byte says;
//! 8 (alone of the upper bits and without 1), the stream is repeated until it is longer than any head may be.
//! The second byte is the seed of one of the cuttings. `{accept}` in the stream stands for the right accept key, which
//! chance would not find.

use std::io::{Cursor, Read, Write};

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, WebSocket};

use crate::codec::frame::{self, Limits};
use crate::codec::handshake::{self, HEAD_MAX, Key, Request};
use crate::codec::session::{Context, Session, Step};

/// Small, so that short inputs meet them.
const LIMITS: Limits = Limits { frame: 600, message: 900 };

/// Bytes that an open connection may keep: the boxed state, a control frame and a message, each in a buffer that grew.
const KEPT_MAX: usize = 256 + 2 * frame::CONTROL_MAX + 2 * LIMITS.message as usize;

/// Bytes that a connection may keep before it is open.
const HEAD_KEPT_MAX: usize = 64 + 2 * (HEAD_MAX + 1);

/// What a connection did.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Did {
    Upgraded,
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Pong,
    Control,
    /// It ended, in words.
    Ended(String),
}

/// What came of a whole stream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    did: Vec<Did>,
    sent: Vec<(u8, Vec<u8>)>,
    /// Whether something is kept for more input.
    waits: bool,
}

/// Checks one input.
///
/// # Panics
/// When something does not hold.
pub fn session(input: &[u8]) {
    let [flags, seed, close_at, stream @ ..] = input else { return };
    let offered = ("Sec-WebSocket-Protocol".to_owned(), "a, b".to_owned());
    let offered = if flags & 2 == 0 { Vec::new() } else { vec![offered] };
    let request = Request::new("h", "/", &offered).expect("a good request");
    let key = handshake::key(1, 1);
    let upgraded = flags & 1 != 0;
    let mut bytes = if upgraded { with_key(&response(&offered), &key) } else { Vec::new() };
    let begin = bytes.len();
    let times = if upgraded || flags >> 3 != 1 { 1 } else { HEAD_MAX / stream.len().max(1) + 2 };
    bytes.extend(with_key(&stream.repeat(times), &key));
    let close_at = (flags & 4 != 0).then_some(bytes.len().min(usize::from(*close_at) + bytes.len() - stream.len()));

    let run = |pieces: &mut dyn Iterator<Item = usize>| drive(&request, &key, &bytes, close_at, pieces);
    let whole = run(&mut std::iter::repeat(usize::MAX));
    assert_eq!(whole, run(&mut std::iter::repeat(1)), "byte by byte");
    let mut random = fastrand::Rng::with_seed(u64::from(*seed));
    let longest = random.usize(1..=64);
    assert_eq!(whole, run(&mut std::iter::repeat_with(|| random.usize(1..=longest))), "in pieces up to {longest}");
    check_order(&whole);
    if upgraded && close_at.is_none() {
        check_against_tungstenite(&whole, &bytes[begin..]);
    }
}

fn response(offered: &[(String, String)]) -> Vec<u8> {
    let chosen = if offered.is_empty() { "" } else { "Sec-WebSocket-Protocol: b\r\n" };
    format!(
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{chosen}Sec-WebSocket-Accept: {{accept}}\r\n\r\n"
    )
    .into_bytes()
}

/// Replaces the first `{accept}`.
fn with_key(bytes: &[u8], key: &Key) -> Vec<u8> {
    const STANDS: &[u8] = b"{accept}";
    let Some(at) = bytes.windows(STANDS.len()).position(|here| here == STANDS) else { return bytes.to_vec() };
    [&bytes[..at], derive_accept_key(key).as_bytes(), &bytes[at + STANDS.len()..]].concat()
}

/// Runs a session over the stream in pieces of these lengths, with a client's close at a position.
fn drive(
    request: &Request,
    key: &Key,
    bytes: &[u8],
    close_at: Option<usize>,
    pieces: &mut dyn Iterator<Item = usize>,
) -> Outcome {
    let (mut random, mut out, mut did) = (fastrand::Rng::with_seed(1), Vec::new(), Vec::new());
    let mut context = Context { request, limits: LIMITS, random: &mut random, out: &mut out, answers: None };
    let mut session = Session::default();
    let (first, second) = bytes.split_at(close_at.unwrap_or(bytes.len()));
    for (part, mut rest) in [first, second].into_iter().enumerate() {
        if part == 1 && close_at.is_some() {
            session.close(1000, &mut context);
        }
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(pieces.next().unwrap_or(1).clamp(1, rest.len()));
            rest = after;
            feed(&mut session, piece, key, &mut context, &mut did);
        }
    }
    let waits = session.buffered() > 0;
    check_end(&mut session, key, &mut context, &did);
    Outcome { did, sent: client_frames(&out), waits }
}

/// Feeds a piece until it is used up.
fn feed(session: &mut Session, mut piece: &[u8], key: &Key, context: &mut Context<'_>, did: &mut Vec<Did>) {
    loop {
        let length = piece.len();
        let (used, step) = session.step(piece, || *key, context);
        assert!(used <= length, "{used} of {length} bytes used");
        let ended = matches!(did.last(), Some(Did::Ended(_)));
        let what = match step {
            Step::Starved => {
                assert_eq!(used, length, "starved means that all is used up");
                let open = did.first() == Some(&Did::Upgraded);
                let most = if ended {
                    0
                } else if open {
                    KEPT_MAX
                } else {
                    HEAD_KEPT_MAX
                };
                assert!(session.buffered() <= most, "{} bytes kept, at most {most}", session.buffered());
                return;
            }
            Step::Upgraded => Did::Upgraded,
            Step::Text(payload) => {
                assert!(std::str::from_utf8(payload).is_ok(), "text is UTF-8");
                Did::Text(payload.to_vec())
            }
            Step::Binary(payload) => Did::Binary(payload.to_vec()),
            Step::Pong => Did::Pong,
            Step::Control => Did::Control,
            Step::Refused(_) | Step::Closed(_) | Step::CloseAnswered | Step::Broken(_) => {
                Did::Ended(format!("{step:?}"))
            }
        };
        assert!(used > 0, "{what:?} came from nothing");
        assert!(!ended, "{what:?} after {:?}", did.last());
        if let Did::Text(payload) | Did::Binary(payload) = &what {
            assert!(payload.len() as u64 <= LIMITS.message);
        }
        did.push(what);
        piece = &piece[used..];
    }
}

/// An end stays an end, and what has ended keeps and sends nothing.
fn check_end(session: &mut Session, key: &Key, context: &mut Context<'_>, did: &[Did]) {
    if !matches!(did.last(), Some(Did::Ended(_))) {
        return;
    }
    let sent = context.out.len();
    for more in [&b"\x89\x00\x81\x01a\x88\x00"[..], b"HTTP/1.1 101 x\r\n\r\n", b"\xFF"] {
        assert_eq!(session.step(more, || *key, context), (more.len(), Step::Starved));
    }
    session.close(1000, context);
    assert_eq!((context.out.len(), session.buffered()), (sent, 0));
}

/// What the client sent, unmasked: first byte and payload of each frame.
fn client_frames(mut sent: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, a, b, c, d, rest @ ..] = sent {
        assert_eq!((first & 0xF0, second & 0x80), (0x80, 0x80), "one masked frame, no reserved bit");
        let length = usize::from(second & 0x7F);
        assert!(length <= frame::CONTROL_MAX && length <= rest.len(), "only whole control frames");
        let (payload, after) = rest.split_at(length);
        let mut payload = payload.to_vec();
        frame::mask(&mut payload, [*a, *b, *c, *d]);
        frames.push((first & 0x0F, payload));
        sent = after;
    }
    assert!(sent.is_empty(), "{sent:?} is no frame");
    frames
}

/// The upgrade comes first, an end last, and at most one close frame is sent, as the last one.
fn check_order(outcome: &Outcome) {
    for (index, did) in outcome.did.iter().enumerate() {
        let last = index + 1 == outcome.did.len();
        match did {
            Did::Upgraded => assert_eq!(index, 0),
            Did::Ended(_) => assert!(last),
            _ => assert_eq!(outcome.did[0], Did::Upgraded),
        }
    }
    for (index, (opcode, payload)) in outcome.sent.iter().enumerate() {
        match opcode {
            8 => assert!(index + 1 == outcome.sent.len() && payload.len() != 1),
            10 => {}
            other => panic!("sent a frame with opcode {other}"),
        }
    }
}

/// A stream that swallows what is written.
struct Server<'a>(Cursor<&'a [u8]>);

impl Read for Server<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer) {
            Ok(0) => Err(std::io::ErrorKind::WouldBlock.into()),
            result => result,
        }
    }
}

impl Write for Server<'_> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is handed on, another implementation hands on as well; it may allow more, but never less.
fn check_against_tungstenite(outcome: &Outcome, frames: &[u8]) {
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let mut theirs = WebSocket::from_raw_socket(Server(Cursor::new(frames)), Role::Client, Some(config));
    let mut next = || theirs.read().ok();
    let mut pongs = outcome.sent.iter().filter(|(opcode, _)| *opcode == 10);
    for did in outcome.did.iter().skip(1) {
        match did {
            Did::Ended(why) if why.starts_with("Broken") => return,
            Did::Ended(why) => {
                let Some(Message::Close(close)) = next() else { panic!("{why}") };
                assert_eq!(*why, format!("Closed({:?})", close.map(|close| u16::from(close.code))));
                return;
            }
            Did::Control => {
                let Some(Message::Ping(payload)) = next() else { panic!("no ping") };
                assert_eq!(pongs.next(), Some(&(10, payload.to_vec())));
            }
            Did::Pong => assert!(matches!(next(), Some(Message::Pong(_))), "no pong"),
            Did::Text(payload) => {
                let Some(Message::Text(text)) = next() else { panic!("no text") };
                assert_eq!(text.as_bytes(), payload);
            }
            Did::Binary(payload) => {
                let Some(Message::Binary(bytes)) = next() else { panic!("no binary message") };
                assert_eq!(bytes, payload.as_slice());
            }
            Did::Upgraded => panic!("upgraded twice"),
        }
    }
    assert!(next().is_none(), "a message was not handed on");
}
