//! The protocol: what connections say, and what it means what they hear. Bytes in, [`Event`]s and bytes out, without
//! sockets and without a clock.
//!
//! It has two layers: the wire (upgrade, frames, close handshake; `crate::codec`) is in this file, and the messages on it
//! are a file each. A new message protocol is a file beside [`echo`] and a variant of [`Messages`]; a new wire
//! takes the place of [`Session`] and of what this file calls of `codec`.

mod app_protocol;
mod custom_messages;
mod echo;
mod sizes;

use anyhow::Context as _;

use crate::codec::frame::{self, Limits, Opcode};
use crate::codec::handshake::{self, Refusal, Request};
pub use crate::codec::session::Session;
use crate::codec::session::{Context, Heads, Step};
use crate::ipc::WorkerConfig;
use crate::worker::answers::Answers;
use app_protocol::AppProtocol;
use custom_messages::CustomMessages;
use echo::Echo;
use sizes::Sizes;
use wsceiling_model::matrix;
use wsceiling_model::record::{Answer, FailureReason};

/// What a connection said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// Number of the connection, unique in the worker.
    pub serial: u32,
    /// Number of its last message.
    pub sequence: u32,
    /// Intended moment of that message.
    pub at_ns: u64,
    /// Whether it is unanswered.
    pub waiting: bool,
}

/// What a received message means.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    /// The answer to the connection's last message.
    Answer,
    /// The answer to another heartbeat than the last one.
    Stale,
    /// Not what was to come.
    Wrong,
    /// The connection is a member of its room now.
    Joined,
    /// A message that was published into the room, to be sent at that moment.
    Published(u64),
    /// The server says that something failed.
    Error(FailureReason),
    /// Something that needs no answer.
    Other,
}

/// What the input of a connection says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Nothing more: all of it is used up.
    Starved,
    /// Something that matters to nobody but the wire.
    Nothing,
    /// The connection is open.
    Opened,
    /// Its last message is answered.
    Answered,
    /// It is a member of its room.
    Joined,
    /// A message that was published into its room at that moment.
    Published(u64),
    /// The server says that something failed; the connection goes on.
    Error(FailureReason),
    /// A message that answers nothing and is no fault either.
    Unasked,
    /// The connection is over.
    Ended(Ending, CloseHandshake),
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The reason.
    pub reason: FailureReason,
    /// Whether the other side is given the time to end it too.
    pub linger: bool,
}

/// The client's part in the close handshake (RFC 6455, section 7.1.2), where a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseHandshake {
    /// It did not begin one.
    None,
    /// It has just begun one; its close frame is in the output.
    Begun,
    /// The server answered its close frame.
    Answered,
}

/// The messages of a worker's connections.
#[derive(Debug)]
enum Messages {
    Echo(Echo),
    App(AppProtocol),
}

impl Messages {
    fn new(config: &WorkerConfig) -> Self {
        let sizes = Sizes::new(config.message_bytes, &config.message_mix, config.seed);
        match config.protocol {
            matrix::Protocol::Echo => Self::Echo(Echo::new(sizes)),
            matrix::Protocol::App => Self::App(AppProtocol::new(sizes)),
        }
    }

    #[inline]
    fn message(&mut self, serial: u32, sequence: u32) -> &[u8] {
        match self {
            Self::Echo(echo) => echo.message(serial, sequence),
            Self::App(app) => app.message(serial, sequence),
        }
    }

    #[inline]
    fn reply(&self, text: bool, payload: &[u8], last: Last) -> Reply {
        match self {
            Self::Echo(echo) => echo.reply(text, payload, last),
            Self::App(_) => AppProtocol::reply(text, payload, last),
        }
    }

    /// Asks for membership in a room; nothing where the protocol has none.
    fn join(&mut self, room: &str) -> &[u8] {
        match self {
            Self::Echo(_) => &[],
            Self::App(app) => app.join(room),
        }
    }

