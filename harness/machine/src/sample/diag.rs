//! `sock_diag` over netlink: the kernel's own answer to "which sockets listen, and how long are their queues".
//!
//! Sources: `man 7 sock_diag`, `man 7 netlink`, `include/uapi/linux/inet_diag.h`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket};
use nix::sys::time::{TimeVal, TimeValLike};

/// A `sock_diag` socket in our own namespace.
pub(super) fn open_diag() -> io::Result<File> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkSockDiag)?;
    // The kernel answers within the call; the limit only keeps a surprise from stopping the tick.
    setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(100))?;
    Ok(File::from(socket))
}

/// A `sock_diag` socket in the namespace of a process. A socket stays in the namespace it was made in, so a thread that
/// ends right away enters it; this needs `CAP_SYS_ADMIN`.
pub(super) fn open_diag_of(pid: &str) -> io::Result<File> {
    let namespace = File::open(format!("/proc/{pid}/ns/net"))?;
    let enter = move || {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        open_diag()
    };
    let thread = std::thread::Builder::new().name("netns".to_owned()).spawn(enter)?;
    thread.join().map_err(|_| io::Error::other("the thread that enters the namespace ended early"))?
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const REQUEST_BYTES: usize = 16 + 56;
const STATE_LISTEN: u8 = 10;

/// `struct nlmsghdr` and `struct inet_diag_req_v2`: all TCP sockets of a family that listen.
fn request(family: u8) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0; REQUEST_BYTES];
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    bytes[0..4].copy_from_slice(&(REQUEST_BYTES as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes[16] = family;
    bytes[17] = libc::IPPROTO_TCP as u8;
    bytes[20..24].copy_from_slice(&(1_u32 << STATE_LISTEN).to_ne_bytes());
    bytes
}

/// A listening socket.
pub(super) struct Listener {
    pub(super) port: u16,
    /// Connections in its accept queue.
    pub(super) waiting: u32,
    /// Length of the queue at which the kernel drops.
    pub(super) backlog: u32,
}

/// Calls `each` for every listening TCP socket of an address family.
pub(super) fn listeners(socket: &mut File, family: u8, mut each: impl FnMut(Listener)) -> io::Result<()> {
    socket.write_all(&request(family))?;
    let mut buffer = [0; 16 << 10];
    loop {
        let length = socket.read(&mut buffer)?;
        if messages(&buffer[..length], |message| listener_of(message).into_iter().for_each(&mut each))? {
            return Ok(());
        }
    }
}

/// An established connection: who it is from, and what it goes to.
pub(super) type Pair = (IpAddr, SocketAddr);

const STATE_ESTABLISHED: u8 = 1;
const INET_DIAG_REQ_BYTECODE: u16 = 1;
/// Conditions of `struct inet_diag_bc_op`: the destination's port is at least, or at most, the next one's number.
const D_GE: u8 = 4;
const D_LE: u8 = 5;

/// [`request`] for established connections to a port within a range. The kernel leaves out all others: the two ends of a
/// trial's connections are several times as many.
fn request_established(family: u8, (low, high): (u16, u16)) -> Vec<u8> {
    let mut bytes = request(family).to_vec();
    bytes[20..24].copy_from_slice(&(1_u32 << STATE_ESTABLISHED).to_ne_bytes());
    // Each condition is two operations of four bytes; `no` jumps behind the end, which is a refusal.
    let operation = |code: u8, yes: u8, no: u16| {
        let [a, b] = no.to_ne_bytes();
        [code, yes, a, b]
    };
    let code = [operation(D_GE, 8, 20), operation(0, 0, low), operation(D_LE, 8, 12), operation(0, 0, high)].concat();
    bytes.extend_from_slice(&(4 + code.len() as u16).to_ne_bytes());
    bytes.extend_from_slice(&INET_DIAG_REQ_BYTECODE.to_ne_bytes());
    bytes.extend_from_slice(&code);
    let length = bytes.len() as u32;
    bytes[0..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}

/// Calls `each` for every established connection of a family to a port within a range.
pub(super) fn established(
    socket: &mut File,
    family: u8,
    ports: (u16, u16),
    mut each: impl FnMut(Pair),
) -> io::Result<()> {
    socket.write_all(&request_established(family, ports))?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = socket.read(&mut buffer)?;
        if messages(&buffer[..length], |message| pair_of(message).into_iter().for_each(&mut each))? {
            return Ok(());
        }
    }
}

/// `struct inet_diag_msg`: family at 0, state at 1, destination port at 6, source at 8, destination at 24.
fn pair_of(message: &[u8]) -> Option<Pair> {
    let port = u16::from_be_bytes(message.get(6..8)?.try_into().ok()?);
    if message.get(1) != Some(&STATE_ESTABLISHED) {
        return None;
    }
    let v4 = i32::from(*message.first()?) == libc::AF_INET;
    let address = |at: usize| -> Option<IpAddr> {
        if v4 {
            let octets: [u8; 4] = message.get(at..at + 4)?.try_into().ok()?;
            return Some(Ipv4Addr::from(octets).into());
        }
        let octets: [u8; 16] = message.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(octets).to_canonical())
    };
    Some((address(8)?, SocketAddr::new(address(24)?, port)))
}

/// Hands out the messages of one datagram; true at the end of the dump.
fn messages(mut bytes: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<bool> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "a message of sock_diag is cut off");
    if bytes.is_empty() {
        return Err(broken());
    }
    while !bytes.is_empty() {
        let length = u32_at(bytes, 0).ok_or_else(broken)? as usize;
        let message = bytes.get(..length).filter(|message| message.len() >= 16).ok_or_else(broken)?;
        match i32::from(u16::from_ne_bytes([message[4], message[5]])) {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => return Err(io::Error::other("sock_diag refused")),
            _ => each(&message[16..]),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// `struct inet_diag_msg`: state at 1, source port at 4 (network order), receive and send queue at 56 and 60.
fn listener_of(message: &[u8]) -> Option<Listener> {
    let (waiting, backlog) = (u32_at(message, 56)?, u32_at(message, 60)?);
    let port = u16::from_be_bytes([message[4], message[5]]);
    (message[1] == STATE_LISTEN).then_some(Listener { port, waiting, backlog })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cut_off_answer_is_an_error() {
        let ignore = |_: &[u8]| {};
        assert!(messages(&[], ignore).is_err());
        assert!(messages(&[200, 0, 0, 0, 0, 0], ignore).is_err());
        let done = [20_u32.to_ne_bytes(), 3_u32.to_ne_bytes(), [0; 4], [0; 4], [0; 4]].concat();
        assert!(messages(&done, ignore).unwrap());
    }

    proptest! {
        #[test]
        fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = messages(&text, |message| {
                let _ = listener_of(message);
            });
            let _ = listener_of(&text);
            let _ = pair_of(&text);
        }
    }
}
