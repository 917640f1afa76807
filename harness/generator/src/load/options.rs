//! What the user asks for, checked once.

use std::time::Duration;

use super::gate::Gate;
use crate::client::{Expect, Payload};
use crate::tls::Settings;
use wsceiling_model::matrix::{Protocol, Scenario, UrlSpread, units};
use wsceiling_model::url::Url;

/// Everything that a run needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the server is, at least one; either all with TLS or none, and either all sockets or none.
    pub places: Vec<Place>,
    /// How connections are spread over its addresses.
    pub spread: UrlSpread,
    /// The stages, in order; at least one.
    pub stages: Vec<Stage>,
    /// What connections do.
    pub scenario: Scenario,
    /// What the server speaks.
    pub protocol: Protocol,
    /// Bytes of a message that the user did not write himself.
    pub message_bytes: u32,
    /// The user's own message.
    pub payload: Option<Payload>,
    /// Time between two messages of a connection.
    pub every: Duration,
    /// Connections in a room, time between two messages into one, and their bytes (broadcast).
    pub room: u32,
    /// See [`Self::room`].
    pub publish_every: Duration,
    /// See [`Self::room`].
    pub publish_bytes: u32,
    /// Mean time that a connection stays open (churn).
    pub lifetime: Duration,
    /// More headers of the upgrade.
    pub headers: Vec<(String, String)>,
    /// TLS; `None`: `ws://`.
    pub tls: Option<Settings>,
    /// Longest time of a TCP connect.
    pub connect_timeout: Duration,
    /// Longest time of TLS and upgrade.
    pub handshake_timeout: Duration,
    /// Workers; `None`: as many as needed.
    pub workers: Option<u32>,
    /// What counts as an answer.
    pub answers: Answers,
    /// Longest time of the whole load.
    pub max_duration: Option<Duration>,
    /// The user may load a server that is not this machine; else nothing is sent to it.
    pub authorised: bool,
    /// Once this share of a stage's connects has failed, no more are made in it; `None`: all are made.
    pub stop_at_failures: Option<f64>,
    /// What must hold.
    pub gates: Vec<Gate>,
    /// What the user should know before it starts.
    pub warnings: Vec<String>,
}

impl Options {
    /// A load of one place that nobody has described further: idle connections, no stage and nothing that must hold.
    pub fn of(place: Place, tls: Option<Settings>) -> Self {
        Self {
            places: vec![place],
            spread: UrlSpread::InTurn,
            stages: Vec::new(),
            scenario: Scenario::Idle,
            protocol: Protocol::Echo,
            message_bytes: 64,
            payload: None,
            every: Duration::from_secs(10),
            room: 50,
            publish_every: Duration::from_secs(1),
            publish_bytes: 128,
            lifetime: Duration::from_secs(10),
            headers: Vec::new(),
            tls,
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            workers: None,
            answers: Answers::Auto,
            max_duration: None,
            authorised: false,
            stop_at_failures: None,
            gates: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// One of the places where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its address, with a token in the query where one was given.
    pub url: Url,
    /// The address as it is shown.
    pub shown: String,
    /// Value of the `Host` header.
    pub host: String,
    /// Name that its certificate must be valid for.
    pub server_name: String,
}

/// A number of connections to reach at a rate, and the time to hold them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Connections to have open.
    pub to: u32,
    /// Connects per second.
    pub per_second: f64,
    /// Time they are held and measured.
    pub hold: Duration,
}

/// How answers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// Find out.
    Auto,
    /// As the user says.
    These(Expect),
    /// As the protocol says, which is not that of echoes.
    OfProtocol,
}

/// Reads `TO,RATE,HOLD`: `1000,500/s,30s`. The error is a fragment for a person.
pub fn parse_stage(text: &str) -> Result<Stage, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let [to, rate, hold] = parts.as_slice() else {
        return Err("is not TO,RATE,HOLD (hint: 1000,500/s,30s)".to_owned());
    };
    let to = to.parse().map_err(|_| format!("`{}` is no number of connections", to.escape_debug()))?;
    Ok(Stage { to, per_second: parse_rate(rate)?, hold: parse_duration(hold)? })
}

