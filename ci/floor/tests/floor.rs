//! The program against a small server that unmasks as RFC 6455 says and may misbehave.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is how they report")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Serves connections until the test ends; `spoil` changes what is sent.
fn server(spoil: fn(&mut Vec<u8>)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap(), spoil));
        }
    });
    address
}

fn serve(mut stream: TcpStream, spoil: fn(&mut Vec<u8>)) {
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer).unwrap_or(0);
    assert!(buffer[..length].ends_with(b"\r\n\r\n"), "a request in one piece");
    let _ = stream.write_all(ACCEPTED);
    let mut frame = [0; 70];
    while stream.read_exact(&mut frame).is_ok() {
        assert_eq!(frame[..2], [0x81, 0x80 | 64], "a masked text of 64 bytes");
        let mut echo = vec![0x81, 64];
        echo.extend((0..64).map(|index| frame[6 + index] ^ frame[2 + index % 4]));
        spoil(&mut echo);
        let _ = stream.write_all(&echo);
    }
}

/// Runs the floor; returns whether it succeeded, and a number that it printed.
fn floor(address: SocketAddr, arguments: &[&str]) -> (bool, impl Fn(&str) -> f64) {
    let output = Command::new(env!("CARGO_BIN_EXE_floor")).arg(address.to_string()).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let number = move |key: &str| {
        let (_, rest) = text.split_once(&format!("\"{key}\":")).unwrap_or_else(|| panic!("no {key} in {text}"));
        rest[..rest.find([',', '}']).unwrap()].parse().unwrap()
    };
    (output.status.success(), number)
}

#[test]
fn every_message_of_the_schedule_is_sent_and_answered() {
    let address = server(|_| {});
    let arguments = ["-n", "20", "-r", "2000", "--hold", "1", "-m", "200", "--source", "127.249.0.1"];
    let (content, number) = floor(address, &arguments);
    assert!(content);
    assert_eq!((number("opened"), number("failed")), (20.0, 0.0));
    // The last of each connection may still be under way.
    assert!(number("sent") > 0.0 && number("answered") + 20.0 >= number("sent"));
    assert!(number("due") <= 200.0);
    assert!(number("open_cpu_s") > 0.0);
}

#[test]
fn at_most_speed_an_answer_is_followed_by_the_next_message() {
    let address = server(|_| {});
    let (content, number) = floor(address, &["-n", "4", "--hold", "0.5", "-m", "max", "--source", "127.249.1.1"]);
    assert!(content);
    assert!(number("answered") > 4.0 * 10.0);
}

#[test]
fn a_wrong_echo_and_a_refusal_are_failures() {
    let wrong = server(|echo| echo[10] ^= 1);
    let (content, number) = floor(wrong, &["-n", "3", "--hold", "0.5", "--source", "127.249.2.1"]);
    assert!(!content);
    assert_eq!((number("opened"), number("failed")), (0.0, 3.0));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (content, number) = floor(nobody, &["-n", "3", "--hold", "0.1", "--source", "127.249.3.1"]);
    assert!(!content);
    assert_eq!((number("opened"), number("failed")), (0.0, 3.0));
}
