//! Where a worker connects to, in the form that the kernel takes.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::sys::socket::{AddressFamily, SockaddrStorage, UnixAddr, connect};

/// Where a worker connects to.
#[derive(Debug)]
pub enum SocketTarget {
    /// An IP address and port.
    Ip(SockaddrStorage, AddressFamily),
    /// A unix-domain socket.
    Unix(UnixAddr),
}

impl SocketTarget {
    /// An IP address and port.
    pub fn ip(address: SocketAddr) -> Self {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        Self::Ip(SockaddrStorage::from(address), family)
    }

    /// A unix-domain socket; fails where its path is too long.
    pub fn unix(path: &Path) -> nix::Result<Self> {
        UnixAddr::new(path).map(Self::Unix)
    }

    /// Its address family.
    pub fn family(&self) -> AddressFamily {
        match self {
            Self::Ip(_, family) => *family,
            Self::Unix(_) => AddressFamily::Unix,
        }
    }

    /// Starts to connect a socket to it.
    pub fn connect(&self, socket: &OwnedFd) -> nix::Result<()> {
        match self {
            Self::Ip(address, _) => connect(socket.as_raw_fd(), address),
            Self::Unix(address) => connect(socket.as_raw_fd(), address),
        }
    }
}
