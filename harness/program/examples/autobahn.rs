//! Plays the client for the fuzzing server of the Autobahn test suite, with the generator's own worker: see `ci/autobahn`.
//!
//! ```console
//! $ cargo run --example autobahn -- 127.0.0.1:9001
//! ```

#![allow(clippy::unwrap_used, reason = "a check fails by panicking")]

#[path = "../tests/engine/driver.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod driver;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use driver::{Worker, config};
use tokio_tungstenite::tungstenite;
use wsceiling_generator::client::{ClientConfig, Expect, Script};
use wsceiling_generator::ipc::WorkerConfig;

/// Name of the client in the reports.
const AGENT: &str = "wsceiling";

fn main() {
    let address = std::env::args().nth(1).and_then(|address| address.parse().ok());
    let address: SocketAddr = address.expect("usage: autobahn IP:PORT");
    let cases = count(address);
    println!("{cases} cases");
    for case in 1..=cases {
        run(address, &format!("/runCase?case={case}&agent={AGENT}"));
    }
    run(address, &format!("/updateReports?agent={AGENT}"));
}

/// How many cases the server has.
fn count(address: SocketAddr) -> u32 {
    let stream = TcpStream::connect(address).expect("the fuzzing server listens");
    let (mut socket, _) = tungstenite::client(format!("ws://{address}/getCaseCount"), stream).unwrap();
    socket.read().unwrap().to_text().unwrap().parse().expect("a number of cases")
}

/// One connection, which sends back what it gets, until the server has closed it.
fn run(address: SocketAddr, path: &str) {
    let script = Script { payload: None, expect: Expect::Mirror, workers: 1 };
    let mut worker = Worker::start(WorkerConfig {
        path: path.to_owned(),
        host: address.to_string(),
        message_bytes: 16 << 20,
        client: ClientConfig { script: Some(script), ..ClientConfig::default() },
        ..config(&[address])
    });
    let opened = worker.open(1);
    assert_eq!(opened.opened, 1, "{path}: {opened:?}");
    worker.status(|status| status.lost == 1);
    // The answer to the server's close frame is to arrive before everything is closed with RST.
    worker.hold(Duration::from_millis(50));
    worker.quit();
}
