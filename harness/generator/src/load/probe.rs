//! One connection before the load, to find out what the server answers with.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::options::{Options, Place};
use super::resolve::SocketTarget;
use super::stream::{Stream, io_cause, open};
use crate::client::{Expect, Payload};
use crate::codec::frame::{self, Limits, Opcode};
use crate::codec::handshake::{self, Request};
use crate::codec::session::{Context, Session, Step};
use crate::template::{Template, Values};
use crate::tls;

/// How long an answer to the probe's message is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Messages looked at before the probe has heard enough.
const MESSAGES_MAX: usize = 1000;

/// What the probe saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The same message came back.
    pub echo: bool,
    /// Other messages that came after the probe's.
    pub others: usize,
    /// A ping was answered; only asked where no message came.
    pub pong: bool,
    /// Why the connection ended while it was listened to.
    pub ended: Option<String>,
    /// Version and cipher suite of TLS.
    pub tls: Option<String>,
}

/// What the load will take as an answer, and the sentence that says so.
pub fn judge(seen: Result<&Seen, &String>) -> (Expect, String) {
    let seen = match seen {
        Ok(seen) => seen,
        Err(cause) => {
            return (
                Expect::Among,
                format!("answers: the same message, assumed, because a first connection failed: {cause}"),
            );
        }
    };
    let assumed = match seen {
        // It may be the message that it does not take, and then the load is to show it.
        Seen { echo: false, others: 0, ended: Some(why), .. } => {
            let text =
                format!("the same message, assumed, because the server ended a first connection that sent it: {why}");
            return (Expect::Among, format!("answers: {text} (--expect says otherwise)"));
        }
        Seen { echo: true, .. } => (Expect::Among, "the same message; it came back to a first connection"),
        Seen { others: 1.., .. } => {
            (Expect::Any, "any message; another one than the sent one came back to a first connection")
        }
        Seen { pong: true, .. } => {
            (Expect::None, "pongs; a first connection got no message back within 1 s, but its ping was answered")
        }
        _ => (Expect::None, "pongs, assumed; a first connection got neither a message nor a pong back within 1 s"),
    };
    let mut text = format!("answers: {} (--expect says otherwise)", assumed.1);
    if let Some(ended) = &seen.ended {
        text = format!("{text}; that connection then ended: {ended}");
    }
    (assumed.0, text)
}

/// Opens a connection, says a message and listens. The error is the cause, as the load would count it.
pub async fn probe(options: &Options, place: &Place, at: SocketTarget) -> Result<Seen, String> {
    let request = Request::new(&place.host, &place.url.path, &options.headers).map_err(|bad| bad.to_string())?;
    let tls =
        options.tls.as_ref().map(|settings| tls::Client::new(settings)?.towards(&place.server_name)).transpose()?;
    let payload = options.payload.clone().unwrap_or_else(|| Payload {
        bytes: b"wsceiling asks what comes back".iter().copied().cycle().take(options.message_bytes as usize).collect(),
        binary: false,
    });
    let (connect, upgrade) = (options.connect_timeout, options.handshake_timeout);
    let task = tokio::task::spawn_blocking(move || {
        let stream = open(&at, connect).map_err(|error| io_cause(&error))?;
        let tls = tls.map(|client| client.session()).transpose()?;
        let mut line = Line::new(stream, tls, request);
        line.upgrade(Instant::now() + upgrade)?;
        let seen = line.converse(&payload);
        if seen.ended.is_none() {
            line.say_goodbye();
        }
        Ok(seen)
    });
    task.await.unwrap_or_else(|error| Err(error.to_string()))
}

/// What came in.
enum Heard {
    Message(bool, Vec<u8>),
    Upgraded,
    Pong,
    Ended(String),
}

/// A connection that blocks.
struct Line {
    stream: Box<dyn Stream>,
    tls: Option<tls::Session>,
    request: Request,
    session: Session,
    random: fastrand::Rng,
}

/// Seed of the probe's key, with connection number 0.
const SEED: u64 = 0x77_73_63_65_69_6c;

impl Line {
    fn new(stream: Box<dyn Stream>, tls: Option<tls::Session>, request: Request) -> Self {
        Self { stream, tls, request, session: Session::default(), random: fastrand::Rng::new() }
    }

    fn send(&mut self, mut bytes: Vec<u8>) -> Result<(), String> {
        if let Some(tls) = &mut self.tls {
            tls.seal(&mut bytes);
        }
        self.stream.write_all(&bytes).map_err(|error| io_cause(&error))
    }