    /// Publishes into a room; nothing where the protocol has none.
    fn publish(&mut self, room: &str, at_ns: u64, bytes: u32) -> &[u8] {
        match self {
            Self::Echo(_) => &[],
            Self::App(app) => app.publish(room, at_ns, bytes),
        }
    }
}

/// What a worker's connections say and hear.
#[derive(Debug)]
pub struct Protocol {
    /// One for all destinations, or one for each.
    requests: Vec<Request>,
    limits: Limits,
    /// Makes the keys of requests, together with the number of the connection.
    seed: u64,
    /// Makes the mask keys.
    random: fastrand::Rng,
    messages: Messages,
    /// Messages of a person's own, in place of the default ones.
    custom: Option<CustomMessages>,
    /// What upgrades were answered with.
    answers: Answers,
    /// Heartbeats only keep the connection: their answers are not awaited (broadcast).
    heartbeats_only: bool,
}

impl Protocol {
    /// Says what is wrong with the upgrade request.
    pub fn new(config: &WorkerConfig, random: fastrand::Rng) -> anyhow::Result<Self> {
        let same = [(config.host.as_str(), config.path.as_str())];
        let own: Vec<_> = config.client.names.iter().map(|name| (name.host.as_str(), name.path.as_str())).collect();
        let addressed = if own.is_empty() { &same[..] } else { &own };
        let requests: Result<Vec<_>, _> =
            addressed.iter().map(|(host, path)| Request::new(host, path, &config.headers)).collect();
        Ok(Self {
            requests: requests.context("prepare the upgrade request")?,
            limits: Limits::default(),
            seed: config.seed,
            random,
            messages: Messages::new(config),
            custom: config.client.script.as_ref().map(|script| CustomMessages::new(script, config.worker)),
            answers: Answers::default(),
            heartbeats_only: config.scenario == matrix::Scenario::Broadcast,
        })
    }

    /// What upgrades were answered with since the last report: those that failed, and the first that succeeded.
    pub fn take_answers(&mut self) -> (Vec<Answer>, Option<Answer>) {
        (self.answers.take_refused(), self.answers.take_accepted())
    }

    /// Appends what a new connection says first: the upgrade request.
    pub fn write_request(&self, serial: u32, destination: u16, out: &mut Vec<u8>) {
        self.requests[usize::from(destination) % self.requests.len()].write(&handshake::key(self.seed, serial), out);
    }

    /// Whether connections ask. Else the server does, and every message is sent back.
    #[inline]
    pub fn asks(&self) -> bool {
        !self.custom.as_ref().is_some_and(CustomMessages::mirrors)
    }

    /// Appends the message of that number.
    #[inline]
    pub fn write_message(&mut self, last: Last, out: &mut Vec<u8>) {
        if self.custom.is_some() && self.write_custom(last, out) {
            return;
        }
        let payload = self.messages.message(last.serial, last.sequence);
        frame::write(out, Opcode::Text, payload, mask(&mut self.random));
    }

    /// Appends a message of a person's own, or the ping that stands for it. False: the default message is to be written.
    fn write_custom(&mut self, last: Last, out: &mut Vec<u8>) -> bool {
        let Some(custom) = &mut self.custom else { return false };
        let message = custom.message(last);
        let written = message.is_some();
        if let Some((opcode, payload)) = message {
            frame::write(out, opcode, payload, mask(&mut self.random));
        }
        let pings = custom.pings();
        if pings {
            frame::write(out, Opcode::Ping, &last.sequence.to_be_bytes(), mask(&mut self.random));
        }
        written || pings
    }

    /// Appends a request for membership in a room.
    pub fn write_join(&mut self, room: &str, out: &mut Vec<u8>) {
        frame::write(out, Opcode::Text, self.messages.join(room), mask(&mut self.random));
    }

