//! The loop.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::SockaddrIn;

use crate::pace::{Alarm, Pace, now_ns};
use crate::socket::{self, Sources};
use crate::wire;

/// Events taken at once, and connects and messages between two checks for events: as in a worker.
const EVENTS: usize = 256;
const CONNECTS_PER_TURN: u64 = 32;
const MESSAGES_PER_TURN: u64 = 128;

/// The timer's event.
const ALARM: u64 = u64::MAX;

/// How long connections may take beyond their schedule.
const PATIENCE_NS: u64 = 10_000_000_000;

/// What connections send while they are held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Talk {
    /// Nothing.
    Silent,
    /// Messages at that rate over all connections, in turn, whether or not the server keeps up.
    PerSecond(f64),
    /// The next message as soon as the last one is answered.
    Max,
}

/// What an opening took.
#[derive(Debug)]
pub struct Opened {
    /// Seconds from the first connect to the last upgrade.
    pub seconds: f64,
}

/// Messages of a hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held {
    /// Due by the schedule.
    pub due: u64,
    /// Sent. A connection sends nothing while its last message is unanswered.
    pub sent: u64,
    /// Answered with the same bytes.
    pub answered: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Upgrading,
    Open,
}

#[derive(Debug)]
struct Connection {
    /// `None`: it failed.
    socket: Option<OwnedFd>,
    state: State,
    waiting: bool,
}

/// The loop and its connections.
#[derive(Debug)]
pub struct Floor {
    epoll: Epoll,
    alarm: Alarm,
    destinations: Vec<SockaddrIn>,
    sources: Sources,
    connections: Vec<Connection>,
    opened: u32,
    failed: u32,
    /// Messages of the hold.
    held: Held,
    /// An answer is followed by the next message at once.
    at_once: bool,
    request: Vec<u8>,
    message: Vec<u8>,
    echo: Vec<u8>,
    input: Vec<u8>,
}

