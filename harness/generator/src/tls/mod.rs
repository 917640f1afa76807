//! TLS without sockets: ciphertext in, plaintext out, and the other way round. The worker's engine and the probe of
//! `load` run the same code. Nothing else knows rustls.
//!
//! - [`settings`]: whom to trust, who the client is; sent to workers, checked where the user gave it;
//! - `trust`: the check of the server's certificate;
//! - `stream`: the same for one careful connection, over tokio;
//! - [`cause`]: the words for what went wrong.

pub mod cause;
pub mod settings;
mod stream;
mod trust;

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use wsceiling_model::record::FailureReason;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

pub use settings::{Identity, Settings, Trust};

/// What all sessions of a worker share: trust, the client's certificate, tickets for resumption.
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Client {
    /// Checks the settings. The error is a fragment for a person, with a hint.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let name = ServerName::try_from(settings.server_name.clone()).map_err(|_| {
            format!(
                "`{}` is no host name that a certificate can have (hint: --sni NAME)",
                settings.server_name.escape_debug()
            )
        })?;
        let client = Self { config: Arc::new(settings::client_config(settings)?), name };
        // What is wrong with the whole configuration would show with every connection; it shows here, once.
        client.session().map_err(|cause| format!("failed to prepare TLS: {cause}"))?;
        Ok(client)
    }

    /// The same towards a server of another name, with the same tickets. The error is a fragment for a person.
    pub fn towards(&self, name: &str) -> Result<Self, String> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("`{}` is no host name that a certificate can have", name.escape_debug()))?;
        Ok(Self { config: Arc::clone(&self.config), name })
    }

    /// A session for one connection. Nothing is said yet.
    pub fn session(&self) -> Result<Session, String> {
        let mut inner = ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(|error| cause::of(&error, true).to_string())?;
        // The engine bounds what waits for a socket itself, and never says more than that before the handshake is over.
        inner.set_buffer_limit(None);
        Ok(Session { inner, hello: Vec::new(), begun: false })
    }
}

/// The TLS of one connection.
#[derive(Debug)]
pub struct Session {
    inner: ClientConnection,
    /// The first flight, until it is sent.
    hello: Vec<u8>,
    /// The server has said something under the keys: until then what goes wrong belongs to the handshake, since in TLS 1.3
    /// the client is done with its part before the server has judged it.
    begun: bool,
}

impl Session {
    /// Replaces plaintext, which is kept until the handshake is over, by the first flight. The same one each time, since
    /// making it again would cost another key.
    pub fn greet(&mut self, out: &mut Vec<u8>) {
        if self.hello.is_empty() {
            self.seal(out);
            self.hello.clone_from(out);
        } else {
            out.clone_from(&self.hello);
        }
    }

    /// The first flight is sent.
    pub fn greeted(&mut self) {
        self.hello = Vec::new();
    }

    /// Takes ciphertext in and appends the plaintext. The error is a cause; what came before it is in `plain`.
    pub fn open(&mut self, mut cipher: &[u8], plain: &mut Vec<u8>) -> Result<(), FailureReason> {
        while !cipher.is_empty() {
            let handshaking = !self.begun;
            let taken =
                self.inner.read_tls(&mut cipher).map_err(|error| FailureReason::Tls(error.to_string().into()))?;
            let state = self.inner.process_new_packets().map_err(|error| cause::of(&error, handshaking))?;
            let length = state.plaintext_bytes_to_read();
            if length > 0 {
                self.begun = true;
                let from = plain.len();
                plain.resize(from + length, 0);
                self.inner
                    .reader()
                    .read_exact(&mut plain[from..])
                    .map_err(|error| FailureReason::Tls(error.to_string().into()))?;
            }
            if taken == 0 {
                // Nothing counts after the server's `close_notify`.
                break;
            }
        }
        Ok(())
    }

    /// Replaces plaintext by ciphertext, with what the handshake has to say.
    pub fn seal(&mut self, out: &mut Vec<u8>) {
        // Writing into memory does not fail, and without a buffer limit all of it is taken.
        let _ = self.inner.writer().write_all(out);
        out.clear();
        while self.inner.wants_write() {
            if self.inner.write_tls(out).is_err() {
                break;
            }
        }
    }

    /// Whether the handshake is under way.
    pub fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    /// Version and cipher suite, for a person.
    pub fn describe(&self) -> Option<String> {
        let version = self.inner.protocol_version()?;
        let suite = self.inner.negotiated_cipher_suite()?;
        let version = version
            .as_str()
            .map_or_else(|| format!("{version:?}"), |name| name.replace('_', ".").replace("TLSv", "TLS "));
        Some(format!("{version}, {}", suite.suite().as_str().unwrap_or("unnamed cipher suite")))
    }
}

#[cfg(test)]
mod tests;
