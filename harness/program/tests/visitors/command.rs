//! The command without a browser: a visitor that speaks as the snippet does.

use std::process::Command;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::run::{PROGRAM, Run};
use crate::target::Target;

/// Posts to the collector as the snippet does.
async fn post(run: &Run, what: &str, body: &Value) -> Value {
    let address = run.visitors.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let body = body.to_string();
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let head = format!(
        "POST /{what} HTTP/1.1\r\nhost: {address}\r\nuser-agent: {agent}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or(Value::Null)
}

fn report(token: &Value, number: u32, open: u32, page: &str) -> Value {
    let counts = json!({"o": 3, "f": 0, "t": 0, "l": 0, "s": 2, "a": 2, "k": {}, "h": [0,2,0,0,0,0,0,0,0,0,0,0,0,0]});
    json!({"i": token, "q": number, "e": number - 1, "z": page, "n": open, "c": counts})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_operated_and_reported() {
    let target = Target::start().await;
    let mut run = Run::start(&target, &["--goal", "3", "--rate", "100/s"]);
    let token = post(&run, "join", &json!({})).await["i"].clone();
    let none = json!({"i": token, "q": 1, "e": 0, "z": "v", "n": 0, "c": {"o": 0, "f": 0, "t": 0, "l": 0, "s": 0, "a": 0, "k": {}, "h": [0,0,0,0,0,0,0,0,0,0,0,0,0,0]}});
    let answer = post(&run, "report", &none).await;
    assert_eq!((&answer["n"], &answer["m"], &answer["w"]), (&json!(3), &json!(64), &json!(target.url())));
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    post(&run, "report", &report(&token, 2, 3, "v")).await;
    // The record has a line a second.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let said = String::from_utf8(run.operate(&["set", "--goal", "2", "--message", "none"]).stdout).unwrap();
    assert!(said.starts_with("changed"), "{said}");
    run.operate(&["note", "a second <instance>"]);
    let status = run.status();
    assert_eq!((&status["tick"]["open"], &status["setting"]["goal"]), (&json!(3), &json!(2)));
    assert_eq!(post(&run, "report", &report(&token, 3, 3, "v")).await["n"], json!(2));
    run.operate(&["stop"]);
    post(&run, "report", &report(&token, 4, 0, "b")).await;
    let (code, out) = run.wait();
    assert_eq!(code, 0);
    assert!(out.starts_with("At least 3 connections\nreport: "), "{out}");
    let folder = run.folder();
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    for says in ["goal 3 → 2", "message 64B every 20s → none", "a second &lt;instance&gt;", "Firefox", "2 to 4 ms"]
    {
        assert!(page.contains(says), "{says}");
    }
    for file in ["visitors.json", "visitors.jsonl", "index.html"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(!text.contains("Mozilla") && !text.contains(token.as_str().unwrap()), "{file} tells of a visitor");
    }
    for verb in ["validate", "report"] {
        let output = Command::new(PROGRAM).arg(verb).arg(&folder).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(
        std::fs::read_to_string(folder.join("index.html")).unwrap(),
        page,
        "the record alone gives the same page"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_served_before_the_target_agrees() {
    let target = Target::start().await;
    let arguments = ["visitors", "--goal", "1", "--token", "0123456789abcdef", "--listen", "127.0.0.1:0"];
    let mut command = Command::new(PROGRAM);
    command.args(arguments).args(["--operator", "127.0.0.1:0", "--target", &target.url()]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("the answer is status 404") && said.contains("wsceiling-visitors 0123456789abcdef"),
        "{said}"
    );
}

#[test]
fn bad_usage_is_exit_code_2_with_a_hint() {
    for (arguments, code, says) in [
        (vec![], 2, "--target <URL>"),
        (vec!["--target", "wss://shop.example"], 2, "--goal"),
        (vec!["--target", "wss://shop.example", "--goal", "1", "--per-visitor", "99"], 2, "from 1 to 30"),
        (vec!["--target", "wss://shop.example", "--goal", "1", "--operator", "0.0.0.0:1"], 2, "not on loopback"),
        (vec!["set"], 2, "nothing to change"),
        (vec!["set", "--message", "loud"], 2, "64B every 20s"),
        (vec!["pause", "--operator", "127.0.0.1:9"], 1, "no run with visitors answers at 127.0.0.1:9"),
    ] {
        let output = Command::new(PROGRAM).arg("visitors").args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}
