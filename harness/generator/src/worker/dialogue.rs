//! What connections say and what they expect to hear: plain echo, or the JSON protocol of `targets/PROTOCOL.md`.
//!
//! Replies are matched byte by byte in the form that our own server writes; what looks different is parsed as JSON,
//! since other servers may order the keys in another way.

use std::borrow::Cow;
use std::io::Write as _;
use wsceiling_model::record::FailureReason;

use serde::Deserialize;

use super::sizes::Sizes;
use wsceiling_model::matrix::Protocol;

/// Bytes at the start of an echo's payload that name connection and message.
const NAME_LENGTH: usize = 16;

/// The member that fills a heartbeat, up to its text.
const PAD: &[u8] = b",\"pad\":\"";

/// End of a text that is the last member of an object.
const STRING_END: &[u8] = b"\"}";

/// Longest text of a server's own error that goes into a cause.
const ERROR_TEXT_MAX: usize = 40;

/// Writes messages and reads replies.
#[derive(Debug)]
pub struct Dialogue {
    protocol: Protocol,
    sizes: Sizes,
    /// The payload that was written last; for echo as long as the longest, and its end never changes.
    payload: Vec<u8>,
}

/// What a received message means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The answer to the connection's last message.
    Answer,
    /// The answer to another heartbeat than the last one.
    Stale,
    /// Not what was to come.
    Wrong,
    /// The connection is a member of its room now.
    Joined,
    /// A message that was published into the room, to be sent at that moment.
    Published(u64),
    /// The server says that something failed.
    Error(FailureReason),
    /// Something that needs no answer.
    Other,
}

impl Dialogue {
    /// A dialogue with messages of these sizes.
    pub fn new(protocol: Protocol, sizes: Sizes) -> Self {
        let filler = b"the quick brown fox jumps over the lazy dog, ";
        let payload = match protocol {
            Protocol::Echo => filler.iter().copied().cycle().take(sizes.longest()).collect(),
            Protocol::App => Vec::new(),
        };
        Self { protocol, sizes, payload }
    }

    /// The message of that number: text that names connection and message, or a heartbeat.
    #[inline]
    pub fn message(&mut self, serial: u32, sequence: u32) -> &[u8] {
        let bytes = self.sizes.of(serial, sequence);
        match self.protocol {
            Protocol::Echo => {
                let name = name(serial, sequence);
                let named = bytes.min(NAME_LENGTH);
                self.payload[..named].copy_from_slice(&name[NAME_LENGTH - named..]);
                return &self.payload[..bytes];
            }
            Protocol::App => {
                self.payload.clear();
                self.payload.extend_from_slice(b"{\"type\":\"heartbeat\",\"id\":");
                let _ = write!(self.payload, "{sequence}");
                // Left out where there is no room for it.
                if self.payload.len() + PAD.len() + STRING_END.len() <= bytes {
                    self.fill(PAD, bytes);
                } else {
                    self.payload.push(b'}');
                }
            }
        }
        &self.payload
    }

    /// Asks for membership in a room.
    pub fn join(&mut self, room: &str) -> &[u8] {
        self.payload.clear();
        let _ = write!(self.payload, "{{\"type\":\"join\",\"room\":\"{room}\"}}");
        &self.payload
    }

    /// Publishes a message of `bytes` bytes, or the shortest, into a room.
    pub fn publish(&mut self, room: &str, at_ns: u64, bytes: u32) -> &[u8] {
        self.payload.clear();
        let _ = write!(self.payload, "{{\"type\":\"publish\",\"room\":\"{room}\",\"at\":\"{at_ns}\"");
        self.fill(b",\"body\":\"", bytes as usize);
        &self.payload
    }

    /// Ends a JSON object with a text that fills it up to `length` bytes.
    fn fill(&mut self, member: &[u8], length: usize) {
        self.payload.extend_from_slice(member);
        let filled = length.saturating_sub(STRING_END.len()).max(self.payload.len());
        self.payload.resize(filled, b'x');
        self.payload.extend_from_slice(STRING_END);
    }

