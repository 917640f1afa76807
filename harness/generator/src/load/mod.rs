//! `load URL`: the generator as a tool of its own, against any WebSocket server.
//!
//! ```text
//! url + options -> resolve -> probe -> drive (the workers, stage by stage) -> outcome -> thresholds -> text or JSON
//! ```
//!
//! - [`url`], [`options`], [`threshold`]: what the user asks for, checked once;
//! - [`resolve`], [`probe`]: which addresses take connections, and what the server answers with;
//! - [`drive`], [`close`], [`progress`], [`cost`]: the run and its end, what is shown of it, and what it costs the
//!   generator itself;
//! - [`outcome`], [`hints`], [`verdict`], [`text`]: what came of it. Nothing that failed is left out of it.

pub mod close;
pub mod cost;
pub mod drive;
mod gather;
pub mod hints;
pub mod options;
pub mod outcome;
pub mod probe;
pub mod progress;
pub mod resolve;
mod stream;
pub mod text;
pub mod threshold;
pub mod url;
pub mod verdict;

use std::time::{Instant, SystemTime};

use anyhow::Result;
use tokio::sync::watch;

use crate::client::Expect;
use options::{Answers, Options};
use outcome::{Ended, Outcome};
use progress::Progress;

/// Everything found out before the load.
#[derive(Debug)]
pub struct Preflight {
    /// Addresses of the server.
    pub addresses: Vec<resolve::Address>,
    /// What counts as an answer; `None`: the dialogue of the app's protocol.
    pub expect: Option<Expect>,
    /// What was assumed, for a person.
    pub assumptions: Vec<String>,
    /// Version and cipher suite of TLS.
    pub tls: Option<String>,
}

/// Runs the load. Turning `interrupt` true ends it early, with an outcome of what was done.
///
/// # Errors
/// When the host name cannot be resolved, or the workers do not start.
pub async fn run(options: &Options, progress: &Progress, mut interrupt: watch::Receiver<bool>) -> Result<Outcome> {
    let wall = SystemTime::now();
    let started = Instant::now();
    for warning in &options.warnings {
        progress.note(&format!("warning: {warning}"));
    }
    let preflight = tokio::select! {
        preflight = preflight(options, progress) => preflight?,
        _ = interrupt.wait_for(|stop| *stop) => {
            let nothing = Preflight { addresses: Vec::new(), expect: None, assumptions: Vec::new(), tls: None };
            let run = drive::Run { ended: Ended::Interrupted, ..drive::Run::default() };
            return Outcome::new(options, &nothing, run, wall, started.elapsed());
        }
    };
    let run = drive::run(options, &preflight, progress, interrupt).await?;
    progress.finish();
    Outcome::new(options, &preflight, run, wall, started.elapsed())
}

async fn preflight(options: &Options, progress: &Progress) -> Result<Preflight> {
    let addresses = resolve::addresses(&options.url, options.connect_timeout).await?;
    for refused in addresses.iter().filter(|address| !address.used) {
        let why = refused.failure.as_deref().unwrap_or("no reason known");
        progress.note(&format!("{} takes no connection ({why}): not used", refused.address));
    }
    let mut assumptions = Vec::new();
    let mut tls = None;
    let expect = match options.answers {
        Answers::App => None,
        Answers::These(expect) => Some(expect),
        Answers::Auto => {
            let seen = match addresses.iter().find(|address| address.used) {
                Some(address) => probe::probe(options, address.address.clone()).await,
                None => Err("no address".to_owned()),
            };
            let (expect, why) = probe::judge(seen.as_ref());
            tls = seen.ok().and_then(|seen| seen.tls);
            assumptions.push(why);
            Some(expect)
        }
    };
    for assumption in &assumptions {
        progress.note(assumption);
    }
    Ok(Preflight { addresses, expect, assumptions, tls })
}
