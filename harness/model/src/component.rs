//! What is sampled on its own, and what walls belong to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keyword::recorded_as_text;

/// A part of the set-up that is sampled on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Component {
    /// The machine of the servers.
    Host,
    /// The machine of the generator, where the servers are elsewhere: of a target that is reached by URL.
    ClientHost,
    /// All workers of the generator together.
    Generator,
    /// Instance of the target, from 0.
    Instance(u32),
    /// Hop of the front, from 0: the proxy, then the balancer behind it.
    Front(u32),
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::ClientHost => f.write_str("client-host"),
            Self::Generator => f.write_str("generator"),
            Self::Instance(index) => write!(f, "instance-{index}"),
            Self::Front(index) => write!(f, "front-{index}"),
        }
    }
}

recorded_as_text!(Component);

impl std::str::FromStr for Component {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "host" => Ok(Self::Host),
            "client-host" => Ok(Self::ClientHost),
            "generator" => Ok(Self::Generator),
            _ => {
                let index = |prefix| text.strip_prefix(prefix).and_then(|index| index.parse().ok());
                let instance = index("instance-").map(Self::Instance);
                let found = instance.or_else(|| index("front-").map(Self::Front));
                found.ok_or_else(|| format!("unknown component `{text}`"))
            }
        }
    }
}
