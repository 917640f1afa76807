use proptest::prelude::*;

use super::*;
use crate::client::{ClientConfig, Expect, Payload, Script};
use crate::codec::handshake::accept;
use crate::worker::tests::config;
use wsceiling_model::matrix::Scenario;

fn last(sequence: u32, waiting: bool) -> Last {
    Last { serial: 5, sequence, at_ns: 77, waiting }
}

fn protocol(config: &WorkerConfig) -> Protocol {
    Protocol::new(config, fastrand::Rng::with_seed(9)).unwrap()
}

fn custom(message: Option<&str>, expect: Expect) -> Protocol {
    let payload = message.map(|text| Payload { bytes: text.as_bytes().to_vec(), binary: false });
    let client = ClientConfig { script: Some(Script { payload, expect, workers: 1 }), ..ClientConfig::default() };
    protocol(&WorkerConfig { client, ..config() })
}

/// A frame of a server.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    [&[0x80 | opcode, payload.len() as u8], payload].concat()
}

/// The payload of the only frame in the output of a client, without its mask.
fn said(out: &[u8]) -> (u8, Vec<u8>) {
    let length = usize::from(out[1] & 0x7F);
    assert_eq!((out[1] & 0x80, out.len()), (0x80, 6 + length), "one masked frame");
    let mask = &out[2..6];
    (out[0] & 0x0F, out[6..].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect())
}

/// All events of an input, and what is said in answer.
fn hear(protocol: &mut Protocol, session: &mut Session, input: &[u8], last: Last) -> (Vec<Event>, Vec<u8>) {
    let (mut events, mut out, mut rest) = (Vec::new(), Vec::new(), input);
    loop {
        let (used, event) = protocol.next(session, rest, last, &mut out);
        rest = &rest[used..];
        if event == Event::Starved {
            return (events, out);
        }
        events.push(event);
    }
}

/// A session after its upgrade.
fn opened(protocol: &mut Protocol) -> Session {
    let (mut request, mut session) = (Vec::new(), Session::default());
    protocol.write_request(5, 0, &mut request);
    let (events, out) = hear(protocol, &mut session, &accept(&request).unwrap(), last(0, false));
    assert_eq!((events, out), (vec![Event::Opened], Vec::new()));
    session
}

#[test]
fn an_echo_is_asked_and_its_answer_known() {
    let mut protocol = protocol(&config());
    let mut session = opened(&mut protocol);
    let mut out = Vec::new();
    protocol.write_message(last(1, true), &mut out);
    let (opcode, payload) = said(&out);
    assert_eq!((opcode, payload.len()), (1, 64));
    let (events, out) = hear(&mut protocol, &mut session, &frame(1, &payload), last(1, true));
    assert_eq!((events, out.len()), (vec![Event::Answered], 0));
}

#[test]
fn a_wrong_echo_ends_the_connection_with_a_close_frame() {
    let mut protocol = protocol(&config());
    let mut session = opened(&mut protocol);
    let (events, out) = hear(&mut protocol, &mut session, &frame(1, b"other"), last(1, true));
    let ending = Ending { reason: FailureReason::WrongEcho, linger: true };
    assert_eq!(events, [Event::Ended(ending, CloseHandshake::Begun)]);
    assert_eq!(said(&out), (8, 1002_u16.to_be_bytes().to_vec()));
}

