//! The generator's careful client, over the connections that an endpoint makes.

pub use wsceiling_generator::probe_client::{Received, UpgradeError};

use wsceiling_generator::probe_client::ProbeClient;
use wsceiling_launch::endpoint::Stream;

/// One open connection. Dropping it resets it: no `TIME_WAIT` is left behind for the trial that follows.
pub type Client = ProbeClient<Stream>;

/// Upgrades a fresh connection; see [`ProbeClient::upgrade`].
pub async fn upgrade(stream: Stream, host: &str, path: &str) -> Result<Client, UpgradeError> {
    stream.be_abrupt().map_err(|error| UpgradeError::Io(error.to_string()))?;
    Client::upgrade(stream, host, path).await
}
