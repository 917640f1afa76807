//! Asks each source once, before anything is measured.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use wsceiling_model::record::{Component, Metric, ScrapeFault};

use crate::engine::Engines;
use crate::source::Source;

/// Longest time for one source, whatever it is told to take: a check is not to hang.
const CHECK_WITHIN: Duration = Duration::from_secs(30);

/// What one source gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Whose numbers.
    pub component: Component,
    /// The source, without secrets.
    pub source: String,
    /// Its numbers -> what they are called there.
    pub found: BTreeMap<Metric, String>,
    /// Why others, or all, are missing; [`ScrapeFault::hint`] says what to do.
    pub faults: Vec<ScrapeFault>,
}

impl Checked {
    /// Whether it gives anything.
    pub fn gives_numbers(&self) -> bool {
        !self.found.is_empty()
    }
}

impl fmt::Display for Checked {
    /// A line, and one more for each fault with what to do about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}: ", self.component, self.source)?;
        let names: Vec<&str> = self.found.keys().map(|metric| metric.name()).collect();
        match names.len() {
            0 => f.write_str("no number")?,
            1 => write!(f, "{}", names[0])?,
            count => write!(f, "{count} numbers: {}", names.join(", "))?,
        }
        for fault in &self.faults {
            write!(f, "\n  {fault}\n  hint: {}", fault.hint())?;
        }
        Ok(())
    }
}

/// Asks all sources at the same time, once each.
pub async fn check(sources: &[Source], engines: Arc<dyn Engines>) -> Vec<Checked> {
    let one = |source: &Source| {
        let (source, engines) = (source.clone(), Arc::clone(&engines));
        async move {
            let mut reader = source.reader(&engines);
            let reading = timeout(CHECK_WITHIN, reader.read()).await;
            let reading = reading.unwrap_or_else(|_| {
                crate::reading::Reading::failed(ScrapeFault::TooSlow { within_ms: CHECK_WITHIN.as_millis() as u64 })
            });
            let found = reading.numbers.into_iter().map(|number| (number.metric, number.name)).collect();
            Checked { component: source.component, source: source.name, found, faults: reading.faults }
        }
    };
    join_all(sources.iter().map(one)).await
}
