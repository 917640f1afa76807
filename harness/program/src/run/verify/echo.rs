//! What an echo server promises.

use super::{Check, Checks, VerifyError, describe, is_chatter, skip};
use crate::run::verify::client::{Client, Received};
use wsceiling_model::matrix::Protocol;

/// Checks that text and bytes come back as they are.
pub(super) async fn check(checks: &mut Checks<'_>, client: &mut Client) -> Result<(), VerifyError> {
    let (text, _) = Protocol::Echo.exchange();
    let echoed = Received::Text(text.to_owned());
    let attempt = async {
        client.send_text(text).await?;
        expect(client, &echoed).await
    };
    checks.check(Check::TextEcho, &describe(&echoed), attempt).await?;

    let bytes: Vec<u8> = (0..=255).collect();
    let attempt = async {
        client.send_binary(&bytes).await?;
        expect(client, &Received::Binary(bytes.clone())).await
    };
    checks.check(Check::BinaryEcho, "256 bytes of all values as they were sent", attempt).await
}

/// Sends `message` in three frames, cut within a character where it has one of several bytes, with a ping in between;
/// `answer` and the pong must come back, in any order.
pub(super) async fn fragments(
    checks: &mut Checks<'_>,
    client: &mut Client,
    (message, answer): (&str, &str),
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
