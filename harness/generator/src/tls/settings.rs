//! What the user says about TLS, and the configuration made from it.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};

use super::trust;

/// Sessions that can be resumed, over all connections of a worker. A ticket is some 200 bytes to 1 KB.
const TICKETS: usize = 1024;

/// TLS towards the destinations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Name that the certificate must be valid for, and that is sent as SNI unless it is an address.
    pub server_name: String,
    /// Whom to trust.
    pub trust: Trust,
    /// The client's certificate, where the server wants one.
    pub identity: Option<Identity>,
    /// Resume sessions of earlier connections, as browsers do. Without, each connection pays a full handshake.
    pub resume: bool,
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// The authorities that this machine trusts.
    System,
    /// The authorities, or the servers' own certificates, of this PEM text.
    These(String),
    /// Anyone: certificates are not checked.
    Anyone,
}

/// A certificate of the client with its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// PEM: the certificate first, then those that lead to its authority.
    pub certificates: String,
    /// PEM: the private key.
    pub key: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

/// The certificates of a PEM text; `what` names it in the error.
fn certificates(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the {what} is not in PEM form: {error}"))?;
    if all.is_empty() {
        return Err(format!("the {what} has no certificate (hint: PEM, from `-----BEGIN CERTIFICATE-----` on)"));
    }
    Ok(all)
}

/// The authorities that this machine trusts.
fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(format!(
            "this machine has no trusted certificates{why} (hint: install `ca-certificates`, or --ca FILE, or --insecure)"
        ));
    }
    Ok(roots)
}

/// The configuration. The error is a fragment for a person.
pub(super) fn client_config(settings: &Settings) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = match &settings.trust {
        Trust::System => trust::authorities(system_roots()?, Vec::new(), &provider)?,
        Trust::These(pem) => {
            let pinned = certificates(pem, "file of --ca")?;
            let mut roots = RootCertStore::empty();
            for certificate in &pinned {
                roots
                    .add(certificate.clone())
                    .map_err(|error| format!("the file of --ca has a bad certificate: {error}"))?;
            }
            trust::authorities(roots, pinned, &provider)?
        }
        Trust::Anyone => trust::anyone(&provider),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("failed to prepare TLS: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = certificates(&identity.certificates, "file of --cert")?;
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())
                .map_err(|error| format!("the file of --key has no private key in PEM form: {error}"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the certificate of --cert and the key of --key do not fit: {error}"))?
        }
    };
    // WebSocket over HTTP/2 (RFC 8441) is another upgrade.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = if settings.resume { Resumption::in_memory_sessions(TICKETS) } else { Resumption::disabled() };
    Ok(config)
}
