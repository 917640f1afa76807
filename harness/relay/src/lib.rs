//! A relay of TCP streams: what comes in at one address goes on to others, byte by byte.
//!
//! It stands for the edge of a platform: a hop with one source address, of which the user sees nothing. Its limits are
//! the kernel's own (source ports of a pair of addresses, descriptors), and it says so in its log in the words of a
//! proxy. It is a process of its own, started as the hidden command `relay`.
//!
//! Parts: `socket` opens sockets, `pair` moves the bytes of one connection, this file is the loop.

mod pair;
mod socket;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Registry, Token};

use pair::{Pair, Side, State};

/// What a relay is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name in its log.
    pub name: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it connects to, in turn.
    pub to: Vec<SocketAddr>,
    /// Addresses that it connects from, in turn; empty: the kernel chooses.
    pub sources: Vec<IpAddr>,
    /// First and last source port; `None`: the kernel's range.
    pub ports: Option<(u16, u16)>,
    /// Length of the accept queue.
    pub backlog: u32,
}

const LISTENER: Token = Token(0);
/// Connections accepted in one turn of the loop.
const ACCEPTS_PER_TURN: usize = 256;
/// Rest after an accept that failed for want of a descriptor, as proxies take it.
const REST: Duration = Duration::from_millis(100);
/// Bytes read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Runs until the process is ended; returns only where the loop itself cannot go on.
///
/// # Errors
/// When it cannot listen, or the kernel refuses to wait for events.
pub fn run(options: Options) -> io::Result<()> {
    let mut relay = Relay::new(options)?;
    loop {
        relay.turn(None)?;
    }
}

/// The loop's state.
pub(crate) struct Relay {
    options: Options,
    poll: Poll,
    events: Events,
    listener: TcpListener,
    pairs: Vec<Option<Pair>>,
    free: Vec<usize>,
    /// Pairs with more to read than one turn takes.
    again: VecDeque<(usize, Side)>,
    /// Connects so far; the next destination and source follow from it.
    connects: usize,
    /// There may be connections to accept that no event will tell of again.
    accept_at: Option<Instant>,
    told_of_descriptors: Option<Instant>,
    buffer: Vec<u8>,
}

