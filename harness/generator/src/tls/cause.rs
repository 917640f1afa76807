//! What went wrong in TLS, as a record has it.

use std::borrow::Cow;

use rustls::{CertificateError, Error};

use super::trust;
use wsceiling_model::record::FailureReason;

/// The certificate leads to no trusted authority.
pub const NOT_TRUSTED: &str = "certificate not trusted";
/// The certificate is another host's.
pub const WRONG_NAME: &str = "wrong host name";
/// The certificate's time is over.
pub const EXPIRED: &str = "expired";
/// The server asks for a certificate of the client.
pub const CLIENT_CERTIFICATE: &str = "handshake failed (alert CertificateRequired)";
/// What came was no TLS.
pub const NOT_TLS: &str = "the server does not speak tls";

/// The cause of an error, in the handshake or after it.
pub fn of(error: &Error, handshaking: bool) -> FailureReason {
    FailureReason::Tls(match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) if handshaking => format!("handshake failed (alert {alert:?})").into(),
        Error::AlertReceived(alert) => format!("alert {alert:?}").into(),
        Error::InvalidMessage(_) if handshaking => NOT_TLS.into(),
        Error::PeerIncompatible(why) => format!("handshake failed (no common ground: {why:?})").into(),
        Error::NoCertificatesPresented => "no certificate".into(),
        error if handshaking => format!("handshake failed ({error})").into(),
        error => error.to_string().into(),
    })
}

fn certificate(error: &CertificateError) -> Cow<'static, str> {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => EXPIRED.into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "not valid yet".into(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => WRONG_NAME.into(),
        // A bad signature: a trusted authority has the same name and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => NOT_TRUSTED.into(),
        error if trust::is_authority_as_server(error) => NOT_TRUSTED.into(),
        CertificateError::Other(other) => format!("bad certificate ({other})").into(),
        error => format!("bad certificate ({error:?})").into(),
    }
}