    /// What a received message means to a connection that said [`Self::message`] of that number last, and `waits` for the
    /// answer or does not.
    #[inline]
    pub fn reply(&self, text: bool, payload: &[u8], serial: u32, sequence: u32, waits: bool) -> Reply {
        match self.protocol {
            Protocol::Echo => {
                let bytes = self.sizes.of(serial, sequence);
                let named = bytes.min(NAME_LENGTH);
                let same = text
                    && waits
                    && payload.len() == bytes
                    && payload[..named] == name(serial, sequence)[NAME_LENGTH - named..]
                    && payload[named..] == self.payload[named..bytes];
                if same { Reply::Answer } else { Reply::Wrong }
            }
            Protocol::App if !text => Reply::Wrong,
            Protocol::App => match quick(payload).or_else(|| slow(payload)) {
                Some(Heard::Heartbeat(id)) if waits && id == u64::from(sequence) => Reply::Answer,
                Some(Heard::Heartbeat(_)) => Reply::Stale,
                None => Reply::Wrong,
                Some(Heard::Joined) => Reply::Joined,
                Some(Heard::Message(at)) => Reply::Published(at),
                Some(Heard::Error(cause)) => Reply::Error(cause),
                Some(Heard::Other) => Reply::Other,
            },
        }
    }
}

/// Serial and sequence in 16 hexadecimal digits; the last digits change fastest, so a short payload takes those.
#[inline]
fn name(serial: u32, sequence: u32) -> [u8; NAME_LENGTH] {
    let number = u64::from(serial) << 32 | u64::from(sequence);
    std::array::from_fn(|digit| b"0123456789abcdef"[(number >> (60 - 4 * digit) & 0xF) as usize])
}

/// A message of the JSON protocol.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Heartbeat(u64),
    Joined,
    Message(u64),
    Error(FailureReason),
    Other,
}

/// A message in the form that our own server writes; `None`: it has another form.
#[inline]
fn quick(payload: &[u8]) -> Option<Heard> {
    let rest = payload.strip_prefix(b"{\"type\":\"")?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    let (kind, rest) = rest.split_at(end);
    match kind {
        b"heartbeat" => {
            let (id, rest) = digits(rest.strip_prefix(b"\",\"id\":")?)?;
            (rest == b"}").then_some(Heard::Heartbeat(id))
        }
        b"message" => {
            let rest = rest.strip_prefix(b"\",\"room\":\"")?;
            let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            let (_, rest) = digits(rest[end..].strip_prefix(b"\",\"seq\":")?)?;
            let (at, rest) = digits(rest.strip_prefix(b",\"at\":\"")?)?;
            rest.starts_with(b"\",\"body\":\"").then_some(Heard::Message(at))
        }
        b"joined" => Some(Heard::Joined),
        b"error" => None,
        _ => Some(Heard::Other),
    }
}

/// A decimal number and what follows it.
#[inline]
fn digits(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = bytes.split_at(length);
    if number.is_empty() {
        return None;
    }
    let number =
        number.iter().try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    Some((number, rest))
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    id: Option<u64>,
    at: Option<serde_json::Value>,
    code: Option<serde_json::Value>,
    reason: Option<serde_json::Value>,
}

