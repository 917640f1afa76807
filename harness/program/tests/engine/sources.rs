//! Source addresses and ports.

use std::io::Read as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, setsockopt, socket, sockopt,
};
use std::os::fd::AsRawFd as _;
use wsceiling_generator::ipc::PortRange;

use crate::driver::{Worker, config, failures};
use crate::server::{echo, server};

fn range(address: &str, first: u16, last: u16) -> PortRange {
    PortRange { address: address.parse().unwrap(), first, last }
}

#[test]
fn each_port_serves_each_destination_once_and_is_free_again_after_the_close() {
    let mut config = config(&[server(echo), server(echo)]);
    config.sources = vec![range("127.0.0.3", 20_100, 20_103), range("127.0.0.4", 20_100, 20_100)];
    let mut worker = Worker::start(config);
    let opened = worker.open(10);
    assert_eq!((opened.opened, failures(&[&opened])), (10, vec![]));
    let more = worker.open(2);
    assert_eq!(failures(&[&more]), ["bind: errno eaddrnotavail (no source port left) x2"]);
    assert_eq!((more.due, more.issued, more.opened), (2, 2, 0));
    assert_eq!(worker.close_to(4), 4);
    let again = worker.open(6);
    assert_eq!((again.opened, failures(&[&again])), (6, vec![]));
    worker.quit();
}

#[test]
fn ports_of_others_are_passed_over_and_counted() {
    let _taken = TcpListener::bind("127.0.0.5:20201").unwrap();
    let mut config = config(&[server(echo)]);
    config.sources = vec![range("127.0.0.5", 20_200, 20_210)];
    let mut worker = Worker::start(config);
    let opened = worker.open(10);
    assert_eq!((opened.opened, failures(&[&opened])), (10, vec!["bind: errno eaddrinuse (retried) x1".to_owned()]));
    let status = worker.status(|status| status.open == 10);
    assert_eq!(status.failed, 0);
    let more = worker.open(1);
    assert_eq!(failures(&[&more]), ["bind: errno eaddrinuse x1", "bind: errno eaddrinuse (retried) x63"]);
    worker.quit();
}

#[test]
fn a_port_in_time_wait_is_passed_over_or_taken_and_nothing_fails() {
    // Answers whoever closes first with its own close.
    let address = server(|stream| drop(std::io::copy(&mut &stream, &mut std::io::sink())));
    let resting = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    setsockopt(&resting, sockopt::ReuseAddr, &true).unwrap();
    bind(resting.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 6, 20_400)).unwrap();
    let mut resting = TcpStream::from(resting);
    nix::sys::socket::connect(resting.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, address.port())).unwrap();
    resting.shutdown(Shutdown::Write).unwrap();
    assert_eq!(resting.read(&mut [0]).unwrap(), 0);
    drop(resting);
    let mut config = config(&[address]);
    config.sources = vec![range("127.0.0.6", 20_400, 20_410)];
    config.handshake_timeout = Duration::from_millis(100);
    let mut worker = Worker::start(config);
    let opened = worker.open(3);
    // Over loopback the kernel lets a port be taken again after a second.
    let others: Vec<_> = failures(&[&opened]).into_iter().filter(|failure| !failure.contains("retried")).collect();
    assert_eq!(others, ["handshake: timeout x3"], "{opened:?}");
    worker.quit();
}

#[test]
fn a_source_that_is_not_ours_is_a_failure_and_no_retry() {
    let mut config = config(&[server(echo)]);
    config.sources = vec![range("192.0.2.1", 20_300, 20_399)];
    let mut worker = Worker::start(config);
    assert_eq!(failures(&[&worker.open(2)]), ["bind: errno eaddrnotavail x2"]);
    worker.quit();
}

#[test]
fn a_port_without_a_listener_refuses_and_a_full_queue_times_out() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut worker = Worker::start(config(&[closed]));
    assert_eq!(failures(&[&worker.open(3)]), ["connect: errno econnrefused x3"]);
    worker.quit();

    let full = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    bind(full.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    listen(&full, Backlog::new(0).unwrap()).unwrap();
    let address: SockaddrIn = getsockname(full.as_raw_fd()).unwrap();
    let mut config = config(&[std::net::SocketAddrV4::from(address).into()]);
    config.connect_timeout = Duration::from_millis(300);
    config.handshake_timeout = Duration::from_millis(200);
    let mut worker = Worker::start(config);
    let opened = worker.open(4);
    assert_eq!(failures(&[&opened]), ["connect: timeout x3", "handshake: timeout x1"]);
    worker.quit();
}
