//! What is found out before the load: addresses that take connections, and what the server answers with.

use anyhow::{Result, bail};

use super::options::{Answers, Options};
use super::probe;
use super::progress::Progress;
use super::resolve::{self, Resolved};
use super::url::Url;
use crate::client::Expect;

/// Everything found out before the load.
#[derive(Debug, Default)]
pub struct Preflight {
    /// Addresses of the server, those of one place after those of the one before.
    pub addresses: Vec<Reached>,
    /// What counts as an answer; `None`: what the protocol says.
    pub expect: Option<Expect>,
    /// What was assumed, for a person.
    pub assumptions: Vec<String>,
    /// Version and cipher suite of TLS.
    pub tls: Option<String>,
}

/// An address of one of the places.
#[derive(Debug)]
pub struct Reached {
    /// Index of the place.
    pub place: usize,
    /// The address.
    pub resolved: Resolved,
}

/// Nobody has to allow the load of a server of this machine's loopback.
async fn authorised_by_itself(url: &Url) -> Result<()> {
    if url.socket.is_some() {
        return Ok(());
    }
    let found = resolve::lookup(url).await?;
    if let Some(other) = found.iter().find(|address| !address.ip().is_loopback()) {
        bail!(
            "{url} leads to {}, which is not this machine (hint: load only servers that are yours, or whose owner agreed; \
             then add --authorised)",
            other.ip()
        );
    }
    Ok(())
}

/// Resolves the hosts and finds out what counts as an answer. Nothing is sent to a server that the user may not load.
///
/// # Errors
/// When a host name cannot be resolved, or nobody says that the server may be loaded.
pub(super) async fn preflight(options: &Options, progress: &Progress) -> Result<Preflight> {
    if !options.authorised {
        for place in &options.places {
            authorised_by_itself(&place.url).await?;
        }
    }
    let mut addresses = Vec::new();
    for (place, at) in options.places.iter().enumerate() {
        let found = resolve::addresses(&at.url, options.connect_timeout).await?;
        addresses.extend(found.into_iter().map(|resolved| Reached { place, resolved }));
    }
    for refused in addresses.iter().map(|address| &address.resolved).filter(|address| !address.used) {
        let why = refused.failure.as_deref().unwrap_or("no reason known");
        progress.note(&format!("{} takes no connection ({why}): not used", refused.address));
    }
    let mut assumptions = Vec::new();
    let mut tls = None;
    let expect = match options.answers {
        Answers::OfProtocol => None,
        Answers::These(expect) => Some(expect),
        Answers::Auto => {
            let seen = match addresses.iter().find(|address| address.resolved.used) {
                Some(Reached { place, resolved }) => {
                    probe::probe(options, &options.places[*place], resolved.address.clone()).await
                }
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
