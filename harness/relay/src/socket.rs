//! Sockets of the relay.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use mio::net::{TcpListener, TcpStream};
use nix::errno::Errno;
use nix::libc::linger;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen as nix_listen, setsockopt,
    socket as nix_socket, sockopt,
};

/// `IP_LOCAL_PORT_RANGE` of `include/uapi/linux/in.h`, since Linux 6.3: the ports that the kernel chooses from for this
/// socket, first in the low half, last in the high one.
const IP_LOCAL_PORT_RANGE: libc::c_int = 51;

fn new(address: SocketAddr) -> nix::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    nix_socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)
}

/// Listens; the queue is at most what the kernel's headers call SOMAXCONN.
pub(super) fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = new(address)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    let backlog = i32::try_from(backlog).ok().and_then(|backlog| Backlog::new(backlog).ok());
    nix_listen(&socket, backlog.unwrap_or(Backlog::MAXCONN))?;
    Ok(TcpListener::from_std(std::net::TcpListener::from(socket)))
}

/// Begins to connect; the error says which call failed, as proxies do.
pub(super) fn connect(
    to: SocketAddr,
    source: Option<IpAddr>,
    ports: Option<(u16, u16)>,
) -> Result<TcpStream, (&'static str, io::Error)> {
    let socket = new(to).map_err(call("socket"))?;
    if let Some((first, last)) = ports
        && let Err(errno) = set_range(&socket, first, last)
    {
        // An older kernel. Taking the ports one by one ends at the very same number, only slower.
        drop(socket);
        if errno == Errno::ENOPROTOOPT {
            return by_hand(to, source, first, last);
        }
        return Err(("setsockopt", errno.into()));
    }
    if let Some(source) = source {
        // Without this the port would be taken for all destinations at once.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true).map_err(call("setsockopt"))?;
        bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, 0))).map_err(call("bind"))?;
    }
    start(socket, to).map_err(call("connect"))
}

/// An error with the call that failed.
fn call(name: &'static str) -> impl Fn(Errno) -> (&'static str, io::Error) {
    move |errno| (name, errno.into())
}

fn start(socket: OwnedFd, to: SocketAddr) -> nix::Result<TcpStream> {
    match nix::sys::socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from_std(std::net::TcpStream::from(socket))),
        Err(errno) => Err(errno),
    }
}

/// Tries each port of the range once, going on where the last connect ended.
fn by_hand(
    to: SocketAddr,
    source: Option<IpAddr>,
    first: u16,
    last: u16,
) -> Result<TcpStream, (&'static str, io::Error)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let source = source.unwrap_or(to.ip());
    let count = u32::from(last.saturating_sub(first)) + 1;
    for _ in 0..count {
        let port = first + (NEXT.fetch_add(1, Ordering::Relaxed) % count) as u16;
        let socket = new(to).map_err(call("socket"))?;
        setsockopt(&socket, sockopt::ReuseAddr, &true).map_err(call("setsockopt"))?;
        if bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, port))).is_err() {
            continue;
        }
        match start(socket, to) {
            Err(Errno::EADDRNOTAVAIL | Errno::EADDRINUSE) => {}
            other => return other.map_err(call("connect")),
        }
    }
    Err(("connect", Errno::EADDRNOTAVAIL.into()))
}

#[expect(unsafe_code, reason = "setsockopt(2) with an option that nix does not know; the kernel copies four bytes")]
fn set_range(socket: &OwnedFd, first: u16, last: u16) -> nix::Result<()> {
    let range = u32::from(first) | u32::from(last) << 16;
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            IP_LOCAL_PORT_RANGE,
            std::ptr::from_ref(&range).cast(),
            size_of::<u32>() as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}

/// The close of this socket is an RST.
pub(super) fn reset_on_close(socket: &TcpStream) {
    // A socket that is gone already needs none.
    let _ = setsockopt(socket, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 });
}
