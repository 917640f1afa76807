//! The server side of a trial whose server somebody else runs: its addresses, and how it is asked.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::row::StartFailure;
use super::setup::TrialSetup;
use super::verify::{self, Entrance};
use wsceiling_generator::client::{self, ClientConfig, DestinationName, Payload, Script};
use wsceiling_generator::coordinator::{RemoteClient, workers_needed};
use wsceiling_generator::load::resolve;
use wsceiling_generator::tls::{Client, Identity, Settings, Trust};
use wsceiling_launch::endpoint::Endpoint;
use wsceiling_model::matrix::{EnvText, Expect, RemoteTarget, RemoteTls, Target, UrlSpread};
use wsceiling_model::record::{InstanceRecord, Outcome, Reason};
use wsceiling_model::url::Url;

/// Longest time that an address of several may take to show that it takes connections.
const TRY_WITHIN: Duration = Duration::from_secs(5);

/// A remote target whose addresses are known.
pub struct RemoteServers {
    /// What may be loaded: at least one.
    destinations: Vec<(Url, SocketAddr)>,
    headers: Vec<(String, String)>,
    /// Query with the token, as it is added to each path.
    token: Option<String>,
    tls: Option<Settings>,
}

impl RemoteServers {
    /// Looks up the addresses. Nothing is sent but questions to the resolver, and a connect to each of several addresses of
    /// one name; and nothing at all where the target is not this machine and not authorised.
    pub async fn find(setup: &TrialSetup<'_>, target: &RemoteTarget) -> Result<Self, StartFailure> {
        let headers = target.headers.iter().map(|(name, value)| Ok((name.clone(), filled(value)?)));
        let headers = headers.collect::<Result<Vec<_>, StartFailure>>()?;
        let token = target.token.as_ref().map(filled).transpose()?;
        let first = target.urls.first().filter(|url| url.secure);
        let tls = first.map(|url| settings(&target.tls, url, &setup.matrix.folder)).transpose()?;
        let mut destinations = Vec::new();
        for url in &target.urls {
            let addresses = resolve::lookup(url).await.map_err(|error| unresolved(&format!("{error:#}")))?;
            if let Some(other) = addresses.iter().find(|it| !target.authorised && !it.ip().is_loopback()) {
                return Err(not_authorised(url, other.ip()));
            }
            let addresses =
                resolve::addresses(url, TRY_WITHIN).await.map_err(|error| unresolved(&format!("{error:#}")))?;
            destinations.extend(addresses.iter().filter_map(|it| Some((url.clone(), it.usable()?))));
        }
        Ok(Self { destinations, headers, token, tls })
    }

    /// Addresses that the generator connects to.
    pub fn destinations(&self) -> Vec<SocketAddr> {
        self.destinations.iter().map(|(_, address)| *address).collect()
    }

    /// Verifies the target at each of its addresses.
    pub async fn verify(&self, setup: &TrialSetup<'_>) -> Result<(), StartFailure> {
        for (url, address) in &self.destinations {
            let tls = self.tls.as_ref().map(|settings| Client::new(settings)?.towards(&server_name(setup, url)));
            let entrance = Entrance {
                endpoint: Endpoint::Tcp(*address),
                host: url.host_header(),
                path: self.path(url),
                headers: self.headers.clone(),
                tls: tls.transpose().map_err(|error| missing(error, "check `tls` of the target"))?,
            };
            let verified = verify::verify_remote(&entrance, setup.target(), setup.matrix.run.ready_within).await;
            verified.map_err(|error| StartFailure::remote(url, &error))?;
        }
        Ok(())
    }

    /// What the generator's workers are told beside the addresses.
    pub fn client(&self, setup: &TrialSetup<'_>, target: &RemoteTarget) -> RemoteClient {
        let name = |(url, _): &(Url, SocketAddr)| DestinationName {
            host: url.host_header(),
            path: self.path(url),
            server_name: server_name(setup, url),
        };
        let load = &setup.matrix.load;
        let workers = workers_needed(load, setup.limits().nofile_hard, setup.limits().cores);
        let each = load.max.div_ceil(self.destinations.len().max(1) as u32).div_ceil(workers.max(1));
        let client = ClientConfig {
            tls: self.tls.clone(),
            script: script(setup.target(), workers),
            names: self.destinations.iter().map(name).collect(),
            fill: (target.spread == UrlSpread::Fill).then_some(each),
            live: false,
            silent: false,
        };
        RemoteClient { headers: self.headers.clone(), client }
    }

