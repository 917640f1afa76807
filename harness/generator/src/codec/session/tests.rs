//! Tests of a whole connection, without sockets.

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::super::handshake;
use super::*;

/// Drives a session with `bytes` in pieces of `cut`; the steps as text, and what was sent.
fn drive(session: &mut Session, bytes: &[u8], cut: usize) -> (Vec<String>, Vec<u8>) {
    let request = Request::new("h", "/", &[]).unwrap();
    let (mut random, mut out, mut steps) = (fastrand::Rng::with_seed(1), Vec::new(), Vec::new());
    let mut context = Context {
        request: &request,
        limits: Limits { frame: 1000, message: 1000 },
        random: &mut random,
        out: &mut out,
        answers: None,
    };
    for mut piece in bytes.chunks(cut) {
        loop {
            let (used, step) = session.step(piece, || handshake::key(1, 1), &mut context);
            if step == Step::Starved {
                break;
            }
            steps.push(format!("{step:?}"));
            piece = &piece[used..];
        }
    }
    (steps, out)
}

fn response() -> Vec<u8> {
    let accept = derive_accept_key(&handshake::key(1, 1));
    format!("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
        .into_bytes()
}

/// Unmasks the only frame in `out`.
fn unmasked(out: &[u8]) -> (u8, Vec<u8>) {
    assert_eq!(usize::from(out[1] & 0x7F) + 6, out.len(), "one short frame");
    let mut payload = out[6..].to_vec();
    frame::mask(&mut payload, [out[2], out[3], out[4], out[5]]);
    (out[0], payload)
}

#[test]
fn a_session_takes_its_first_message_with_the_response() {
    let bytes = [response(), vec![0x81, 2, b'h', b'i'], vec![0x82, 1, 9]].concat();
    for cut in [1, 7, 1000] {
        let (steps, out) = drive(&mut Session::default(), &bytes, cut);
        assert_eq!(steps, ["Upgraded", "Text([104, 105])", "Binary([9])"]);
        assert!(out.is_empty());
    }
}

#[test]
fn pings_and_closes_are_answered_with_what_they_carry() {
    let mut session = Session::default();
    let (_, out) = drive(&mut session, &[response(), vec![0x89, 3, 1, 2, 3]].concat(), 5);
    assert_eq!(unmasked(&out), (0x8A, vec![1, 2, 3]));
    let (steps, out) = drive(&mut session, &[0x88, 5, 0x03, 0xE9, b'b', b'y', b'e', 0x81, 0], 2);
    assert_eq!(steps, ["Closed(Some(1001))"]);
    assert_eq!(unmasked(&out), (0x88, vec![0x03, 0xE9]));
}

#[test]
fn each_violation_is_answered_with_its_close_code() {
    for (bytes, code) in [(vec![0x81, 1, 0xFF], 1007_u16), (vec![0x82, 126, 0x10, 0], 1009), (vec![0xF1, 0], 1002)] {
        let (steps, out) = drive(&mut Session::default(), &[response(), bytes].concat(), 3);
        assert!(steps[1].starts_with("Broken("), "{steps:?}");
        assert_eq!(unmasked(&out), (0x88, code.to_be_bytes().to_vec()));
    }
}

#[test]
fn after_its_own_close_a_session_awaits_only_the_answer() {
    let request = Request::new("h", "/", &[]).unwrap();
    let mut session = Session::default();
    drive(&mut session, &response(), 1000);
    let mut out = Vec::new();
    let mut random = fastrand::Rng::with_seed(1);
    session.close(
        1000,
        &mut Context {
            request: &request,
            limits: Limits::default(),
            random: &mut random,
            out: &mut out,
            answers: None,
        },
    );
    assert_eq!(unmasked(&out), (0x88, vec![0x03, 0xE8]));
    let (steps, out) = drive(&mut session, &[0x81, 0, 0x89, 0, 0x88, 2, 0x03, 0xE8], 1);
    assert_eq!(steps, ["Control", "Control", "CloseAnswered"]);
    assert!(out.is_empty());
}

#[test]
fn what_has_ended_keeps_nothing() {
    for end in [[0xF1, 0], [0x88, 0], [0x81, 0]] {
        let mut session = Session::default();
        let cut_message = [response(), vec![0x01, 2, b'h', b'i'], end.to_vec()].concat();
        let (steps, _) = drive(&mut session, &cut_message, 1);
        assert!(steps[1].starts_with("Broken(") || steps[1].starts_with("Closed("), "{steps:?}");
        assert_eq!(session.buffered(), 0, "{steps:?}");
    }
}

proptest! {
    #[test]
    fn no_input_makes_a_session_panic_or_keep_much(
        upgraded in any::<bool>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        cut in 1_usize..300,
    ) {
        let mut session = Session::default();
        if upgraded {
            drive(&mut session, &response(), 1000);
        }
        drive(&mut session, &bytes, cut);
        prop_assert!(session.buffered() < 8 << 10);
    }
}
