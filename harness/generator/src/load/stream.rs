//! The connection of the probe: one that blocks, over TCP or a unix-domain socket.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;

use super::resolve::SocketTarget;

/// A connection that blocks, for a time.
pub trait Stream: Read + Write + Send {
    /// How long a read may take.
    fn set_patience(&self, patience: Duration) -> std::io::Result<()>;
}

impl Stream for TcpStream {
    fn set_patience(&self, patience: Duration) -> std::io::Result<()> {
        self.set_read_timeout(Some(patience))
    }
}

impl Stream for UnixStream {
    fn set_patience(&self, patience: Duration) -> std::io::Result<()> {
        self.set_read_timeout(Some(patience))
    }
}

/// Connects within a time.
pub fn open(target: &SocketTarget, within: Duration) -> std::io::Result<Box<dyn Stream>> {
    Ok(match target {
        SocketTarget::Tcp(address) => Box::new(TcpStream::connect_timeout(address, within)?),
        SocketTarget::Unix(path) => Box::new(unix_stream(path, within)?),
    })
}

/// The same as [`UnixStream::connect`], which waits for ever where the listener's queue is full.
fn unix_stream(path: &Path, within: Duration) -> std::io::Result<UnixStream> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let within = i64::try_from(within.as_micros()).unwrap_or(i64::MAX);
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::new(within / 1_000_000, within % 1_000_000))?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket.into())
}

/// The cause of an error, as the load would count it.
pub fn io_cause(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "timeout".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "reset".to_owned(),
        _ => {
            error.raw_os_error().map_or_else(|| error.to_string(), |code| format!("errno {:?}", Errno::from_raw(code)))
        }
    }
}
