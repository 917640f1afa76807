//! The transport: bytes to and from the destinations. It opens sockets from source ports of its own, asks the kernel for
//! their events, keeps what a socket does not take, and hides TLS. It knows nothing of what the bytes mean.

mod ports;
mod socket;
mod target;
mod tls_sessions;

use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context as _, bail};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;

use super::clock::now_ns;
use super::counters::{named, reason_of};
use crate::ipc::WorkerConfig;
use ports::{Ports, Source};
use target::SocketTarget;
use tls_sessions::TlsSessions;
use wsceiling_model::record::{FailedAt, FailureReason};

/// Bytes of the read buffer that all connections share.
const READ_BUFFER: usize = 64 << 10;

/// Source ports to try for one connection, where others have taken them.
const PORT_TRIES: usize = 64;

/// Bytes beside a message that a connection may leave unsent, because the server does not read.
const UNSENT_MAX: usize = 64 << 10;

/// An instance of the target.
#[derive(Debug)]
struct Destination {
    target: SocketTarget,
    ports: Ports,
}

/// The transport's part of a connection.
#[derive(Debug, Default)]
pub struct Link {
    /// Closing it sends RST.
    socket: Option<OwnedFd>,
    source: Source,
    /// What the socket did not take yet.
    unsent: Option<Box<Unsent>>,
}

impl Link {
    /// Whether something waits for the socket to become writable.
    #[inline]
    pub fn is_blocked(&self) -> bool {
        self.unsent.is_some()
    }
}

/// Bytes that wait for the socket.
#[derive(Debug, Default)]
struct Unsent {
    bytes: Vec<u8>,
    /// How many of them are sent.
    sent: usize,
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// So many bytes, at the start of the buffer.
    Bytes(usize),
    /// Nothing more for now.
    Empty,
    /// The other side ended the connection.
    End(FailureReason),
}

/// The sockets' side of a worker.
#[derive(Debug)]
pub struct Transport {
    registry: Registry,
    destinations: Vec<Destination>,
    /// The destination of the next connection.
    turn: usize,
    /// Connections of each destination, where they are filled one after the other.
    live: Vec<u32>,
    /// See [`ClientConfig::fill`](crate::client::ClientConfig::fill).
    fill: Option<u32>,
    /// TLS of the connections; `None`: plain TCP.
    tls: Option<TlsSessions>,
    /// Bytes that a connection may leave unsent.
    unsent_max: usize,
    /// Input of the connection at hand.
    input: Vec<u8>,
    /// Output of the connection at hand: written by the protocol, sent by [`Self::send`].
    pub out: Vec<u8>,
}

impl Transport {
    /// No connection yet. Says what is wrong with the destinations or with the settings of TLS.
    pub fn new(config: &WorkerConfig, registry: Registry) -> anyhow::Result<Self> {
        let destinations = destinations(config)?;
        if destinations.is_empty() || destinations.len() > usize::from(u16::MAX) {
            bail!("{} destinations (hint: from 1 to {})", destinations.len(), u16::MAX);
        }
        let names = &config.client.names;
        if !names.is_empty() && names.len() != destinations.len() {
            bail!("{} names for {} destinations", names.len(), destinations.len());
        }
        let tls = config.client.tls.as_ref().map(|settings| TlsSessions::new(settings, names));
        Ok(Self {
            registry,
            live: vec![0; destinations.len()],
            destinations,
            turn: 0,
            fill: config.client.fill,
            tls: tls.transpose().map_err(anyhow::Error::msg)?,
            unsent_max: UNSENT_MAX + config.message_bytes.max(config.publish_bytes) as usize,
            input: vec![0; READ_BUFFER],
            out: Vec::new(),
        })
    }

    /// Number of destinations.
    pub fn destinations(&self) -> usize {
        self.destinations.len()
    }

    /// The destination whose turn it is.
    pub fn next_destination(&mut self) -> u16 {
        if let Some(share) = self.fill {
            let roomy = self.live.iter().position(|live| *live < share);
            return roomy.unwrap_or(self.destinations.len() - 1) as u16;
        }
        let destination = self.turn as u16;
        self.turn = (self.turn + 1) % self.destinations.len();
        destination
    }

    /// A socket that begins to connect from a free source port. Ports that somebody else uses are passed over, which
    /// `retried` is told.
    pub fn open(
        &mut self,
        destination: u16,
        mut retried: impl FnMut(FailedAt, FailureReason),
    ) -> Result<Link, (FailedAt, FailureReason)> {
        let there = &mut self.destinations[usize::from(destination)];
        let mut tries = 1;
        loop {
            let source = there.ports.take().ok_or((FailedAt::Bind, FailureReason::NoSourcePort))?;
            let address = there.ports.address(source);
            let (at, errno) = match socket::open(&there.target, address) {
                Ok(opened) => {
                    if let Some(live) = self.live.get_mut(usize::from(destination)) {
                        *live += 1;
                    }
                    return Ok(Link { socket: Some(opened), source, unsent: None });
                }
                Err(failed) => failed,
            };
            there.ports.give(source);
            let taken =
                matches!((at, errno), (FailedAt::Bind, Errno::EADDRINUSE) | (FailedAt::Connect, Errno::EADDRNOTAVAIL));
            if !taken || address.is_none() || tries == PORT_TRIES {
                return Err((at, reason_of(errno)));
            }
            retried(at, FailureReason::Retried(named(errno)));
            tries += 1;
        }
    }

