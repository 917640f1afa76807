//! What connections do when the server is a good one.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_tungstenite::tungstenite::{Message, accept};
use wsceiling_generator::client::{Expect, Script};
use wsceiling_generator::ipc::{Command, Report, Window};
use wsceiling_model::matrix::{Protocol, Scenario};

use crate::driver::{Worker, config, due_in, failures};
use crate::server::{app, echo, request, response, server, server_at};

/// Short against the usual interval of messages, so that hardly anything is due in it.
const HOLD: Duration = Duration::from_millis(100);

#[test]
fn idle_connections_open_answer_and_are_held_on_each_destination() {
    let mut worker = Worker::start(config(&[server(echo), server(echo)]));
    let opened = worker.open(30);
    assert_eq!((opened.due, opened.issued, opened.opened), (30, 30, 30));
    assert_eq!(opened.open, [15, 15]);
    assert_eq!(opened.handshake.decode().unwrap().len(), 30);
    assert_eq!(opened.connect.decode().unwrap().len(), 30);
    worker.status(|status| status.held == 30);
    let (held, probe) = worker.hold_and_probe(HOLD);
    assert_eq!((held.open.as_slice(), held.held.as_slice()), ([15, 15].as_slice(), [15, 15].as_slice()));
    assert_eq!((probe.open, probe.held), (vec![15, 15], vec![15, 15]));
    let due = held.messages_due + probe.messages_due;
    assert!(due <= 5, "1 % of the interval has 1 % of the messages: {held:?}");
    assert_eq!(
        (held.messages_sent + probe.messages_sent, held.messages_answered + probe.messages_answered),
        (due, due)
    );
    // Whoever said nothing is asked, and nobody else.
    assert_eq!((probe.probes, probe.probes_answered), (30 - due, 30 - due));
    assert_eq!(probe.probe.decode().unwrap().len(), 30 - due);
    assert_eq!((held.lost, held.failures.len(), probe.lost), (0, 0, 0));
    assert!(held.to_ns - held.from_ns >= 100_000_000);
    assert_eq!(worker.close_to(10), 10);
    assert_eq!(worker.open(2).open.iter().sum::<u64>(), 12);
    let status = worker.status(|status| status.held == 12);
    assert_eq!((status.open, status.issued, status.failed, status.lost), (12, 32, 0, 0));
    assert_eq!(worker.close_to(0), 0);
    worker.quit();
}

#[test]
fn a_mirror_says_nothing_but_what_it_hears() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let asks = move |stream: TcpStream| {
        let mut socket = accept(stream).unwrap();
        let said = [Message::text("hi"), Message::binary(vec![7; 100_000]), Message::text("")];
        for message in &said {
            socket.send(message.clone()).unwrap();
        }
        let heard: Vec<_> = said.iter().map(|_| socket.read().unwrap()).collect();
        sender.send(heard == said).unwrap();
        while socket.read().is_ok() {}
    };
    let mut config = config(&[server(asks)]);
    config.client.script = Some(Script { payload: None, expect: Expect::Mirror, workers: 1 });
    let mut worker = Worker::start(config);
    worker.open(1);
    assert!(receiver.recv_timeout(Duration::from_secs(30)).unwrap());
    let (held, probe) = worker.hold_and_probe(Duration::from_millis(100));
    assert_eq!((held.messages_due, held.held), (0, vec![1]));
    assert_eq!((probe.probes, probe.held), (0, vec![1]));
    worker.quit();
}

#[test]
fn echoing_connections_keep_their_rate_to_the_end_and_are_silent_in_the_probe() {
    let heard = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&heard);
    let mut config = config(&[server(move |stream| {
        let Ok(mut socket) = accept(stream) else { return };
        while let Ok(message) = socket.read() {
            counts.fetch_add(u64::from(message.is_text()), Ordering::SeqCst);
            let _ = socket.send(message);
        }
    })]);
    config.scenario = Scenario::Echo;
    config.message_every = Duration::from_millis(50);
    let mut worker = Worker::start(config);
    let opened = worker.open(10);
    let (held, probe) = worker.hold_and_probe(Duration::from_secs(1));
    // 20 beats of 50 ms for each connection.
    let due = held.messages_due + probe.messages_due;
    let expected = due_in(&held, &probe, 10, Duration::from_millis(50));
    assert!((due as f64 - expected).abs() <= 10.0, "{due}, not {expected}: {held:?}");
    assert_eq!(held.messages_answered + probe.messages_answered, due);
    assert_eq!((probe.held, probe.probes), (vec![10], 0), "each was answered in the hold");
    // Everything that the server heard is counted: the opening's, the hold's, and what is due after the probe.
    let before = heard.load(Ordering::SeqCst);
    assert!((opened.messages_sent + due..opened.messages_sent + due + 60).contains(&before), "{before} heard");
    worker.quit();
}

