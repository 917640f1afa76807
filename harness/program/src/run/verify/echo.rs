//! What an echo server promises.

use super::{Check, Checks, VerifyError, describe, is_chatter, skip};
use crate::run::verify::client::{Client, Received};

/// Characters of one to four bytes.
const TEXT: &str = "wsceiling verifies: a \u{e9} \u{20ac} \u{1f310}";

/// Checks everything and closes the connection.
pub(super) async fn check(checks: &mut Checks<'_>, mut client: Client) -> Result<(), VerifyError> {
    let text = Received::Text(TEXT.to_owned());
    let attempt = async {
        client.send_text(TEXT).await?;
        expect(&mut client, &text).await
    };
    checks.check(Check::TextEcho, &describe(&text), attempt).await?;

    let bytes: Vec<u8> = (0..=255).collect();
    let attempt = async {
        client.send_binary(&bytes).await?;
        expect(&mut client, &Received::Binary(bytes.clone())).await
    };
    checks.check(Check::BinaryEcho, "256 bytes of all values as they were sent", attempt).await?;

    // Before the fragments, so that a missing pong is reported as just that.
    checks.ping(&mut client).await?;
    fragments(checks, &mut client, TEXT, TEXT).await?;
    checks.close(client).await
}

/// Sends `message` in three frames, cut within a character where it has one of several bytes, with a ping in between;
/// `answer` and the pong must come back, in any order.
pub(super) async fn fragments(
    checks: &mut Checks<'_>,
    client: &mut Client,
    message: &str,
    answer: &str,
) -> Result<(), VerifyError> {
    let bytes = message.as_bytes();
    let within_character = (0..bytes.len()).rev().find(|index| !message.is_char_boundary(*index));
    let (first, second) = (bytes.len() / 3, within_character.unwrap_or(bytes.len() * 2 / 3));
    let ping = b"between frames";
    let attempt = async {
        client.send_fragments(&[&bytes[..first], &bytes[first..second], &bytes[second..]], ping).await?;
        let (mut answered, mut ponged) = (false, false);
        while !(answered && ponged) {
            match client.receive().await {
                Received::Pong(payload) if payload == ping => ponged = true,
                Received::Text(text) if text == answer => answered = true,
                other if is_chatter(&other) => {}
                other => return Err(describe(&other)),
            }
        }
        Ok(())
    };
    let expected = format!("text {answer:?} and a pong");
    checks.check(Check::Fragments, &expected, attempt).await
}

async fn expect(client: &mut Client, expected: &Received) -> Result<(), String> {
    let received = skip(client, is_chatter).await;
    if received == *expected { Ok(()) } else { Err(describe(&received)) }
}
