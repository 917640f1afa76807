//! Latencies of a server that stalls. The sharp comparisons are in virtual time, in the generator's `worker::asking`, and in
//! `ci/bench latency`; here the margins are wide, because the machine may be busy.

use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::accept;
use wsceiling_model::matrix::Scenario;

use crate::driver::{Worker, config, due_in};
use crate::server::server;

const STALL: Duration = Duration::from_secs(1);

#[test]
fn a_stall_is_seen_by_every_message_that_was_due_in_it() {
    // From when on it stalls.
    let stall: Arc<OnceLock<Instant>> = Arc::default();
    let from = Arc::clone(&stall);
    let stalls = move |stream: TcpStream| {
        let Ok(mut socket) = accept(stream) else { return };
        while let Ok(message) = socket.read() {
            if let Some(from) = from.get().filter(|from| **from <= Instant::now()) {
                std::thread::sleep(STALL.saturating_sub(from.elapsed()));
            }
            if socket.send(message).is_err() {
                return;
            }
        }
    };
    let mut config = config(&[server(stalls)]);
    config.scenario = Scenario::Echo;
    config.message_every = Duration::from_millis(50);
    let mut worker = Worker::start(config);
    worker.open(20);
    stall.set(Instant::now() + Duration::from_secs(1)).unwrap();
    let (held, probe) = worker.hold_and_probe(Duration::from_secs(4));
    let mut reply = held.reply.decode().unwrap();
    reply.add(probe.reply.decode().unwrap()).unwrap();
    let due = held.messages_due + probe.messages_due;
    let expected = due_in(&held, &probe, 20, Duration::from_millis(50));
    assert!((due as f64 - expected).abs() <= 20.0, "{due} due, not {expected}");
    assert_eq!(reply.len(), due);
    assert_eq!(held.messages_answered + probe.messages_answered, due, "it has caught up");
    // Half of those in the quarter of the hold have waited for more than half a second: 12.5 %.
    let late = reply.iter_recorded().filter(|value| value.value_iterated_to() >= 500_000);
    let share = late.map(|value| value.count_at_value()).sum::<u64>() as f64 / due as f64;
    assert!((0.09..=0.3).contains(&share), "{share} waited for more than half a second");
    assert_eq!(probe.held, [20]);
    worker.quit();
}
