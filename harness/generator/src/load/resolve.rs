//! From a host name to the addresses that take connections.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use wsceiling_model::url::Url;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SocketTarget {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// A unix-domain socket.
    Unix(PathBuf),
}

impl fmt::Display for SocketTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// An address of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// The address.
    pub address: SocketTarget,
    /// Whether the load goes to it.
    pub used: bool,
    /// Why it took no connection when it was tried.
    pub failure: Option<String>,
}

impl Resolved {
    /// The address, where it is one of IP and the load may go to it.
    pub fn usable(&self) -> Option<SocketAddr> {
        match &self.address {
            SocketTarget::Tcp(address) if self.used => Some(*address),
            _ => None,
        }
    }
}

/// All IP addresses of the host, each once. Nothing is sent to them.
///
/// # Errors
/// When the name has no address.
pub async fn lookup(url: &Url) -> Result<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> = Vec::new();
    let looked_up = tokio::net::lookup_host((url.host.as_str(), url.port)).await;
    for address in looked_up.with_context(|| format!("failed to resolve the host name `{}`", url.host))? {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    if found.is_empty() {
        bail!("failed to resolve the host name `{}`: it has no address", url.host);
    }
    Ok(found)
}

/// All addresses of the host. Where there are several, each is tried, and the load goes in turn to those that take a
/// connection: `localhost` has two, and most servers listen on one of them. If none does, the load goes to all of them,
/// and its failures are the answer.
///
/// # Errors
/// When the name has no address.
pub async fn addresses(url: &Url, timeout: Duration) -> Result<Vec<Resolved>> {
    if let Some(socket) = &url.socket {
        return Ok(vec![Resolved { address: SocketTarget::Unix(socket.clone()), used: true, failure: None }]);
    }
    let found = lookup(url).await?;
    if let [only] = found.as_slice() {
        return Ok(vec![Resolved { address: SocketTarget::Tcp(*only), used: true, failure: None }]);
    }
    let tries: Vec<_> = found.into_iter().map(|address| tokio::spawn(try_out(address, timeout))).collect();
    let mut addresses = Vec::new();
    for tried in tries {
        addresses.push(tried.await.context("failed to try an address")?);
    }
    if addresses.iter().all(|address| !address.used) {
        for address in &mut addresses {
            address.used = true;
        }
    }
    Ok(addresses)
}

async fn try_out(address: SocketAddr, timeout: Duration) -> Resolved {
    let failure = match tokio::time::timeout(timeout, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("timeout".to_owned()),
    };
    Resolved { address: SocketTarget::Tcp(address), used: failure.is_none(), failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(url: &str) -> Result<Vec<Resolved>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(addresses(&Url::parse(url).unwrap(), Duration::from_secs(5)))
    }

    #[test]
    fn one_address_is_used_untried() {
        let found = resolved("ws://127.0.0.1:1").unwrap();
        let place = |text: &str| SocketTarget::Tcp(text.parse().unwrap());
        assert_eq!(found, [Resolved { address: place("127.0.0.1:1"), used: true, failure: None }]);
        assert_eq!(resolved("ws://[::1]:1").unwrap()[0].address, place("[::1]:1"));
        assert_eq!(resolved("ws+unix:///a:/b").unwrap()[0].address, SocketTarget::Unix("/a".into()));
    }

    #[test]
    fn a_name_without_address_is_an_error() {
        let error = format!("{:#}", resolved("ws://no-such-host.invalid").unwrap_err());
        assert!(error.contains("no-such-host.invalid"), "{error}");
    }

    #[test]
    fn an_address_that_refuses_is_left_out_where_another_one_takes_connections() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = resolved(&format!("ws://localhost:{port}")).unwrap();
        let used: Vec<_> = found.iter().filter(|address| address.used).collect();
        assert_eq!(used.len(), 1);
        assert!(matches!(used[0].address, SocketTarget::Tcp(SocketAddr::V4(_))));
        assert!(found.iter().filter(|address| !address.used).all(|address| address.failure.is_some()));
    }
}
