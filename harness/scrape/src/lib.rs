//! What do others say of a server? Reads the numbers of servers that the harness did not start, from where they run.
//!
//! | module | does |
//! |---|---|
//! | `source` | a source of the matrix with its secrets, certificates and address, ready to be asked |
//! | `text`, `known` | the Prometheus text format; which series is which number |
//! | `prometheus`, `query`, `command`, `engine` | the four readers; each reading becomes a `Reading` |
//! | `track` | readings of a source over a trial: clocks, restarts, stale numbers, what failed how often |
//! | `scraper` | the tasks of a trial |
//! | `check` | asks each source once, before anything is measured |
//! | `fetch` | one file of a server |
//! | `http`, `tls` | one request |
//!
//! A number that could not be read is absent, and the first failure of each kind says why.

mod check;
mod command;
mod engine;
mod fetch;
mod http;
mod known;
mod prometheus;
mod query;
mod reading;
mod scraper;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod tls;
mod track;

pub use check::{Checked, check};
pub use engine::{Container, EnginePlace, Engines, Later};
pub use fetch::fetch;
pub use scraper::{Row, Scraped, Scraper};
pub use source::{PrepareError, Source, prepare};
