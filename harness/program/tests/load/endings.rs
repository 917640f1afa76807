//! How a load ends: with a close handshake, and with a worker that dies.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_tungstenite::tungstenite::accept;

use crate::server::{echo, server};
use crate::tool::{PROGRAM, Ran, load, short};

#[test]
fn every_connection_is_closed_politely() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let address = server(move |stream| {
        let mut socket = accept(stream).unwrap();
        while let Ok(message) = socket.read() {
            if let tokio_tungstenite::tungstenite::Message::Close(frame) = &message {
                let _ = sender.send(frame.as_ref().map(|frame| u16::from(frame.code)));
            } else if socket.send(message).is_err() {
                return;
            }
        }
    });
    let ran = load(&format!("ws://{address}"), &["-n", "30", "--hold", "300ms"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("30 close frames sent, all answered"), "{ran:?}");
    let codes: Vec<_> = receiver.try_iter().collect();
    assert_eq!(codes, [Some(1000); 31], "the first one, which finds out what an answer is, too");
}

/// Echoes, and does not answer a close.
fn ignores_the_close(stream: TcpStream) {
    let Ok(mut socket) = accept(stream) else { return };
    while let Ok(message) = socket.read() {
        if message.is_close() {
            let _ = std::io::copy(&mut socket.get_ref(), &mut std::io::sink());
            return;
        }
        let _ = socket.send(message);
    }
}

#[test]
fn a_close_that_is_not_answered_is_said_and_ends_all_the_same() {
    let ran = short(&format!("ws://{}", server(ignores_the_close)), &["--expect", "echo"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let closing = &ran.json()["closing"];
    assert_eq!((closing["asked"].as_u64(), closing["answered"].as_u64()), (Some(5), Some(0)), "{ran:?}");
}

/// The workers of a process.
fn children(pid: u32) -> Vec<Pid> {
    let text = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| {
        let task = task.unwrap().path();
        std::fs::read_to_string(task.join("children")).unwrap_or_default()
    });
    text.flat_map(|line| line.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_worker_that_is_killed_is_said_and_fails_the_load() {
    let opened = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = std::sync::Arc::clone(&opened);
    let address = server(move |stream| {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        echo(stream);
    });
    let child = Command::new(PROGRAM)
        .args(["load", &format!("ws://{address}"), "--workers", "2", "-n", "40", "--hold", "10m"])
        .args(["--expect", "echo", "--format", "json", "--threshold", "failed==0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let patience = Instant::now() + Duration::from_secs(30);
    while opened.load(std::sync::atomic::Ordering::SeqCst) < 40 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(10));
    }
    // What is known of a worker that dies is its last state.
    std::thread::sleep(Duration::from_secs(1));
    let workers = children(child.id());
    assert_eq!(workers.len(), 2);
    kill(workers[1], Signal::SIGKILL).unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.code, 1, "{ran:?}");
    let json = ran.json();
    let ended = json["ended"].as_str().unwrap();
    assert!(ended.contains("and its 20 connections with it") && ended.contains("signal: 9 (SIGKILL)"), "{ran:?}");
    assert!(json["verdict"].as_str().unwrap().contains("the generator itself failed"), "{ran:?}");
    let counts = &json["connections"];
    assert_eq!((json["passed"].as_bool(), counts["opened"].as_u64()), (Some(false), Some(40)), "{ran:?}");
    assert_eq!((counts["open"].as_u64(), counts["held"].as_u64()), (Some(20), Some(20)), "{ran:?}");
}
