//! Containers of an engine elsewhere. Who knows how to ask an engine implements [`Engines`]: this package does not.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use wsceiling_model::record::{ContainerSeen, ScrapeFault};

use crate::reading::{Number, Reading};

/// What comes later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where an engine is, with the variables filled in. It may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct EnginePlace {
    /// `unix://`, `tcp://` or `ssh://`.
    pub address: String,
    /// Authorities to trust, and the client's certificate with its key: PEM files, for `tcp://`.
    pub ca: Option<PathBuf>,
    /// See `ca`.
    pub cert: Option<PathBuf>,
    /// See `ca`.
    pub key: Option<PathBuf>,
}

/// Knows how to reach engines.
pub trait Engines: Send + Sync + 'static {
    /// Connects to an engine, and finds the container there.
    fn open<'a>(
        &'a self,
        place: &'a EnginePlace,
        container: &'a str,
    ) -> Later<'a, Result<Box<dyn Container>, ScrapeFault>>;
}

/// A container that can be looked at.
pub trait Container: Send {
    /// What the engine says of it now.
    fn look(&mut self) -> Later<'_, Result<ContainerSeen, ScrapeFault>>;
}

/// Longest time for the first word of an engine: a login over SSH takes a while.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// Looks at one container, over a connection that is made anew where it broke.
pub(crate) struct Reader {
    engines: Arc<dyn Engines>,
    place: EnginePlace,
    name: String,
    within: Duration,
    container: Option<Box<dyn Container>>,
}

impl Reader {
    pub fn new(engines: Arc<dyn Engines>, place: EnginePlace, name: String, within: Duration) -> Self {
        Self { engines, place, name, within, container: None }
    }

    pub async fn read(&mut self) -> Reading {
        match self.look().await {
            Ok(seen) => reading(seen),
            Err(fault) => Reading::failed(fault),
        }
    }

    async fn look(&mut self) -> Result<ContainerSeen, ScrapeFault> {
        let slow = |within: Duration| ScrapeFault::TooSlow { within_ms: within.as_millis() as u64 };
        let mut container = if let Some(container) = self.container.take() {
            container
        } else {
            let within = self.within.max(OPEN_WITHIN);
            let opened = timeout(within, self.engines.open(&self.place, &self.name)).await;
            opened.map_err(|_| slow(within))??
        };
        let seen = timeout(self.within, container.look()).await.map_err(|_| slow(self.within))?;
        if !matches!(seen, Err(ScrapeFault::Engine { .. })) {
            self.container = Some(container);
        }
        seen
    }
}

fn reading(seen: ContainerSeen) -> Reading {
    // The engine reads when it is asked: the moment of the request is as good as its own clock.
    let mut reading = Reading { started: seen.started, restarts: seen.restarts, exit: seen.exit, ..Reading::default() };
    for (metric, value) in seen.values {
        reading.add(Number { metric, value, at_unix_s: None, name: metric.name().to_owned() });
    }
    reading
}
