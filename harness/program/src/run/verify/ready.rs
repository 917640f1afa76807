//! Waiting for a server that has just been started.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::{STEP, Subject, VerifyError, wrong_upgrade};
use crate::run::verify::client::{Client, UpgradeError};

/// Pause between two attempts: short at first, because most servers listen within milliseconds, and the wait would
/// count as their start-up.
const PAUSE_FIRST: Duration = Duration::from_millis(2);
const PAUSE_LAST: Duration = Duration::from_millis(20);
/// Pause between two attempts on somebody else's server, which nobody has just started.
const PAUSE_REMOTE: Duration = Duration::from_secs(1);

/// Tries to connect and upgrade until that succeeds; returns the connection and the number of attempts.
pub(super) async fn wait(subject: Subject<'_>, start: Instant, within: Duration) -> Result<(Client, u32), VerifyError> {
    let address = &subject.entrance.endpoint;
    let left = || (start + within).saturating_duration_since(Instant::now());
    let mut pause = PAUSE_FIRST;
    let mut attempts = 0;
    // An answer to an upgrade, however wrong, says more than a connect that failed later.
    let (mut last_connect, mut last_upgrade) = ("no attempt was made in time".to_owned(), None);
    loop {
        let limit = STEP.min(left());
        if limit.is_zero() {
            return Err(match last_upgrade {
                Some(error) => wrong_upgrade(&error),
                None => VerifyError::NeverListened { address: address.clone(), within, last: last_connect },
            });
        }
        attempts += 1;
        match timeout(limit, address.connect()).await {
            Ok(Ok(stream)) => {
                let limit = STEP.min(left());
                match timeout(limit, subject.entrance.upgrade(stream)).await {
                    Ok(Ok(client)) => return Ok((client, attempts)),
                    Ok(Err(error)) if may_pass(&error) => last_upgrade = Some(error),
                    Ok(Err(error)) => return Err(wrong_upgrade(&error)),
                    // The little time that is left at the end says nothing about the server.
                    Err(_) if last_upgrade.is_some() && limit < STEP => {}
                    Err(_) => last_upgrade = Some(UpgradeError::Io(format!("no answer within {limit:.1?}"))),
                }
            }
            Ok(Err(error)) => last_connect = error.to_string(),
            Err(_) => last_connect = format!("no answer to the connect within {limit:.1?}"),
        }
        sleep(pause.min(left())).await;
        pause = if subject.target.remote.is_some() { PAUSE_REMOTE } else { (pause * 3 / 2).min(PAUSE_LAST) };
    }
}

/// Whether a server, or a proxy in front of it, may answer so while it is still starting.
fn may_pass(error: &UpgradeError) -> bool {
    match error {
        UpgradeError::Closed | UpgradeError::Io(_) => true,
        UpgradeError::Status { code, .. } => *code == 429 || *code >= 500,
        _ => false,
    }
}
