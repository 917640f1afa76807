//! Whether the target agrees to be loaded: the file that only its owner can put there.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;

use wsceiling_model::url::Url;
use wsceiling_visitors::{Proof, ProofAnswer};

/// Longest time for the file.
const WITHIN: Duration = Duration::from_secs(10);
/// Time between two looks before the run, and while it lasts.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long an interrupted wait may take to end.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What the target says at this moment.
pub(super) async fn ask(target: &Url, proof: &Proof, ca: Option<&Path>) -> ProofAnswer {
    let answer = wsceiling_scrape::fetch(&Proof::place(target), ca, WITHIN).await;
    proof.judge(answer.as_deref())
}

/// The words that the target has to say, said by it. With a token they must be there; without one they are told to the
/// operator and waited for. `None`: it was interrupted.
pub(super) async fn agreed(
    target: &Url,
    token: Option<&Proof>,
    ca: Option<&Path>,
    interrupt: &mut watch::Receiver<bool>,
) -> Result<Option<Proof>> {
    let place = Proof::place(target);
    if let Some(proof) = token {
        let why = match ask(target, proof, ca).await {
            ProofAnswer::Holds => return Ok(Some(proof.clone())),
            ProofAnswer::Denies(why) | ProofAnswer::Unclear(why) => why,
        };
        anyhow::bail!(
            "{place} does not say that {target} may be loaded: {why}\nhint: it must have the line `{}`",
            proof.line()
        );
    }
    let proof = Proof::new().context("failed to make a token")?;
    eprintln!("Nothing is sent to {target} before its owner agrees. Put this line into a file of it:");
    eprintln!("  {}", proof.line());
    eprintln!("so that {place} has it. Waiting for it; Ctrl-C ends.");
    let mut last = String::new();
    loop {
        let answer = tokio::select! {
            answer = ask(target, &proof, ca) => answer,
            _ = interrupt.wait_for(|stop| *stop) => return Ok(None),
        };
        let why = match answer {
            ProofAnswer::Holds => break,
            ProofAnswer::Denies(why) | ProofAnswer::Unclear(why) => why,
        };
        if why != last {
            eprintln!("not yet: {why}");
            last = why;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = interrupt.wait_for(|stop| *stop) => return Ok(None),
        }
    }
    eprintln!("The target agrees. Another run needs no new line with --token {}", proof.token());
    Ok(Some(proof))
}
