//! Who a worker is, and what it proves that with.

use std::fmt;
use std::io::Read as _;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Bytes of a token.
const TOKEN_BYTES: usize = 32;

/// What the workers of one launch, and nobody else, know. It is worth nothing once they are in.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A new one, of 256 random bits.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; TOKEN_BYTES];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
        Ok(Self(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()))
    }

    /// The text, for the environment of a worker. It goes into no record and no log.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether a stranger's text is this one; it takes as long whichever of its bytes are right.
    pub fn is(&self, text: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), text.as_bytes());
        if own.len() != other.len() {
            return false;
        }
        let differing = own.iter().zip(other).fold(0, |differing, (one, other)| differing | (one ^ other));
        std::hint::black_box(differing) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The first line of a worker that dials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`](crate::ipc::PROTOCOL_VERSION) of the worker.
    pub version: u32,
    /// The token, as text.
    pub token: String,
    /// Number of the worker among those expected, from 1.
    pub slot: u32,
    /// Name of the node it runs on.
    pub node: String,
    /// Id of the boot of its kernel, where it can be read.
    pub boot: Option<String>,
    /// Addresses that its connections to the servers come from.
    pub addresses: Vec<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_random_known_by_all_of_its_text_and_never_shown() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert_eq!(one.reveal().len(), 2 * TOKEN_BYTES);
        assert!(one.is(one.reveal()) && !one.is(other.reveal()));
        assert!(!one.is("") && !one.is(&one.reveal()[1..]) && !one.is(&format!("{}0", one.reveal())));
        let mut nearly = one.reveal().to_owned();
        let last = if nearly.pop() == Some('0') { '1' } else { '0' };
        nearly.push(last);
        assert!(!one.is(&nearly));
        assert_eq!(format!("{one:?}"), "Token(..)");
    }
}
