//! A client's connection and the one onwards that belongs to it.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};

use mio::net::TcpStream;

use super::socket;

/// Reads of one side in one turn: a flood on one connection must not starve the others.
const READS_PER_TURN: usize = 16;

/// Which end of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Who connected to the relay.
    Client,
    /// What the relay connected to.
    Server,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What became of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for the kernel.
    Open,
    /// There is more to read.
    More,
    /// It has ended.
    Over,
}

/// One direction.
#[derive(Debug, Default)]
struct Flow {
    /// Read and not yet written: the other end does not take more.
    pending: Vec<u8>,
    /// The source has said its last.
    ended: bool,
    /// The other end has been told so.
    told: bool,
}

/// Two connections.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) client: TcpStream,
    pub(super) server: TcpStream,
    pub(super) to: SocketAddr,
    connecting: bool,
    up: Flow,
    down: Flow,
}

impl Pair {
    pub(super) fn new(client: TcpStream, server: TcpStream, to: SocketAddr) -> Self {
        // A relay that waits to fill packets would be measured as latency of the server; nothing else depends on it.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        Self { client, server, to, connecting: true, up: Flow::default(), down: Flow::default() }
    }

    pub(super) fn connecting(&self) -> bool {
        self.connecting
    }

    /// Whether the connection onwards stands; an error says that it never will.
    pub(super) fn finish_connect(&mut self) -> io::Result<bool> {
        if let Some(error) = self.server.take_error()? {
            return Err(error);
        }
        match self.server.peer_addr() {
            Ok(_) => {
                self.connecting = false;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether something waits to be written to a side.
    pub(super) fn waits_for(&self, side: Side) -> bool {
        let flow = if side == Side::Server { &self.up } else { &self.down };
        !flow.pending.is_empty()
    }

    /// Moves bytes from a side to the other until one of them blocks.
    pub(super) fn flow(&mut self, from: Side, buffer: &mut [u8]) -> State {
        let (source, sink, flow) = match from {
            Side::Client => (&mut self.client, &mut self.server, &mut self.up),
            Side::Server => (&mut self.server, &mut self.client, &mut self.down),
        };
        match moved(source, sink, flow, buffer) {
            Ok(State::Open) if self.up.told && self.down.told => State::Over,
            Ok(state) => state,
            Err(_) => {
                // A reset is passed on as one; it also leaves no port of the relay in TIME_WAIT.
                socket::reset_on_close(&self.client);
                socket::reset_on_close(&self.server);
                State::Over
            }
        }
    }
}

fn moved(source: &mut TcpStream, sink: &mut TcpStream, flow: &mut Flow, buffer: &mut [u8]) -> io::Result<State> {
    for _ in 0..READS_PER_TURN {
        if !flow.pending.is_empty() {
            let written = write(sink, &flow.pending)?;
            flow.pending.drain(..written);
            if !flow.pending.is_empty() {
                return Ok(State::Open);
            }
            // A burst must not cost memory for as long as the connection lives.
            flow.pending = Vec::new();
        }
        if flow.ended {
            if !flow.told {
                flow.told = true;
                sink.shutdown(Shutdown::Write)?;
            }
            return Ok(State::Open);
        }
        match source.read(buffer) {
            Ok(0) => flow.ended = true,
            Ok(read) => {
                let written = write(sink, &buffer[..read])?;
                flow.pending.extend_from_slice(&buffer[written..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(State::Open),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(State::More)
}

/// Writes what fits.
fn write(sink: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match sink.write(&bytes[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
