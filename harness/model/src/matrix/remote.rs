//! Remote targets: servers that the harness does not start, reached by their URLs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::environment::EnvText;
use super::{Load, LoadStage, MetricSource};
use crate::keyword::keywords;
use crate::url::Url;

/// Connections a second that a remote target may be asked for, unless the matrix says otherwise: the default of
/// `load.rate`.
pub const DEFAULT_MAX_RATE: f64 = 2000.0;
/// Connections that a remote target may be asked to hold, unless the matrix says otherwise: the default of `load.max`.
pub const DEFAULT_MAX_CONNECTIONS: u32 = 20_000;
/// Share of a step's connects that may fail before the harness asks for no more.
const DEFAULT_STOP_AT_FAILURES: f64 = 0.5;
/// Time in which a remote server gets rid of the connections of the trial before.
const DEFAULT_SETTLE: Duration = Duration::from_secs(1);

/// A server that somebody else runs: where it is, how it is reached, and what may be asked of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteTarget {
    /// Its addresses, at least one.
    pub urls: Vec<Url>,
    /// How connections are spread over them.
    pub spread: UrlSpread,
    /// More headers of the upgrade, by name. What is secret in them stands in the environment.
    pub headers: BTreeMap<String, EnvText>,
    /// Token of the upgrade (`?token=`), from the environment.
    pub token: Option<EnvText>,
    /// TLS of `wss://` addresses.
    pub tls: RemoteTls,
    /// What counts as an answer to a message.
    pub expect: Expect,
    /// The message; `None`: the protocol's own.
    pub payload: Option<String>,
    /// Servers that share the load behind the addresses, as far as the user knows.
    pub instances: u32,
    /// Name of the size that each of them has.
    pub size: Option<String>,
    /// Name of the platform that it runs on.
    pub platform: Option<String>,
    /// Price per month of each instance, in the user's currency; it wins over that of the size.
    pub price_per_month: Option<f64>,
    /// The user may load it. Without this nothing is sent to an address that is not this machine's.
    pub authorised: bool,
    /// Most connections that are opened per second.
    pub max_rate: f64,
    /// Most connections that are opened.
    pub max_connections: u32,
    /// Once this share of a step's connects has failed, no more are made in it.
    pub stop_at_failures: f64,
    /// Time between the last connection of one trial and the first of the next.
    pub settle: Duration,
    /// Name of the target that is the same server by its own address, without what stands before it.
    pub front_of: Option<String>,
    /// Where numbers of the server can be read.
    #[serde(default)]
    pub metrics: Vec<MetricSource>,
}

impl RemoteTarget {
    /// A target at these addresses, with the defaults.
    pub fn at(urls: Vec<Url>) -> Self {
        Self {
            urls,
            spread: UrlSpread::InTurn,
            headers: BTreeMap::new(),
            token: None,
            tls: RemoteTls::default(),
            expect: Expect::Echo,
            payload: None,
            instances: 1,
            size: None,
            platform: None,
            price_per_month: None,
            authorised: false,
            max_rate: DEFAULT_MAX_RATE,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            stop_at_failures: DEFAULT_STOP_AT_FAILURES,
            settle: DEFAULT_SETTLE,
            front_of: None,
            metrics: Vec::new(),
        }
    }

    /// Names of all environment variables that it needs.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.headers.values().chain(&self.token).flat_map(EnvText::variables)
    }

    /// Whether a load asks for no more than the user allows.
    pub fn allows(&self, load: &Load) -> bool {
        fastest(load) <= self.max_rate && load.max <= self.max_connections
    }
}

/// Most connections that a load opens per second. A storm brings all of them back within its jitter.
pub(super) fn fastest(load: &Load) -> f64 {
    let of_stages = load.stages.iter().map(|stage| match stage {
        LoadStage::To { rate, .. } => *rate,
        LoadStage::Storm { jitter, .. } => f64::from(load.max) / jitter.as_secs_f64(),
    });
    of_stages.fold(if load.stages.is_empty() { load.rate } else { 0.0 }, f64::max)
}

/// Whether a host is this machine's own loopback by its name, so that nobody else can be meant.
pub fn is_loopback(url: &Url) -> bool {
    let named = url.host == "localhost" || url.host.ends_with(".localhost");
    url.socket.is_some() || named || url.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

keywords! {
    /// How connections are spread over several addresses.
    pub enum UrlSpread {
        InTurn = "in-turn", "Each connection goes to the next address, as a balancer would spread them";
        Fill = "fill", "One address after the other gets its share";
    }
}

keywords! {
    /// What counts as the answer to a message.
    pub enum Expect {
        Echo = "echo", "The same message, and no other may come";
        Among = "among", "The same message, among others";
        Any = "any", "Any message";
        None = "none", "No message: pings are sent, and their pongs are the answers";
    }
}

/// TLS towards a remote target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteTls {
    /// Certificates are not checked.
    pub insecure: bool,
    /// PEM file of the authorities to trust, relative to the matrix file; `None`: those of this machine.
    pub ca: Option<PathBuf>,
    /// PEM file of the client's certificate.
    pub cert: Option<PathBuf>,
    /// PEM file of its key.
    pub key: Option<PathBuf>,
    /// Name to ask for and to expect in the certificate; `None`: the host of the address.
    pub server_name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_machine_by_its_name() {
        let own = ["ws://localhost:1", "wss://a.localhost/", "ws://127.3.2.1", "ws://[::1]:9", "ws+unix:///a.sock"];
        assert!(own.iter().all(|url| is_loopback(&Url::parse(url).unwrap())));
        let others = ["ws://localhost.example.com", "ws://10.0.0.1", "ws://[::2]", "wss://example.com"];
        assert!(others.iter().all(|url| !is_loopback(&Url::parse(url).unwrap())));
    }
}