#[test]
fn the_app_speaks_of_rooms_and_in_broadcast_its_heartbeats_are_no_answers() {
    for (scenario, heartbeat) in [(Scenario::Broadcast, Event::Nothing), (Scenario::Echo, Event::Answered)] {
        let mut protocol = protocol(&WorkerConfig { protocol: matrix::Protocol::App, scenario, ..config() });
        let mut session = opened(&mut protocol);
        let waiting = last(3, scenario != Scenario::Broadcast);
        let texts: [&[u8]; 5] = [
            br#"{"type":"heartbeat","id":3}"#,
            br#"{"type":"joined","room":"x"}"#,
            br#"{"type":"message","room":"x","seq":1,"at":"42","body":""}"#,
            br#"{"type":"error","code":"slow"}"#,
            br#"{"type":"presence"}"#,
        ];
        let input = texts.map(|text| frame(1, text)).concat();
        let events = hear(&mut protocol, &mut session, &input, waiting).0;
        let error = FailureReason::App(Some("slow".into()));
        assert_eq!(events, [heartbeat, Event::Joined, Event::Published(42), Event::Error(error), Event::Unasked]);
    }
    let mut protocol = protocol(&WorkerConfig { protocol: matrix::Protocol::App, ..config() });
    let mut out = Vec::new();
    protocol.write_join("w0-r1", &mut out);
    assert_eq!(said(&out), (1, br#"{"type":"join","room":"w0-r1"}"#.to_vec()));
    out.clear();
    protocol.write_publish("w0-r1", 9, 80, &mut out);
    assert_eq!(said(&out).1.len(), 80);
}

#[test]
fn where_pings_are_the_questions_pongs_are_the_answers() {
    let mut protocol = custom(None, Expect::None);
    let mut session = opened(&mut protocol);
    let mut out = Vec::new();
    protocol.write_message(last(2, true), &mut out);
    assert_eq!(said(&out), (9, 2_u32.to_be_bytes().to_vec()));
    let pong = frame(10, &2_u32.to_be_bytes());
    assert_eq!(hear(&mut protocol, &mut session, &pong, last(2, true)).0, [Event::Answered]);
    assert_eq!(hear(&mut protocol, &mut session, &pong, last(2, false)).0, [Event::Nothing]);
}

#[test]
fn where_the_server_asks_every_message_is_sent_back() {
    let mut protocol = custom(None, Expect::Mirror);
    assert!(!protocol.asks());
    let mut session = opened(&mut protocol);
    let (events, out) = hear(&mut protocol, &mut session, &frame(2, b"any"), last(0, false));
    assert_eq!((events, said(&out)), (vec![Event::Unasked], (2, b"any".to_vec())));
}

#[test]
fn pings_are_answered_and_ends_are_told_with_their_reasons() {
    let mut protocol = protocol(&config());
    let mut session = opened(&mut protocol);
    let (events, out) = hear(&mut protocol, &mut session, &frame(9, b"hi"), last(0, false));
    assert_eq!((events, said(&out)), (vec![Event::Nothing], (10, b"hi".to_vec())));
    let ended = |reason, linger, handshake| vec![Event::Ended(Ending { reason, linger }, handshake)];
    let close = frame(8, &1001_u16.to_be_bytes());
    let events = hear(&mut protocol, &mut session, &close, last(0, false)).0;
    assert_eq!(events, ended(FailureReason::close(1001), true, CloseHandshake::None));

    let mut session = opened(&mut protocol);
    let mut out = Vec::new();
    protocol.write_close(&mut session, &mut out);
    assert_eq!(said(&out), (8, 1000_u16.to_be_bytes().to_vec()));
    let events = hear(&mut protocol, &mut session, &close, last(0, false)).0;
    assert_eq!(events, ended(FailureReason::Close(None), false, CloseHandshake::Answered));

    let mut session = opened(&mut protocol);
    let events = hear(&mut protocol, &mut session, &[0xFF, 0], last(0, false)).0;
    assert_eq!(events, ended(FailureReason::Protocol("reserved bits".into()), true, CloseHandshake::None));

    let refused = b"HTTP/1.1 503 Busy\r\n\r\n";
    let events = hear(&mut protocol, &mut Session::default(), refused, last(0, false)).0;
    assert_eq!(events, ended(FailureReason::Http(503), false, CloseHandshake::None));
}

proptest! {
    #[test]
    fn however_the_input_is_split_its_events_are_the_same(
        payloads in prop::collection::vec("[a-z{}\":0-9]{0,40}", 0..6), cuts in prop::collection::vec(0..200_usize, 0..9),
    ) {
        let input: Vec<u8> = payloads.iter().flat_map(|payload| frame(1, payload.as_bytes())).collect();
        let whole = {
            let mut protocol = custom(Some("x"), Expect::Any);
            let mut session = opened(&mut protocol);
            hear(&mut protocol, &mut session, &input, last(1, true)).0
        };
        let mut protocol = custom(Some("x"), Expect::Any);
        let mut session = opened(&mut protocol);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).flat_map(|cut| {
            hear(&mut protocol, &mut session, &input[cut[0]..cut[1]], last(1, true)).0
        });
        prop_assert_eq!(parts.collect::<Vec<_>>(), whole);
        prop_assert_eq!(session.buffered(), 0);
    }
}
