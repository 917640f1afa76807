//! TLS of a worker's connections, beside the slab, so that plain connections pay nothing for it.

use super::clock::now_ns;
use super::connection::State;
use super::engine::Engine;
use super::pump::Consumed;
use crate::tls::{Client, Session, Settings};
use wsceiling_model::record::FailureReason;

/// The sessions, by slot.
#[derive(Debug)]
pub(super) struct Secure {
    client: Client,
    sessions: Vec<Option<Box<Keyed>>>,
    /// Plaintext of the connection at hand.
    plain: Vec<u8>,
}

/// The session of a connection, and when its first flight was sent.
#[derive(Debug)]
struct Keyed {
    session: Session,
    greeted_ns: u64,
}

impl Secure {
    /// No session yet. The error is a fragment for a person.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        Ok(Self { client: Client::new(settings)?, sessions: Vec::new(), plain: Vec::new() })
    }

    fn at(&mut self, index: u32) -> Option<&mut Keyed> {
        self.sessions.get_mut(index as usize)?.as_deref_mut()
    }

    /// Replaces a request by the first flight of a session that will send it.
    pub fn greet(&mut self, index: u32, out: &mut Vec<u8>) -> Result<(), String> {
        let slot = index as usize;
        if self.sessions.len() <= slot {
            self.sessions.resize_with(slot + 1, || None);
        }
        if self.sessions[slot].is_none() {
            self.sessions[slot] = Some(Box::new(Keyed { session: self.client.session()?, greeted_ns: 0 }));
        }
        if let Some(keyed) = self.at(index) {
            keyed.session.greet(out);
        }
        Ok(())
    }

    /// The first flight is sent.
    pub fn greeted(&mut self, index: u32, now_ns: u64) {
        if let Some(keyed) = self.at(index) {
            keyed.session.greeted();
            keyed.greeted_ns = now_ns;
        }
    }

    /// Replaces plaintext by ciphertext.
    pub fn seal(&mut self, index: u32, out: &mut Vec<u8>) {
        if let Some(keyed) = self.at(index) {
            keyed.session.seal(out);
        }
    }

    /// Takes ciphertext in and appends the plaintext; and the nanoseconds that the handshake took, if it ended with this.
    fn open(&mut self, index: u32, cipher: &[u8], plain: &mut Vec<u8>) -> (Result<(), FailureReason>, Option<u64>) {
        let Some(Keyed { session, greeted_ns }) = self.at(index) else { return (Ok(()), None) };
        let was_handshaking = session.is_handshaking();
        let opened = session.open(cipher, plain);
        let ended = was_handshaking && !session.is_handshaking();
        (opened, ended.then(|| now_ns().saturating_sub(*greeted_ns)))
    }

    /// The connection is gone.
    pub fn forget(&mut self, index: u32) {
        if let Some(slot) = self.sessions.get_mut(index as usize) {
            *slot = None;
        }
    }

    /// Whether a connection is still about its keys.
    pub fn is_handshaking(&self, index: u32) -> bool {
        self.sessions.get(index as usize).and_then(Option::as_ref).is_some_and(|keyed| keyed.session.is_handshaking())
    }
}

impl Engine {
    /// Takes in what a connection received: ciphertext, where it has TLS.
    pub(super) fn unseal(&mut self, index: u32, cipher: &[u8]) -> Consumed {
        let Some(secure) = &mut self.secure else { return self.consume(index, cipher) };
        let mut plain = std::mem::take(&mut secure.plain);
        plain.clear();
        let (opened, keyed_ns) = secure.open(index, cipher, &mut plain);
        if let Some(took_ns) = keyed_ns {
            self.counters.keyed(took_ns);
        }
        let consumed = if plain.is_empty() {
            self.out.clear();
            self.conclude(index, None, now_ns())
        } else {
            self.consume(index, &plain)
        };
        if let Some(secure) = &mut self.secure {
            secure.plain = plain;
        }
        match (opened, consumed) {
            (Err(cause), Consumed::Fine | Consumed::Unwritable(_)) if self.slab.at(index).state != State::Free => {
                self.cut_off(index, &cause);
                Consumed::Gone
            }
            (_, consumed) => consumed,
        }
    }

    /// A cause, with the word that it came before the keys were agreed.
    pub(super) fn before_keys(&self, index: u32, cause: &FailureReason) -> FailureReason {
        match &self.secure {
            Some(secure) if secure.is_handshaking(index) && !matches!(cause, FailureReason::Tls(_)) => {
                FailureReason::Tls(format!("{cause} in the handshake").into())
            }
            _ => cause.clone(),
        }
    }
}