impl Relay {
    pub(crate) fn new(options: Options) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = socket::listen(options.listen, options.backlog)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let to: Vec<String> = options.to.iter().map(ToString::to_string).collect();
        eprintln!("{}: listening on {}, to {}", options.name, listener.local_addr()?, to.join(", "));
        Ok(Self {
            options,
            poll,
            events: Events::with_capacity(1024),
            listener,
            pairs: Vec::new(),
            free: Vec::new(),
            again: VecDeque::new(),
            connects: 0,
            accept_at: None,
            told_of_descriptors: None,
            buffer: vec![0; BUFFER_BYTES],
        })
    }

    #[cfg(test)]
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Waits for something to happen, at most `longest`, and does what there is to do.
    pub(crate) fn turn(&mut self, longest: Option<Duration>) -> io::Result<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let rest = self.accept_at.map(|at| at.saturating_duration_since(Instant::now()));
        let nothing = (!self.again.is_empty()).then_some(Duration::ZERO);
        let longest = [longest, rest, nothing].into_iter().flatten().min();
        match self.poll.poll(&mut events, longest) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for _ in 0..self.again.len() {
            if let Some((index, from)) = self.again.pop_front() {
                self.flow(index, from);
            }
        }
        let mut accept = self.accept_at.is_some_and(|at| at <= Instant::now());
        for event in &events {
            match event.token() {
                LISTENER => accept = true,
                Token(token) => {
                    let side = if token % 2 == 1 { Side::Client } else { Side::Server };
                    self.ready((token - 1) / 2, side, event.is_readable() || event.is_error(), event.is_writable());
                }
            }
        }
        self.events = events;
        if accept {
            self.accept();
        }
        Ok(())
    }

    fn accept(&mut self) {
        self.accept_at = None;
        for _ in 0..ACCEPTS_PER_TURN {
            match self.listener.accept() {
                Ok((client, _)) => self.open(client),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                    self.accept_at = Some(Instant::now() + REST);
                    let second = Duration::from_secs(1);
                    if self.told_of_descriptors.is_none_or(|told| told.elapsed() >= second) {
                        self.told_of_descriptors = Some(Instant::now());
                        self.say(&format!("accept4() failed {}", words(&error)));
                    }
                    return;
                }
                // A connection that was gone before it was accepted.
                Err(_) => {}
            }
        }
        self.accept_at = Some(Instant::now());
    }

    /// Connects onwards; a client whose connection cannot go on is let go.
    fn open(&mut self, client: mio::net::TcpStream) {
        let Some(&to) = self.options.to.get(self.connects % self.options.to.len().max(1)) else { return };
        let sources = &self.options.sources;
        let round = self.connects / self.options.to.len().max(1);
        let source = if sources.is_empty() { None } else { sources.get(round % sources.len()).copied() };
        self.connects = self.connects.wrapping_add(1);
        let server = match socket::connect(to, source, self.options.ports) {
            Ok(server) => server,
            Err((what, error)) => {
                let from = source.map(|source| format!(" from {source}")).unwrap_or_default();
                self.say(&format!("{what}() failed {} while connecting to {to}{from}", words(&error)));
                return;
            }
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.pairs.push(None);
            self.pairs.len() - 1
        });
        let mut pair = Pair::new(client, server, to);
        match register(self.poll.registry(), index, &mut pair) {
            Ok(()) => self.pairs[index] = Some(pair),
            Err(error) => {
                self.free.push(index);
                self.say(&format!("epoll_ctl() failed {}", words(&error)));
            }
        }
    }

    fn ready(&mut self, index: usize, side: Side, readable: bool, writable: bool) {
        let Some(Some(pair)) = self.pairs.get_mut(index) else { return };
        if side == Side::Server && pair.connecting() {
            match pair.finish_connect() {
                Ok(false) => return,
                Ok(true) => {
                    self.flow(index, Side::Client);
                }
                Err(error) => {
                    let to = pair.to;
                    self.close(index);
                    self.say(&format!("connect() failed {} while connecting to {to}", words(&error)));
                    return;
                }
            }
        }
        if readable {
            self.flow(index, side);
        }
        if writable && self.pairs.get(index).and_then(Option::as_ref).is_some_and(|pair| pair.waits_for(side)) {
            self.flow(index, side.other());
        }
    }

    /// Moves what there is from one side to the other.
    fn flow(&mut self, index: usize, from: Side) {
        let Some(Some(pair)) = self.pairs.get_mut(index) else { return };
        if pair.connecting() {
            return;
        }
        match pair.flow(from, &mut self.buffer) {
            State::Open => {}
            State::More => self.again.push_back((index, from)),
            State::Over => self.close(index),
        }
    }

    fn close(&mut self, index: usize) {
        if let Some(mut pair) = self.pairs.get_mut(index).and_then(Option::take) {
            let registry = self.poll.registry();
            // Both are closed by the drop in any case.
            let _ = registry.deregister(&mut pair.client);
            let _ = registry.deregister(&mut pair.server);
            self.free.push(index);
        }
    }

    fn say(&self, what: &str) {
        eprintln!("{}: {what}", self.options.name);
    }
}

fn register(registry: &Registry, index: usize, pair: &mut Pair) -> io::Result<()> {
    let both = Interest::READABLE | Interest::WRITABLE;
    registry.register(&mut pair.client, Token(2 * index + 1), both)?;
    registry.register(&mut pair.server, Token(2 * index + 2), both)
}

/// `(99: Cannot assign requested address)`, as nginx writes it.
fn words(error: &io::Error) -> String {
    let code = error.raw_os_error().unwrap_or(0);
    format!("({code}: {})", nix::errno::Errno::from_raw(code).desc())
}