#[test]
fn a_stopped_probe_asks_nobody_and_judges_by_the_last_message() {
    let mut worker = Worker::start(config(&[server(echo)]));
    worker.open(20);
    worker.status(|status| status.held == 20);
    worker.hold(HOLD);
    worker.send(&Command::Probe { within: Duration::from_secs(600) });
    worker.status(|_| true);
    worker.send(&Command::Stop);
    let Report::Probed(probe) = worker.report() else { panic!("not probed") };
    assert!(probe.probes < 20, "{probe:?}");
    assert_eq!(probe.held, [20]);
    worker.quit();
}

#[test]
fn closing_ends_a_probe_that_is_under_way() {
    let mut worker = Worker::start(config(&[server(says_nothing)]));
    worker.open(5);
    worker.hold(HOLD);
    worker.send(&Command::Probe { within: Duration::from_secs(600) });
    worker.send(&Command::CloseTo { keep: 0 });
    assert!(matches!(worker.report(), Report::Closed { open: 0 }));
    worker.send(&Command::Stop);
    let Report::Probed(probe) = worker.report() else { panic!("not probed") };
    assert_eq!((probe.open, probe.held), (vec![0], vec![0]));
    worker.quit();
}

fn says_nothing(mut stream: TcpStream) {
    let key = request(&mut stream);
    let _ = stream.write_all(response(&key).as_bytes());
    crate::server::drain(&mut stream);
}

#[test]
fn every_hold_with_its_probe_finds_all_held_whatever_is_due_when_it_ends() {
    let mut config = config(&[server(echo)]);
    config.message_every = Duration::from_millis(5);
    let mut worker = Worker::start(config);
    worker.open(20);
    for _ in 0..6 {
        let (held, probe) = worker.hold_and_probe(HOLD);
        assert_eq!(probe.held, [20]);
        assert_eq!(held.messages_answered + probe.messages_answered, held.messages_due + probe.messages_due);
    }
    worker.quit();
}

#[test]
fn messages_of_any_size_come_back() {
    for bytes in [0, 1, 15, 125, 126, 65_536, 700_000] {
        let mut config = config(&[server(echo)]);
        config.message_bytes = bytes;
        let mut worker = Worker::start(config);
        let opened = worker.open(2);
        worker.status(|status| status.held == 2 || status.lost > 0);
        let (held, probe) = worker.hold_and_probe(HOLD);
        assert_eq!(probe.held, [2], "{bytes} bytes: {:?}", failures(&[&opened, &held, &probe]));
        worker.quit();
    }
}

#[test]
fn a_server_may_send_one_byte_at_a_time() {
    let byte_by_byte = |mut stream: TcpStream| {
        let key = request(&mut stream);
        stream.set_nodelay(true).unwrap();
        for byte in response(&key).bytes() {
            stream.write_all(&[byte]).unwrap();
        }
        let mut frame = [0; 2 + 4 + 64];
        while stream.read_exact(&mut frame).is_ok() {
            let mask = [frame[2], frame[3], frame[4], frame[5]];
            let payload = frame[6..].iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]);
            for byte in [0x81, 64].into_iter().chain(payload) {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
            }
        }
    };
    let mut worker = Worker::start(config(&[server(byte_by_byte)]));
    let opened = worker.open(3);
    let (held, probe) = worker.hold_and_probe(HOLD);
    assert_eq!((probe.held.clone(), failures(&[&opened, &held, &probe])), (vec![3], vec![]));
    worker.quit();
}

#[test]
fn heartbeats_of_the_app_are_answered_in_any_order_of_keys() {
    for tidy in [true, false] {
        let mut config = config(&[server(app(tidy))]);
        config.protocol = Protocol::App;
        let mut worker = Worker::start(config);
        let opened = worker.open(5);
        worker.status(|status| status.held == 5 || status.lost > 0);
        let (held, probe) = worker.hold_and_probe(HOLD);
        assert_eq!((probe.held.clone(), failures(&[&opened, &held, &probe])), (vec![5], vec![]));
        worker.quit();
    }
}

#[test]
fn every_member_of_a_room_receives_what_is_published() {
    for tidy in [true, false] {
        let mut config = config(&[server(app(tidy)), server(app(tidy))]);
        config.protocol = Protocol::App;
        config.scenario = Scenario::Broadcast;
        config.publish_every = Duration::from_millis(40);
        config.message_every = Duration::from_millis(100);
        let mut worker = Worker::start(config);
        let opened = worker.open(16);
        worker.status(|status| status.held == 16);
        let (held, probe) = worker.hold_and_probe(Duration::from_secs(1));
        assert_eq!((probe.open.as_slice(), probe.held.as_slice()), ([8, 8].as_slice(), [8, 8].as_slice()));
        let both = |of: fn(&Window) -> u64| of(&held) + of(&probe);
        let due = both(|window| window.messages_due);
        // A publish every 40 ms for each of the 16 members.
        let expected = due_in(&held, &probe, 16, Duration::from_millis(40));
        assert!((due as f64 - expected).abs() <= 32.0, "{due}, not {expected}: {held:?}");
        assert_eq!((both(|window| window.messages_sent), both(|window| window.messages_answered)), (due, due));
        assert_eq!(both(|window| window.reply.decode().unwrap().len()), due);
        assert_eq!((probe.probes, failures(&[&opened, &held, &probe])), (0, vec![]));
        worker.quit();
    }
}