impl Floor {
    /// A loop without connections. There must be an address.
    pub fn new(addresses: &[SocketAddrV4], source: Ipv4Addr) -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let alarm = Alarm::new()?;
        epoll.add(&alarm, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, ALARM))?;
        Ok(Self {
            epoll,
            alarm,
            destinations: addresses.iter().map(|address| SockaddrIn::from(*address)).collect(),
            sources: Sources::from(source),
            connections: Vec::new(),
            opened: 0,
            failed: 0,
            held: Held::default(),
            at_once: false,
            request: wire::request(&addresses[0].to_string()),
            message: wire::message(),
            echo: wire::echo(),
            input: vec![0; 64 << 10],
        })
    }

    /// Connections that are open.
    pub fn opened(&self) -> u32 {
        self.opened
    }

    /// Connections that failed, before or after they were open.
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// Opens connections at a rate. Each sends its first message at once, as a worker's do.
    pub fn open(&mut self, count: u32, per_second: f64) -> nix::Result<Opened> {
        let pace = Pace::begin(per_second);
        let (begin_ns, mut last_ns) = (now_ns(), now_ns());
        let deadline_ns = pace.moment(count.into()) + PATIENCE_NS;
        let mut issued = 0;
        while now_ns() < deadline_ns {
            let due = pace.due(now_ns()).min(count.into());
            for _ in 0..(due - issued).min(CONNECTS_PER_TURN) {
                self.connect(issued as usize % self.destinations.len());
                issued += 1;
            }
            if self.opened + self.failed == count {
                break;
            }
            let next_ns = if issued < count.into() { pace.moment(issued) } else { deadline_ns };
            let before = self.opened;
            self.wait(next_ns)?;
            if self.opened > before {
                last_ns = now_ns();
            }
        }
        self.failed += count.saturating_sub(self.opened + self.failed);
        Ok(Opened { seconds: (last_ns - begin_ns) as f64 / 1e9 })
    }

    /// Holds the connections while they send messages.
    pub fn hold(&mut self, length: Duration, talk: Talk) -> nix::Result<Held> {
        self.held = Held::default();
        self.at_once = talk == Talk::Max;
        let end_ns = now_ns() + length.as_nanos() as u64;
        let pace = Pace::begin(match talk {
            Talk::PerSecond(rate) => rate,
            Talk::Silent | Talk::Max => 0.0,
        });
        if self.at_once {
            (0..self.connections.len()).for_each(|index| self.say(index));
        }
        let count = self.connections.len() as u64;
        loop {
            let now = now_ns();
            if now >= end_ns {
                return Ok(self.held);
            }
            let talks = matches!(talk, Talk::PerSecond(_)) && count > 0;
            if talks {
                for _ in 0..(pace.due(now) - self.held.due).min(MESSAGES_PER_TURN) {
                    self.say((self.held.due % count) as usize);
                }
            }
            self.wait(if talks { pace.moment(self.held.due) } else { end_ns })?;
        }
    }

    /// Begins a connection. Over loopback it is established when `connect` returns, so the request goes out at once.
    fn connect(&mut self, destination: usize) {
        let index = self.connections.len();
        let opened = socket::open(&self.destinations[destination], &mut self.sources);
        self.connections.push(Connection { socket: opened.ok(), state: State::Connecting, waiting: false });
        self.request(index);
        let Connection { socket: Some(socket), state, .. } = &self.connections[index] else { return self.fail(index) };
        let mut events = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        events.set(EpollFlags::EPOLLOUT, *state == State::Connecting);
        if self.epoll.add(socket, EpollEvent::new(events, index as u64)).is_err() {
            self.fail(index);
        }
    }

    /// Sends the upgrade request, if the connection is established.
    fn request(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let Some(socket) = &connection.socket else { return };
        match socket::transmit(socket, &self.request) {
            Ok(true) => connection.state = State::Upgrading,
            Ok(false) => {}
            Err(_) => connection.socket = None,
        }
    }

    /// The connection ended, or received something unexpected.
    fn fail(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.socket = None;
        self.failed += 1;
        self.opened -= u32::from(connection.state == State::Open);
    }

    /// Sends a message that is due, unless the last one is unanswered.
    fn say(&mut self, index: usize) {
        self.held.due += 1;
        let connection = &mut self.connections[index];
        let Some(socket) = &connection.socket else { return };
        if connection.waiting {
            return;
        }
        connection.waiting = true;
        match socket::transmit(socket, &self.message) {
            Ok(true) => self.held.sent += 1,
            Ok(false) | Err(_) => self.fail(index),
        }
    }

    /// Waits for events, until a moment at most, and handles them.
    fn wait(&mut self, until_ns: u64) -> nix::Result<()> {
        let now = now_ns();
        let mut timeout = EpollTimeout::NONE;
        if until_ns <= now {
            timeout = EpollTimeout::ZERO;
        } else {
            self.alarm.set(until_ns, now)?;
        }
        let mut events = [EpollEvent::empty(); EVENTS];
        let count = self.epoll.wait(&mut events, timeout)?;
        for event in events.iter().take(count).filter(|event| event.data() != ALARM) {
            self.ready(event.data() as usize);
        }
        Ok(())
    }

    fn ready(&mut self, index: usize) {
        if self.connections[index].socket.is_none() {
            return;
        }
        if self.connections[index].state == State::Connecting {
            self.request(index);
        }
        let connection = &mut self.connections[index];
        let Some(socket) = &connection.socket else { return self.fail(index) };
        let length = match socket::receive(socket, &mut self.input) {
            Ok(length) => length,
            Err(nix::errno::Errno::EAGAIN) => return,
            Err(_) => 0,
        };
        let received = &self.input[..length];
        match connection.state {
            State::Upgrading if wire::is_accepted(received) => {
                connection.state = State::Open;
                self.opened += 1;
                self.say(index);
            }
            State::Open if connection.waiting && received == self.echo => {
                connection.waiting = false;
                self.held.answered += 1;
                if self.at_once {
                    self.say(index);
                }
            }
            _ => self.fail(index),
        }
    }
}
