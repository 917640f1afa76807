//! Sockets of a worker: non-blocking, with a source address of their own, closed with RST.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::libc::linger;
use nix::sys::socket::{MsgFlags, SockFlag, SockType, SockaddrStorage, bind, recv, send, setsockopt, socket, sockopt};

use super::target::SocketTarget;
use wsceiling_model::record::FailedAt;

/// Opens a socket, binds it and starts to connect it. Tells at which stage it failed.
pub fn open(destination: &SocketTarget, source: Option<SocketAddr>) -> Result<OwnedFd, (FailedAt, Errno)> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let opened =
        socket(destination.family(), SockType::Stream, flags, None).map_err(|errno| (FailedAt::Socket, errno))?;
    if matches!(destination, SocketTarget::Ip(..)) {
        configure(&opened).map_err(|errno| (FailedAt::Socket, errno))?;
    }
    if let Some(source) = source {
        // Two sockets may share a source address and port towards two destinations if both allow it.
        setsockopt(&opened, sockopt::ReuseAddr, &true).map_err(|errno| (FailedAt::Bind, errno))?;
        bind(opened.as_raw_fd(), &SockaddrStorage::from(source)).map_err(|errno| (FailedAt::Bind, errno))?;
    }
    match destination.connect(&opened) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(opened),
        Err(errno) => Err((FailedAt::Connect, errno)),
    }
}

fn configure(socket: &OwnedFd) -> nix::Result<()> {
    setsockopt(socket, sockopt::TcpNoDelay, &true)?;
    // RST on every close, also when the worker is killed: no TIME_WAIT of one trial reaches the next.
    setsockopt(socket, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 })
}

/// Reads what is there.
#[inline]
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> nix::Result<usize> {
    loop {
        match recv(socket.as_fd().as_raw_fd(), buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Writes what fits; 0 where nothing does, or where the socket is not connected yet.
#[inline]
pub fn transmit(socket: impl AsFd, bytes: &[u8]) -> nix::Result<usize> {
    loop {
        match send(socket.as_fd().as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN | Errno::ENOTCONN) => return Ok(0),
            result => return result,
        }
    }
}
