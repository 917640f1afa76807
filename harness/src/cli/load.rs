//! `load URL`: the generator alone against any server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{DONE, FAILED, Format, STOPPED, USAGE, runtime};
use crate::load::options::{
    self, Answers, Options, Stage, parse_duration, parse_header, parse_message_bytes, parse_rate, parse_stage,
};
use crate::load::outcome::Ended;
use crate::load::progress::Progress;
use crate::load::threshold::{self, Threshold};
use crate::load::url::Url;
use crate::load::{self, text};
use crate::matrix::{Protocol, Scenario};
use crate::run::drive::client::{Expect, Payload};
use crate::run::tls::{Client, Identity, Settings, Trust};
use crate::run::websocket::codec::handshake::Request;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 every threshold is met, 1 one is not, 2 bad usage, 130 stopped by Ctrl-C. Without \
                        --threshold every connection must open, stay open and be answered.\n\n\
                        Examples:\n  \
                        wsceiling load ws://localhost:8080/chat --connections 1000 --rate 500/s --hold 30s\n  \
                        wsceiling load wss://example.com/ws --token T --bearer --threshold 'p99<200ms'\n  \
                        wsceiling load ws://localhost:8080 --payload '{\"id\":{sequence}}' --every 1s --expect any\n  \
                        wsceiling load ws://localhost:8080 --stage 1000,500/s,10s --stage 5000,1000/s,1m"
)]
pub(super) struct Arguments {
    /// Address of the server: ws://HOST[:PORT][/PATH][?QUERY] or wss://...
    #[arg(value_parser = Url::parse)]
    url: Url,
    /// Connections to open
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Connects per second, kept whether or not the server keeps up
    #[arg(long, short = 'r', value_name = "N/s", default_value = "500/s", value_parser = parse_rate)]
    rate: f64,
    /// Time to hold them, measured
    #[arg(long, value_name = "DUR", default_value = "10s", value_parser = parse_duration)]
    hold: Duration,
    /// A stage in place of --connections, --rate and --hold: connections, rate, time to hold; repeatable
    #[arg(long = "stage", value_name = "TO,RATE,HOLD", value_parser = parse_stage, conflicts_with_all = ["connections", "rate", "hold"])]
    stages: Vec<Stage>,
    /// End after this time at the latest
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    max_duration: Option<Duration>,
    /// Longest time of a TCP connect
    #[arg(long, value_name = "DUR", default_value = "10s", value_parser = parse_duration)]
    connect_timeout: Duration,
    /// Longest time of TLS and upgrade
    #[arg(long, value_name = "DUR", default_value = "10s", value_parser = parse_duration)]
    handshake_timeout: Duration,
    /// Worker processes [default: as many as descriptors and cores ask for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    workers: Option<u32>,
    /// What must hold, as 'connected>=99.9%', 'p99<200ms', 'lost==0'; repeatable
    #[arg(long = "threshold", short = 't', value_name = "COND", value_parser = Threshold::parse)]
    thresholds: Vec<Threshold>,
    /// Form of the summary on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// No progress, warnings only
    #[arg(long, short = 'q')]
    quiet: bool,
    #[command(flatten)]
    talk: Talk,
    #[command(flatten)]
    upgrade: Upgrade,
    #[command(flatten)]
    tls: Tls,
}

/// What connections say and hear.
#[derive(Debug, Args)]
#[command(next_help_heading = "Messages")]
struct Talk {
    /// What connections do: idle says little, echo says much, churn comes and goes, broadcast fills rooms
    #[arg(long, value_enum, default_value = "idle")]
    scenario: ScenarioName,
    /// What the server speaks: any messages, or the JSON protocol of targets/PROTOCOL.md
    #[arg(long, value_enum, default_value = "echo")]
    protocol: ProtocolName,
    /// Bytes of a message that names its connection and number
    #[arg(long, value_name = "N", default_value = "64", value_parser = parse_message_bytes)]
    message_bytes: u32,
    /// Your own message; {connection}, {sequence} and {now_ns} are replaced
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["payload_file", "message_bytes"])]
    payload: Option<String>,
    /// Your own message from a file; binary where it is not UTF-8
    #[arg(long, value_name = "FILE", conflicts_with = "message_bytes")]
    payload_file: Option<PathBuf>,
    /// Send your own message as binary
    #[arg(long)]
    binary: bool,
    /// Time between two messages of a connection [default: 10s, with echo 1s]
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    every: Option<Duration>,
    /// What counts as an answer
    #[arg(long, value_enum, default_value = "auto")]
    expect: ExpectName,
    /// Churn: mean time that a connection stays open
    #[arg(long, value_name = "DUR", default_value = "10s", value_parser = parse_duration)]
    lifetime: Duration,
    /// Broadcast: connections in a room
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    room: u32,
    /// Broadcast: time between two messages into a room
    #[arg(long, value_name = "DUR", default_value = "1s", value_parser = parse_duration)]
    publish_every: Duration,
    /// Broadcast: bytes of such a message
    #[arg(long, value_name = "N", default_value = "128", value_parser = parse_message_bytes)]
    publish_bytes: u32,
}

