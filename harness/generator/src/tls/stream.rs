//! TLS of one careful connection, over tokio.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Client, cause};
use wsceiling_model::record::FailureReason;

impl Client {
    /// Agrees keys over a connection that stands. The error is the cause, as a load would count it.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Result<TlsStream<S>, FailureReason> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(self.name.clone(), stream).await.map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(inner) => cause::of(inner, true),
                None => FailureReason::Tls(error.to_string().into()),
            }
        })
    }
}
