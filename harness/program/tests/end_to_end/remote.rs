//! Targets by URL: servers that the harness did not start.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::server::{self, server};
use crate::support::{Bench, text};
use crate::tls_server::Files;

/// A matrix with one remote target.
fn shop(target: &str) -> Bench {
    Bench::new(&format!(
        "[run]\nname = \"test\"\nrepeats = 1\nready_within = \"1s\"\nsample_every = \"50ms\"\n\
         [targets.shop]\nsettle = \"0s\"\n{target}\n[axes]\ntarget = [\"shop\"]\n"
    ))
}

/// Its only trial.
fn trial(bench: &Bench) -> Value {
    let output = bench.run();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output));
    bench.trials().remove(0)
}

fn url(address: SocketAddr) -> String {
    format!("\"ws://{address}/ws\"")
}

#[test]
fn servers_that_run_elsewhere_are_measured_and_nothing_of_them_is_made_up() {
    let urls = [server(server::echo), server(server::echo)].map(url).join(", ");
    let bench = shop(&format!("url = [{urls}]\ninstances = 2"));
    let trial = trial(&bench);
    assert_eq!(trial["outcome"], "ok", "{trial}");
    assert_eq!(trial["trial"]["cell"], "shop-remote-x2");
    assert_eq!(trial["ceiling"]["last_good"], 100);
    assert_eq!(trial["steps"][1]["spread"], json!([50, 50]));
    let instances = trial["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 2);
    for instance in instances {
        assert!(instance["address"].as_str().unwrap().starts_with("ws://127.0.0.1:"), "{instance}");
        assert!(instance["pid"].is_null() && instance["exit"].is_null(), "{instance}");
    }
    let page = std::fs::read_to_string(bench.run_folder().join("index.html")).unwrap();
    assert!(page.contains("shop-remote-x2"));
    let samples = std::fs::read_to_string(bench.run_folder().join("samples.csv")).unwrap();
    assert!(!samples.contains("instance-0"), "nobody has sampled it");
}

#[test]
fn addresses_are_filled_one_after_the_other_where_the_matrix_says_so() {
    let urls = [server(server::echo), server(server::echo)].map(url).join(", ");
    let trial = trial(&shop(&format!("url = [{urls}]\nspread = \"fill\"")));
    let spreads: Vec<&Value> = trial["steps"].as_array().unwrap().iter().map(|step| &step["spread"]).collect();
    assert_eq!(spreads, [&json!([50, 0]), &json!([50, 50])]);
}

#[test]
fn tls_headers_and_tokens_reach_the_server_and_never_the_record() {
    let files = Files::new();
    let address = files.serve("localhost", 4096, false);
    let target = |ca: &str| {
        format!(
            "url = \"wss://localhost:{}/ws\"\ntls = {{ ca = \"{ca}\" }}\ntoken = \"${{SHOP_TOKEN}}\"",
            address.port()
        )
    };
    let bench = shop(&target(&files.text("ca.pem")));
    let output = bench.command().env("SHOP_TOKEN", "s3cret-t0ken").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(bench.trials()[0]["outcome"], "ok");
    for name in ["run.json", "trials.jsonl", "index.html", "summary.md"] {
        let file = std::fs::read_to_string(bench.run_folder().join(name)).unwrap();
        assert!(!file.contains("s3cret"), "{name}");
    }
    let other = Files::new();
    let bench = shop(&target(&other.text("ca.pem")));
    let output = bench.command().env("SHOP_TOKEN", "s3cret-t0ken").output().unwrap();
    assert!(!text(&output).contains("s3cret"), "{}", text(&output));
    let trial = &bench.trials()[0];
    assert_eq!(trial["outcome"], "failed-verification");
    assert!(trial["reason"].to_string().contains("certificate not trusted"), "{trial}");
}

#[test]
fn what_the_upgrade_needs_is_sent_to_each_address_under_its_own_name() {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&heads);
    let address = server(move |stream| {
        let mut head = [0; 2048];
        let length = stream.peek(&mut head).unwrap_or(0);
        heard.lock().unwrap().push(String::from_utf8_lossy(&head[..length]).into_owned());
        server::echo(stream);
    });
    let port = address.port();
    let bench = shop(&format!(
        "url = [\"ws://127.0.0.1:{port}/a\", \"ws://localhost:{port}/b?c=d\"]\n\
         token = \"${{T}}\"\nheaders = {{ Authorization = \"Bearer ${{T}}\", Origin = \"https://shop.example\" }}"
    ));
    let output = bench.command().env("T", "t1").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let heads = heads.lock().unwrap();
    let with = |line: &str, host: &str| {
        heads.iter().filter(|head| head.contains(line) && head.contains(&format!("Host: {host}:{port}"))).count()
    };
    assert!(with("GET /a?token=t1 ", "127.0.0.1") >= 50, "{:?}", heads.first());
    assert!(with("GET /b?c=d&token=t1 ", "localhost") >= 50, "{:?}", heads.last());
    assert!(heads.iter().all(|head| head.contains("Authorization: Bearer t1") && head.contains("shop.example")));
}