    /// Sends the output as the first words of a connection, if it stands already. False: not yet, to be tried again when
    /// it is writable.
    pub fn send_first(&mut self, index: u32, destination: u16, link: &mut Link) -> nix::Result<bool> {
        let Some(socket) = &link.socket else { return Ok(false) };
        if let Some(tls) = &mut self.tls {
            // What would be wrong with every session was found before the first one.
            tls.greet(index, destination, &mut self.out).map_err(|_| Errno::EPROTO)?;
        }
        let sent = socket::transmit(socket, &self.out)?;
        if sent == 0 {
            return Ok(false);
        }
        if let Some(tls) = &mut self.tls {
            tls.greeted(index, now_ns());
        }
        if sent < self.out.len() {
            link.unsent = Some(Box::new(Unsent { bytes: self.out[sent..].to_vec(), sent: 0 }));
        }
        Ok(true)
    }

    /// Asks for the events of a connection: writability only where it does not stand yet, or something waits for it.
    pub fn register(&mut self, index: u32, link: &Link, stands: bool) -> nix::Result<()> {
        let Some(socket) = &link.socket else { return Ok(()) };
        let interest =
            if stands && !link.is_blocked() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        let result = self.registry.register(&mut SourceFd(&socket.as_raw_fd()), Token(index as usize), interest);
        result.map_err(|error| errno_of(&error))
    }

    /// The read buffer, to be given back with [`Self::give_input`].
    #[inline]
    pub fn take_input(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input)
    }

    /// See [`Self::take_input`].
    #[inline]
    pub fn give_input(&mut self, input: Vec<u8>) {
        self.input = input;
    }

    /// Reads what is there into a buffer: ciphertext, where the connection has TLS.
    #[inline]
    pub fn receive(link: &Link, input: &mut [u8]) -> Received {
        let Some(socket) = &link.socket else { return Received::Empty };
        match socket::receive(socket, input) {
            Ok(0) => Received::End(FailureReason::Eof),
            Ok(length) => Received::Bytes(length),
            Err(Errno::EAGAIN) => Received::Empty,
            Err(errno) => Received::End(reason_of(errno)),
        }
    }

    /// TLS of the connections, where they have it.
    #[inline]
    pub fn tls(&mut self) -> Option<&mut TlsSessions> {
        self.tls.as_mut()
    }

    /// Whether a connection is still about its keys.
    pub fn is_agreeing_keys(&self, index: u32) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking(index))
    }

    /// Sends the output, as far as the socket takes it; the rest waits.
    #[inline]
    pub fn send(&mut self, index: u32, link: &mut Link) -> Result<(), FailureReason> {
        if let Some(tls) = &mut self.tls {
            tls.seal(index, &mut self.out);
        }
        if self.out.is_empty() {
            return Ok(());
        }
        let Some(socket) = &link.socket else { return Ok(()) };
        if link.unsent.is_none() {
            let sent = socket::transmit(socket, &self.out).map_err(reason_of)?;
            if sent == self.out.len() {
                return Ok(());
            }
            self.out.drain(..sent);
        }
        self.keep(index, link)
    }

    /// Keeps output until the socket takes it.
    #[cold]
    fn keep(&mut self, index: u32, link: &mut Link) -> Result<(), FailureReason> {
        let Some(socket) = &link.socket else { return Ok(()) };
        if let Some(unsent) = &mut link.unsent {
            // A server that pings without reading the pongs would fill the memory.
            if unsent.bytes.len() - unsent.sent > self.unsent_max {
                return Err(FailureReason::ServerDoesNotRead);
            }
            unsent.bytes.extend_from_slice(&self.out);
            return Ok(());
        }
        link.unsent = Some(Box::new(Unsent { bytes: self.out.clone(), sent: 0 }));
        let interest = Interest::READABLE | Interest::WRITABLE;
        let result = self.registry.reregister(&mut SourceFd(&socket.as_raw_fd()), Token(index as usize), interest);
        result.map_err(|error| reason_of(errno_of(&error)))
    }

    /// Sends what waited for the socket.
    pub fn send_unsent(link: &mut Link) -> Result<(), FailureReason> {
        let (Some(socket), Some(unsent)) = (&link.socket, &mut link.unsent) else { return Ok(()) };
        unsent.sent += socket::transmit(socket, &unsent.bytes[unsent.sent..]).map_err(reason_of)?;
        if unsent.sent == unsent.bytes.len() {
            link.unsent = None;
        }
        Ok(())
    }

    /// Closes a connection with RST and frees its port.
    pub fn close(&mut self, index: u32, link: Link, destination: u16) {
        if let Some(tls) = &mut self.tls {
            tls.forget(index);
        }
        self.destinations[usize::from(destination)].ports.give(link.source);
        if let Some(live) = self.live.get_mut(usize::from(destination)) {
            *live -= 1;
        }
        if let Some(socket) = link.socket {
            // Not by dropping it: where debug assertions are on, that asks the kernel first whether it is open.
            let _ = nix::unistd::close(socket);
        }
    }
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

fn destinations(config: &WorkerConfig) -> anyhow::Result<Vec<Destination>> {
    let ip = |address: &SocketAddr| Destination {
        target: SocketTarget::ip(*address),
        ports: Ports::new(&config.sources, address.ip()),
    };
    if config.sockets.is_empty() {
        return Ok(config.destinations.iter().map(ip).collect());
    }
    let unix = |path: &std::path::PathBuf| {
        let target = SocketTarget::unix(path).with_context(|| format!("connect to {}", path.display()))?;
        Ok(Destination { target, ports: Ports::none() })
    };
    config.sockets.iter().map(unix).collect()
}

#[cfg(test)]
mod tests;
