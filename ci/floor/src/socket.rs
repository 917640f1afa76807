//! The system calls of a connection, the same as a worker's: its own source address and port, RST on close.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::libc::linger;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, bind, connect, recv, send, setsockopt, socket, sockopt,
};

/// First port that needs no privilege.
const FIRST_PORT: u16 = 1024;

/// Source addresses and ports, one after the other.
#[derive(Debug)]
pub struct Sources {
    address: Ipv4Addr,
    port: u16,
}

impl Sources {
    /// All ports from 1024 on of that address, then of the next one.
    pub fn from(address: Ipv4Addr) -> Self {
        Self { address, port: FIRST_PORT }
    }

    fn next(&mut self) -> SocketAddrV4 {
        let source = SocketAddrV4::new(self.address, self.port);
        self.port = self.port.checked_add(1).unwrap_or_else(|| {
            self.address = Ipv4Addr::from(u32::from(self.address) + 1);
            FIRST_PORT
        });
        source
    }
}

/// Begins a connection from the next port that nobody else has.
pub fn open(destination: &SockaddrIn, sources: &mut Sources) -> nix::Result<OwnedFd> {
    loop {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let opened = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        setsockopt(&opened, sockopt::TcpNoDelay, &true)?;
        setsockopt(&opened, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 })?;
        setsockopt(&opened, sockopt::ReuseAddr, &true)?;
        let bound = bind(opened.as_raw_fd(), &SockaddrIn::from(sources.next()));
        match bound.and_then(|()| connect(opened.as_raw_fd(), destination)) {
            Ok(()) | Err(Errno::EINPROGRESS) => return Ok(opened),
            Err(Errno::EADDRINUSE | Errno::EADDRNOTAVAIL) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Sends all of it. False: the socket is not connected yet.
pub fn transmit(socket: &OwnedFd, bytes: &[u8]) -> nix::Result<bool> {
    match send(socket.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
        Ok(sent) if sent == bytes.len() => Ok(true),
        Ok(_) => Err(Errno::ENOBUFS),
        Err(Errno::EAGAIN | Errno::ENOTCONN) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Reads what is there; 0 at the end.
pub fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> nix::Result<usize> {
    recv(socket.as_raw_fd(), buffer, MsgFlags::empty())
}