#[test]
fn where_nothing_was_published_in_the_hold_the_probe_publishes_once() {
    let mut config = config(&[server(app(true))]);
    config.protocol = Protocol::App;
    config.scenario = Scenario::Broadcast;
    config.publish_every = Duration::from_secs(3600);
    let mut worker = Worker::start(config);
    worker.open(10);
    worker.status(|status| status.held == 10);
    let (held, probe) = worker.hold_and_probe(HOLD);
    assert_eq!((held.messages_due, probe.messages_due), (0, 0));
    assert_eq!((probe.held, probe.probes, probe.probes_answered), (vec![10], 10, 10));
    assert_eq!(probe.probe.decode().unwrap().len(), 10);
    worker.quit();
}

#[test]
fn churning_connections_are_closed_politely_and_replaced() {
    let mut config = config(&[server(echo), server(echo)]);
    config.scenario = Scenario::Churn;
    config.lifetime = Duration::from_millis(100);
    let mut worker = Worker::start(config);
    let opened = worker.open(20);
    let (held, probe) = worker.hold_and_probe(Duration::from_secs(1));
    // Each was replaced, and more than once.
    assert!(held.opened > 40, "{held:?}");
    assert_eq!(held.due, held.issued);
    let open: u64 = probe.open.iter().sum();
    assert_eq!(open + probe.replacing, 20, "{probe:?}");
    assert_eq!(probe.held.iter().sum::<u64>(), open);
    assert_eq!((held.lost, failures(&[&opened, &held, &probe])), (0, vec![]));
    assert_eq!(worker.close_to(0), 0);
    let status = worker.status(|status| status.open == 0);
    assert_eq!(worker.status(|later| later.now_ns > status.now_ns + 200_000_000).issued, status.issued);
    worker.quit();
}

#[test]
fn ipv6_and_a_source_that_the_kernel_chooses_work() {
    let mut worker = Worker::start(config(&[server_at("[::1]:0", echo)]));
    assert_eq!(worker.open(3).opened, 3);
    assert_eq!(worker.hold_and_probe(HOLD).1.held, [3]);
    worker.quit();
}

#[test]
fn a_worker_ends_with_its_input_and_says_what_it_does_not_understand() {
    let mut worker = Worker::start(config(&[server(echo)]));
    worker.open(3);
    worker.join().unwrap();

    Worker::silent().join().unwrap();

    let mut worker = Worker::silent();
    worker.write(b"{\"command\":\"dance\"}\n");
    assert!(matches!(worker.report(), Report::Fatal { message } if message.contains("dance")));
    worker.join().unwrap_err();

    let mut worker = Worker::silent();
    let mut foreign = config(&[server(echo)]);
    foreign.version = 0;
    worker.send(&Command::Configure(Box::new(foreign)));
    assert!(matches!(worker.report(), Report::Fatal { message } if message.contains("version 0")));
    worker.join().unwrap_err();
}

#[test]
fn closing_ends_an_opening_that_is_under_way() {
    let mut worker = Worker::start(config(&[server(echo)]));
    worker.begin_open(1000, 50.0);
    worker.status(|status| status.open >= 3);
    worker.send(&Command::CloseTo { keep: 1 });
    let Report::Opened(opened) = worker.report() else { panic!("not opened") };
    assert!((3..100).contains(&opened.opened), "{opened:?}");
    assert!(matches!(worker.report(), Report::Closed { open: 1 }));
    worker.quit();
}

#[test]
fn silent_connections_say_nothing_at_all_and_are_lost_as_such() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let listens = move |mut stream: TcpStream| {
        let key = request(&mut stream);
        stream.write_all(response(&key).as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        // Nothing within the time is an error, the end of the connection is not.
        let heard = stream.read(&mut [0; 16]);
        sender.send(heard.is_err()).unwrap();
    };
    let mut config = config(&[server(listens)]);
    (config.client.silent, config.message_every) = (true, Duration::from_millis(20));
    let mut worker = Worker::start(config);
    let opened = worker.open(3);
    worker.status(|status| status.open == 0);
    let held = worker.hold(Duration::from_millis(10));
    worker.quit();
    assert!((0..3).all(|_| receiver.recv().unwrap()), "one of them said something");
    let losses = opened.losses.iter().chain(&held.losses);
    assert_eq!((losses.map(|lost| lost.silent).sum::<u64>(), opened.messages_sent + held.messages_sent), (3, 0));
}
