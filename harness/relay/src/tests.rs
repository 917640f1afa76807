use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// A relay on a thread of its own, ended with the test.
struct Running {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Relay>>,
}

impl Running {
    fn to(to: &[SocketAddr], ports: Option<(u16, u16)>) -> Self {
        let options = Options {
            name: "relay".into(),
            listen: "127.0.0.1:0".parse().unwrap(),
            to: to.to_vec(),
            sources: vec!["127.0.0.1".parse().unwrap()],
            ports,
            backlog: 128,
        };
        let mut relay = Relay::new(options).unwrap();
        let (address, stop) = (relay.address(), Arc::new(AtomicBool::new(false)));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopping.load(Ordering::Relaxed) {
                relay.turn(Some(Duration::from_millis(10))).unwrap();
            }
            relay
        });
        Self { address, stop, thread: Some(thread) }
    }

    fn end(mut self) -> Relay {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A server that sends everything back, and its address.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let _ = io::copy(&mut &stream, &mut &stream);
                let _ = stream.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

#[test]
fn bytes_pass_in_both_directions_whole_and_in_order_and_the_end_is_passed_on() {
    let relay = Running::to(&[echo()], None);
    let stream = TcpStream::connect(relay.address).unwrap();
    let sent: Vec<u8> = (0..8_000_000_u32).map(|n| (n / 3) as u8).collect();
    let writer = {
        let (stream, sent) = (stream.try_clone().unwrap(), sent.clone());
        std::thread::spawn(move || {
            (&stream).write_all(&sent).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        })
    };
    let mut back = Vec::new();
    (&stream).read_to_end(&mut back).unwrap();
    writer.join().unwrap();
    assert!(back == sent, "{} of {} bytes came back", back.len(), sent.len());
    let relay = relay.end();
    assert!(relay.pairs.iter().all(Option::is_none), "a pair that has ended is gone");
}

#[test]
fn connections_go_to_the_destinations_in_turn() {
    let listeners = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
    let to: Vec<SocketAddr> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
    let relay = Running::to(&to, None);
    let _clients: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(relay.address).unwrap()).collect();
    for listener in &listeners {
        let _both = (listener.accept().unwrap(), listener.accept().unwrap());
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "two each");
    }
}

#[test]
fn a_pair_of_addresses_has_so_many_ports_and_no_more() {
    let (first, second) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    // Inside of the machine's range: the kernel ignores a socket's range that is not.
    let low = 49_000;
    let relay = Running::to(&[first.local_addr().unwrap()], Some((low, low + 19)));
    let clients: Vec<TcpStream> = (0..30).map(|_| TcpStream::connect(relay.address).unwrap()).collect();
    for client in &clients {
        client.set_nonblocking(true).unwrap();
    }
    let ended = |mut client: &TcpStream| match client.read(&mut [0; 1]) {
        Ok(0) => true,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        Ok(_) => false,
    };
    let started = Instant::now();
    let mut refused = 0;
    while refused < 10 && started.elapsed() < Duration::from_secs(10) {
        refused = clients.iter().filter(|client| ended(client)).count();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(refused, 10);
    first.set_nonblocking(true).unwrap();
    assert_eq!(first.incoming().map_while(Result::ok).count(), 20);
    // The same ports are there once more towards another address.
    let other = Running::to(&[second.local_addr().unwrap()], Some((low, low + 19)));
    let mut client = TcpStream::connect(other.address).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_refused_connection_onwards_ends_the_clients() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let relay = Running::to(&[nobody], None);
    let mut client = TcpStream::connect(relay.address).unwrap();
    let end = client.read(&mut [0; 1]);
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

#[test]
fn a_reset_is_passed_on_as_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Running::to(&[listener.local_addr().unwrap()], None);
    let client = TcpStream::connect(relay.address).unwrap();
    (&client).write_all(b"hello").unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.read_exact(&mut [0; 5]).unwrap();
    nix::sys::socket::setsockopt(&client, nix::sys::socket::sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })
        .unwrap();
    drop(client);
    assert_eq!(server.read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}
