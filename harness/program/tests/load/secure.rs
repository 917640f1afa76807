//! TLS: trust, names, client certificates, and what is no TLS.

use std::net::TcpStream;

use crate::server::{echo, server};
use crate::tls_server::Files;
use crate::tool::{closed, short};

#[test]
fn a_trusted_server_is_loaded_also_with_long_messages() {
    let files = Files::new();
    let address = files.serve("localhost", 4096, false);
    let url = format!("wss://localhost:{}/", address.port());
    for bytes in ["64", "100KiB"] {
        let ran =
            short(&url, &["--ca", &files.text("ca.pem"), "-n", "30", "--message-bytes", bytes, "--every", "100ms"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let json = ran.json();
        assert_eq!(json["connections"]["held"], 30);
        assert!(json["tls"].as_str().unwrap().starts_with("TLS 1.3"), "{}", json["tls"]);
    }
    let ran = short(&url, &["--ca", &files.text("ca.pem"), "--no-resumption", "--workers", "2"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn what_is_wrong_with_a_certificate_is_named() {
    let files = Files::new();
    let ca = files.text("ca.pem");
    for (name, until, trust, cause) in [
        ("localhost", 4096, false, "tls: certificate not trusted"),
        ("example.com", 4096, true, "tls: wrong host name"),
        ("localhost", 2002, true, "tls: expired"),
    ] {
        let url = format!("wss://localhost:{}", files.serve(name, until, false).port());
        // Any other authority, so that this does not hang on what the machine trusts.
        let other = Files::new();
        let other = other.text("ca.pem");
        let ran = short(&url, &["--ca", if trust { &ca } else { &other }]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(ran.errors(), [("handshake".to_owned(), cause.to_owned(), 5)]);
        assert!(ran.json()["errors"][0]["hint"].as_str().unwrap().contains("--insecure"), "{ran:?}");
        let ran = short(&url, &["--insecure"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.err.contains("warning: --insecure"), "{ran:?}");
    }
}

#[test]
fn the_name_to_expect_can_be_said() {
    let files = Files::new();
    let address = files.serve("example.com", 4096, false);
    let ran = short(&format!("wss://{address}"), &["--ca", &files.text("ca.pem"), "--sni", "example.com"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_client_certificate_is_shown_where_it_is_wanted() {
    let files = Files::new();
    let url = format!("wss://localhost:{}", files.serve("localhost", 4096, true).port());
    let (ca, cert, key) = (files.text("ca.pem"), files.text("cert.pem"), files.text("key.pem"));
    let ran = short(&url, &["--ca", &ca]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let cause = "tls: handshake failed (alert CertificateRequired)";
    assert_eq!(ran.errors(), [("handshake".to_owned(), cause.to_owned(), 5)]);
    let ran = short(&url, &["--ca", &ca, "--cert", &cert, "--key", &key]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn plain_and_tls_are_told_apart() {
    let files = Files::new();
    let secure = files.serve("localhost", 4096, false);
    let ran = short(&format!("ws://{secure}"), &[]);
    assert_eq!(ran.errors(), [("handshake".to_owned(), "tls alert instead of a response".to_owned(), 5)]);
    let plain = server(|mut stream: TcpStream| {
        use std::io::Write as _;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        crate::server::drain(&mut stream);
    });
    let ran = short(&format!("wss://{plain}"), &["--insecure"]);
    assert_eq!(ran.errors(), [("handshake".to_owned(), "tls: the server does not speak tls".to_owned(), 5)]);
    let gone = server(drop);
    let ran = short(&format!("wss://{gone}"), &["--insecure"]);
    let errors = ran.errors();
    assert_eq!(errors.iter().map(|error| error.2).sum::<u64>(), 5, "{errors:?}");
    for (stage, cause, _) in errors {
        assert_eq!(stage, "handshake");
        assert!(cause.starts_with("tls: ") && cause.ends_with(" in the handshake"), "{cause}");
    }
}

#[test]
fn faults_of_the_files_are_usage() {
    let files = Files::new();
    let url = closed().replace("ws:", "wss:");
    let no = files.text("none.pem");
    for arguments in [
        vec!["--ca", no.as_str()],
        vec!["--ca", files.text("key.pem").leak()],
        vec!["--cert", files.text("cert.pem").leak()],
        vec!["--cert", files.text("cert.pem").leak(), "--key", files.text("cert.pem").leak(), "--insecure"],
        vec!["--sni", "a b", "--insecure"],
        vec!["--insecure", "--ca", files.text("ca.pem").leak()],
    ] {
        let ran = short(&url, &arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.out.is_empty() && ran.err.contains("error"), "{ran:?}");
    }
    let ran = short(&format!("ws://{}", server(echo)), &["--insecure"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("hint: wss://"), "{ran:?}");
}
