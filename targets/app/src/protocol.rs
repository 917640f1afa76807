//! The messages of `targets/PROTOCOL.md`: parsing those of clients, writing those of the server.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// A message of a client, checked.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    Heartbeat { id: u64 },
    Join { room: Cow<'a, str> },
    Leave { room: Cow<'a, str> },
    Publish { room: Cow<'a, str>, at: Cow<'a, str>, body: Cow<'a, str> },
    Presence { room: Cow<'a, str> },
    History { room: Cow<'a, str>, last: Option<usize> },
}

/// Why a message had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    BadMessage,
    UnknownType,
    BadRoom,
    NotJoined,
    RoomLimit,
    RateLimited,
}

/// All keys of all messages in one flat form: one pass over the text, nothing copied unless it has escapes.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    id: Option<u64>,
    #[serde(borrow)]
    room: Option<Text<'a>>,
    #[serde(borrow)]
    at: Option<Text<'a>>,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    last: Option<usize>,
}

/// serde borrows a `Cow` only outside of an `Option`, hence this type.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Request<'a> {
    /// Parses and checks one message.
    pub fn parse(text: &'a str) -> Result<Self, Fault> {
        let wire: Wire<'a> = serde_json::from_str(text).map_err(|_| Fault::BadMessage)?;
        let room = |room: Option<Text<'a>>| match room {
            Some(Text(name)) if is_room_name(&name) => Ok(name),
            Some(_) => Err(Fault::BadRoom),
            None => Err(Fault::BadMessage),
        };
        Ok(match &*wire.kind.0 {
            "heartbeat" => Self::Heartbeat { id: wire.id.ok_or(Fault::BadMessage)? },
            "join" => Self::Join { room: room(wire.room)? },
            "leave" => Self::Leave { room: room(wire.room)? },
            "publish" => Self::Publish {
                room: room(wire.room)?,
                at: match wire.at {
                    None => Cow::Borrowed("0"),
                    Some(Text(at)) if is_moment(&at) => at,
                    Some(_) => return Err(Fault::BadMessage),
                },
                body: wire.body.ok_or(Fault::BadMessage)?.0,
            },
            "presence" => Self::Presence { room: room(wire.room)? },
            "history" => Self::History { room: room(wire.room)?, last: wire.last },
            _ => return Err(Fault::UnknownType),
        })
    }
}

fn is_room_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

fn is_moment(at: &str) -> bool {
    (1..=20).contains(&at.len()) && at.bytes().all(|b| b.is_ascii_digit())
}

impl Fault {
    /// The `error` message.
    pub fn message(self) -> Utf8Bytes {
        Utf8Bytes::from_static(match self {
            Self::BadMessage => {
                r#"{"type":"error","code":"bad-message","text":"not a JSON object with the keys of its type"}"#
            }
            Self::UnknownType => r#"{"type":"error","code":"unknown-type","text":"no such type of message"}"#,
            Self::BadRoom => {
                r#"{"type":"error","code":"bad-room","text":"a room is named by 1 to 64 of A-Z a-z 0-9 . _ : -"}"#
            }
            Self::NotJoined => r#"{"type":"error","code":"not-joined","text":"not a member of this room"}"#,
            Self::RoomLimit => r#"{"type":"error","code":"room-limit","text":"too many rooms"}"#,
            Self::RateLimited => {
                r#"{"type":"error","code":"rate-limited","text":"too many messages, this one is ignored"}"#
            }
        })
    }
}

