//! What a worker is told beyond what every trial has: for `load`, and for servers that somebody else runs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tls::Settings;

/// What `load` and remote targets ask of a worker. The default is what other trials do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientConfig {
    /// TLS towards the destinations; `None`: plain TCP.
    pub tls: Option<Settings>,
    /// What connections say and expect; `None`: as the protocol and the scenario have it.
    pub script: Option<Script>,
    /// How each destination is addressed, in their order, where they differ; empty: all as the worker's `host`, `path` and
    /// [`Settings::server_name`] say.
    pub names: Vec<DestinationName>,
    /// Connections that a destination gets from this worker before the next one gets any; `None`: they take turns.
    pub fill: Option<u32>,
    /// Put the current top cause and the percentiles so far into each status: a person is watching.
    pub live: bool,
    /// Connections say nothing once they are open, not even a ping.
    pub silent: bool,
}

/// How one destination is addressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationName {
    /// Value of the `Host` header.
    pub host: String,
    /// Path with query of the upgrade.
    pub path: String,
    /// Name that its certificate must be valid for; not used without TLS.
    pub server_name: String,
}

/// What connections say and expect to hear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The message, in which `{connection}`, `{sequence}` and `{now_ns}` are replaced; `None`: the protocol's
    /// own message, and nothing but pings for [`Expect::None`].
    pub payload: Option<Payload>,
    /// What counts as an answer.
    pub expect: Expect,
    /// Number of workers, so that `{connection}` is unique over all of them.
    pub workers: u32,
}

/// Bytes of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The bytes; base64 on the line.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub bytes: Vec<u8>,
    /// Sent as a binary message.
    pub binary: bool,
}

/// What counts as the answer to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// The same message, and nothing else may come: another one ends the connection as `wrong echo`.
    Echo,
    /// The same message, among others.
    Among,
    /// Any message.
    Any,
    /// No message: a ping follows what is said, and its pong is the answer.
    None,
    /// Nothing: the server asks. Every message is sent back, and nothing else is said. For conformance suites.
    Mirror,
}

fn to_base64<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(from)?).map_err(|error| D::Error::custom(format!("not base64: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_left_out_of_old_messages() {
        assert_eq!(serde_json::from_str::<ClientConfig>("{}").unwrap(), ClientConfig::default());
    }

    #[test]
    fn any_bytes_cross_the_line() {
        let bytes: Vec<u8> = (0..=255).collect();
        let script = Script { payload: Some(Payload { bytes, binary: true }), expect: Expect::Among, workers: 3 };
        let config = ClientConfig { script: Some(script), ..ClientConfig::default() };
        let line = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ClientConfig>(&line).unwrap(), config);
    }
}
