//! Readiness and verification: a target is waited for until it answers an upgrade, then asked everything the load will
//! rely on. A server that answers wrongly is not benchmarked, because its numbers would mean nothing.
//!
//! Parts: `ready` waits, `echo` and `app` ask what only their protocol promises, `stranger` asks a server whose messages are
//! not known. What every protocol promises is asked
//! here: pings, fragments of its exchange ([`Protocol::exchange`]), the close handshake.

mod app;
mod client;
mod echo;
mod ready;
mod stranger;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

pub use client::Entrance;
use client::{Client, Received, UpgradeError};
use wsceiling_launch::endpoint::Endpoint;
use wsceiling_model::matrix::{Expect, Protocol, Target};
use wsceiling_model::record::Exit;

/// Longest time for one step of one check.
const STEP: Duration = Duration::from_secs(2);
/// Time the checks have at least, also where the server became ready in the last moment.
const CHECKS_AT_LEAST: Duration = Duration::from_secs(5);
/// After a failed check: how long the news of an exit may take to arrive, so that it is reported as the reason.
const EXIT_GRACE: Duration = Duration::from_millis(50);

/// One thing that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Check {
    /// The upgrade: status 101, headers, accept key.
    Handshake,
    /// A text message comes back.
    TextEcho,
    /// A binary message comes back.
    BinaryEcho,
    /// A message in three frames with a ping between them is understood.
    Fragments,
    /// A ping is answered with a pong of the same payload.
    Ping,
    /// A message is answered by another one.
    Answer,
    /// A close frame is answered with its code.
    Close,
    /// An upgrade without the token is answered with 401.
    Token,
    /// A heartbeat is answered with its id.
    Heartbeat,
    /// A join is answered.
    Join,
    /// A published message reaches its members in the exact form.
    Publish,
    /// Nothing reaches a connection that has left.
    Leave,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "handshake",
            Self::TextEcho => "text echo",
            Self::BinaryEcho => "binary echo",
            Self::Fragments => "fragmented message",
            Self::Ping => "ping",
            Self::Answer => "answer to a message",
            Self::Close => "close handshake",
            Self::Token => "upgrade without the token",
            Self::Heartbeat => "heartbeat",
            Self::Join => "join",
            Self::Publish => "publish",
            Self::Leave => "leave",
        })
    }
}

/// A target that answered everything as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Time from the call to the first upgrade that succeeded.
    pub ready_after: Duration,
    /// Time from the call to the end of the last check.
    pub took: Duration,
    /// Connects that readiness took.
    pub attempts: u32,
    /// What was checked, in order.
    pub checks: Vec<Check>,
}

/// Why a target is not measured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VerifyError {
    /// No connect succeeded in time.
    #[error("nothing listened on {address} within {within:?}: {last}")]
    NeverListened {
        /// Address that was tried.
        address: Endpoint,
        /// Time that it had.
        within: Duration,
        /// How the last attempt failed.
        last: String,
    },
    /// The server answered wrongly, or not at all.
    #[error("{check} failed: expected {expected}, got {got}")]
    Wrong {
        /// Which check.
        check: Check,
        /// What the protocol asks for.
        expected: String,
        /// What came.
        got: String,
    },
    /// The server ended before it was verified.
    #[error("the server ended before it was verified: {0}")]
    Exited(Exit),
}

/// Waits until one instance of a target is ready, and verifies it.
///
/// `within` is the longest time until the first successful upgrade; the checks that follow end by then too, but get at
/// least 5 s. `abort` resolves when the server has exited (`std::future::pending()` where nobody watches it).
///
/// # Errors
/// See [`VerifyError`]. A server that is still starting (refuses, closes without an answer, or answers 429 or 5xx) is
/// asked again until `within` is over; one that answers wrongly in any other way fails at once.
pub async fn verify(
    address: impl Into<Endpoint>,
    target: &Target,
    within: Duration,
    abort: impl Future<Output = Exit>,
) -> Result<Verified, VerifyError> {
    let entrance = Entrance::of(address.into(), target);
    run(Subject { entrance: &entrance, target, shares_rooms: true }, within, abort).await
}

/// Like [`verify`], for a front with several instances behind it: members of a room may land on different instances, so
/// no second member is asked for.
pub async fn verify_front(
    address: impl Into<Endpoint>,
    target: &Target,
    within: Duration,
    abort: impl Future<Output = Exit>,
) -> Result<Verified, VerifyError> {
    let entrance = Entrance::of(address.into(), target);
    run(Subject { entrance: &entrance, target, shares_rooms: false }, within, abort).await
}

/// Like [`verify`], for a server that somebody else runs. What is asked is what the load relies on: see
/// [`Expect`].
pub async fn verify_remote(entrance: &Entrance, target: &Target, within: Duration) -> Result<Verified, VerifyError> {
    let shares_rooms = target.remote.as_ref().is_some_and(|remote| remote.instances == 1 && remote.urls.len() == 1);
    run(Subject { entrance, target, shares_rooms }, within, std::future::pending()).await
}

/// What is verified.
#[derive(Debug, Clone, Copy)]
struct Subject<'a> {
    entrance: &'a Entrance,
    target: &'a Target,
    /// All connections reach the same instance.
    shares_rooms: bool,
}

