//! A server whose messages are not known: it is asked only for what the load takes as an answer.

use super::{Check, Checks, VerifyError, describe};
use crate::run::verify::client::{Client, Received};
use wsceiling_model::matrix::{Expect, Protocol, Target};

/// Checks that a message is answered, or a ping where no message is sent.
pub(super) async fn check(checks: &mut Checks<'_>, client: &mut Client, target: &Target) -> Result<(), VerifyError> {
    let (usual, _) = Protocol::Echo.exchange();
    let message = target.payload().unwrap_or(usual);
    match target.expects() {
        Expect::None => pong(checks, client).await,
        Expect::Any => answer(checks, client, message, "a message", |_| true).await,
        Expect::Echo | Expect::Among => answer(checks, client, message, "the same message", |it| it == message).await,
    }
}

async fn pong(checks: &mut Checks<'_>, client: &mut Client) -> Result<(), VerifyError> {
    let payload = b"wsceiling ping";
    let attempt = async {
        client.ping(payload).await?;
        loop {
            match client.receive().await {
                Received::Pong(got) if got == payload => return Ok(()),
                ended @ (Received::Close(_) | Received::Ended(_)) => return Err(describe(&ended)),
                _ => {}
            }
        }
    };
    checks.check(Check::Ping, "a pong with the payload of the ping", attempt).await
}

async fn answer(
    checks: &mut Checks<'_>,
    client: &mut Client,
    message: &str,
    expected: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<(), VerifyError> {
    let attempt = async {
        client.send_text(message).await?;
        loop {
            match client.receive().await {
                Received::Text(text) if fits(&text) => return Ok(()),
                Received::Binary(bytes) if fits(&String::from_utf8_lossy(&bytes)) => return Ok(()),
                ended @ (Received::Close(_) | Received::Ended(_)) => return Err(describe(&ended)),
                _ => {}
            }
        }
    };
    checks.check(Check::Answer, expected, attempt).await
}
