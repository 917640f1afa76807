//! Messages of a person's own, and what counts as their answers.

use super::clock::now_ns;
use super::dialogue::{Dialogue, Reply};
use super::engine::Engine;
use crate::client::{self, Expect};
use crate::codec::frame::{self, Opcode};
use crate::template::{Template, Values};

/// What a worker's connections say and expect.
#[derive(Debug)]
pub(super) struct Script {
    message: Option<(Opcode, Template)>,
    expect: Expect,
    worker: u64,
    workers: u64,
    /// From `CLOCK_MONOTONIC` to the time since 1970.
    since_1970_ns: u64,
    /// The message at hand.
    payload: Vec<u8>,
}

impl Script {
    pub fn new(script: &client::Script, worker: u32) -> Self {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let message = script.payload.as_ref().map(|payload| {
            let opcode = if payload.binary { Opcode::Binary } else { Opcode::Text };
            (opcode, Template::new(&payload.bytes))
        });
        Self {
            message,
            expect: script.expect,
            worker: u64::from(worker),
            workers: u64::from(script.workers.max(1)),
            since_1970_ns: (wall.as_nanos() as u64).saturating_sub(now_ns()),
            payload: Vec::new(),
        }
    }

    fn values(&self, serial: u32, sequence: u32, at_ns: u64) -> Values {
        Values {
            connection: u64::from(serial) * self.workers + self.worker,
            sequence,
            now_ns: self.since_1970_ns.saturating_add(at_ns),
        }
    }

    /// The message of that number and intended moment; `None`: the protocol's own, or where pings are the questions none.
    pub fn message(&mut self, serial: u32, sequence: u32, at_ns: u64) -> Option<(Opcode, &[u8])> {
        let values = self.values(serial, sequence, at_ns);
        let (opcode, template) = self.message.as_ref()?;
        self.payload.clear();
        template.write(values, &mut self.payload);
        Some((*opcode, &self.payload))
    }

    /// Whether pings are the questions.
    pub fn pings(&self) -> bool {
        self.expect == Expect::None
    }

    /// Whether the server asks, and every message is sent back.
    pub fn mirrors(&self) -> bool {
        self.expect == Expect::Mirror
    }

    /// What a message means to a connection whose last message had that number and moment, and that waits for the answer
    /// or does not.
    pub fn reply(
        &mut self,
        (text, payload): (bool, &[u8]),
        (serial, sequence, at_ns): (u32, u32, u64),
        waits: bool,
        dialogue: &Dialogue,
    ) -> Reply {
        match self.expect {
            Expect::Any if waits => Reply::Answer,
            Expect::Any | Expect::None | Expect::Mirror => Reply::Other,
            Expect::Echo | Expect::Among => {
                let same = match self.message(serial, sequence, at_ns) {
                    Some((opcode, bytes)) => waits && (opcode == Opcode::Text) == text && bytes == payload,
                    None => dialogue.reply(text, payload, serial, sequence, waits) == Reply::Answer,
                };
                match (same, self.expect) {
                    (true, _) => Reply::Answer,
                    (false, Expect::Among) => Reply::Other,
                    (false, _) => Reply::Wrong,
                }
            }
        }
    }
}

impl Engine {
    /// Writes a message of a person's own, or the ping that stands for it. False: the protocol's own is to be written.
    pub(super) fn write_scripted(&mut self, index: u32) -> bool {
        let connection = self.slab.at(index);
        let (serial, sequence, at_ns) = (connection.serial, connection.sequence, connection.since_ns);
        let Some(script) = &mut self.script else { return false };
        let message = script.message(serial, sequence, at_ns);
        let written = message.is_some();
        if let Some((opcode, payload)) = message {
            frame::write(&mut self.out, opcode, payload, self.random.u32(..).to_ne_bytes());
        }
        let pings = script.pings();
        if pings {
            frame::write(&mut self.out, Opcode::Ping, &sequence.to_be_bytes(), self.random.u32(..).to_ne_bytes());
        }
        written || pings
    }

    /// Whether the server asks, and every message is sent back.
    #[inline]
    pub(super) fn mirrors(&self) -> bool {
        self.script.as_ref().is_some_and(Script::mirrors)
    }

    /// A pong: the answer, where pings are the questions.
    #[cold]
    pub(super) fn ponged(&mut self, index: u32, now: u64) {
        let connection = self.slab.at(index);
        if connection.waiting && self.script.as_ref().is_some_and(Script::pings) {
            connection.waiting = false;
            self.counters.answered(connection.since_ns, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sizes::Sizes;
    use super::*;
    use wsceiling_model::matrix::Protocol;

    fn script(payload: &str, expect: Expect) -> Script {
        let payload = client::Payload { bytes: payload.as_bytes().to_vec(), binary: false };
        Script::new(&client::Script { payload: Some(payload), expect, workers: 4 }, 1)
    }

    #[test]
    fn numbers_of_connections_are_unique_over_workers() {
        let mut script = script("{connection}", Expect::Echo);
        assert_eq!(script.message(0, 1, 0).unwrap().1, b"1");
        assert_eq!(script.message(5, 1, 0).unwrap().1, b"21");
    }

    #[test]
    fn what_counts_as_an_answer() {
        let last = (7, 2, 1000);
        let mut dialogue = Dialogue::new(Protocol::Echo, Sizes::new(20, &[], 1));
        let own = dialogue.message(7, 2).to_vec();
        let mut among = Script::new(&client::Script { payload: None, expect: Expect::Among, workers: 1 }, 0);
        assert_eq!(among.reply((true, &own), last, true, &dialogue), Reply::Answer);
        assert_eq!(among.reply((true, b"hello"), last, true, &dialogue), Reply::Other);
        for (expect, same, other) in [
            (Expect::Echo, Reply::Answer, Reply::Wrong),
            (Expect::Among, Reply::Answer, Reply::Other),
            (Expect::Any, Reply::Answer, Reply::Answer),
            (Expect::None, Reply::Other, Reply::Other),
        ] {
            let mut script = script("{connection} {sequence} {now_ns}", expect);
            let sent = script.message(7, 2, 1000).unwrap().1.to_vec();
            assert_eq!(script.reply((true, &sent), last, true, &dialogue), same, "{expect:?}");
            assert_eq!(script.reply((true, b"hello"), last, true, &dialogue), other, "{expect:?}");
            assert_ne!(script.reply((true, &sent), last, false, &dialogue), Reply::Answer, "{expect:?}");
        }
        let mut script = script("x", Expect::Echo);
        assert_eq!(script.reply((false, b"x"), last, true, &dialogue), Reply::Wrong);
    }
}