/// The upgrade.
#[derive(Debug, Args)]
#[command(next_help_heading = "Upgrade")]
struct Upgrade {
    /// A header, 'Name: value'; repeatable
    #[arg(long = "header", short = 'H', value_name = "H", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// A subprotocol to offer; repeatable, in order of preference
    #[arg(long = "subprotocol", value_name = "P")]
    subprotocols: Vec<String>,
    /// A cookie, 'name=value'; repeatable
    #[arg(long = "cookie", value_name = "C")]
    cookies: Vec<String>,
    /// A token, sent in the query as token=T
    #[arg(long, value_name = "T")]
    token: Option<String>,
    /// Name of the token in the query
    #[arg(long, value_name = "NAME", default_value = "token", requires = "token", conflicts_with = "bearer")]
    token_name: String,
    /// Send the token as `Authorization: Bearer` instead
    #[arg(long, requires = "token")]
    bearer: bool,
    /// Value of the Origin header
    #[arg(long, value_name = "O")]
    origin: Option<String>,
}

/// TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS (wss://)")]
struct Tls {
    /// Do not check the server's certificate
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
    /// PEM file of the authorities, or of the server's own certificate, to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file of the client's certificate
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Name to ask for and to expect in the certificate [default: the host of the address]
    #[arg(long, value_name = "NAME")]
    sni: Option<String>,
    /// A full handshake for every connection
    #[arg(long)]
    no_resumption: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScenarioName {
    Idle,
    Echo,
    Broadcast,
    Churn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProtocolName {
    Echo,
    App,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExpectName {
    /// A first connection finds out; what it found is said
    Auto,
    /// The same message, and no other may come
    Echo,
    /// The same message, among others
    Among,
    /// Any message
    Any,
    /// No message: pings are sent and their pongs counted
    None,
}

pub(super) fn run(arguments: Arguments) -> Result<u8> {
    let (quiet, format) = (arguments.quiet, arguments.format);
    let options = match arguments.into_options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(USAGE);
        }
    };
    let progress = Arc::new(Progress::stderr(quiet));
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let interrupt = on_signals(Arc::clone(&progress))?;
        load::run(&options, &progress, interrupt).await
    });
    progress.finish();
    let outcome = outcome?;
    match format {
        Format::Text => print!("{}", text::render(&outcome)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&outcome)?),
    }
    Ok(match outcome.ended {
        Ended::Interrupted => STOPPED,
        _ if outcome.passed => DONE,
        _ => FAILED,
    })
}

/// Turns true at the first SIGINT, SIGTERM or SIGHUP; a second one ends the process.
fn on_signals(progress: Arc<Progress>) -> Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let listen = |kind| signal(kind).context("failed to listen for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::spawn(async move {
        let mut any = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        };
        any().await;
        progress.note("stopping: the summary of what was done follows");
        sender.send_replace(true);
        any().await;
        eprintln!("ended at once");
        std::process::exit(i32::from(STOPPED));
    });
    Ok(receiver)
}

impl Arguments {
    /// Checks what only fits together as a whole.
    fn into_options(self) -> Result<Options> {
        let mut warnings = Vec::new();
        let mut url = self.url;
        let shown = url.to_string();
        let tls = self.tls.into_settings(&url, &mut warnings)?;
        let (host, headers) = self.upgrade.into_headers(&mut url)?;
        Request::new(&host, &url.path, &headers).map_err(anyhow::Error::msg)?;
        let payload = self.talk.payload(&mut warnings)?;
        let (scenario, protocol) = self.talk.scenario();
        if scenario == Scenario::Broadcast && protocol != Protocol::App {
            anyhow::bail!("the scenario broadcast needs a server with rooms (hint: --protocol app)");
        }
        let answers = self.talk.answers(protocol, payload.is_some())?;
        let one = Stage { to: self.connections, per_second: self.rate, hold: self.hold };
        let default_every = if scenario == Scenario::Idle { 10 } else { 1 };
        Ok(Options {
            shown,
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
            host,
            headers,
            tls,
            connect_timeout: self.connect_timeout,
            handshake_timeout: self.handshake_timeout,
            workers: self.workers,
            answers,
            max_duration: self.max_duration,
            thresholds: if self.thresholds.is_empty() { threshold::defaults() } else { self.thresholds },
            warnings,
            url,
        })
    }
}

impl Talk {
    fn scenario(&self) -> (Scenario, Protocol) {
        let scenario = match self.scenario {
            ScenarioName::Idle => Scenario::Idle,
            ScenarioName::Echo => Scenario::Echo,
            ScenarioName::Broadcast => Scenario::Broadcast,
            ScenarioName::Churn => Scenario::Churn,
        };
        let protocol = match self.protocol {
            ProtocolName::Echo => Protocol::Echo,
            ProtocolName::App => Protocol::App,
        };
        (scenario, protocol)
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

    fn answers(&self, protocol: Protocol, own_payload: bool) -> Result<Answers> {
        if protocol == Protocol::App {
            if own_payload || self.expect != ExpectName::Auto {
                anyhow::bail!("--protocol app has messages and answers of its own (hint: no --payload, no --expect)");
            }
            return Ok(Answers::App);
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
    /// The `Host` header and the others; a token may go into the query.
    fn into_headers(self, url: &mut Url) -> Result<(String, Vec<(String, String)>)> {
        let mut host = url.host_header();
        let mut headers = Vec::new();
        for (name, value) in self.headers {
            if name.eq_ignore_ascii_case("host") {
                host = value;
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
            Some(token) => url.add_query(&self.token_name, &token),
            None => {}
        }
        if let Some(basic) = &url.basic {
            add("Authorization", format!("Basic {basic}"));
        }
        let authorizations = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization")).count();
        if authorizations > 1 {
            anyhow::bail!("the header `Authorization` is given more than once (--bearer, user:password@, --header)");
        }
        Ok((host, headers))
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
