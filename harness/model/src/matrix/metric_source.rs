//! Where numbers of a server come from that the harness did not start: `[[targets.NAME.metrics]]`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::Component;

/// A place that tells numbers about one part of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricSource {
    /// Whose numbers they are: an instance, the machine of the server, or the front.
    pub part: Component,
    /// What is read.
    pub reads: Reads,
    /// Time between two readings.
    pub every: Duration,
    /// Longest time of one.
    pub within: Duration,
    /// Sent with each request, by name; values may hold `${NAME}`.
    pub headers: BTreeMap<String, Template>,
    /// Certificates.
    pub tls: Tls,
}

/// What is read of a [`MetricSource`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// The Prometheus text of an exporter or of the application.
    Prometheus {
        /// Address of the text.
        url: Template,
        /// Only series with these labels count.
        labels: BTreeMap<String, String>,
    },
    /// The query API of a Prometheus server, or of what speaks like one.
    Query {
        /// Address of the server, before `/api/v1/query`.
        url: Template,
        /// A query for each number: name of a metric -> query.
        queries: BTreeMap<String, String>,
    },
    /// A container of a Docker engine.
    Docker {
        /// Address of the engine: `unix://`, `tcp://` or `ssh://`.
        engine: Template,
        /// Name or id of the container.
        container: String,
    },
    /// A program that prints JSON lines.
    Command {
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// Certificates of a source; paths are relative to the matrix file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Authorities to trust, in the place of those that the machine trusts; PEM.
    pub ca: Option<PathBuf>,
    /// The client's own certificate, PEM; there is none without [`Self::key`].
    pub cert: Option<PathBuf>,
    /// The key of that certificate, PEM.
    pub key: Option<PathBuf>,
}

impl MetricSource {
    /// Whether so short a hold has too few samples to fit anything: fewer than three.
    pub fn is_too_slow_for(&self, hold: Duration) -> bool {
        self.every * 3 > hold
    }
}

impl fmt::Display for MetricSource {
    /// What it reads and where, without user, query and values from the environment: `prometheus http://10.0.0.2:9100/metrics`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reads {
            Reads::Prometheus { url, .. } => write!(f, "prometheus {}", url.shown()),
            Reads::Query { url, .. } => write!(f, "query {}", url.shown()),
            Reads::Docker { engine, container } => write!(f, "docker {} {container}", engine.shown()),
            // Arguments may be secrets; the name of the program is none.
            Reads::Command { command } => write!(f, "command {}", command.first().map_or("", String::as_str)),
        }
    }
}

/// A text with `${NAME}` where a variable of the environment is filled in, when it is used and not before: so that no secret
/// is in the matrix, the record, or anything that is printed of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(String);

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `${` without `}`.
    #[error("`${{` is not closed")]
    NotClosed,
    /// What stands there cannot be a variable's name.
    #[error("`{0}` is no name of a variable")]
    NoName(String),
}

/// A piece of a template.
enum Piece<'t> {
    Text(&'t str),
    Variable(&'t str),
}

impl Template {
    /// Checks the variables.
    pub fn new(text: impl Into<String>) -> Result<Self, TemplateError> {
        let text = text.into();
        let mut rest = text.as_str();
        while let Some((_, after)) = rest.split_once("${") {
            let (name, left) = after.split_once('}').ok_or(TemplateError::NotClosed)?;
            let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !fits {
                return Err(TemplateError::NoName(name.to_owned()));
            }
            rest = left;
        }
        Ok(Self(text))
    }

    fn pieces(&self) -> Vec<Piece<'_>> {
        let (mut pieces, mut rest) = (Vec::new(), self.0.as_str());
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, left)) = after.split_once('}') else { break };
            pieces.extend([Piece::Text(before), Piece::Variable(name)]);
            rest = left;
        }
        pieces.push(Piece::Text(rest));
        pieces
    }

    /// Names of its variables.
    pub fn variables(&self) -> Vec<&str> {
        let names = self.pieces().into_iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name),
            Piece::Text(_) => None,
        });
        names.collect()
    }

    /// The text with its variables filled in; the error names the first that is missing.
    pub fn fill(&self, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
        let pieces = self.pieces().into_iter().map(|piece| match piece {
            Piece::Text(text) => Ok(text.to_owned()),
            Piece::Variable(name) => variable(name).ok_or_else(|| name.to_owned()),
        });
        pieces.collect()
    }

    /// As it stands in the file.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An address without its user, password, query and fragment; variables stay as they stand in the file.
    pub fn shown(&self) -> String {
        shown_address(&self.0)
    }
}

/// An address without its user, password, query and fragment.
fn shown_address(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_filled_and_missed() {
        let template = Template::new("https://${HOST}/a?token=${API_TOKEN}$x").unwrap();
        assert_eq!(template.variables(), ["HOST", "API_TOKEN"]);
        let known = |name: &str| (name == "HOST").then(|| "h".to_owned());
        assert_eq!(template.fill(known), Err("API_TOKEN".into()));
        assert_eq!(template.fill(|_| Some("v".into())), Ok("https://v/a?token=v$x".into()));
        assert_eq!(Template::new("${A"), Err(TemplateError::NotClosed));
        assert_eq!(Template::new("${}"), Err(TemplateError::NoName(String::new())));
        assert_eq!(Template::new("${A-B}"), Err(TemplateError::NoName("A-B".into())));
    }

    #[test]
    fn what_is_shown_of_an_address_has_no_secret() {
        for (url, shown) in [
            ("http://10.0.0.2:9100/metrics", "http://10.0.0.2:9100/metrics"),
            ("https://me:pass@h/metrics?token=t#f", "https://h/metrics"),
            ("https://a@b@h:1?x", "https://h:1"),
            ("ssh://root@203.0.113.7", "ssh://203.0.113.7"),
            ("unix:///run/docker.sock", "unix:///run/docker.sock"),
            ("https://${USER}:${PASS}@h/${SECRET}", "https://h/${SECRET}"),
            ("nonsense?x", "nonsense"),
        ] {
            assert_eq!(shown_address(url), shown);
        }
    }
}
