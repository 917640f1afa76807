//! What a server of `targets/PROTOCOL.md` promises, as far as the load relies on it.

use super::{Check, Checks, VerifyError, describe, is_chatter, skip};
use crate::run::verify::client::{Client, Entrance, Received, UpgradeError};

/// Checks that the token is asked for and that ids come back.
pub(super) async fn check(checks: &mut Checks<'_>, client: &mut Client) -> Result<(), VerifyError> {
    if checks.subject.target.token.is_some() {
        token(checks).await?;
    }
    // More than 53 bits: a server that keeps ids as floating-point numbers is found out.
    heartbeat(checks, client, 9_007_199_254_740_993).await
}

/// Checks the rooms, with a second connection that is closed again.
pub(super) async fn check_rooms(checks: &mut Checks<'_>, first: &mut Client) -> Result<(), VerifyError> {
    // No other user of the server is in this room.
    let room = format!("wsceiling-verify-{:016x}", fastrand::u64(..));
    join(checks, first, &room).await?;
    if checks.subject.shares_rooms {
        let mut second = open(checks).await?;
        join(checks, &mut second, &room).await?;
        publish(checks, &room, &mut [first, &mut second]).await?;
        leave(checks, &room, first, &mut second).await?;
        checks.close(second).await
    } else {
        publish(checks, &room, &mut [first]).await
    }
}

async fn token(checks: &mut Checks<'_>) -> Result<(), VerifyError> {
    let (entrance, path) = (checks.subject.entrance, checks.subject.target.path.clone());
    let attempt = async {
        match upgrade(entrance, &path).await {
            Err(UpgradeError::Status { code: 401, .. }) => Ok(()),
            Err(other) => Err(other.to_string()),
            Ok(_) => Err("status 101: it lets everybody in".to_owned()),
        }
    };
    checks.check(Check::Token, "HTTP status 401", attempt).await
}

async fn open(checks: &mut Checks<'_>) -> Result<Client, VerifyError> {
    let entrance = checks.subject.entrance;
    let attempt = async { upgrade(entrance, &entrance.path).await.map_err(|error| error.to_string()) };
    checks.check(Check::Handshake, "a second connection, like the first", attempt).await
}

async fn upgrade(entrance: &Entrance, path: &str) -> Result<Client, UpgradeError> {
    let stream = entrance.endpoint.connect().await.map_err(|error| UpgradeError::Io(error.to_string()))?;
    entrance.upgrade_at(stream, path).await
}

async fn heartbeat(checks: &mut Checks<'_>, client: &mut Client, id: u64) -> Result<(), VerifyError> {
    let expected = format!(r#"{{"type":"heartbeat","id":{id}}}"#);
    let attempt = async {
        client.send_text(&format!(r#"{{"type":"heartbeat","id":{id},"pad":"xxxxxxxx"}}"#)).await?;
        match skip(client, is_chatter).await {
            Received::Text(text) if text == expected => Ok(()),
            other => Err(describe(&other)),
        }
    };
    checks.check(Check::Heartbeat, &expected, attempt).await
}

async fn join(checks: &mut Checks<'_>, client: &mut Client, room: &str) -> Result<(), VerifyError> {
    let start = format!(r#"{{"type":"joined","room":"{room}","count":"#);
    let attempt = async {
        client.send_text(&format!(r#"{{"type":"join","room":"{room}"}}"#)).await?;
        match skip(client, is_chatter).await {
            Received::Text(text) if number_between(&text, &start, "}").is_some() => Ok(()),
            other => Err(describe(&other)),
        }
    };
    checks.check(Check::Join, &format!("{start}K}}"), attempt).await
}

/// The first member publishes; every member must receive it in the exact form that the generator looks for.
async fn publish(checks: &mut Checks<'_>, room: &str, members: &mut [&mut Client]) -> Result<(), VerifyError> {
    // Beyond 2^53 and with escapes: both must come back unchanged.
    let (at, body) = ("18446744073709551615", r#"say \"hi\" \\ \n"#);
    let (start, end) = message_form(room, at, body);
    let attempt = async {
        members[0].send_text(&format!(r#"{{"type":"publish","room":"{room}","at":"{at}","body":"{body}"}}"#)).await?;
        for (index, member) in members.iter_mut().enumerate() {
            match skip(member, is_chatter).await {
                Received::Text(text) if number_between(&text, &start, &end).is_some() => {}
                other => return Err(format!("{} at member {}", describe(&other), index + 1)),
            }
        }
        Ok(())
    };
    checks.check(Check::Publish, &format!("{start}S{end} at every member"), attempt).await
}

/// `leaver` leaves, then `stayer` publishes: the next that `leaver` hears must be the answer to a heartbeat.
async fn leave(
    checks: &mut Checks<'_>,
    room: &str,
    stayer: &mut Client,
    leaver: &mut Client,
) -> Result<(), VerifyError> {
    let (start, end) = message_form(room, "1", "after");
    let left = format!(r#"{{"type":"left","room":"{room}"}}"#);
    let attempt = async {
        leaver.send_text(&format!(r#"{{"type":"leave","room":"{room}"}}"#)).await?;
        // Answered, so that the leave has happened before the publish.
        leaver.send_text(r#"{"type":"heartbeat","id":3}"#).await?;
        expect_heartbeat(leaver, 3, &left).await?;
        stayer.send_text(&format!(r#"{{"type":"publish","room":"{room}","at":"1","body":"after"}}"#)).await?;
        match skip(stayer, is_chatter).await {
            Received::Text(text) if number_between(&text, &start, &end).is_some() => {}
            other => return Err(format!("{} at the member that stayed", describe(&other))),
        }
        leaver.send_text(r#"{"type":"heartbeat","id":4}"#).await?;
        expect_heartbeat(leaver, 4, &left).await
    };
    checks.check(Check::Leave, "no message at the connection that left", attempt).await
}

async fn expect_heartbeat(client: &mut Client, id: u64, left: &str) -> Result<(), String> {
    let expected = format!(r#"{{"type":"heartbeat","id":{id}}}"#);
    let skipped =
        |received: &Received| is_chatter(received) || matches!(received, Received::Text(text) if text == left);
    match skip(client, skipped).await {
        Received::Text(text) if text == expected => Ok(()),
        other => Err(format!("{} at the connection that left", describe(&other))),
    }
}

/// What comes before and after the number in a `message`.
fn message_form(room: &str, at: &str, body: &str) -> (String, String) {
    (format!(r#"{{"type":"message","room":"{room}","seq":"#), format!(r#","at":"{at}","body":"{body}"}}"#))
}

/// The number that is all there is between `start` and `end`.
fn number_between(text: &str, start: &str, end: &str) -> Option<u64> {
    text.strip_prefix(start)?.strip_suffix(end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_message_is_exact() {
        let (start, end) = message_form("r", "5", "x");
        let number = |text: &str| number_between(text, &start, &end);
        assert_eq!(number(r#"{"type":"message","room":"r","seq":17,"at":"5","body":"x"}"#), Some(17));
        assert_eq!(number(r#"{"type":"message", "room":"r","seq":17,"at":"5","body":"x"}"#), None);
        assert_eq!(number(r#"{"type":"message","room":"r","seq":17.0,"at":"5","body":"x"}"#), None);
        assert_eq!(number(r#"{"type":"message","seq":17,"room":"r","at":"5","body":"x"}"#), None);
        assert_eq!(number(r#"{"type":"message","room":"r","seq":17,"at":5,"body":"x"}"#), None);
    }
}