async fn run(
    subject: Subject<'_>,
    within: Duration,
    abort: impl Future<Output = Exit>,
) -> Result<Verified, VerifyError> {
    let mut abort = pin!(abort);
    let result = tokio::select! {
        biased;
        exit = &mut abort => return Err(VerifyError::Exited(exit)),
        result = all(subject, within) => result,
    };
    match result {
        Ok(verified) => Ok(verified),
        // A server that dies closes its connections first: its exit explains more than the check that met it.
        Err(error) => match tokio::time::timeout(EXIT_GRACE, abort).await {
            Ok(exit) => Err(VerifyError::Exited(exit)),
            Err(_) => Err(error),
        },
    }
}

async fn all(subject: Subject<'_>, within: Duration) -> Result<Verified, VerifyError> {
    let start = Instant::now();
    let (mut client, attempts) = ready::wait(subject, start, within).await?;
    let ready_after = start.elapsed();
    let mut checks =
        Checks { subject, deadline: start + within.max(ready_after + CHECKS_AT_LEAST), done: vec![Check::Handshake] };
    let protocol = subject.target.protocol;
    if subject.target.expects() != Expect::Echo {
        stranger::check(&mut checks, &mut client, subject.target).await?;
        return Ok(Verified { ready_after, took: start.elapsed(), attempts, checks: checks.done });
    }
    if protocol == Protocol::Echo {
        echo::check(&mut checks, &mut client).await?;
    }
    if protocol == Protocol::App {
        app::check(&mut checks, &mut client).await?;
    }
    // Before the fragments, so that a missing pong is reported as just that.
    checks.ping(&mut client).await?;
    echo::fragments(&mut checks, &mut client, protocol.exchange()).await?;
    if protocol.has_rooms() {
        app::check_rooms(&mut checks, &mut client).await?;
    }
    checks.close(client).await?;
    Ok(Verified { ready_after, took: start.elapsed(), attempts, checks: checks.done })
}

/// The checks that were done, and the time that is left for the others.
struct Checks<'a> {
    subject: Subject<'a>,
    deadline: Instant,
    done: Vec<Check>,
}

impl Checks<'_> {
    /// Does one check: `attempt` says what it got instead of `expected`, and has at most [`STEP`].
    async fn check<T>(
        &mut self,
        check: Check,
        expected: &str,
        attempt: impl Future<Output = Result<T, String>>,
    ) -> Result<T, VerifyError> {
        let limit = STEP.min(self.deadline.saturating_duration_since(Instant::now()));
        let got = match tokio::time::timeout(limit, attempt).await {
            Ok(Ok(value)) => {
                self.done.push(check);
                return Ok(value);
            }
            Ok(Err(got)) => got,
            Err(_) => format!("no answer within {limit:.1?}"),
        };
        Err(VerifyError::Wrong { check, expected: expected.to_owned(), got })
    }

    /// Checks a ping.
    async fn ping(&mut self, client: &mut Client) -> Result<(), VerifyError> {
        let payload = b"wsceiling ping";
        let attempt = async {
            client.ping(payload).await?;
            match skip(client, |received| is_chatter(received) && !matches!(received, Received::Pong(_))).await {
                Received::Pong(got) if got == payload => Ok(()),
                other => Err(describe(&other)),
            }
        };
        self.check(Check::Ping, "a pong with the payload of the ping", attempt).await
    }

    /// Checks the close handshake, which ends the connection.
    async fn close(&mut self, mut client: Client) -> Result<(), VerifyError> {
        let attempt = async {
            client.close(1000, "verified").await?;
            match skip(&mut client, is_chatter).await {
                Received::Close(Some((1000, _))) => Ok(()),
                other => Err(describe(&other)),
            }
        };
        self.check(Check::Close, "a close frame with code 1000", attempt).await
    }
}

/// The first thing that arrives and is not to be skipped.
async fn skip(client: &mut Client, skipped: impl Fn(&Received) -> bool) -> Received {
    loop {
        let received = client.receive().await;
        if !skipped(&received) {
            return received;
        }
    }
}

/// What a server may send at any time: a pong nobody asked for (RFC 6455, 5.5.3) and the app's presence messages.
fn is_chatter(received: &Received) -> bool {
    match received {
        Received::Pong(_) => true,
        Received::Text(text) => text.starts_with(r#"{"type":"presence","#),
        _ => false,
    }
}

/// What arrived, in words for a person, at most about 200 characters.
fn describe(received: &Received) -> String {
    match received {
        Received::Text(text) => format!("text {:?} ({} bytes)", clip(text), text.len()),
        Received::Binary(bytes) => {
            format!("binary {:?} ({} bytes)", clip(&String::from_utf8_lossy(bytes)), bytes.len())
        }
        Received::Pong(payload) => format!("a pong with payload {:?}", clip(&String::from_utf8_lossy(payload))),
        Received::Close(Some((code, reason))) => {
            format!("a close frame with code {code} and reason {:?}", clip(reason))
        }
        Received::Close(None) => "a close frame without a code".to_owned(),
        Received::Ended(why) => format!("the end of the connection: {why}"),
    }
}

fn clip(text: &str) -> String {
    let mut clipped: String = text.chars().take(80).collect();
    if clipped.len() < text.len() {
        clipped.push_str("...");
    }
    clipped
}

/// What the upgrade should have been answered with.
fn wrong_upgrade(error: &UpgradeError) -> VerifyError {
    VerifyError::Wrong {
        check: Check::Handshake,
        expected: "status 101 with the headers of a WebSocket".to_owned(),
        got: error.to_string(),
    }
}
