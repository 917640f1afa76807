//! The listening socket, and what happens when `accept` fails.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::address::Address;

/// Pause after a failed accept. Long enough that a full descriptor table costs hardly any CPU, short enough that a freed
/// descriptor is soon used.
const PAUSE: Duration = Duration::from_millis(50);

/// Binds and listens. tokio's own `TcpListener::bind` asks for a queue of 1024, too short for a burst of connects.
///
/// `backlog` is the length of the accept queue, `send_buffer` the bytes of each connection's; None leaves it to the
/// kernel.
///
/// # Errors
/// The address is taken or not this machine's.
pub fn bind(address: &Address, backlog: i32, send_buffer: Option<usize>) -> io::Result<Listener> {
    match address {
        Address::Ip(address) => tcp(*address, backlog, send_buffer).map(Listener::Tcp),
        Address::Unix(path) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.bind(&SockAddr::unix(path)?)?;
            socket.listen(backlog)?;
            UnixListener::from_std(socket.into()).map(|listener| Listener::Unix(listener, path.clone()))
        }
    }
}

/// [`bind`] for an IP address.
///
/// `TCP_NODELAY` and the send buffer are set on the listener because Linux hands them down to accepted sockets: no system
/// call a connection.
///
/// # Errors
/// The address is taken or not this machine's.
pub fn tcp(address: SocketAddr, backlog: i32, send_buffer: Option<usize>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(bytes) = send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    TcpListener::from_std(socket.into())
}

/// A listening socket. Dropping it removes the path of a unix-domain socket.
#[derive(Debug)]
pub enum Listener {
    /// Of an IP address.
    Tcp(TcpListener),
    /// Of a path.
    Unix(UnixListener, PathBuf),
}

/// An accepted connection.
#[derive(Debug)]
pub enum Accepted {
    /// Over TCP.
    Tcp(TcpStream),
    /// Through a path.
    Unix(UnixStream),
}

impl Listener {
    /// Takes the next connection out of the accept queue.
    pub async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Accepted::Tcp(stream)),
            Self::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
        }
    }

    /// The address it got, with the port that the kernel chose.
    pub fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Self::Tcp(listener) => Address::Ip(listener.local_addr()?),
            Self::Unix(_, path) => Address::Unix(path.clone()),
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Waits after a failed accept and says so at most once a second.
///
/// With EMFILE the waiting connection stays in the queue and the listener stays readable. A loop that retries at once would
/// fill a core; one that returns the error would end the server and every open connection.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    said: Option<Instant>,
    unsaid: u64,
}

impl Backoff {
    /// Reports the error unless another was reported within the last second, then pauses.
    pub(crate) async fn pause(&mut self, error: &io::Error) {
        if is_only_that_connection(error) {
            return;
        }
        self.unsaid += 1;
        if self.said.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            eprintln!("accept failed {} time(s) since the last such line: {error}; backing off", self.unsaid);
            (self.said, self.unsaid) = (Some(Instant::now()), 0);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the error came from one connection that ended while it waited in the queue, not from the listener.
fn is_only_that_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
