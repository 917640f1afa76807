//! Checks what only fits together as a whole.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::arguments::{Arguments, ExpectName, ScenarioName, Talk, Tls, Upgrade};
use wsceiling_generator::client::{Expect, Payload};
use wsceiling_generator::codec::handshake::Request;
use wsceiling_generator::load::gate;
use wsceiling_generator::load::options::{self, Answers, Options, Place, Stage};
use wsceiling_generator::tls::{Client, Identity, Settings, Trust};
use wsceiling_model::matrix::{Protocol, Scenario};
use wsceiling_model::url::Url;

impl Arguments {
    /// The options, or what is wrong with them.
    pub(super) fn into_options(self) -> Result<Options> {
        let mut warnings = Vec::new();
        let server_name = self.tls.sni.clone();
        alike(&self.urls)?;
        let tls = match self.urls.first() {
            Some(first) => self.tls.into_settings(first, &mut warnings)?,
            None => None,
        };
        let mut places: Vec<Place> = self.urls.into_iter().map(|url| place(url, server_name.as_deref())).collect();
        let headers = self.upgrade.into_headers(&mut places)?;
        for place in &places {
            Request::new(&place.host, &place.url.path, &headers).map_err(anyhow::Error::msg)?;
        }
        let payload = self.talk.payload(&mut warnings)?;
        let (scenario, protocol) = (self.talk.scenario(), self.talk.protocol);
        if scenario == Scenario::Broadcast && !protocol.has_rooms() {
            anyhow::bail!("the scenario broadcast needs a server with rooms (hint: --protocol app)");
        }
        let answers = self.talk.answers(payload.is_some())?;
        let one = Stage { to: self.connections, per_second: self.rate, hold: self.hold };
        let default_every = if scenario == Scenario::Idle { 10 } else { 1 };
        Ok(Options {
            spread: self.spread,
            stages: if self.stages.is_empty() { vec![one] } else { self.stages },
            scenario,
            protocol,
            message_bytes: self.talk.message_bytes,
            payload,
            every: self.talk.every.unwrap_or(Duration::from_secs(default_every)),
            room: self.talk.room,
            publish_every: self.talk.publish_every,
            publish_bytes: self.talk.publish_bytes,
            lifetime: self.talk.lifetime,
            headers,
            tls,
            connect_timeout: self.connect_timeout,
            handshake_timeout: self.handshake_timeout,
            workers: self.workers,
            answers,
            max_duration: self.max_duration,
            authorised: self.authorised,
            stop_at_failures: self.stop_at_failures,
            gates: if self.gates.is_empty() { gate::defaults() } else { self.gates },
            warnings,
            places,
        })
    }
}

/// One load goes over one kind of connection, with one user.
fn alike(urls: &[Url]) -> Result<()> {
    let Some((first, others)) = urls.split_first() else { return Ok(()) };
    for other in others {
        if other.socket.is_some() != first.socket.is_some() {
            anyhow::bail!(
                "{first} and {other}: one is a socket of this host and one an address (hint: load each by itself)"
            );
        }
        if other.secure != first.secure {
            anyhow::bail!("{first} and {other}: one has TLS and one has not (hint: load each by itself)");
        }
        if other.basic != first.basic {
            anyhow::bail!(
                "{first} and {other}: all get the same headers (hint: give all of them one user and password)"
            );
        }
    }
    Ok(())
}

/// How an address is asked, unless the options say otherwise.
pub(in crate::cli) fn place(url: Url, server_name: Option<&str>) -> Place {
    Place {
        shown: url.to_string(),
        host: url.host_header(),
        server_name: server_name.unwrap_or(&url.host).to_owned(),
        url,
    }
}

impl Talk {
    fn scenario(&self) -> Scenario {
        match self.scenario {
            ScenarioName::Idle => Scenario::Idle,
            ScenarioName::Echo => Scenario::Echo,
            ScenarioName::Broadcast => Scenario::Broadcast,
            ScenarioName::Churn => Scenario::Churn,
        }
    }

