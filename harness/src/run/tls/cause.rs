//! The words for what went wrong, as [`crate::record::ErrorTally::cause`] has them.

use rustls::{CertificateError, Error};

use super::trust;

/// The certificate leads to no trusted authority.
pub const NOT_TRUSTED: &str = "tls: certificate not trusted";
/// The certificate is another host's.
pub const WRONG_NAME: &str = "tls: wrong host name";
/// The certificate's time is over.
pub const EXPIRED: &str = "tls: expired";
/// What came was no TLS.
pub const NOT_TLS: &str = "tls: the server does not speak tls";

/// The cause of an error, in the handshake or after it.
pub fn of(error: &Error, handshaking: bool) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) if handshaking => format!("tls: handshake failed (alert {alert:?})"),
        Error::AlertReceived(alert) => format!("tls: alert {alert:?}"),
        Error::InvalidMessage(_) if handshaking => NOT_TLS.to_owned(),
        Error::PeerIncompatible(why) => format!("tls: handshake failed (no common ground: {why:?})"),
        Error::NoCertificatesPresented => "tls: no certificate".to_owned(),
        error if handshaking => format!("tls: handshake failed ({error})"),
        error => format!("tls: {error}"),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => EXPIRED.to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "tls: not valid yet".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => WRONG_NAME.to_owned(),
        // A bad signature: a trusted authority has the same name and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => NOT_TRUSTED.to_owned(),
        error if trust::is_authority_as_server(error) => NOT_TRUSTED.to_owned(),
        CertificateError::Other(other) => format!("tls: bad certificate ({other})"),
        error => format!("tls: bad certificate ({error:?})"),
    }
}
