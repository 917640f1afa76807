//! The first ten minutes: a matrix for the server of a folder, an address in the place of a file, and servers as their authors
//! wrote them, with a port in their code and messages of their own.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::server::{self, server};
use crate::support::{Bench, assert_valid, misbehave, text, trials_of};

fn wsceiling(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wsceiling")).args(words).output().unwrap()
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn an_address_is_measured_without_a_file_and_the_run_has_the_matrix_to_run_it_again() {
    let address = server(server::echo);
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path().join("reports").display().to_string();
    let url = format!("ws://{address}/ws");
    let words = ["--url", &url, "--max", "16", "--rate", "1000/s", "--hold", "100ms", "--repeats", "1"];
    let output = wsceiling(&[&["matrix", "--reports", &reports], &words[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let run = fs::read_dir(&reports).unwrap().next().unwrap().unwrap().path();
    assert_valid(&run);
    let trial = &trials_of(&run)[0];
    assert_eq!((&trial["outcome"], &trial["ceiling"]["last_good"]), (&json!("ok"), &json!(16)), "{trial}");
    let header: Value = serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap();
    let own = run.join("matrix.toml");
    assert_eq!(header["matrix_path"], json!(own.display().to_string()));
    assert_eq!(header["matrix_text"], json!(fs::read_to_string(&own).unwrap()));
    let again = wsceiling(&["plan", &own.display().to_string(), "--format", "json"]);
    let same = wsceiling(&[&["plan", "--format", "json"], &words[..]].concat());
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert_eq!(String::from_utf8_lossy(&again.stdout), String::from_utf8_lossy(&same.stdout));
    let resumed = wsceiling(&[&["matrix", "--resume", &run.display().to_string()], &words[..]].concat());
    assert_eq!(resumed.status.code(), Some(0), "{}", text(&resumed));
}

#[test]
fn an_address_that_cannot_be_measured_is_a_message_and_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path().join("reports").display().to_string();
    let nobody = format!("ws://127.0.0.1:{}", free_port());
    for (words, code, says) in [
        (&["--url", nobody.as_str()][..], 1, "nothing takes connections at ws://127.0.0.1:"),
        (
            &["--url", "ws://no-such-host.invalid", "--authorised"],
            1,
            "failed to resolve the host name `no-such-host.invalid`",
        ),
        (&["--url", "ws://example.com"], 2, "nobody says that you may load it"),
        (&["--url", "localhost:3000"], 2, "ws://localhost:3000"),
        (&["--url", "https://example.com"], 2, "wss:// instead of https://"),
        (&["m.toml", "--url", "ws://localhost"], 2, "cannot be used with"),
        (&[], 2, "<FILE>"),
    ] {
        let output = wsceiling(&[&["matrix", "--reports", &reports], words].concat());
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", text(&output));
        assert!(text(&output).contains(says), "{words:?}: {}", text(&output));
    }
    assert!(!Path::new(&reports).exists());
}

#[test]
fn a_server_with_a_port_in_its_code_and_messages_of_its_own_is_built_started_and_measured() {
    let port = free_port();
    let matrix = |expect: &str| {
        Bench::new(&format!(
            "[run]\nname = \"test\"\nrepeats = 1\nready_within = \"10s\"\nsample_every = \"50ms\"\n[targets.own]\n{expect}\n\
             [targets.own.process]\nbuild = [\"ln\", \"-sf\", \"{}\", \"server\"]\nprogram = \"./server\"\n\
             args = [\"upcase\", \"127.0.0.1:{port}\"]\nport = {port}\n[axes]\ntarget = [\"own\"]\n",
            misbehave().display()
        ))
    };
    for expect in ["expect = \"none\"", "expect = \"any\""] {
        let bench = matrix(expect);
        let output = bench.run();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert!(text(&output).contains("building own: ln -sf "), "{}", text(&output));
        let trial = bench.trials().remove(0);
        assert_eq!((&trial["outcome"], &trial["ceiling"]["last_good"]), (&json!("ok"), &json!(100)), "{trial}");
        assert_eq!(trial["instances"][0]["address"], json!(format!("127.0.0.1:{port}")));
    }
    let bench = matrix("");
    assert_eq!(bench.run().status.code(), Some(1));
    assert_eq!(bench.trials()[0]["outcome"], "failed-verification");
    // Somebody else's server there is never loaded in its place.
    let _stranger = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let bench = matrix("expect = \"none\"");
    assert_eq!(bench.run().status.code(), Some(1));
    let trial = bench.trials().remove(0);
    assert_eq!(trial["outcome"], "failed-to-start", "{trial}");
    assert!(trial["reason"].to_string().contains(&format!("port {port} is taken")), "{trial}");
}

#[test]
fn a_build_that_fails_is_a_row_with_the_compilers_words() {
    let bench = Bench::new(
        "[run]\nrepeats = 1\n[targets.own.process]\nbuild = [\"sh\", \"-c\", \"echo oops at line 3; exit 1\"]\n\
         program = \"./server\"\nport = 8080\n[axes]\ntarget = [\"own\"]\n",
    );
    assert_eq!(bench.run().status.code(), Some(1));
    let trial = bench.trials().remove(0);
    assert_eq!(trial["outcome"], "failed-to-start", "{trial}");
    assert!(trial["reason"].to_string().contains("oops at line 3"), "{trial}");
}

#[test]
fn init_writes_a_matrix_once_and_says_what_it_rests_on() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display().to_string();
    let matrix = folder.path().join("matrix.toml");
    let output = wsceiling(&["init", &root]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("found no server") && text(&output).contains("matrix --url"), "{}", text(&output));
    assert!(!matrix.exists());
    let code = "const { WebSocketServer } = require('ws')\nnew WebSocketServer({ port: 8081 })\n";
    fs::write(folder.path().join("server.js"), code).unwrap();
    let output = wsceiling(&["init", &root]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(
        text(&output).contains("server.js:2: the port 8081") && text(&output).contains("wsceiling plan "),
        "{}",
        text(&output)
    );
    let planned = wsceiling(&["plan", &matrix.display().to_string()]);
    assert_eq!(planned.status.code(), Some(0), "{}", text(&planned));
    let written = fs::read_to_string(&matrix).unwrap();
    let printed = wsceiling(&["init", &root, "--output", "-"]);
    assert_eq!(String::from_utf8_lossy(&printed.stdout).lines().count(), written.lines().count());
    fs::write(&matrix, "mine").unwrap();
    let again = wsceiling(&["init", &root]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again).contains("is there already") && text(&again).contains("--force"), "{}", text(&again));
    assert_eq!(fs::read_to_string(&matrix).unwrap(), "mine");
    assert_eq!(wsceiling(&["init", &root, "--force"]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(&matrix).unwrap(), written);
    let other = wsceiling(&["init", &root, "--output", "/tmp/elsewhere.toml"]);
    assert_eq!(other.status.code(), Some(2), "{}", text(&other));
    assert_eq!(wsceiling(&["init", "/nowhere/at/all"]).status.code(), Some(1));
}
