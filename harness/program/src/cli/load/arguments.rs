//! The options of `load`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::super::Format;
use wsceiling_generator::load::gate::Gate;
use wsceiling_generator::load::options::{
    Stage, parse_duration, parse_header, parse_message_bytes, parse_rate, parse_registry, parse_share, parse_stage,
};
use wsceiling_model::matrix::{Protocol, UrlSpread};
use wsceiling_model::url::Url;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 every threshold is met, 1 one is not, 2 bad usage, 130 stopped by Ctrl-C. Without \
                        --threshold every connection must open, stay open and be answered.\n\n\
                        Examples:\n  \
                        wsceiling load ws://localhost:8080/chat --connections 1000 --rate 500/s --hold 30s\n  \
                        wsceiling load wss://example.com/ws --authorised --token T --bearer --threshold 'p99<200ms'\n  \
                        wsceiling load ws://localhost:8080 --payload '{\"id\":{sequence}}' --every 1s --expect any\n  \
                        wsceiling load ws+unix:///run/app.sock:/chat --connections 1000\n  \
                        wsceiling load ws://10.0.0.7:8080 ws://10.0.0.8:8080 --authorised --metrics part=host,prometheus=http://10.0.0.7:9100/metrics\n  \
                        wsceiling load ws://localhost:8080 --stage 1000,500/s,10s --stage 5000,1000/s,1m\n  \
                        wsceiling load ws://10.0.0.7:8080 --connections 200000 --rate 5000/s --swarm 12 --registry 10.0.0.5:5000/wsceiling"
)]
pub(in crate::cli) struct Arguments {
    /// Address of the server: ws://HOST[:PORT][/PATH][?QUERY], wss://..., or ws+unix://SOCKET[:/PATH]; connections take turns
    /// over several
    #[arg(value_name = "URL", required = true, value_parser = parse_url)]
    pub(super) urls: Vec<Url>,
    /// Connections to open
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) connections: u32,
    /// Connects per second, kept whether or not the server keeps up
    #[arg(long, short = 'r', value_name = "N/s", default_value = "500/s", value_parser = parse_rate)]
    pub(super) rate: f64,
    /// Time to hold them, measured
    #[arg(long, value_name = "DUR", default_value = "10s", value_parser = parse_duration)]
    pub(super) hold: Duration,
    /// A stage in place of --connections, --rate and --hold: connections, rate, time to hold; repeatable
    #[arg(long = "stage", value_name = "TO,RATE,HOLD", value_parser = parse_stage, conflicts_with_all = ["connections", "rate", "hold"])]
    pub(super) stages: Vec<Stage>,
    /// End after this time at the latest
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub(super) max_duration: Option<Duration>,
    /// Longest time of a TCP connect
    #[arg(long, value_name = "DUR", default_value = "10s", value_parser = parse_duration)]
    pub(super) connect_timeout: Duration,
    /// Longest time of TLS and upgrade
    #[arg(long, value_name = "DUR", default_value = "10s", value_parser = parse_duration)]
    pub(super) handshake_timeout: Duration,
    /// Worker processes [default: as many as descriptors and cores ask for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) workers: Option<u32>,
    /// How connections are spread over several addresses: in turn, or each gets its share before the next one gets any
    #[arg(long, default_value = "in-turn", value_parser = spreads())]
    pub(super) spread: UrlSpread,
    /// You may load this server: needed for every address that is not this machine's loopback
    #[arg(long)]
    pub(super) authorised: bool,
    /// Make no more connects in a stage once this share of them has failed: 0.5, or 50%
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub(super) stop_at_failures: Option<f64>,
    /// Run the workers as N tasks of a Docker Swarm service, spread over its nodes [default: one a node, or as many as needed]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "0", conflicts_with = "workers", value_parser = clap::value_parser!(u32).range(..=1024))]
    pub(super) swarm: Option<u32>,
    /// Repository that the workers' image is pushed to, for a swarm of several nodes: HOST[:PORT]/NAME
    #[arg(long, value_name = "REPO", requires = "swarm", value_parser = parse_registry)]
    pub(super) registry: Option<String>,
    /// Numbers of the server to read meanwhile: part=host,prometheus=http://HOST:9100/metrics, or a FILE with [[metrics]];
    /// repeatable
    #[arg(long, value_name = "SOURCE")]
    pub(super) metrics: Vec<String>,
    /// What must hold, as 'connected>=99.9%', 'p99<200ms', 'lost==0'; repeatable
    #[arg(long = "threshold", short = 't', value_name = "COND", value_parser = Gate::parse)]
    pub(super) gates: Vec<Gate>,
    /// Form of the summary on standard output
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// No progress, warnings only
    #[arg(long, short = 'q')]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) talk: Talk,
    #[command(flatten)]
    pub(super) upgrade: Upgrade,
    #[command(flatten)]
    pub(super) tls: Tls,
}

