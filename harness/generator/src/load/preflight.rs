//! What is found out before the load: addresses that take connections, and what the server answers with.

use anyhow::Result;

use super::options::{Answers, Options};
use super::probe;
use super::progress::Progress;
use super::resolve::{self, Resolved};
use crate::client::Expect;

/// Everything found out before the load.
#[derive(Debug, Default)]
pub struct Preflight {
    /// Addresses of the server.
    pub addresses: Vec<Resolved>,
    /// What counts as an answer; `None`: what the protocol says.
    pub expect: Option<Expect>,
    /// What was assumed, for a person.
    pub assumptions: Vec<String>,
    /// Version and cipher suite of TLS.
    pub tls: Option<String>,
}

/// Resolves the host and finds out what counts as an answer.
///
/// # Errors
/// When the host name cannot be resolved.
pub(super) async fn preflight(options: &Options, progress: &Progress) -> Result<Preflight> {
    let addresses = resolve::addresses(&options.url, options.connect_timeout).await?;
    for refused in addresses.iter().filter(|address| !address.used) {
        let why = refused.failure.as_deref().unwrap_or("no reason known");
        progress.note(&format!("{} takes no connection ({why}): not used", refused.address));
    }
    let mut assumptions = Vec::new();
    let mut tls = None;
    let expect = match options.answers {
        Answers::OfProtocol => None,
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
