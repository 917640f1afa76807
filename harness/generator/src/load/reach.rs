//! Workers on other machines, and what they can reach.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use futures_util::future::BoxFuture;

use crate::coordinator::WorkerLine;

/// Starts workers on other machines.
pub trait Elsewhere: Send {
    /// Starts so many, to load these servers; each has dialled when it is done. Whoever implements this ends them.
    fn start<'a>(&'a mut self, workers: u32, toward: &'a [SocketAddr]) -> BoxFuture<'a, Result<Vec<WorkerLine>>>;
}

/// Whether workers on other machines can reach the servers.
pub(super) fn check(destinations: &[SocketAddr], sockets: &[PathBuf]) -> Result<()> {
    if let Some(address) = destinations.iter().find(|address| address.ip().is_loopback()) {
        bail!(
            "{address} is the loopback of this host, which tasks of a swarm cannot reach (hint: let the server listen on \
             an address of this host and give that, or leave --swarm out)"
        );
    }
    if let Some(path) = sockets.first().map(PathBuf::as_path).map(Path::display) {
        bail!("{path} is a file of this host, which tasks of a swarm cannot reach (hint: leave --swarm out)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_this_host_reaches_is_refused_with_what_to_do() {
        let check = |address: &str| check(&[address.parse().unwrap()], &[]);
        for loopback in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80"] {
            let error = check(loopback).unwrap_err().to_string();
            assert!(error.contains("loopback") && error.contains("hint"), "{error}");
        }
        assert!(check("192.0.2.1:80").is_ok());
        assert!(super::check(&[], &["/run/app.sock".into()]).unwrap_err().to_string().contains("/run/app.sock"));
    }
}
