//! Going down, storms, think times and mixes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_tungstenite::tungstenite::{Message, accept};
use wsceiling_generator::ipc::{Command, Report, Window};
use wsceiling_model::matrix::{Portion, Scenario, ThinkTime};

use crate::driver::{Worker, config, due_in, failures, now_ns};
use crate::server::{drain, echo, server};

fn opened(worker: &mut Worker) -> Window {
    match worker.report() {
        Report::Opened(window) => *window,
        other => panic!("{other:?}"),
    }
}

/// An echo server that counts proper closes.
fn counting_closes(closes: &Arc<AtomicU64>) -> impl Fn(std::net::TcpStream) + Send + Sync + 'static {
    let closes = Arc::clone(closes);
    move |stream| {
        let Ok(mut socket) = accept(stream) else { return };
        while let Ok(message) = socket.read() {
            match message {
                Message::Close(Some(frame)) if u16::from(frame.code) == 1000 => {
                    closes.fetch_add(1, Ordering::SeqCst);
                    let _ = socket.flush();
                }
                Message::Text(_) => drop(socket.send(message)),
                _ => {}
            }
        }
    }
}

#[test]
fn going_down_closes_the_newest_with_a_close_frame_and_loses_none() {
    let closes = Arc::default();
    let mut worker = Worker::start(config(&[server(counting_closes(&closes))]));
    worker.open(30);
    worker.send(&Command::Shrink { keep: 12, per_second: 1000.0, start_ns: now_ns() });
    let window = opened(&mut worker);
    assert_eq!((window.open.clone(), window.lost, failures(&[&window])), (vec![12], 0, vec![]));
    assert_eq!(closes.load(Ordering::SeqCst), 18);
    let (_, probe) = worker.hold_and_probe(Duration::from_millis(200));
    assert_eq!(probe.held, [12]);
    // There is nothing to close, which is an answer too.
    worker.send(&Command::Shrink { keep: 20, per_second: 1000.0, start_ns: now_ns() });
    assert_eq!(opened(&mut worker).open, [12]);
    worker.quit();
}

#[test]
fn a_server_that_never_answers_the_close_is_left_after_a_second() {
    let mute = |mut stream: std::net::TcpStream| {
        let key = crate::server::request(&mut stream);
        let _ = std::io::Write::write_all(&mut stream, crate::server::response(&key).as_bytes());
        drain(&mut stream);
    };
    let mut worker = Worker::start(config(&[server(mute)]));
    worker.open(5);
    worker.send(&Command::Shrink { keep: 1, per_second: 1000.0, start_ns: now_ns() });
    let window = opened(&mut worker);
    assert_eq!((window.open, window.lost), (vec![1], 0));
    worker.quit();
}

#[test]
fn going_down_while_connections_come_and_go_ends_at_the_wanted_number() {
    let mut config = config(&[server(echo)]);
    config.scenario = Scenario::Churn;
    config.lifetime = Duration::from_millis(300);
    let mut worker = Worker::start(config);
    worker.open(60);
    worker.send(&Command::Shrink { keep: 10, per_second: 200.0, start_ns: now_ns() });
    opened(&mut worker);
    let (_, held) = worker.hold_and_probe(Duration::from_secs(1));
    // Some of the ten are between two connections.
    assert_eq!(held.open[0] + held.replacing, 10, "{held:?}");
    worker.quit();
}

#[test]
fn after_a_storm_everyone_is_back_within_the_jitter_and_each_is_timed() {
    let mut worker = Worker::start(config(&[server(echo), server(echo)]));
    worker.open(40);
    assert_eq!(worker.close_to(0), 0);
    let jitter = Duration::from_millis(400);
    worker.send(&Command::Reconnect { count: 40, jitter, start_ns: now_ns() });
    let window = opened(&mut worker);
    assert_eq!((window.due, window.issued, window.opened, window.open.clone()), (40, 40, 40, vec![20, 20]));
    let restored = window.restored.decode().unwrap();
    assert_eq!(restored.len(), 40);
    // ThinkTime at random: not all at one time, whenever the machine let them begin.
    assert!(restored.max() - restored.min() > 100_000, "{} to {}", restored.min(), restored.max());
    assert_eq!(window.handshake.decode().unwrap().len(), 40);
    assert_eq!(worker.hold_and_probe(Duration::from_millis(200)).1.held, [20, 20]);
    // What is opened the usual way is not timed as coming back.
    assert!(worker.open(2).restored.0.is_empty());
    worker.close_to(0);
    worker.send(&Command::Reconnect { count: 40, jitter: Duration::ZERO, start_ns: now_ns() });
    let window = opened(&mut worker);
    assert_eq!((window.due, window.opened, window.restored.decode().unwrap().len()), (40, 40, 40));
    worker.quit();
}

#[test]
fn a_mix_of_sizes_comes_back_and_is_checked() {
    let mut config = config(&[server(echo)]);
    config.message_mix = [(5, 0.4), (200, 0.4), (70_000, 0.2)].map(|(bytes, share)| Portion { bytes, share }).to_vec();
    config.message_bytes = 70_000;
    config.message_every = Duration::from_millis(100);
    let mut worker = Worker::start(config);
    let opened = worker.open(10);
    let (held, probe) = worker.hold_and_probe(Duration::from_secs(1));
    assert_eq!((probe.held.clone(), failures(&[&opened, &held, &probe])), (vec![10], vec![]));
    assert!(held.messages_answered > 30, "{held:?}");
    worker.quit();
}

#[test]
fn a_hold_has_the_messages_that_the_interval_says_and_the_probe_asks_the_others() {
    for (spread, silent) in [(ThinkTime::Fixed, 0.5), (ThinkTime::Exponential, (-0.5_f64).exp())] {
        let mut config = config(&[server(echo)]);
        config.message_every = Duration::from_secs(1);
        config.message_spread = spread;
        let mut worker = Worker::start(config);
        worker.open(400);
        let (held, probe) = worker.hold_and_probe(Duration::from_millis(500));
        // Half an interval, so half a message of each on average; a random one may be the second of its connection.
        let due = held.messages_due + probe.messages_due;
        let half = due_in(&held, &probe, 400, Duration::from_secs(1));
        assert!((due as f64 - half).abs() <= 50.0, "{spread}: {due} were due, not {half}");
        let expected = 400.0 * silent;
        let asked = probe.probes as f64;
        assert!((asked - expected).abs() < 60.0, "{spread}: {asked} were asked, not {expected}");
        assert_eq!((probe.held.clone(), probe.probes_answered), (vec![400], probe.probes));
        worker.quit();
    }
}
