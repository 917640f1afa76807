//! Where a server may listen: IPv6, host names, unix-domain sockets.

use std::os::unix::net::UnixListener;

use tokio_tungstenite::tungstenite::accept;

use crate::server::{echo, server_at};
use crate::tool::short;

#[test]
fn a_unix_domain_socket_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let Ok(mut socket) = accept(stream) else { return };
                while let Ok(message) = socket.read() {
                    if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let url = format!("ws+unix://{}:/chat", path.display());
    let ran = short(&url, &["-n", "20"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let json = ran.json();
    assert_eq!((json["connections"]["held"].as_u64(), json["url"].as_str()), (Some(20), Some(url.as_str())));
    assert_eq!(json["addresses"][0]["address"].as_str(), path.to_str());
    assert!(ran.err.contains("it came back to a first connection"), "{ran:?}");
}

#[test]
fn a_socket_that_is_not_there_is_a_cause_with_a_hint() {
    let ran = short("ws+unix:///no/such/app.sock", &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.errors(), [("connect".to_owned(), "errno ENOENT".to_owned(), 5)]);
    assert!(ran.err.contains("a first connection failed: errno ENOENT"), "{ran:?}");
}

#[test]
fn servers_on_ipv6_and_behind_names_are_loaded() {
    let six = server_at("[::1]:0", echo);
    let ran = short(&format!("ws://[::1]:{}/", six.port()), &["-n", "20"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["own"]["source_addresses"][0], "::1");
    let four = server_at("127.0.0.1:0", echo);
    let ran = short(&format!("ws://localhost:{}/", four.port()), &["-n", "20"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["connections"]["held"], 20);
}

#[test]
fn a_server_elsewhere_is_not_loaded_without_a_word_that_it_may_be() {
    // TEST-NET-1 (RFC 5737): a test that fails would reach nobody.
    let ran = short("ws://192.0.2.1:9/", &["--connect-timeout", "100ms"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.is_empty() && ran.err.contains("add --authorised"), "{ran:?}");
}
