//! A source of the matrix, ready to be asked: its secrets are filled in, its certificates read, its address understood.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use tokio::time::timeout;
use url::Url;
use wsceiling_model::matrix::{MetricSource, Reads, Template};
use wsceiling_model::record::{Component, ScrapeFault};

use crate::engine::{self, EnginePlace, Engines};
use crate::http::Client;
use crate::reading::Reading;
use crate::{command, prometheus, query, tls};

/// Why a source cannot be asked at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// A variable of the environment is not set.
    #[error(
        "{source_name} needs the variable `{variable}`, which is not set (hint: `export {variable}=...` before the run)"
    )]
    MissingVariable {
        /// The source, without secrets.
        source_name: String,
        /// The variable.
        variable: String,
    },
    /// A file of certificates cannot be used.
    #[error("{source_name}: {why} (hint: PEM files, relative to the matrix file)")]
    Certificates {
        /// The source, without secrets.
        source_name: String,
        /// Which file, and why.
        why: String,
    },
    /// The address, or a header, is none once its variables are filled in.
    #[error("{source_name}: {what} (hint: see what the variables hold)")]
    Address {
        /// The source, without secrets.
        source_name: String,
        /// What is wrong; without the text itself.
        what: String,
    },
}

/// A source that can be asked.
#[derive(Clone)]
pub struct Source {
    /// Whose numbers.
    pub component: Component,
    /// What it is called in the record: without secrets.
    pub name: String,
    /// Time between two readings.
    pub every: Duration,
    pub(crate) within: Duration,
    place: Place,
}

impl fmt::Debug for Source {
    /// Without what was filled in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("component", &self.component).field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Clone)]
enum Place {
    Prometheus { client: Client, labels: BTreeMap<String, String> },
    Query { client: Client, queries: BTreeMap<String, String> },
    Docker { place: EnginePlace, container: String },
    Command { command: Vec<String>, folder: PathBuf },
}

/// Fills in the environment and reads the certificates; `folder` is the one of the matrix file. Nothing is sent. All faults
/// come at once.
pub fn prepare(sources: &[MetricSource], folder: &Path) -> Result<Vec<Source>, Vec<PrepareError>> {
    prepare_with(sources, folder, |name| std::env::var(name).ok())
}

/// [`prepare`] with another environment.
pub(crate) fn prepare_with(
    sources: &[MetricSource],
    folder: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Source>, Vec<PrepareError>> {
    let (mut ready, mut faults) = (Vec::new(), Vec::new());
    for source in sources {
        match place(source, folder, &variable) {
            Ok(place) => ready.push(Source {
                component: source.part,
                name: source.to_string(),
                every: source.every,
                within: source.within,
                place,
            }),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(ready) } else { Err(faults) }
}

fn place(
    source: &MetricSource,
    folder: &Path,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Place, PrepareError> {
    let source_name = source.to_string();
    let fill = |template: &Template| {
        let missing = |variable| PrepareError::MissingVariable { source_name: source_name.clone(), variable };
        template.fill(variable).map_err(missing)
    };
    let wrong = |what: &str| PrepareError::Address { source_name: source_name.clone(), what: what.to_owned() };
    let client = |url: &Template, path: &str| {
        let mut url = Url::parse(&fill(url)?).map_err(|error| wrong(&format!("the address is none: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong("the address is none of the web"));
        }
        if !url.path().ends_with(path) {
            url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        }
        let mut headers = Vec::new();
        for (name, value) in &source.headers {
            let header = HeaderName::try_from(name.as_str()).map_err(|_| wrong(&format!("`{name}` is no header")))?;
            let mut value = HeaderValue::try_from(fill(value)?)
                .map_err(|_| wrong(&format!("the header `{name}` holds what no header can")))?;
            value.set_sensitive(true);
            headers.push((header, value));
        }
        let certificates = |why| PrepareError::Certificates { source_name: source_name.clone(), why };
        let tls = match url.scheme() {
            "https" => Some(tls::config(&source.tls, folder).map_err(certificates)?),
            _ => None,
        };
        Ok(Client { url, headers, tls })
    };
    Ok(match &source.reads {
        Reads::Prometheus { url, labels } => Place::Prometheus { client: client(url, "")?, labels: labels.clone() },
        Reads::Query { url, queries } => {
            Place::Query { client: client(url, "/api/v1/query")?, queries: queries.clone() }
        }
        Reads::Docker { engine, container } => {
            let file = |path: &Option<PathBuf>| path.as_ref().map(|path| folder.join(path));
            let tls = &source.tls;
            let place =
                EnginePlace { address: fill(engine)?, ca: file(&tls.ca), cert: file(&tls.cert), key: file(&tls.key) };
            Place::Docker { place, container: container.clone() }
        }
        Reads::Command { command } => Place::Command { command: command.clone(), folder: folder.to_owned() },
    })
}

/// What reads a source.
pub(crate) enum Reader {
    Asking(Source),
    Engine(engine::Reader),
    Command(command::Reader),
}

impl Source {
    pub(crate) fn reader(&self, engines: &Arc<dyn Engines>) -> Reader {
        match &self.place {
            Place::Docker { place, container } => {
                let (engines, place) = (Arc::clone(engines), place.clone());
                Reader::Engine(engine::Reader::new(engines, place, container.clone(), self.within))
            }
            Place::Command { command, folder } => {
                Reader::Command(command::Reader::new(command.clone(), folder, self.every, self.within))
            }
            Place::Prometheus { .. } | Place::Query { .. } => Reader::Asking(self.clone()),
        }
    }

    async fn ask(&self) -> Reading {
        let read = async {
            match &self.place {
                Place::Prometheus { client, labels } => prometheus::read(client, self.component, labels).await,
                Place::Query { client, queries } => query::read(client, queries, self.every).await,
                Place::Docker { .. } | Place::Command { .. } => Reading::default(),
            }
        };
        let slow = || ScrapeFault::TooSlow { within_ms: self.within.as_millis() as u64 };
        timeout(self.within, read).await.unwrap_or_else(|_| Reading::failed(slow()))
    }
}

impl Reader {
    /// Looks once; a command is waited for until it prints.
    pub async fn read(&mut self) -> Reading {
        match self {
            Self::Asking(source) => source.ask().await,
            Self::Engine(engine) => engine.read().await,
            Self::Command(command) => command.read().await,
        }
    }

    /// It comes by itself, and not when it is asked.
    pub fn sets_the_pace(&self) -> bool {
        matches!(self, Self::Command(_))
    }
}
