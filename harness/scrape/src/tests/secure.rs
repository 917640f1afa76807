use super::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use tokio_rustls::TlsAcceptor;

/// A server with a certificate for `name`, and the file with that certificate.
async fn secure(name: &str, folder: &Path) -> String {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(folder.join("ca.pem"), cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap_or(0);
            let let_in = String::from_utf8_lossy(&request[..length]).contains("authorization: Bearer s3cret");
            let answer = if let_in { text("process_open_fds 5\n") } else { b"HTTP/1.1 401 No\r\n\r\n".to_vec() };
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://localhost:{port}/metrics")
}

fn with(url: &str, ca: Option<&str>, token: &str, folder: &Path) -> Vec<Source> {
    let mut source = prometheus(Component::Instance(0), url);
    source.headers.insert("Authorization".into(), Template::new("Bearer ${TOKEN}").unwrap());
    source.tls.ca = ca.map(Into::into);
    prepare_with(&[source], folder, |_| Some(token.to_owned())).unwrap()
}

#[tokio::test]
async fn whom_to_trust_and_whom_to_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let url = secure("localhost", folder.path()).await;
    let told = async |ca, token: &str| check(&with(&url, ca, token, folder.path()), no_engines()).await.remove(0);
    assert!(told(Some("ca.pem"), "s3cret").await.gives_numbers());
    let unauthorised = told(Some("ca.pem"), "wr0ng").await;
    assert_eq!(unauthorised.faults, [ScrapeFault::Unauthorised { status: 401 }]);
    assert!(!unauthorised.to_string().contains("wr0ng"));
    let ScrapeFault::Certificate { what } = &told(None, "s3cret").await.faults[0] else { panic!() };
    assert_eq!(what, "its authority is not trusted here");
    let plain = url.replace("localhost", "127.0.0.1");
    let other = check(&with(&plain, Some("ca.pem"), "s3cret", folder.path()), no_engines()).await.remove(0);
    assert_eq!(other.faults, [ScrapeFault::Certificate { what: "it is for another name".into() }]);
}

#[tokio::test]
async fn a_server_without_tls_is_told_and_so_is_a_file_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let url = server(|_| text("process_open_fds 5\n")).await.replace("http://", "https://");
    let fault = check(&with(&url, None, "s3cret", folder.path()), no_engines()).await.remove(0).faults.remove(0);
    assert_eq!(fault, ScrapeFault::Tls { what: "the server does not speak TLS".into() });
    std::fs::write(folder.path().join("empty.pem"), "no certificate").unwrap();
    for file in ["empty.pem", "absent.pem"] {
        let mut source = prometheus(Component::Instance(0), "https://h/metrics");
        source.tls.ca = Some(file.into());
        let faults = prepare_with(&[source], folder.path(), |_| None).unwrap_err();
        assert!(faults[0].to_string().contains(&format!("{file} cannot be read as certificates")), "{}", faults[0]);
    }
}