/// Reads a rate above 0: `500/s`, or plainly `500`.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let written = if text.ends_with("/s") { text.to_owned() } else { format!("{text}/s") };
    match units::parse_rate(&written) {
        Ok(rate) if rate > 0.0 => Ok(rate),
        Ok(_) => Err(format!("must be above 0 (hint: {})", units::RATE_HINT)),
        Err(error) => Err(format!("{error} (hint: {})", units::RATE_HINT)),
    }
}

/// Reads a duration above 0.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match units::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err("must be above 0".to_owned()),
        Err(error) => Err(format!("{error} (hint: {})", units::DURATION_HINT)),
    }
}

/// Reads a size in bytes that fits a message.
pub fn parse_message_bytes(text: &str) -> Result<u32, String> {
    const MAX: u64 = 16 << 20;
    let text = text.trim();
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match units::parse_bytes(&if plain { format!("{text}B") } else { text.to_owned() }) {
        Ok(bytes) if bytes <= MAX => Ok(bytes as u32),
        Ok(_) => Err("is longer than 16 MiB, the longest message that the generator takes back".to_owned()),
        Err(error) => Err(format!("{error} (hint: {})", units::BYTES_HINT)),
    }
}

/// Reads a share: `0.5`, or `50%`.
pub fn parse_share(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
    let share = number.trim().parse::<f64>().ok().map(|number| number / whole);
    share
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .ok_or_else(|| "is no share above 0 (hint: 0.5, or 50%)".to_owned())
}

/// Reads `HOST[:PORT]/NAME`.
pub fn parse_registry(text: &str) -> Result<String, String> {
    if units::is_registry(text) {
        return Ok(text.to_owned());
    }
    Err(format!("is no repository of a registry (hint: {})", units::REGISTRY_HINT))
}

/// Reads `Name: value`.
pub fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("has no colon (hint: 'Name: value')")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Words in braces of a message that look like a variable and are none.
pub fn strange_variables(message: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(message);
    let mut strange = Vec::new();
    for part in text.split('{').skip(1) {
        let Some((word, _)) = part.split_once('}') else { continue };
        let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if is_word && !["connection", "sequence", "now_ns"].contains(&word) && !strange.contains(&format!("{{{word}}}"))
        {
            strange.push(format!("{{{word}}}"));
        }
    }
    strange
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_rates_and_headers_are_read() {
        let stage = Stage { to: 1000, per_second: 500.0, hold: Duration::from_secs(30) };
        assert_eq!(parse_stage("1000, 500/s, 30s"), Ok(stage));
        assert!(parse_stage("1000,500/s").unwrap_err().contains("hint"));
        assert!(parse_stage("x,500/s,1s").unwrap_err().contains("no number"));
        assert_eq!(parse_rate("500"), Ok(500.0));
        assert!(parse_rate("0").is_err() && parse_rate("fast").is_err());
        assert_eq!(parse_header("X-A:  b: c "), Ok(("X-A".to_owned(), "b: c".to_owned())));
        assert!(parse_header("X-A").is_err());
        assert!(parse_duration("0s").is_err());
        assert_eq!((parse_message_bytes("64"), parse_message_bytes("1KiB")), (Ok(64), Ok(1024)));
        assert!(parse_message_bytes("1GiB").unwrap_err().contains("16 MiB"));
    }

    #[test]
    fn words_in_braces_that_are_no_variables_are_noticed() {
        assert_eq!(strange_variables(br#"{"id":{sequence},"x":{foo},"y":{foo}} {A} {}"#), ["{foo}"]);
        assert!(strange_variables(b"{connection}{now_ns}").is_empty());
    }
}