/// `heartbeat`.
pub fn heartbeat(id: u64) -> Utf8Bytes {
    format!(r#"{{"type":"heartbeat","id":{id}}}"#).into()
}

/// `joined`. Room names need no escaping; [`Request::parse`] saw to that.
pub fn joined(room: &str, count: usize) -> Utf8Bytes {
    format!(r#"{{"type":"joined","room":"{room}","count":{count}}}"#).into()
}

/// `left`.
pub fn left(room: &str) -> Utf8Bytes {
    format!(r#"{{"type":"left","room":"{room}"}}"#).into()
}

/// `presence`.
pub fn presence(room: &str, count: usize) -> Utf8Bytes {
    format!(r#"{{"type":"presence","room":"{room}","count":{count}}}"#).into()
}

/// `message`.
pub fn message(room: &str, seq: u64, at: &str, body: &str) -> Utf8Bytes {
    let mut text = String::with_capacity(80 + room.len() + at.len() + body.len());
    // Writing to a string never fails.
    let _ = write!(text, r#"{{"type":"message","room":"{room}","seq":{seq},"at":"{at}","body":"#);
    push_json_string(&mut text, body);
    text.push('}');
    text.into()
}

/// `history`, from messages as they were sent.
pub fn history<'a>(room: &str, messages: impl Iterator<Item = &'a Utf8Bytes>) -> Utf8Bytes {
    let mut text = format!(r#"{{"type":"history","room":"{room}","messages":["#);
    for (index, message) in messages.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(message);
    }
    text.push_str("]}");
    text.into()
}

fn push_json_string(text: &mut String, value: &str) {
    // JSON of a string is text: this cannot fail.
    text.push_str(&serde_json::to_string(value).unwrap_or_else(|_| "\"\"".to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_parsed_whatever_their_order_of_keys() {
        assert_eq!(
            Request::parse(r#"{"id":18446744073709551615,"pad":"..","type":"heartbeat"}"#),
            Ok(Request::Heartbeat { id: u64::MAX })
        );
        assert_eq!(
            Request::parse(r#"{"type":"join","room":"a.b_c:d-9"}"#),
            Ok(Request::Join { room: "a.b_c:d-9".into() })
        );
        assert_eq!(
            Request::parse(r#"{"type":"publish","room":"r","at":"17","body":"a\"b\n\u00fc"}"#),
            Ok(Request::Publish { room: "r".into(), at: "17".into(), body: "a\"b\nü".into() })
        );
        assert_eq!(
            Request::parse(r#"{"type":"publish","room":"r","body":""}"#),
            Ok(Request::Publish { room: "r".into(), at: "0".into(), body: "".into() })
        );
        assert_eq!(
            Request::parse(r#"{"type":"history","room":"r","last":3}"#),
            Ok(Request::History { room: "r".into(), last: Some(3) })
        );
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let Ok(Request::Publish { body: Cow::Borrowed(_), .. }) =
            Request::parse(r#"{"type":"publish","room":"r","at":"1","body":"plain"}"#)
        else {
            panic!("copied");
        };
    }

    #[test]
    fn bad_messages_have_their_fault() {
        for (text, fault) in [
            ("", Fault::BadMessage),
            ("[]", Fault::BadMessage),
            ("null", Fault::BadMessage),
            (r#"{"type":7}"#, Fault::BadMessage),
            (r#"{"room":"r"}"#, Fault::BadMessage),
            (r#"{"type":"heartbeat"}"#, Fault::BadMessage),
            (r#"{"type":"heartbeat","id":-1}"#, Fault::BadMessage),
            (r#"{"type":"heartbeat","id":18446744073709551616}"#, Fault::BadMessage),
            (r#"{"type":"join"}"#, Fault::BadMessage),
            (r#"{"type":"join","room":""}"#, Fault::BadRoom),
            (r#"{"type":"join","room":"a b"}"#, Fault::BadRoom),
            (r#"{"type":"join","room":"a\"b"}"#, Fault::BadRoom),
            (r#"{"type":"join","room":"ü"}"#, Fault::BadRoom),
            (r#"{"type":"publish","room":"r","at":"1"}"#, Fault::BadMessage),
            (r#"{"type":"publish","room":"r","at":"1x","body":""}"#, Fault::BadMessage),
            (r#"{"type":"publish","room":"r","at":"","body":""}"#, Fault::BadMessage),
            (r#"{"type":"publish","room":"r","at":1,"body":""}"#, Fault::BadMessage),
            (r#"{"type":"publish","room":"r","at":"123456789012345678901","body":""}"#, Fault::BadMessage),
            (r#"{"type":"shout","room":"r"}"#, Fault::UnknownType),
        ] {
            assert_eq!(Request::parse(text), Err(fault), "{text}");
        }
        let long = format!(r#"{{"type":"join","room":"{}"}}"#, "r".repeat(65));
        assert_eq!(Request::parse(&long), Err(Fault::BadRoom));
        let deep = format!(r#"{{"type":"heartbeat","id":1,"pad":{}}}"#, "[".repeat(10_000));
        assert_eq!(Request::parse(&deep), Err(Fault::BadMessage));
    }

    #[test]
    fn what_the_server_writes_is_exact() {
        assert_eq!(
            message("r", 3, "17", "a\"b\nü"),
            r#"{"type":"message","room":"r","seq":3,"at":"17","body":"a\"b\nü"}"#
        );
        assert_eq!(joined("r", 2), r#"{"type":"joined","room":"r","count":2}"#);
        assert_eq!(heartbeat(u64::MAX), r#"{"type":"heartbeat","id":18446744073709551615}"#);
        assert_eq!(presence("r", 0), r#"{"type":"presence","room":"r","count":0}"#);
        let kept = [message("r", 1, "1", "x"), message("r", 2, "2", "y")];
        assert_eq!(
            history("r", kept.iter()),
            r#"{"type":"history","room":"r","messages":[{"type":"message","room":"r","seq":1,"at":"1","body":"x"},{"type":"message","room":"r","seq":2,"at":"2","body":"y"}]}"#
        );
        assert_eq!(history("r", [].iter()), r#"{"type":"history","room":"r","messages":[]}"#);
    }

    #[test]
    fn every_fault_is_json_with_a_code() {
        for fault in [
            Fault::BadMessage,
            Fault::UnknownType,
            Fault::BadRoom,
            Fault::NotJoined,
            Fault::RoomLimit,
            Fault::RateLimited,
        ] {
            let value: serde_json::Value = serde_json::from_str(&fault.message()).unwrap();
            assert_eq!(value["type"], "error");
            assert!(value["code"].is_string() && value["text"].is_string());
        }
    }
}
