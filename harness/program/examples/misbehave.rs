//! A WebSocket server with one fault, for the tests: `misbehave FAULT IP:PORT [N]`.
//!
//! Faults: `none`; `upcase` answers wrongly; `silent` never answers an upgrade; `deaf` never listens; `exit` writes a
//! line and exits with 3; `crash N` exits with 1 at connection N; `cap N` closes every connection past N at once;
//! `mute N` keeps connections past N open and never answers them; `state N` keeps N KiB for each connection;
//! `ignore-term` ignores SIGTERM.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_tungstenite::tungstenite::{Message, accept};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [fault, address, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: misbehave FAULT IP:PORT [N]");
        std::process::exit(2);
    };
    let number = rest.first().and_then(|number| number.parse().ok()).unwrap_or(usize::MAX);
    match fault.as_str() {
        "exit" => {
            eprintln!("misbehave: cannot open <database>: giving up");
            std::process::exit(3);
        }
        "deaf" => std::thread::sleep(Duration::from_secs(60)),
        _ => serve(fault, address, number),
    }
}

fn serve(fault: &str, address: &str, number: usize) {
    if fault == "ignore-term" {
        ignore_sigterm();
    }
    let listener = TcpListener::bind(address).expect("the address is free");
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming().flatten() {
        let (fault, open) = (fault.to_owned(), Arc::clone(&open));
        let small = std::thread::Builder::new().stack_size(256 * 1024);
        let spawned = small.spawn(move || {
            let count = open.fetch_add(1, Ordering::SeqCst) + 1;
            connection(&fault, stream, count, number);
            open.fetch_sub(1, Ordering::SeqCst);
        });
        if spawned.is_err() {
            eprintln!("misbehave: no thread for a connection");
        }
    }
}

fn ignore_sigterm() {
    let ignore = nix::sys::signal::SigHandler::SigIgn;
    #[expect(unsafe_code, reason = "ignoring a signal installs no handler that could run")]
    // SAFETY: SIG_IGN runs no code of ours.
    let result = unsafe { nix::sys::signal::signal(nix::sys::signal::Signal::SIGTERM, ignore) };
    result.expect("SIGTERM can be ignored");
}

fn connection(fault: &str, stream: TcpStream, count: usize, number: usize) {
    let beyond = count > number;
    match fault {
        "silent" => std::thread::sleep(Duration::from_secs(60)),
        "cap" if beyond => drop(stream),
        "crash" if beyond => {
            eprintln!("misbehave: panic: connection {count} is too many");
            std::process::exit(1);
        }
        _ => {
            let Ok(mut socket) = accept(stream) else { return };
            let _state = (fault == "state").then(|| std::hint::black_box(vec![1_u8; number * 1024]));
            while let Ok(message) = socket.read() {
                let answer = match message {
                    Message::Text(text) if fault == "upcase" => Message::text(text.to_uppercase()),
                    Message::Text(_) | Message::Binary(_) => message,
                    _ => continue,
                };
                if fault == "mute" && beyond {
                    continue;
                }
                if socket.send(answer).is_err() {
                    return;
                }
            }
        }
    }
}
