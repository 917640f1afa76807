//! One connection from the request to the close handshake: what was received goes in, steps come out, and what is to be
//! sent in answer (pong, close) is appended to a buffer. No socket, no clock.

use super::frame::{self, Limits, Opcode, Violation};
use super::handshake::{Head, Key, Refusal, Request};
use super::receiver::{Item, Receiver};

/// State of a connection: 24 bytes, and a box only while something is cut.
#[derive(Debug, Default)]
pub struct Session {
    phase: Phase,
    head: Option<Box<Head>>,
    receiver: Receiver,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The response's head is awaited.
    #[default]
    Upgrading,
    /// Messages come and go.
    Open,
    /// The client's close frame was sent; the server's is awaited.
    Closing,
    /// Nothing more is read.
    Over,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// All input is used up.
    Starved,
    /// The upgrade is accepted.
    Upgraded,
    /// The upgrade is refused; nothing more is read.
    Refused(Refusal),
    /// A text message.
    Text(&'a [u8]),
    /// A binary message.
    Binary(&'a [u8]),
    /// A pong.
    Pong,
    /// A ping, answered in the output; or a message after the client's close, which is ignored.
    Control,
    /// The server closes with this code; the answer is in the output. Nothing more is read.
    Closed(Option<u16>),
    /// The server answered the client's close. Nothing more is read.
    CloseAnswered,
    /// The server broke the protocol; the close frame with the right code is in the output. Nothing more is read.
    Broken(Violation),
}

/// Who wants to know what upgrades are answered with.
pub trait Heads: std::fmt::Debug {
    /// An upgrade succeeded with this head.
    fn accepted(&mut self, head: &[u8]);

    /// An upgrade was refused with this head and, as far as it has arrived, this body.
    fn refused(&mut self, head: &[u8], body: &[u8]);
}

/// What a session needs while it reads.
#[derive(Debug)]
pub struct Context<'a> {
    /// The request, for the check of its response.
    pub request: &'a Request,
    /// Limits of the input.
    pub limits: Limits,
    /// Makes the mask keys.
    pub random: &'a mut fastrand::Rng,
    /// Frames to send are appended here.
    pub out: &'a mut Vec<u8>,
    /// Keeps what upgrades are answered with; `None`: nobody asks.
    pub answers: Option<&'a mut dyn Heads>,
}

impl Context<'_> {
    fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        frame::write(self.out, opcode, payload, self.random.u32(..).to_ne_bytes());
    }
}

impl Session {
    /// Bytes that the session keeps between reads.
    #[inline]
    pub fn buffered(&self) -> usize {
        self.head.as_ref().map_or(0, |head| size_of::<Head>() + head.buffered()) + self.receiver.buffered()
    }

    /// Takes the next step with `input` and says how many of its bytes were used. To be called with the rest until
    /// [`Step::Starved`], also after an end, or memory stays in use. `key` makes the key of this connection's request.
    #[inline]
    pub fn step<'a>(
        &'a mut self,
        input: &'a [u8],
        key: impl FnOnce() -> Key,
        context: &mut Context<'_>,
    ) -> (usize, Step<'a>) {
        match self.phase {
            Phase::Upgrading => return self.upgrade(input, key, context),
            Phase::Over => {
                self.receiver = Receiver::default();
                return (input.len(), Step::Starved);
            }
            Phase::Open | Phase::Closing => {}
        }
        let closing = self.phase == Phase::Closing;
        let (used, item) = match self.receiver.next(input, context.limits) {
            Ok((used, Some(item))) => (used, item),
            Ok((used, None)) => return (used, Step::Starved),
            Err(violation) => {
                self.phase = Phase::Over;
                if !closing {
                    context.send(Opcode::Close, &violation.close_code().to_be_bytes());
                }
                return (input.len(), Step::Broken(violation));
            }
        };
        let step = match item {
            Item::Text(_) | Item::Binary(_) | Item::Pong if closing => Step::Control,
            Item::Text(payload) => Step::Text(payload),
            Item::Binary(payload) => Step::Binary(payload),
            Item::Pong => Step::Pong,
            Item::Ping(payload) => {
                if !closing {
                    context.send(Opcode::Pong, payload);
                }
                Step::Control
            }
            Item::Close(_) if closing => {
                self.phase = Phase::Over;
                Step::CloseAnswered
            }
            Item::Close(code) => {
                self.phase = Phase::Over;
                match code {
                    Some(code) => context.send(Opcode::Close, &code.to_be_bytes()),
                    None => context.send(Opcode::Close, &[]),
                }
                Step::Closed(code)
            }
        };
        (used, step)
    }

    /// Starts the close handshake: the frame is appended to the output. Nothing happens where it is not open.
    pub fn close(&mut self, code: u16, context: &mut Context<'_>) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
            context.send(Opcode::Close, &code.to_be_bytes());
        }
    }

    #[cold]
    fn upgrade<'a>(
        &'a mut self,
        input: &'a [u8],
        key: impl FnOnce() -> Key,
        context: &mut Context<'_>,
    ) -> (usize, Step<'a>) {
        if input.is_empty() {
            return (0, Step::Starved);
        }
        let mut fresh = Head::default();
        let head = self.head.as_deref_mut().unwrap_or(&mut fresh);
        let checked = match head.take(input) {
            Ok((used, None)) => {
                if self.head.is_none() {
                    self.head = Some(Box::new(fresh));
                }
                return (used, Step::Starved);
            }
            Ok((used, Some(head))) => {
                let checked = context.request.check(head, &key()).map(|()| used);
                if let Some(answers) = &mut context.answers {
                    match checked {
                        Ok(_) => answers.accepted(head),
                        Err(_) => answers.refused(head, &input[used..]),
                    }
                }
                checked
            }
            Err(refusal) => Err(refusal),
        };
        self.head = None;
        match checked {
            Ok(used) => {
                self.phase = Phase::Open;
                (used, Step::Upgraded)
            }
            Err(refusal) => {
                self.phase = Phase::Over;
                (input.len(), Step::Refused(refusal))
            }
        }
    }
}

#[cfg(test)]
mod tests;
