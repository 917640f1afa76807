//! `plan --check`: each source of metrics is asked once, before anything is measured.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Output};

use crate::server::{request, server};
use crate::support::{Bench, text};

/// A web server that answers everything with this.
fn web(status: &str, kind: &str, body: &str) -> SocketAddr {
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    server(move |mut stream: TcpStream| {
        request(&mut stream);
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// The source of a matrix.
fn source(part: &str, address: &str) -> String {
    format!("[[targets.shop.metrics]]\npart = \"{part}\"\nprometheus = \"http://{address}/metrics\"\n")
}

/// A plan, with its sources checked, of a server that nothing may be sent to: nobody listens there.
fn checked(sources: &[String]) -> Output {
    let bench = Bench::new(&format!(
        "[run]\nname = \"test\"\n[targets.shop]\nurl = \"ws://127.0.0.1:1/ws\"\n{}\n[axes]\ntarget = [\"shop\"]\n\
         [load]\nhold = \"3s\"\n",
        sources.concat()
    ));
    Command::new(env!("CARGO_BIN_EXE_wsceiling")).arg("plan").arg(&bench.matrix).arg("--check").output().unwrap()
}

const GOOD: &str = "process_open_fds 17\nprocess_cpu_seconds_total 1.5\nprocess_resident_memory_bytes 4096\n";

#[test]
fn each_source_says_what_it_gives_or_why_it_gives_nothing() {
    let good = web("200 OK", "text/plain", GOOD);
    let login = web("200 OK", "text/html", "<!doctype html><title>Log in</title>");
    let closed = web("401 Unauthorized", "text/plain", "who are you?");
    let output = checked(&[
        source("instance-0", &good.to_string()),
        source("instance-0", &login.to_string()),
        source("host", "no-such-host.invalid"),
        source("front", &closed.to_string()),
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    // A line each, with what to do about it below.
    let about = |part: &str, address: &str| {
        let head = format!("shop: {part} from prometheus http://{address}/metrics: ");
        let at = said.find(&head).unwrap_or_else(|| panic!("{head}: {said}"));
        said[at + head.len()..].lines().take(3).collect::<Vec<_>>().join("\n")
    };
    let good = about("instance-0", &good.to_string());
    assert!(good.starts_with("3 numbers: ") && good.contains("descriptors_count"), "{good}");
    for (part, address, why, hint) in [
        ("instance-0", login.to_string(), "what comes is HTML, not metrics", "a login page looks like this"),
        (
            "host",
            "no-such-host.invalid".to_owned(),
            "`no-such-host.invalid` does not resolve",
            "correct the host's name",
        ),
        ("front-0", closed.to_string(), "the answer is status 401: not let in", "Bearer ${NAME}"),
    ] {
        let told = about(part, &address);
        assert!(told.starts_with("no number\n") && told.contains(why) && told.contains(hint), "{told}");
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("shop-remote-x1"), "the plan is shown too");
}

#[test]
fn sources_that_all_give_numbers_are_a_success() {
    let good = web("200 OK", "text/plain", GOOD);
    let output = checked(&[source("instance-0", &good.to_string())]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let good = web("200 OK", "text/plain", GOOD);
    let header = "headers = { Authorization = \"Bearer ${WSCEILING_NOT_SET}\" }\n";
    let output = checked(&[format!("{}{header}", source("instance-0", &good.to_string()))]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("needs the variable `WSCEILING_NOT_SET`"), "{}", text(&output));
}
