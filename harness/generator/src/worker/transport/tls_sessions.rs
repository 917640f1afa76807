//! TLS of a worker's connections, beside the slab, so that plain connections pay nothing for it.

use super::super::clock::now_ns;
use crate::client::DestinationName;
use crate::tls::{Client, Session, Settings};
use wsceiling_model::record::FailureReason;

/// The sessions, by slot.
#[derive(Debug)]
pub struct TlsSessions {
    /// One for all destinations, or one for each.
    clients: Vec<Client>,
    sessions: Vec<Option<Box<Keyed>>>,
    /// Plaintext of the connection at hand; taken out while it is consumed.
    pub plain: Vec<u8>,
}

/// The session of a connection, and when its first flight was sent.
#[derive(Debug)]
struct Keyed {
    session: Session,
    greeted_ns: u64,
}

impl TlsSessions {
    /// No session yet. The error is a fragment for a person.
    pub fn new(settings: &Settings, names: &[DestinationName]) -> Result<Self, String> {
        let client = Client::new(settings)?;
        let clients = match names {
            [] => vec![client],
            names => names.iter().map(|name| client.towards(&name.server_name)).collect::<Result<_, _>>()?,
        };
        Ok(Self { clients, sessions: Vec::new(), plain: Vec::new() })
    }

    fn at(&mut self, index: u32) -> Option<&mut Keyed> {
        self.sessions.get_mut(index as usize)?.as_deref_mut()
    }

    /// Replaces a request by the first flight of a session that will send it.
    pub fn greet(&mut self, index: u32, destination: u16, out: &mut Vec<u8>) -> Result<(), String> {
        let slot = index as usize;
        if self.sessions.len() <= slot {
            self.sessions.resize_with(slot + 1, || None);
        }
        if self.sessions[slot].is_none() {
            let client = &self.clients[usize::from(destination) % self.clients.len()];
            self.sessions[slot] = Some(Box::new(Keyed { session: client.session()?, greeted_ns: 0 }));
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
    pub fn open(&mut self, index: u32, cipher: &[u8], plain: &mut Vec<u8>) -> (Result<(), FailureReason>, Option<u64>) {
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
