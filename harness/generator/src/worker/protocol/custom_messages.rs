//! Messages of a person's own, and what counts as their answers.

use super::super::clock::now_ns;
use super::{Last, Messages, Reply};
use crate::client::{self, Expect};
use crate::codec::frame::Opcode;
use crate::template::{Template, Values};

/// What a worker's connections say and expect.
#[derive(Debug)]
pub struct CustomMessages {
    message: Option<(Opcode, Template)>,
    expect: Expect,
    worker: u64,
    workers: u64,
    /// From `CLOCK_MONOTONIC` to the time since 1970.
    since_1970_ns: u64,
    /// The message at hand.
    payload: Vec<u8>,
}

impl CustomMessages {
    /// The messages of worker number `worker`.
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

    /// The message of that number and intended moment; `None` if the default message, or only a ping, is sent.
    pub fn message(&mut self, last: Last) -> Option<(Opcode, &[u8])> {
        let values = Values {
            connection: u64::from(last.serial) * self.workers + self.worker,
            sequence: last.sequence,
            now_ns: self.since_1970_ns.saturating_add(last.at_ns),
        };
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

    /// What a received message means to a connection that said that last; the default messages are those of `default`.
    pub fn reply(&mut self, text: bool, payload: &[u8], last: Last, default: &Messages) -> Reply {
        match self.expect {
            Expect::Any if last.waiting => Reply::Answer,
            Expect::Any | Expect::None | Expect::Mirror => Reply::Other,
            Expect::Echo | Expect::Among => {
                let same = match self.message(last) {
                    Some((opcode, bytes)) => last.waiting && (opcode == Opcode::Text) == text && bytes == payload,
                    None => default.reply(text, payload, last) == Reply::Answer,
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

#[cfg(test)]
mod tests {
    use super::super::echo::Echo;
    use super::super::sizes::Sizes;
    use super::*;

    fn custom(payload: &str, expect: Expect) -> CustomMessages {
        let payload = client::Payload { bytes: payload.as_bytes().to_vec(), binary: false };
        CustomMessages::new(&client::Script { payload: Some(payload), expect, workers: 4 }, 1)
    }

    fn last(serial: u32, sequence: u32, at_ns: u64) -> Last {
        Last { serial, sequence, at_ns, waiting: true }
    }

    #[test]
    fn numbers_of_connections_are_unique_over_workers() {
        let mut custom = custom("{connection}", Expect::Echo);
        assert_eq!(custom.message(last(0, 1, 0)).unwrap().1, b"1");
        assert_eq!(custom.message(last(5, 1, 0)).unwrap().1, b"21");
    }

    #[test]
    fn what_counts_as_an_answer() {
        let last = last(7, 2, 1000);
        let mut echo = Echo::new(Sizes::new(20, &[], 1));
        let own = echo.message(7, 2).to_vec();
        let echo = Messages::Echo(echo);
        let mut among = CustomMessages::new(&client::Script { payload: None, expect: Expect::Among, workers: 1 }, 0);
        assert_eq!(among.reply(true, &own, last, &echo), Reply::Answer);
        assert_eq!(among.reply(true, b"hello", last, &echo), Reply::Other);
        for (expect, same, other) in [
            (Expect::Echo, Reply::Answer, Reply::Wrong),
            (Expect::Among, Reply::Answer, Reply::Other),
            (Expect::Any, Reply::Answer, Reply::Answer),
            (Expect::None, Reply::Other, Reply::Other),
        ] {
            let mut custom = custom("{connection} {sequence} {now_ns}", expect);
            let sent = custom.message(last).unwrap().1.to_vec();
            assert_eq!(custom.reply(true, &sent, last, &echo), same, "{expect:?}");
            assert_eq!(custom.reply(true, b"hello", last, &echo), other, "{expect:?}");
            let answered = Last { waiting: false, ..last };
            assert_ne!(custom.reply(true, &sent, answered, &echo), Reply::Answer, "{expect:?}");
        }
        let mut custom = custom("x", Expect::Echo);
        assert_eq!(custom.reply(false, b"x", last, &echo), Reply::Wrong);
    }
}
