use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use mio::{Events, Poll};

use super::*;
use crate::worker::tests::config;

struct Fixture {
    poll: Poll,
    listener: TcpListener,
    transport: Transport,
}

fn fixture(ports: Vec<crate::ipc::PortRange>) -> Fixture {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let poll = Poll::new().unwrap();
    let config = WorkerConfig { destinations: vec![listener.local_addr().unwrap()], sources: ports, ..config() };
    let transport = Transport::new(&config, poll.registry().try_clone().unwrap()).unwrap();
    Fixture { poll, listener, transport }
}

impl Fixture {
    /// A connection that stands and has said hello, and the server's end of it.
    fn connect(&mut self) -> (Link, TcpStream) {
        let mut link = self.transport.open(0, |at, reason| panic!("{at:?}: {reason}")).unwrap();
        self.transport.out = b"hello".to_vec();
        assert!(self.transport.send_first(0, 0, &mut link).unwrap(), "over loopback it stands at once");
        self.transport.register(0, &link, true).unwrap();
        let mut server = self.listener.accept().unwrap().0;
        let mut hello = [0; 5];
        server.read_exact(&mut hello).unwrap();
        assert_eq!(&hello, b"hello");
        (link, server)
    }

    /// Waits for an event of connection 0.
    fn wait(&mut self) -> (bool, bool) {
        let mut events = Events::with_capacity(4);
        self.poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
        let event = events.iter().next().expect("an event");
        assert_eq!(event.token(), Token(0));
        (event.is_readable(), event.is_writable())
    }
}

#[test]
fn bytes_go_out_and_come_in() {
    let mut fixture = fixture(Vec::new());
    let (mut link, mut server) = fixture.connect();
    fixture.transport.out = b"question".to_vec();
    fixture.transport.send(0, &mut link).unwrap();
    let mut question = [0; 8];
    server.read_exact(&mut question).unwrap();
    assert_eq!(&question, b"question");
    let mut input = fixture.transport.take_input();
    assert_eq!(Transport::receive(&link, &mut input), Received::Empty);
    server.write_all(b"answer").unwrap();
    assert!(fixture.wait().0);
    assert_eq!((Transport::receive(&link, &mut input), &input[..6]), (Received::Bytes(6), b"answer".as_slice()));
    drop(server);
    fixture.wait();
    assert_eq!(Transport::receive(&link, &mut input), Received::End(FailureReason::Eof));
}

#[test]
fn what_the_socket_does_not_take_waits_for_it_up_to_a_limit() {
    let mut fixture = fixture(Vec::new());
    let (mut link, mut server) = fixture.connect();
    let mut expected = 0;
    while !link.is_blocked() {
        fixture.transport.out = vec![b'x'; 1 << 20];
        expected += fixture.transport.out.len();
        fixture.transport.send(0, &mut link).unwrap();
    }
    fixture.transport.out = b"!".to_vec();
    assert_eq!(fixture.transport.send(0, &mut link), Err(FailureReason::ServerDoesNotRead));
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; expected];
        server.read_exact(&mut got).unwrap();
        (server, got)
    });
    while link.is_blocked() {
        assert!(fixture.wait().1 || !link.is_blocked());
        Transport::send_unsent(&mut link).unwrap();
    }
    let (_server, got) = reader.join().unwrap();
    assert!(got.iter().all(|byte| *byte == b'x'));
}

#[test]
fn a_closed_connection_gives_its_port_back_and_is_reset() {
    let any = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = any.local_addr().unwrap().port();
    drop(any);
    let range = crate::ipc::PortRange { address: "127.0.0.1".parse().unwrap(), first: port, last: port };
    let mut fixture = fixture(vec![range]);
    let (link, mut server) = fixture.connect();
    assert_eq!(server.peer_addr().unwrap().port(), port);
    let second = fixture.transport.open(0, |_, _| {});
    assert_eq!(second.unwrap_err(), (FailedAt::Bind, FailureReason::NoSourcePort));
    fixture.transport.close(0, link, 0);
    assert_eq!(server.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    fixture.connect();
}

#[test]
fn a_port_that_somebody_has_is_passed_over_and_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let range = crate::ipc::PortRange { address: "127.0.0.1".parse().unwrap(), first: port, last: port };
    let mut fixture = fixture(vec![range]);
    let mut told = Vec::new();
    let failed = fixture.transport.open(0, |at, reason| told.push((at, reason))).unwrap_err();
    assert_eq!(failed.0, FailedAt::Bind);
    assert_eq!(told.len(), PORT_TRIES - 1, "the only port is tried again");
    assert!(told.iter().all(|(at, reason)| *at == FailedAt::Bind && reason.is_retried()));
}

#[test]
fn destinations_take_turns_and_there_must_be_one() {
    let addresses = ["127.0.0.1:1", "127.0.0.1:2"].map(|address| address.parse().unwrap()).to_vec();
    let poll = Poll::new().unwrap();
    let registry = || poll.registry().try_clone().unwrap();
    let config = WorkerConfig { destinations: addresses, ..config() };
    let mut transport = Transport::new(&config, registry()).unwrap();
    assert_eq!([(); 3].map(|()| transport.next_destination()), [0, 1, 0]);
    let none = WorkerConfig { destinations: Vec::new(), ..config };
    assert!(Transport::new(&none, registry()).unwrap_err().to_string().contains("0 destinations"));
}