/// Any JSON object with a `type`; `None`: it is none, or lacks what its type needs.
#[cold]
fn slow(payload: &[u8]) -> Option<Heard> {
    let wire: Wire<'_> = serde_json::from_slice(payload).ok()?;
    Some(match wire.kind.as_ref() {
        "heartbeat" => Heard::Heartbeat(wire.id?),
        "joined" => Heard::Joined,
        "message" => {
            let at = wire.at?;
            Heard::Message(at.as_u64().or_else(|| at.as_str()?.parse().ok())?)
        }
        "error" => {
            let text = wire.code.or(wire.reason).map(|value| match value {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            });
            let clean = |text: String| text.chars().filter(|char| !char.is_control()).take(ERROR_TEXT_MAX).collect();
            Heard::Error(FailureReason::App(text.map(clean)))
        }
        _ => Heard::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_its_own_answer_and_no_other_is() {
        for bytes in [0, 1, 15, 16, 17, 64, 1000] {
            let mut dialogue = Dialogue::new(Protocol::Echo, Sizes::new(bytes, &[], 1));
            let sent = dialogue.message(0xABC, 7).to_vec();
            assert_eq!(sent.len(), bytes as usize);
            assert!(sent.is_ascii());
            assert_eq!(dialogue.reply(true, &sent, 0xABC, 7, true), Reply::Answer);
            assert_eq!(dialogue.reply(false, &sent, 0xABC, 7, true), Reply::Wrong);
            assert_eq!(dialogue.reply(true, &sent, 0xABC, 7, false), Reply::Wrong);
            for at in 0..sent.len() {
                let mut other = sent.clone();
                other[at] ^= 1;
                assert_eq!(dialogue.reply(true, &other, 0xABC, 7, true), Reply::Wrong, "byte {at}");
            }
            if bytes > 0 {
                assert_eq!(dialogue.reply(true, &sent, 0xABC, 8, true), Reply::Wrong);
                assert_eq!(dialogue.reply(true, &sent[1..], 0xABC, 7, true), Reply::Wrong);
            }
        }
    }

    #[test]
    fn echoes_of_a_mix_are_told_apart_by_their_sizes() {
        let mix = [(3, 0.5), (100, 0.5)].map(|(bytes, share)| wsceiling_model::matrix::Portion { bytes, share });
        let mut dialogue = Dialogue::new(Protocol::Echo, Sizes::new(0, &mix, 1));
        let mut seen = std::collections::BTreeSet::new();
        for sequence in 0..100 {
            let sent = dialogue.message(2, sequence).to_vec();
            // A short message in between must not disturb what a long one ends with.
            dialogue.message(9, sequence);
            assert_eq!(dialogue.reply(true, &sent, 2, sequence, true), Reply::Answer);
            assert_eq!(dialogue.reply(true, &sent[1..], 2, sequence, true), Reply::Wrong);
            seen.insert(sent.len());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [3, 100]);
    }

    #[test]
    fn messages_of_the_app_are_json_of_the_asked_length() {
        for bytes in [0, 30, 40, 41, 64, 500] {
            let mut dialogue = Dialogue::new(Protocol::App, Sizes::new(bytes, &[], 1));
            let text = String::from_utf8(dialogue.message(1, 42).to_vec()).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((value["type"].as_str(), value["id"].as_u64()), (Some("heartbeat"), Some(42)));
            assert!(text.len() == bytes as usize || bytes <= 40, "{text}");
            let text = String::from_utf8(dialogue.publish("w0-r1", 123, bytes).to_vec()).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((value["at"].as_str(), value["room"].as_str()), (Some("123"), Some("w0-r1")));
            assert!(value["body"].is_string() && (text.len() == bytes as usize || bytes < 64), "{text}");
            let join: serde_json::Value = serde_json::from_slice(dialogue.join("w0-r1")).unwrap();
            assert_eq!(join["room"].as_str(), Some("w0-r1"));
        }
    }

    #[test]
    fn replies_of_the_app_are_understood_in_any_order_of_keys() {
        let dialogue = Dialogue::new(Protocol::App, Sizes::new(64, &[], 1));
        let reply = |text: &str| dialogue.reply(true, text.as_bytes(), 1, 42, true);
        for (text, expected) in [
            (r#"{"type":"heartbeat","id":42}"#, Reply::Answer),
            (r#"{ "id": 42, "type": "heartbeat", "more": [1] }"#, Reply::Answer),
            (r#"{"type":"heartbeat","id":41}"#, Reply::Stale),
            (r#"{"type":"heartbeat"}"#, Reply::Wrong),
            (r#"{"type":"joined","room":"x","members":3}"#, Reply::Joined),
            (r#"{"room":"x","type":"joined"}"#, Reply::Joined),
            (r#"{"type":"message","room":"w0-r1","seq":9,"at":"123","body":"\"}"}"#, Reply::Published(123)),
            (r#"{"type":"message","at":"123","room":"w0-r1","seq":9,"body":""}"#, Reply::Published(123)),
            (r#"{"type":"message","at":123}"#, Reply::Published(123)),
            (r#"{"type":"message","room":"a\"b","seq":9,"at":"5","body":""}"#, Reply::Published(5)),
            (r#"{"type":"message","room":"x","seq":9,"at":"99999999999999999999999","body":""}"#, Reply::Wrong),
            (r#"{"type":"presence","room":"x","members":3}"#, Reply::Other),
            (r#"{"members":3,"type":"presence"}"#, Reply::Other),
            (r#"{"type":"error","code":"rate-limit"}"#, Reply::Error(FailureReason::App(Some("rate-limit".into())))),
            (r#"{"type":"error"}"#, Reply::Error(FailureReason::App(None))),
            ("hello", Reply::Wrong),
            ("[]", Reply::Wrong),
            ("", Reply::Wrong),
        ] {
            assert_eq!(reply(text), expected, "{text}");
        }
        assert_eq!(dialogue.reply(false, br#"{"type":"heartbeat","id":42}"#, 1, 42, true), Reply::Wrong);
    }
}
