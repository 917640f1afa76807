use std::io::{Read as _, Write as _};
use std::sync::Arc;
use wsceiling_model::record::FailureReason;

use rcgen::{CertificateParams, CertifiedIssuer, CertifiedKey, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::*;

fn server(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConnection {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    ServerConnection::new(Arc::new(config)).unwrap()
}

fn settings(trust: Trust) -> Settings {
    Settings { server_name: "localhost".to_owned(), trust, identity: None, resume: true }
}

/// Carries bytes to and fro, `piece` bytes at a time, until nobody has anything to say. What the server read; what the
/// client read.
fn talk(settings: &Settings, server: &mut ServerConnection, piece: usize) -> Result<(Vec<u8>, Vec<u8>), String> {
    let mut client = Client::new(settings)?.session()?;
    let mut out = b"hello".to_vec();
    client.greet(&mut out);
    let mut again = b"hello".to_vec();
    client.greet(&mut again);
    assert_eq!(out, again, "the first flight is made once");
    client.greeted();
    let (mut at_server, mut at_client) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let mut rest = out.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            let _ = server.process_new_packets();
            let _ = server.reader().read_to_end(&mut at_server);
        }
        if at_server == b"hello" && at_client.is_empty() {
            server.writer().write_all(b"world").unwrap();
        }
        let mut back = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut back).unwrap();
        }
        for piece in back.chunks(piece) {
            client.open(piece, &mut at_client).map_err(|reason| reason.to_string())?;
        }
        out.clear();
        client.seal(&mut out);
    }
    assert!(!client.is_handshaking());
    assert!(client.describe().unwrap().starts_with("TLS 1.3, "), "{:?}", client.describe());
    Ok((at_server, at_client))
}

#[test]
fn bytes_cross_however_they_are_cut() {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for piece in [1, 7, 100_000] {
        let mut server = server(cert.der().clone(), &signing_key);
        let heard = talk(&settings(Trust::These(cert.pem())), &mut server, piece).unwrap();
        assert_eq!(heard, (b"hello".to_vec(), b"world".to_vec()), "{piece}");
    }
}

/// A certificate as `openssl req -x509` makes it: an authority that serves.
fn authority_as_server(name: &str) -> (CertificateDer<'static>, String, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let cert = params.self_signed(&key).unwrap();
    (cert.der().clone(), cert.pem(), key)
}

#[test]
fn a_self_made_authority_that_serves_is_trusted_where_it_was_given() {
    let (der, pem, key) = authority_as_server("localhost");
    assert!(talk(&settings(Trust::These(pem.clone())), &mut server(der.clone(), &key), 1000).is_ok());
    let (_, another, _) = authority_as_server("localhost");
    let error = talk(&settings(Trust::These(another)), &mut server(der, &key), 1000).unwrap_err();
    assert_eq!(error, format!("tls: {}", cause::NOT_TRUSTED));
    let (der, pem, key) = authority_as_server("example.com");
    let error = talk(&settings(Trust::These(pem)), &mut server(der.clone(), &key), 1000).unwrap_err();
    assert_eq!(error, format!("tls: {}", cause::WRONG_NAME));
    assert!(talk(&settings(Trust::Anyone), &mut server(der, &key), 1000).is_ok());
}

#[test]
fn faults_of_certificates_are_named() {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let issue = |name: &str, years: (i32, i32)| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        (params.signed_by(&key, &authority).unwrap().der().clone(), key)
    };
    let trust = settings(Trust::These(authority.pem()));
    for (name, years, expected) in [
        ("localhost", (2020, 4096), None),
        ("example.com", (2020, 4096), Some(cause::WRONG_NAME)),
        ("localhost", (2001, 2002), Some(cause::EXPIRED)),
        ("localhost", (4000, 4096), Some("not valid yet")),
    ] {
        let (der, key) = issue(name, years);
        let error = talk(&trust, &mut server(der, &key), 1000).err();
        assert_eq!(error, expected.map(|fault| format!("tls: {fault}")), "{name} {years:?}");
    }
}

#[test]
fn what_is_no_tls_is_named() {
    let mut session = Client::new(&settings(Trust::Anyone)).unwrap().session().unwrap();
    let mut plain = Vec::new();
    let error = session.open(b"HTTP/1.1 400 Bad Request\r\n\r\n", &mut plain).unwrap_err();
    assert_eq!((error, plain.len()), (FailureReason::Tls(cause::NOT_TLS.into()), 0));
}

#[test]
fn bad_settings_are_said_with_a_hint() {
    let bad = |change: fn(&mut Settings)| {
        let mut settings = settings(Trust::Anyone);
        change(&mut settings);
        Client::new(&settings).map(|_| ()).unwrap_err()
    };
    assert!(bad(|settings| settings.server_name = "a b".to_owned()).contains("hint: --sni"));
    assert!(bad(|settings| settings.trust = Trust::These("nothing".to_owned())).contains("no certificate"));
    let identity = Identity { certificates: "x".to_owned(), key: "secret".to_owned() };
    assert!(!format!("{identity:?}").contains("secret"));
    let mut own = settings(Trust::Anyone);
    own.identity = Some(identity);
    assert!(Client::new(&own).unwrap_err().contains("--cert"));
    let one = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
    own.identity = Some(Identity { certificates: one.cert.pem(), key: "no key".to_owned() });
    assert!(Client::new(&own).unwrap_err().contains("--key has no private key"));
    own.identity = Some(Identity { certificates: one.cert.pem(), key: other.signing_key.serialize_pem() });
    assert!(Client::new(&own).unwrap_err().contains("do not fit"));
    own.identity = Some(Identity { certificates: one.cert.pem(), key: one.signing_key.serialize_pem() });
    assert!(Client::new(&own).is_ok());
}