    fn path(&self, url: &Url) -> String {
        let mut url = url.clone();
        if let Some(token) = &self.token {
            url.add_query("token", token);
        }
        url.path
    }
}

/// Name that the certificate of an address must be valid for.
fn server_name(setup: &TrialSetup<'_>, url: &Url) -> String {
    let own = setup.target().remote.as_ref().and_then(|remote| remote.tls.server_name.clone());
    own.unwrap_or_else(|| url.host.clone())
}

/// The record of each instance: what is known of it is the URL that leads to it.
pub fn records(target: &RemoteTarget, launch: u32) -> Vec<InstanceRecord> {
    let record = |index: u32| InstanceRecord {
        index,
        launch,
        address: target.urls[index as usize % target.urls.len()].to_string(),
        pid: None,
        container: None,
        image: None,
        command: Vec::new(),
        binary_sha256: None,
        limits: Vec::new(),
        exit: None,
        log: None,
        log_tail: Vec::new(),
        log_signs: Vec::new(),
    };
    (0..target.instances).map(record).collect()
}

/// What the generator's workers are told of a server that the harness starts; `None`: nothing but its protocol.
pub fn started_client(setup: &TrialSetup<'_>) -> Option<RemoteClient> {
    let workers = workers_needed(&setup.matrix.load, setup.limits().nofile_hard, setup.limits().cores);
    let script = Some(script(setup.target(), workers)?);
    Some(RemoteClient { headers: Vec::new(), client: ClientConfig { script, ..ClientConfig::default() } })
}

/// What its connections say and expect; `None`: as the protocol has it.
fn script(target: &Target, workers: u32) -> Option<Script> {
    let expect = match target.expects() {
        Expect::Echo if target.payload().is_none() => return None,
        Expect::Echo => client::Expect::Echo,
        Expect::Among => client::Expect::Among,
        Expect::Any => client::Expect::Any,
        Expect::None => client::Expect::None,
    };
    let payload = target.payload().map(|text| Payload { bytes: text.as_bytes().to_vec(), binary: false });
    Some(Script { payload, expect, workers })
}

/// TLS towards an address; files are relative to the folder of the matrix.
fn settings(tls: &RemoteTls, url: &Url, folder: &Path) -> Result<Settings, StartFailure> {
    let read = |path: &Path| {
        let path = folder.join(path);
        let failed = |error| missing(format!("failed to read {}: {error}", path.display()), FILES);
        std::fs::read_to_string(&path).map_err(failed)
    };
    let trust = match &tls.ca {
        _ if tls.insecure => Trust::Anyone,
        Some(path) => Trust::These(read(path)?),
        None => Trust::System,
    };
    let identity = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => Some(Identity { certificates: read(cert)?, key: read(key)? }),
        _ => None,
    };
    let server_name = tls.server_name.clone().unwrap_or_else(|| url.host.clone());
    let settings = Settings { server_name, trust, identity, resume: true };
    Client::new(&settings).map_err(|error| missing(error, FILES))?;
    Ok(settings)
}

const FILES: &str = "files of `tls` are PEM, relative to the matrix file";

/// A text with what the environment has.
fn filled(text: &EnvText) -> Result<String, StartFailure> {
    let filled = text.fill(|name| std::env::var(name).ok());
    filled.map_err(|variable| missing(variable.to_string(), &format!("export {}=... before the run", variable.0)))
}

fn missing(what: String, hint: &str) -> StartFailure {
    StartFailure { outcome: Outcome::Skipped, reason: Reason::Missing { what, hint: hint.to_owned() } }
}

fn unresolved(what: &str) -> StartFailure {
    missing(what.to_owned(), "check the name in `url`, and the resolver of this machine")
}

fn not_authorised(url: &Url, address: IpAddr) -> StartFailure {
    missing(
        format!("`{url}` leads to {address}, which is not this machine, and nobody says that you may load it"),
        "load only servers that are yours, or whose owner agreed: then add `authorised = true`",
    )
}
