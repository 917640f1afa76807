//! Workers that dial, and strangers, over TCP of this process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::coordinator::{Generator, Watching, WorkerLine, WorkerLost, monotonic_ns};
use crate::ipc::{Command, PROTOCOL_VERSION, Report, Status, Window, WorkerConfig};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Far longer than anything here takes.
const SOON: Duration = Duration::from_secs(30);

fn hello(token: &str, slot: u32) -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        token: token.to_owned(),
        slot,
        node: format!("node-{slot}"),
        boot: Some("another machine".to_owned()),
        addresses: vec![HERE],
    }
}

async fn say(address: SocketAddr, text: &[u8]) -> TcpStream {
    let mut line = TcpStream::connect(address).await.unwrap();
    line.write_all(text).await.unwrap();
    line
}

async fn greet(address: SocketAddr, hello: &Hello) -> TcpStream {
    let mut text = serde_json::to_vec(hello).unwrap();
    text.push(b'\n');
    say(address, &text).await
}

/// Nobody said anything to it, and the line was closed.
async fn was_sent_away(mut line: TcpStream) -> bool {
    let mut said = Vec::new();
    let _ = line.read_to_end(&mut said).await;
    said.is_empty()
}

#[tokio::test]
async fn strangers_are_sent_away_and_each_slot_is_let_in_once() {
    let door = Door::open(HERE).await.unwrap();
    let (address, token) = (door.address(), door.token().reveal().to_owned());
    assert_eq!(address.ip(), HERE, "it listens on the one address that it was given");
    let admitted = tokio::spawn(door.admit(2, SOON));
    let wrong = greet(address, &hello(&"0".repeat(token.len()), 1)).await;
    let long = say(address, &[b'x'; 8192]).await;
    let garbage = say(address, b"GET / HTTP/1.1\r\n\r\n").await;
    let mut eager = serde_json::to_vec(&hello(&token, 1)).unwrap();
    eager.extend(b"\n{\"report\":\"closed\",\"open\":1}\n");
    let eager = say(address, &eager).await;
    let no_slot = greet(address, &hello(&token, 3)).await;
    let zero = greet(address, &hello(&token, 0)).await;
    for stranger in [wrong, long, garbage, eager, no_slot, zero] {
        assert!(was_sent_away(stranger).await);
    }
    let _second = greet(address, &hello(&token, 2)).await;
    let again = greet(address, &hello(&token, 2)).await;
    assert!(was_sent_away(again).await, "a slot is taken once");
    let _first = greet(address, &hello(&token, 1)).await;
    let lines = admitted.await.unwrap().unwrap();
    let nodes: Vec<&str> = lines.iter().map(|line| line.node.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(nodes, ["node-1", "node-2"], "in the order of their slots");
    assert!(TcpStream::connect(address).await.is_err(), "the door is closed");
}

#[tokio::test]
async fn a_silent_peer_keeps_nobody_out_and_one_that_is_late_is_told_of() {
    let door = Door::open(HERE).await.unwrap();
    let (address, token) = (door.address(), door.token().reveal().to_owned());
    let silent = TcpStream::connect(address).await.unwrap();
    let admitted = tokio::spawn(door.admit(1, SOON));
    let _worker = greet(address, &hello(&token, 1)).await;
    assert_eq!(admitted.await.unwrap().unwrap().len(), 1);
    assert!(was_sent_away(silent).await);

    let door = Door::open(HERE).await.unwrap();
    let (address, token) = (door.address(), door.token().reveal().to_owned());
    let admitted = tokio::spawn(door.admit(2, Duration::from_secs(2)));
    let wrong = greet(address, &hello("", 2)).await;
    assert!(was_sent_away(wrong).await);
    let _worker = greet(address, &hello(&token, 1)).await;
    let error = admitted.await.unwrap().err().unwrap();
    assert!(matches!(error, DialError::Late { came: 1, expected: 2, strangers: 1, .. }), "{error}");
    assert!(error.to_string().contains("1 of 2 workers dialled"), "{error}");
    assert!(!error.to_string().contains(&token));
}

#[tokio::test]
async fn a_worker_of_another_version_and_an_address_of_another_host_are_named() {
    let door = Door::open(HERE).await.unwrap();
    let (address, token) = (door.address(), door.token().reveal().to_owned());
    let admitted = tokio::spawn(door.admit(1, SOON));
    let _old = greet(address, &Hello { version: 1, node: "old\u{1b}[2J".into(), ..hello(&token, 1) }).await;
    let error = admitted.await.unwrap().err().unwrap().to_string();
    assert!(error.contains("node old[2J speaks version 1"), "{error}");
    let error = Door::open("192.0.2.77".parse().unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("cannot listen for workers on 192.0.2.77"), "{error}");
}

/// A worker that says what it is told to: it opens connections by saying so, and dies in a hold.
async fn pretend(line: TcpStream, clock_ns: i64) -> Vec<Command> {
    let now = || monotonic_ns().checked_add_signed(clock_ns).unwrap();
    let (input, mut output) = line.into_split();
    let mut lines = BufReader::new(input).lines();
    let mut heard = Vec::new();
    while let Ok(Some(text)) = lines.next_line().await {
        let command: Command = serde_json::from_str(&text).unwrap();
        let mut answers = Vec::new();
        match &command {
            Command::Configure(_) => {
                answers.push(Report::Ready { version: PROTOCOL_VERSION, pid: 7, descriptor_limit: 100 });
            }
            Command::Ping { id } => answers.push(Report::Pong { id: *id, now_ns: now() }),
            Command::Open { count, start_ns, .. } => {
                let open = u64::from(*count);
                answers.push(Report::Status(Status { now_ns: now(), open, ..Status::default() }));
                let window = Window { from_ns: *start_ns, to_ns: now(), open: vec![open], ..Window::default() };
                answers.push(Report::Opened(Box::new(window)));
            }
            Command::Hold { .. } | Command::Quit => return heard,
            _ => {}
        }
        for answer in answers {
            let mut line = serde_json::to_vec(&answer).unwrap();
            line.push(b'\n');
            output.write_all(&line).await.unwrap();
        }
        heard.push(command);
    }
    heard
}

/// Workers whose clocks are ahead by so much, behind a door.
async fn pretenders(clocks_ns: &[i64]) -> (Vec<WorkerLine>, Vec<JoinHandle<Vec<Command>>>) {
    let door = Door::open(HERE).await.unwrap();
    let (address, token) = (door.address(), door.token().reveal().to_owned());
    let admitted = tokio::spawn(door.admit(clocks_ns.len() as u32, SOON));
    let mut workers = Vec::new();
    for (slot, clock_ns) in (1..).zip(clocks_ns) {
        let line = greet(address, &hello(&token, slot)).await;
        workers.push(tokio::spawn(pretend(line, *clock_ns)));
    }
    (admitted.await.unwrap().unwrap(), workers)
}

async fn generator(lines: Vec<WorkerLine>) -> Generator {
    let config = |worker, sources| WorkerConfig { worker, sources, ..WorkerConfig::new(vec![(HERE, 1).into()]) };
    Generator::configure_at(lines, None, config).await.unwrap()
}

#[tokio::test]
async fn a_worker_that_dies_in_a_hold_takes_its_connections_along_by_name() {
    let (lines, _workers) = pretenders(&[0, 0]).await;
    let mut generator = generator(lines).await;
    generator.open_to(90, 1e6, &mut |_| Watching::GoOn).await.unwrap();
    assert_eq!(generator.open(), 90);
    let error = generator.hold(SOON, &mut |_| Watching::GoOn).await.unwrap_err();
    let lost: &WorkerLost = error.downcast_ref().unwrap();
    assert_eq!((lost.connections, lost.node.as_str()), (45, format!("node-{}", lost.worker + 1).as_str()));
    assert!(error.to_string().contains("its 45 connections with it"), "{error}");
}

#[tokio::test]
async fn clocks_of_other_machines_are_related_and_their_moments_translated() {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let clocks = [HOUR_NS, -1_000_000];
    let (lines, workers) = pretenders(&clocks).await;
    let mut generator = generator(lines).await;
    let before = monotonic_ns();
    let windows = generator.open_to(90, 1e6, &mut |_| Watching::GoOn).await.unwrap();
    let after = monotonic_ns();
    for (of, clock) in generator.nodes().iter().zip(clocks) {
        let (offset, within) = of.measured.unwrap();
        assert!(offset.abs_diff(clock) <= within, "{of:?}");
        assert_eq!(of.addresses, [HERE]);
    }
    let worst = generator.nodes().iter().map(|of| of.measured.unwrap().1).max().unwrap();
    for window in &windows.workers {
        // The start lies a moment ahead of its command, the end before the answer came.
        assert!(window.from_ns > before && window.to_ns <= after + worst, "{window:?}");
    }
    let starts: Vec<u64> = windows.workers.iter().map(|window| window.from_ns).collect();
    assert_eq!(starts[0], starts[1], "all start at one moment");
    generator.quit().await;
    for (worker, clock) in workers.into_iter().zip(clocks) {
        let heard = worker.await.unwrap();
        let start = heard.iter().find_map(|command| match command {
            Command::Open { start_ns, .. } => Some(*start_ns),
            _ => None,
        });
        let own = start.unwrap().checked_add_signed(-clock).unwrap();
        assert!(own.abs_diff(starts[0]) <= worst, "the start is told on the worker's own clock");
    }
}

#[tokio::test]
async fn a_real_worker_dials_serves_tells_what_it_uses_and_ends_with_its_coordinator() {
    let nobody = std::net::TcpListener::bind((HERE, 0)).unwrap();
    let server = nobody.local_addr().unwrap();
    drop(nobody);
    let door = Door::open(HERE).await.unwrap();
    let (coordinator, token) = (door.address(), door.token().reveal().to_owned());
    let call = Call { coordinator, token, slot: 1, node: "here".into(), toward: vec![server] };
    let worker = std::thread::spawn(move || super::call(&call));
    let lines = door.admit(1, SOON).await.unwrap();
    assert!(lines[0].node.as_ref().unwrap().same_clock, "it runs on the same kernel");
    assert_eq!(lines[0].addresses, [HERE]);
    let config = |worker, _| WorkerConfig { worker, ..WorkerConfig::new(vec![server]) };
    let mut generator = Generator::configure_at(lines, None, config).await.unwrap();
    let windows = generator.open_to(5, 1e3, &mut |_| Watching::GoOn).await.unwrap();
    let failed: u64 = windows.workers[0].failures.iter().map(|failure| failure.count).sum();
    assert_eq!((failed, windows.workers[0].issued), (5, 5));
    let usage = generator.status().usage.unwrap();
    assert!(usage.memory_bytes.unwrap() > 0);
    assert_eq!(generator.nodes()[0].measured, None, "there is nothing to relate");
    generator.quit().await;
    worker.join().unwrap().unwrap();
}