/// The address; what is wrong with it in one line.
pub(in crate::cli) fn parse_url(text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|error| format!("{error} (hint: {})", error.hint()))
}

/// What connections say and hear.
#[derive(Debug, Args)]
#[command(next_help_heading = "Messages")]
pub(super) struct Talk {
    /// What connections do: idle says little, echo says much, churn comes and goes, broadcast fills rooms
    #[arg(long, value_enum, default_value = "idle")]
    pub(super) scenario: ScenarioName,
    /// What the server speaks: any messages, or the JSON protocol of targets/PROTOCOL.md
    #[arg(long, default_value = "echo", value_parser = protocols())]
    pub(super) protocol: Protocol,
    /// Bytes of a message that names its connection and number
    #[arg(long, value_name = "N", default_value = "64", value_parser = parse_message_bytes)]
    pub(super) message_bytes: u32,
    /// Your own message; {connection}, {sequence} and {now_ns} are replaced
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["payload_file", "message_bytes"])]
    pub(super) payload: Option<String>,
    /// Your own message from a file; binary where it is not UTF-8
    #[arg(long, value_name = "FILE", conflicts_with = "message_bytes")]
    pub(super) payload_file: Option<PathBuf>,
    /// Send your own message as binary
    #[arg(long)]
    pub(super) binary: bool,
    /// Time between two messages of a connection [default: 10s, with echo 1s]
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub(super) every: Option<Duration>,
    /// What counts as an answer
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) expect: ExpectName,
    /// Churn: mean time that a connection stays open
    #[arg(long, value_name = "DUR", default_value = "10s", value_parser = parse_duration)]
    pub(super) lifetime: Duration,
    /// Broadcast: connections in a room
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) room: u32,
    /// Broadcast: time between two messages into a room
    #[arg(long, value_name = "DUR", default_value = "1s", value_parser = parse_duration)]
    pub(super) publish_every: Duration,
    /// Broadcast: bytes of such a message
    #[arg(long, value_name = "N", default_value = "128", value_parser = parse_message_bytes)]
    pub(super) publish_bytes: u32,
}

/// The upgrade.
#[derive(Debug, Args)]
#[command(next_help_heading = "Upgrade")]
pub(super) struct Upgrade {
    /// A header, 'Name: value'; repeatable
    #[arg(long = "header", short = 'H', value_name = "H", value_parser = parse_header)]
    pub(super) headers: Vec<(String, String)>,
    /// A subprotocol to offer; repeatable, in order of preference
    #[arg(long = "subprotocol", value_name = "P")]
    pub(super) subprotocols: Vec<String>,
    /// A cookie, 'name=value'; repeatable
    #[arg(long = "cookie", value_name = "C")]
    pub(super) cookies: Vec<String>,
    /// A token, sent in the query as token=T
    #[arg(long, value_name = "T")]
    pub(super) token: Option<String>,
    /// Name of the token in the query
    #[arg(long, value_name = "NAME", default_value = "token", requires = "token", conflicts_with = "bearer")]
    pub(super) token_name: String,
    /// Send the token as `Authorization: Bearer` instead
    #[arg(long, requires = "token")]
    pub(super) bearer: bool,
    /// Value of the Origin header
    #[arg(long, value_name = "O")]
    pub(super) origin: Option<String>,
}

/// TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS (wss://)")]
pub(super) struct Tls {
    /// Do not check the server's certificate
    #[arg(long, conflicts_with = "ca")]
    pub(super) insecure: bool,
    /// PEM file of the authorities, or of the server's own certificate, to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// PEM file of the client's certificate
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(super) cert: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(super) key: Option<PathBuf>,
    /// Name to ask for and to expect in the certificate [default: the host of the address]
    #[arg(long, value_name = "NAME")]
    pub(super) sni: Option<String>,
    /// A full handshake for every connection
    #[arg(long)]
    pub(super) no_resumption: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ScenarioName {
    Idle,
    Echo,
    Broadcast,
    Churn,
}

/// Every way to spread connections, by its word.
fn spreads() -> impl TypedValueParser<Value = UrlSpread> {
    let words = PossibleValuesParser::new(UrlSpread::ALL.iter().map(|spread| spread.name()));
    words.try_map(|word| UrlSpread::ALL.iter().copied().find(|spread| spread.name() == word).ok_or("unknown"))
}

/// Every protocol of a matrix, by its word.
fn protocols() -> impl TypedValueParser<Value = Protocol> {
    let words = PossibleValuesParser::new(Protocol::ALL.iter().map(|protocol| protocol.name()));
    words.try_map(|word| Protocol::ALL.iter().copied().find(|protocol| protocol.name() == word).ok_or("unknown"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExpectName {
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