    fn say(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), String> {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, opcode, payload, self.random.u32(..).to_ne_bytes());
        self.send(bytes)
    }

    /// What comes in until the deadline; nothing: it has passed.
    fn listen(&mut self, deadline: Instant) -> Result<Vec<Heard>, String> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Vec::new());
        }
        let mut buffer = vec![0; 64 << 10];
        self.stream.set_patience(left).map_err(|error| error.to_string())?;
        let length = match self.stream.read(&mut buffer) {
            Ok(0) => return Ok(vec![Heard::Ended("eof".to_owned())]),
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(Vec::new()),
            Err(error) => return Ok(vec![Heard::Ended(io_cause(&error))]),
        };
        buffer.truncate(length);
        if let Some(tls) = &mut self.tls {
            let mut plain = Vec::new();
            tls.open(&buffer, &mut plain).map_err(|reason| reason.to_string())?;
            buffer = plain;
        }
        let mut out = Vec::new();
        let heard = self.steps(&buffer, &mut out);
        self.send(out)?;
        Ok(heard)
    }

    fn steps(&mut self, mut rest: &[u8], out: &mut Vec<u8>) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            let mut context = Context {
                request: &self.request,
                limits: Limits::default(),
                random: &mut self.random,
                out,
                answers: None,
            };
            let (used, step) = self.session.step(rest, || handshake::key(SEED, 0), &mut context);
            rest = &rest[used..];
            heard.push(match step {
                Step::Starved => return heard,
                Step::Control => continue,
                Step::Upgraded => Heard::Upgraded,
                Step::Text(payload) => Heard::Message(true, payload.to_vec()),
                Step::Binary(payload) => Heard::Message(false, payload.to_vec()),
                Step::Pong => Heard::Pong,
                Step::Refused(refusal) => Heard::Ended(refusal.to_string()),
                Step::Closed(Some(code)) => Heard::Ended(format!("close {code}")),
                Step::Closed(None) => Heard::Ended("close without code".to_owned()),
                Step::CloseAnswered => Heard::Ended("closed".to_owned()),
                Step::Broken(violation) => Heard::Ended(violation.to_string()),
            });
        }
    }

    fn upgrade(&mut self, deadline: Instant) -> Result<(), String> {
        let mut request = Vec::new();
        self.request.write(&handshake::key(SEED, 0), &mut request);
        self.send(request)?;
        loop {
            if Instant::now() >= deadline {
                return Err("timeout".to_owned());
            }
            for heard in self.listen(deadline)? {
                match heard {
                    Heard::Upgraded => return Ok(()),
                    Heard::Ended(why) => return Err(why),
                    Heard::Message(..) | Heard::Pong => {}
                }
            }
        }
    }

    fn converse(&mut self, payload: &Payload) -> Seen {
        let mut seen = Seen { tls: self.tls.as_ref().and_then(tls::Session::describe), ..Seen::default() };
        let mut message = Vec::new();
        Template::new(&payload.bytes).write(Values { connection: 0, sequence: 1, now_ns: 0 }, &mut message);
        let opcode = if payload.binary { Opcode::Binary } else { Opcode::Text };
        if let Err(why) = self.say(opcode, &message) {
            seen.ended = Some(why);
            return seen;
        }
        self.hear(&mut seen, |seen, heard| match heard {
            Heard::Message(text, bytes) if *text != payload.binary && *bytes == message => {
                seen.echo = true;
                true
            }
            Heard::Message(..) => {
                seen.others += 1;
                seen.others >= MESSAGES_MAX
            }
            _ => false,
        });
        if seen.echo || seen.others > 0 || seen.ended.is_some() {
            return seen;
        }
        if let Err(why) = self.say(Opcode::Ping, b"?") {
            seen.ended = Some(why);
            return seen;
        }
        self.hear(&mut seen, |seen, heard| {
            seen.pong = matches!(heard, Heard::Pong);
            seen.pong
        });
        seen
    }

    /// Closes as RFC 6455 has it, or the server's log would have a fault that nobody made.
    fn say_goodbye(&mut self) {
        let mut out = Vec::new();
        let mut context = Context {
            request: &self.request,
            limits: Limits::default(),
            random: &mut self.random,
            out: &mut out,
            answers: None,
        };
        self.session.close(1000, &mut context);
        if self.send(out).is_ok() {
            self.hear(&mut Seen::default(), |_, _| false);
        }
    }

    /// Listens until `enough` says so, the connection ends, or patience does.
    fn hear(&mut self, seen: &mut Seen, mut enough: impl FnMut(&mut Seen, &Heard) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let heard = match self.listen(deadline) {
                Ok(heard) => heard,
                Err(why) => vec![Heard::Ended(why)],
            };
            for heard in heard {
                if let Heard::Ended(why) = heard {
                    seen.ended = Some(why);
                    return;
                }
                if enough(seen, &heard) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_decides_and_is_said() {
        let seen = |echo, others, pong| Seen { echo, others, pong, ..Seen::default() };
        for (seen, expect, says) in [
            (seen(true, 3, false), Expect::Among, "the same message"),
            (seen(false, 1, false), Expect::Any, "any message"),
            (seen(false, 0, true), Expect::None, "pongs;"),
            (seen(false, 0, false), Expect::None, "pongs, assumed"),
        ] {
            let (judged, text) = judge(Ok(&seen));
            assert_eq!(judged, expect);
            assert!(text.contains(says), "{text}");
        }
        let ended = Seen { ended: Some("close 1009".to_owned()), ..Seen::default() };
        let (expect, text) = judge(Ok(&ended));
        assert_eq!(expect, Expect::Among);
        assert!(text.contains("ended a first connection that sent it: close 1009"), "{text}");
        let (expect, text) = judge(Err(&"http 503".to_owned()));
        assert_eq!(expect, Expect::Among);
        assert!(text.contains("http 503"), "{text}");
    }
}
