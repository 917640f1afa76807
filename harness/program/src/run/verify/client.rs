//! The generator's careful client, over the connections that an entrance makes.

pub use wsceiling_generator::probe_client::{Received, UpgradeError};

use tokio::io::{AsyncRead, AsyncWrite};

use wsceiling_generator::probe_client::ProbeClient;
use wsceiling_generator::tls;
use wsceiling_launch::endpoint::{Endpoint, Stream};
use wsceiling_model::matrix::Target;

/// One open connection. Dropping it resets it: no `TIME_WAIT` is left behind for the trial that follows.
pub type Client = ProbeClient<Box<dyn Line>>;

/// What a client speaks over: plain or TLS.
pub trait Line: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Line for T {}

/// How a server is reached: where it listens, and what the upgrade says.
#[derive(Debug)]
pub struct Entrance {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Value of the `Host` header.
    pub host: String,
    /// Path with query, and with the token.
    pub path: String,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// TLS; `None`: plain.
    pub tls: Option<tls::Client>,
}

impl Entrance {
    /// That of an instance, or of a front before it.
    pub fn of(endpoint: Endpoint, target: &Target) -> Self {
        let (host, path) = (endpoint.host(), target.upgrade_path());
        Self { endpoint, host, path, headers: Vec::new(), tls: None }
    }

    /// Upgrades a fresh connection; see [`ProbeClient::upgrade`].
    pub async fn upgrade(&self, stream: Stream) -> Result<Client, UpgradeError> {
        self.upgrade_at(stream, &self.path).await
    }

    /// The same at another path.
    pub async fn upgrade_at(&self, stream: Stream, path: &str) -> Result<Client, UpgradeError> {
        stream.be_abrupt().map_err(|error| UpgradeError::Io(error.to_string()))?;
        let line: Box<dyn Line> = match &self.tls {
            Some(tls) => Box::new(tls.connect(stream).await.map_err(UpgradeError::Tls)?),
            None => Box::new(stream),
        };
        Client::upgrade(line, &self.host, path, &self.headers).await
    }
}
