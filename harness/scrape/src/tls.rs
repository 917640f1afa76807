//! TLS towards a source: whom to trust, and what went wrong.

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use wsceiling_model::matrix::Tls;
use wsceiling_model::record::ScrapeFault;

/// The configuration of a source; the error is a sentence's end about a file.
pub(crate) fn config(tls: &Tls, folder: &Path) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &tls.ca {
        for certificate in certificates(&folder.join(path))? {
            roots.add(certificate).map_err(|error| format!("{} has a bad certificate: {error}", path.display()))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be prepared: {error}"))?
        .with_root_certificates(roots);
    let config = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => {
            let path = folder.join(key);
            let key = PrivateKeyDer::from_pem_file(&path)
                .map_err(|error| format!("{} has no private key in PEM form: {error}", path.display()))?;
            builder
                .with_client_auth_cert(certificates(&folder.join(cert))?, key)
                .map_err(|error| format!("{} and its key do not fit: {error}", cert.display()))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unread = |error: &dyn std::fmt::Display| format!("{} cannot be read as certificates: {error}", path.display());
    let read = CertificateDer::pem_file_iter(path).map_err(|error| unread(&error))?;
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| unread(&error))?;
    if all.is_empty() { Err(unread(&"there is none in PEM form")) } else { Ok(all) }
}

/// The error of TLS in a chain of errors.
pub(crate) fn error_in<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An I/O error hides what it wraps: its source is the source of that.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source());
    }
    None
}

/// What an error of TLS means.
pub(crate) fn fault(error: &rustls::Error) -> ScrapeFault {
    let what = |what: &str| what.to_owned();
    match error {
        rustls::Error::InvalidCertificate(error) => ScrapeFault::Certificate {
            what: match error {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => what("it has expired"),
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    what("it is not valid yet")
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    what("it is for another name")
                }
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    what("its authority is not trusted here")
                }
                error => format!("{error:?}").chars().take(120).collect(),
            },
        },
        rustls::Error::InvalidMessage(_) => ScrapeFault::Tls { what: what("the server does not speak TLS") },
        error => ScrapeFault::Tls { what: error.to_string().chars().take(120).collect() },
    }
}
