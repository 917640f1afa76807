//! Several addresses, and numbers of the server from where it runs.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::server::{echo, request, server};
use crate::tool::{Ran, load};

const SHORT: [&str; 6] = ["-n", "40", "--rate", "1000/s", "--hold", "300ms"];

/// A load of several addresses.
fn several(urls: &[String], arguments: &[&str]) -> Ran {
    let others: Vec<&str> = urls[1..].iter().map(String::as_str).collect();
    load(&urls[0], &[&others[..], &SHORT[..], arguments].concat())
}

fn open(json: &Value) -> Vec<u64> {
    json["addresses"].as_array().unwrap().iter().map(|address| address["open"].as_u64().unwrap()).collect()
}

#[test]
fn connections_take_turns_over_several_addresses_or_fill_one_after_the_other() {
    let urls: Vec<String> = (0..2).map(|path| format!("ws://{}/{path}", server(echo))).collect();
    let ran = several(&urls, &["--format", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let json = ran.json();
    assert_eq!(open(&json), [20, 20]);
    assert_eq!(json["url"], urls.join(", "));
    assert_eq!(json["addresses"][1]["url"], urls[1]);
    // The newest connections close: those of the second address, where the first one was filled before.
    let stages = ["--stage", "40,1000/s,200ms", "--stage", "20,1000/s,200ms", "--format", "json"];
    for (spread, left) in [("in-turn", [10, 10]), ("fill", [20, 0])] {
        let ran = load(&urls[0], &[&[urls[1].as_str(), "--spread", spread], &stages[..]].concat());
        assert_eq!(open(&ran.json()), left, "{spread}: {ran:?}");
    }
    let ran = several(&urls, &[]);
    assert!(ran.out.contains(&urls[0]) && ran.out.contains(&urls[1]), "{ran:?}");
}

#[test]
fn each_address_is_asked_under_its_own_name() {
    let heads: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&heads);
    let address = server(move |stream: TcpStream| {
        let mut head = [0; 2048];
        let length = stream.peek(&mut head).unwrap_or(0);
        heard.lock().unwrap().push(String::from_utf8_lossy(&head[..length]).into_owned());
        echo(stream);
    });
    let port = address.port();
    let urls = [format!("ws://127.0.0.1:{port}/a"), format!("ws://localhost:{port}/b?c=d")];
    let ran = several(&urls, &["--token", "t1"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let heads = heads.lock().unwrap();
    let with = |line: &str, host: &str| {
        heads.iter().filter(|head| head.contains(line) && head.contains(&format!("Host: {host}:{port}"))).count()
    };
    assert!(with("GET /a?token=t1 ", "127.0.0.1") >= 20, "{:?}", heads.first());
    assert!(with("GET /b?c=d&token=t1 ", "localhost") >= 20, "{:?}", heads.last());
}

#[test]
fn addresses_that_do_not_go_together_are_bad_usage() {
    for (one, other, says) in [
        ("ws://127.0.0.1:1", "wss://127.0.0.1:1", "one has TLS and one has not"),
        ("ws://127.0.0.1:1", "ws+unix:///a.sock", "one is a socket"),
        ("ws://me:x@127.0.0.1:1", "ws://127.0.0.1:1", "one user and password"),
    ] {
        let ran = load(one, &[other]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains(says), "{ran:?}");
    }
    // TEST-NET-1 (RFC 5737): nothing is sent to the first either.
    let ran = load("ws://127.0.0.1:1", &["ws://192.0.2.1:9/"]);
    assert!(ran.code == 1 && ran.err.contains("add --authorised"), "{ran:?}");
}

/// An application's metrics: CPU that rises by half a core, and memory that grows.
fn metrics(status: &'static str) -> SocketAddr {
    let (started, asked) = (std::time::Instant::now(), AtomicU64::new(0));
    server(move |mut stream: TcpStream| {
        request(&mut stream);
        let times = asked.fetch_add(1, Ordering::SeqCst);
        let body = format!(
            "process_cpu_seconds_total {}\nprocess_resident_memory_bytes {}\nprocess_open_fds 17\nprocess_max_fds 1024\n",
            started.elapsed().as_secs_f64() / 2.0,
            (10 + times) << 20
        );
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
    })
}

#[test]
fn numbers_of_the_server_are_read_meanwhile_and_stand_in_the_summary() {
    let url = format!("ws://{}", server(echo));
    let address = metrics("200 OK");
    let option = format!("part=instance-0,prometheus=http://{address}/metrics,every=100ms");
    let arguments = ["-n", "20", "--hold", "1s", "--metrics", &option];
    let ran = load(&url, &arguments);
    assert_eq!(ran.code, 0, "{ran:?}");
    let line = ran.out.lines().find(|line| line.starts_with("instance-0 ")).unwrap();
    assert!(line.contains("cores on average") && line.contains("descriptors 17 at most of 1,024"), "{line}");
    assert!(line.contains("memory 10.0 MiB before"), "{line}");
    assert!(ran.out.contains(&format!("from prometheus http://{address}/metrics")), "{ran:?}");
    let json = load(&url, &[&arguments[..], &["--format", "json"]].concat()).json();
    let part = &json["server"][0];
    assert!((0.3..0.7).contains(&part["cpu_cores"].as_f64().unwrap()), "{part}");
    assert!(part["readings"].as_u64().unwrap() >= 5, "{part}");
    assert_eq!(part["descriptors_limit"], 1024.0);
}

#[test]
fn sources_that_cannot_be_read_are_notes_and_no_failure_of_the_load() {
    let url = format!("ws://{}", server(echo));
    let option = format!("part=instance-0,prometheus=http://{}/metrics", metrics("401 Unauthorized"));
    let ran = load(&url, &["-n", "5", "--hold", "300ms", "--metrics", &option]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("no number of CPU, memory or descriptors came"), "{ran:?}");
    assert!(ran.out.contains("status 401: not let in"), "{ran:?}");
    assert!(ran.err.contains("fewer than three readings"), "{ran:?}");
}

#[test]
fn bad_sources_are_bad_usage_and_nothing_is_opened() {
    for (option, says) in [
        ("part=hosst,prometheus=http://h/metrics", "cannot be `hosst`"),
        ("part=host", "does not say what to read"),
        ("no-such-file.toml", "no-such-file.toml"),
        ("part=host,prometheus=http://${WSCEILING_NOT_SET}/metrics", "WSCEILING_NOT_SET"),
    ] {
        let ran = load("ws://127.0.0.1:1", &["--metrics", option]);
        assert_eq!(ran.code, 2, "{option}: {ran:?}");
        assert!(ran.err.contains(says) && ran.out.is_empty(), "{option}: {ran:?}");
    }
}
