//! Where an instance is reached: an IP address and port, or a unix-domain socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Where an instance is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over a unix-domain socket of that path.
    Unix(PathBuf),
}

impl Endpoint {
    /// Connects.
    ///
    /// # Errors
    /// As the system call fails; also where a connect over TCP meets itself.
    pub async fn connect(&self) -> std::io::Result<Stream> {
        match self {
            Self::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                // A connect to a port of this machine that nobody listens on can meet itself, when the kernel picks
                // that very port as the source (simultaneous open).
                match (stream.local_addr(), stream.peer_addr()) {
                    (Ok(local), Ok(peer)) if local == peer => {
                        Err(std::io::Error::other("nobody listens (the connect met itself)"))
                    }
                    _ => Ok(Stream::Tcp(stream)),
                }
            }
        }
    }

    /// Value of the `Host` header.
    pub fn host(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A connection to an [`Endpoint`].
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix-domain socket.
    Unix(UnixStream),
}

impl Stream {
    /// Makes every write leave at once and every close a reset; a unix-domain socket does both by itself.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn be_abrupt(&self) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_zero_linger().and_then(|()| stream.set_nodelay(true)),
            Self::Unix(_) => Ok(()),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