    /// The user's own message.
    fn payload(&self, warnings: &mut Vec<String>) -> Result<Option<Payload>> {
        let bytes = match (&self.payload, &self.payload_file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(path)) => std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?,
            (None, None) if self.binary => anyhow::bail!("--binary needs --payload or --payload-file"),
            (None, None) => return Ok(None),
        };
        if bytes.len() > 16 << 20 {
            anyhow::bail!("a message of {} bytes is longer than 16 MiB", bytes.len());
        }
        for strange in options::strange_variables(&bytes) {
            warnings.push(format!(
                "`{strange}` in the payload is no variable and is sent as it is (there are {{connection}}, {{sequence}}, {{now_ns}})"
            ));
        }
        let binary = self.binary || std::str::from_utf8(&bytes).is_err();
        Ok(Some(Payload { bytes, binary }))
    }

    fn answers(&self, own_payload: bool) -> Result<Answers> {
        if self.protocol != Protocol::Echo {
            if own_payload || self.expect != ExpectName::Auto {
                anyhow::bail!(
                    "--protocol {} has messages and answers of its own (hint: no --payload, no --expect)",
                    self.protocol
                );
            }
            return Ok(Answers::OfProtocol);
        }
        Ok(match self.expect {
            ExpectName::Auto => Answers::Auto,
            ExpectName::Echo => Answers::These(Expect::Echo),
            ExpectName::Among => Answers::These(Expect::Among),
            ExpectName::Any => Answers::These(Expect::Any),
            ExpectName::None => Answers::These(Expect::None),
        })
    }
}

impl Upgrade {
    /// The headers of all places but `Host`, which goes to each place; a token may go into its query.
    fn into_headers(self, places: &mut [Place]) -> Result<Vec<(String, String)>> {
        let mut headers = Vec::new();
        for (name, value) in self.headers {
            if name.eq_ignore_ascii_case("host") {
                for place in &mut *places {
                    place.host.clone_from(&value);
                }
            } else {
                headers.push((name, value));
            }
        }
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        if let Some(origin) = self.origin {
            add("Origin", origin);
        }
        if !self.subprotocols.is_empty() {
            add("Sec-WebSocket-Protocol", self.subprotocols.join(", "));
        }
        if !self.cookies.is_empty() {
            add("Cookie", self.cookies.join("; "));
        }
        match self.token {
            Some(token) if self.bearer => add("Authorization", format!("Bearer {token}")),
            Some(token) => places.iter_mut().for_each(|place| place.url.add_query(&self.token_name, &token)),
            None => {}
        }
        // They all have the same one.
        if let Some(basic) = places.first().and_then(|place| place.url.basic.as_ref()) {
            add("Authorization", format!("Basic {basic}"));
        }
        let authorizations = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization")).count();
        if authorizations > 1 {
            anyhow::bail!("the header `Authorization` is given more than once (--bearer, user:password@, --header)");
        }
        Ok(headers)
    }
}

impl Tls {
    fn into_settings(self, url: &Url, warnings: &mut Vec<String>) -> Result<Option<Settings>> {
        if !url.secure {
            let given = [
                (self.insecure, "--insecure"),
                (self.ca.is_some(), "--ca"),
                (self.cert.is_some(), "--cert"),
                (self.sni.is_some(), "--sni"),
                (self.no_resumption, "--no-resumption"),
            ];
            if let Some((_, name)) = given.iter().find(|(given, _)| *given) {
                anyhow::bail!("{name} is for TLS, and {url} has none (hint: wss://)");
            }
            return Ok(None);
        }
        let read =
            |path: &Path| std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()));
        let trust = match &self.ca {
            _ if self.insecure => {
                warnings.push("--insecure: the server's certificate is not checked; anyone could answer".to_owned());
                Trust::Anyone
            }
            Some(path) => Trust::These(read(path)?),
            None => Trust::System,
        };
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some(Identity { certificates: read(cert)?, key: read(key)? }),
            _ => None,
        };
        let server_name = self.sni.unwrap_or_else(|| url.host.clone());
        let settings = Settings { server_name, trust, identity, resume: !self.no_resumption };
        Client::new(&settings).map_err(anyhow::Error::msg)?;
        Ok(Some(settings))
    }
}