#[test]
fn a_server_whose_messages_nobody_knows_is_asked_for_pongs() {
    // It greets, and answers with something else than it was sent.
    let address = server(|stream| {
        let Ok(mut socket) = tokio_tungstenite::tungstenite::accept(stream) else { return };
        let _ = socket.send("welcome".into());
        while let Ok(message) = socket.read() {
            if message.is_text() && socket.send("thanks".into()).is_err() {
                return;
            }
        }
    });
    for expect in ["none", "any"] {
        let trial = trial(&shop(&format!("url = {}\nexpect = \"{expect}\"", url(address))));
        assert_eq!(
            (&trial["outcome"], &trial["ceiling"]["last_good"]),
            (&json!("ok"), &json!(100)),
            "{expect}: {trial}"
        );
    }
    let wrong = trial(&shop(&format!("url = {}", url(address))));
    assert_eq!(wrong["outcome"], "failed-verification");
}

#[test]
fn what_is_missing_for_a_remote_target_is_a_row_with_what_to_do() {
    for (target, says) in [
        ("url = \"ws://127.0.0.1:1\"\ntoken = \"${WSCEILING_NOT_SET}\"", "WSCEILING_NOT_SET"),
        ("url = \"ws://no-such-host.invalid\"\nauthorised = true", "no-such-host.invalid"),
        ("url = \"wss://localhost:1\"\ntls = { ca = \"nowhere.pem\" }", "nowhere.pem"),
    ] {
        let trial = trial(&shop(target));
        assert_eq!(trial["outcome"], "skipped", "{trial}");
        let reason = &trial["reason"];
        assert!(
            reason["what"].as_str().unwrap().contains(says) && !reason["hint"].as_str().unwrap().is_empty(),
            "{trial}"
        );
    }
    let trial = trial(&shop("url = \"ws://127.0.0.1:1\""));
    assert_eq!(trial["outcome"], "failed-to-start", "{trial}");
    assert_eq!(trial["reason"]["kind"], "remote-not-verified");
}

#[test]
fn a_server_that_refuses_most_is_asked_for_no_more() {
    let open = Arc::new(AtomicUsize::new(0));
    let address = server(move |mut stream: TcpStream| {
        if open.fetch_add(1, Ordering::SeqCst) < 60 {
            server::echo(stream);
        } else {
            let _ = server::request(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let load = "[load]\nstep = 1000\nmax = 1000\nrate = \"500/s\"\nhold = \"200ms\"\nnarrow = 0\n";
    let trial = trial(&shop(&format!("url = {}\n{load}", url(address))));
    assert_eq!(trial["outcome"], "ceiling", "{trial}");
    let event = trial["events"].as_array().unwrap().iter().find(|event| event["what"]["kind"] == "opened-no-more");
    assert!(event.is_some(), "{trial}");
    let step = &trial["steps"][0];
    assert!(step["issued"].as_u64().unwrap() < 900, "{step}");
    assert_eq!((&step["passed"], &step["open"]), (&json!(false), &step["opened"]));
    // A moment later a few more are asked for: who is full lets none of them in.
    let again = &trial["steps"][1];
    assert_eq!(
        (&again["kind"], &again["issued"], &again["opened"]),
        (&json!("again"), &json!(20), &json!(0)),
        "{trial}"
    );
    assert_eq!(trial["ceiling"]["first_bad"], 1000, "it finds no ceiling");
}
