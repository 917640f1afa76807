//! The JSON protocol of `targets/PROTOCOL.md`: heartbeats, rooms and publishes.
//!
//! Replies are matched byte by byte in the form that our own server writes; what looks different is parsed as JSON,
//! since other servers may order the keys in another way.

use std::borrow::Cow;
use std::io::Write as _;

use serde::Deserialize;

use super::sizes::Sizes;
use super::{Last, Reply};
use wsceiling_model::record::FailureReason;

/// The member that fills a heartbeat, up to its text.
const PAD: &[u8] = b",\"pad\":\"";

/// End of a text that is the last member of an object.
const STRING_END: &[u8] = b"\"}";

/// Longest text of a server's own error that goes into a cause.
const ERROR_TEXT_MAX: usize = 40;

/// Writes messages and reads replies.
#[derive(Debug)]
pub struct AppProtocol {
    sizes: Sizes,
    /// The payload that was written last.
    payload: Vec<u8>,
}

impl AppProtocol {
    /// Heartbeats of these sizes.
    pub fn new(sizes: Sizes) -> Self {
        Self { sizes, payload: Vec::new() }
    }

    /// The heartbeat of that number.
    #[inline]
    pub fn message(&mut self, serial: u32, sequence: u32) -> &[u8] {
        let bytes = self.sizes.of(serial, sequence);
        self.payload.clear();
        self.payload.extend_from_slice(b"{\"type\":\"heartbeat\",\"id\":");
        let _ = write!(self.payload, "{sequence}");
        // Left out where there is no room for it.
        if self.payload.len() + PAD.len() + STRING_END.len() <= bytes {
            self.fill(PAD, bytes);
        } else {
            self.payload.push(b'}');
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

    /// What a received message means to a connection that said that last.
    #[inline]
    pub fn reply(text: bool, payload: &[u8], last: Last) -> Reply {
        if !text {
            return Reply::Wrong;
        }
        match quick(payload).or_else(|| slow(payload)) {
            Some(Heard::Heartbeat(id)) if last.waiting && id == u64::from(last.sequence) => Reply::Answer,
            Some(Heard::Heartbeat(_)) => Reply::Stale,
            None => Reply::Wrong,
            Some(Heard::Joined) => Reply::Joined,
            Some(Heard::Message(at)) => Reply::Published(at),
            Some(Heard::Error(cause)) => Reply::Error(cause),
            Some(Heard::Other) => Reply::Other,
        }
    }
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
    fn messages_of_the_app_are_json_of_the_asked_length() {
        for bytes in [0, 30, 40, 41, 64, 500] {
            let mut app = AppProtocol::new(Sizes::new(bytes, &[], 1));
            let text = String::from_utf8(app.message(1, 42).to_vec()).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((value["type"].as_str(), value["id"].as_u64()), (Some("heartbeat"), Some(42)));
            assert!(text.len() == bytes as usize || bytes <= 40, "{text}");
            let text = String::from_utf8(app.publish("w0-r1", 123, bytes).to_vec()).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((value["at"].as_str(), value["room"].as_str()), (Some("123"), Some("w0-r1")));
            assert!(value["body"].is_string() && (text.len() == bytes as usize || bytes < 64), "{text}");
            let join: serde_json::Value = serde_json::from_slice(app.join("w0-r1")).unwrap();
            assert_eq!(join["room"].as_str(), Some("w0-r1"));
        }
    }

    #[test]
    fn replies_of_the_app_are_understood_in_any_order_of_keys() {
        let last = Last { serial: 1, sequence: 42, at_ns: 0, waiting: true };
        let reply = |text: &str| AppProtocol::reply(true, text.as_bytes(), last);
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
        assert_eq!(AppProtocol::reply(false, br#"{"type":"heartbeat","id":42}"#, last), Reply::Wrong);
    }
}
