//! One file of a server, as it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;
use url::Url;
use wsceiling_model::matrix::Tls;
use wsceiling_model::record::ScrapeFault;

use crate::http::Client;
use crate::tls;

/// The body at an `http://` or `https://` address; nothing is followed. `ca` has the authorities to trust in place of the machine's, as PEM.
pub async fn fetch(address: &str, ca: Option<&Path>, within: Duration) -> Result<Vec<u8>, ScrapeFault> {
    let unreachable = |what: String| ScrapeFault::Unreachable { what };
    let url = Url::parse(address).map_err(|error| unreachable(error.to_string()))?;
    let tls = match url.scheme() {
        "https" => {
            let trust = Tls { ca: ca.map(PathBuf::from), ..Tls::default() };
            Some(tls::config(&trust, Path::new(".")).map_err(unreachable)?)
        }
        _ => None,
    };
    let client = Client { url, headers: Vec::new(), tls };
    let slow = ScrapeFault::TooSlow { within_ms: within.as_millis() as u64 };
    timeout(within, client.get("", "text/plain, */*")).await.unwrap_or(Err(slow)).map(|answer| answer.body)
}