    /// Appends a message of `bytes` bytes, or the shortest, that is published into a room.
    pub fn write_publish(&mut self, room: &str, at_ns: u64, bytes: u32, out: &mut Vec<u8>) {
        frame::write(out, Opcode::Text, self.messages.publish(room, at_ns, bytes), mask(&mut self.random));
    }

    /// Begins the close handshake.
    pub fn write_close(&mut self, session: &mut Session, out: &mut Vec<u8>) {
        session.close(1000, &mut self.context(out));
    }

    /// What the next bytes of a connection's input say, and how many they are. To be called with the rest until
    /// [`Event::Starved`], also after an end, or memory stays in use. Answers are appended to `out`.
    #[inline]
    pub fn next(&mut self, session: &mut Session, input: &[u8], last: Last, out: &mut Vec<u8>) -> (usize, Event) {
        let seed = self.seed;
        let (used, step) = session.step(input, || handshake::key(seed, last.serial), &mut self.context(out));
        let (text, payload) = match step {
            Step::Text(payload) => (true, payload),
            Step::Binary(payload) => (false, payload),
            Step::Starved => return (used, Event::Starved),
            Step::Control => return (used, Event::Nothing),
            Step::Upgraded => return (used, Event::Opened),
            other => return (used, self.rare(other, last)),
        };
        let event = match self.hear(text, payload, last, out) {
            Reply::Answer => Event::Answered,
            Reply::Stale if self.heartbeats_only => Event::Nothing,
            Reply::Stale | Reply::Wrong => {
                session.close(1002, &mut self.context(out));
                Event::Ended(Ending { reason: FailureReason::WrongEcho, linger: true }, CloseHandshake::Begun)
            }
            Reply::Joined => Event::Joined,
            Reply::Published(at_ns) => Event::Published(at_ns),
            Reply::Error(reason) => Event::Error(reason),
            Reply::Other => Event::Unasked,
        };
        (used, event)
    }

    #[inline]
    fn context<'a>(&'a mut self, out: &'a mut Vec<u8>) -> Context<'a> {
        // What an answer is examined for is the same in all of them: the subprotocols that were offered.
        let answers: Option<&mut dyn Heads> = Some(&mut self.answers);
        Context { request: &self.requests[0], limits: self.limits, random: &mut self.random, out, answers }
    }

    #[inline]
    fn hear(&mut self, text: bool, payload: &[u8], last: Last, out: &mut Vec<u8>) -> Reply {
        let Some(custom) = &mut self.custom else { return self.messages.reply(text, payload, last) };
        if custom.mirrors() {
            let opcode = if text { Opcode::Text } else { Opcode::Binary };
            frame::write(out, opcode, payload, mask(&mut self.random));
        }
        custom.reply(text, payload, last, &self.messages)
    }

    /// Pongs and ends.
    #[cold]
    fn rare(&self, step: Step<'_>, last: Last) -> Event {
        let ended = |reason, linger| Event::Ended(Ending { reason, linger }, CloseHandshake::None);
        match step {
            // The answer, where pings are the questions.
            Step::Pong if last.waiting && self.custom.as_ref().is_some_and(CustomMessages::pings) => Event::Answered,
            Step::Refused(Refusal::Status(status)) => ended(FailureReason::Http(status), false),
            Step::Refused(refusal) => ended(FailureReason::BadUpgrade(refusal.to_string().into()), false),
            Step::Closed(Some(code)) => ended(FailureReason::close(code), true),
            Step::Closed(None) => ended(FailureReason::Close(None), true),
            Step::Broken(violation) => ended(FailureReason::Protocol(violation.rule().into()), true),
            Step::CloseAnswered => {
                Event::Ended(Ending { reason: FailureReason::Close(None), linger: false }, CloseHandshake::Answered)
            }
            _ => Event::Nothing,
        }
    }
}

#[inline]
fn mask(random: &mut fastrand::Rng) -> [u8; 4] {
    random.u32(..).to_ne_bytes()
}

#[cfg(test)]
mod tests;
