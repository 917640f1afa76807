//! Tokens of visitors: a number, signed with a key that this run alone has. A number says nothing about a visitor.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{hmac, rand};

/// Longest token.
const LONGEST: usize = 80;

/// Signs and checks tokens (HMAC-SHA-256, RFC 2104).
pub struct Tokens {
    key: hmac::Key,
}

impl std::fmt::Debug for Tokens {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandom;

impl Tokens {
    /// A new key; tokens of other runs are not valid.
    pub fn new() -> Result<Self, NoRandom> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).map_err(|_| NoRandom)?;
        Ok(Self { key })
    }

    /// The token of a visitor.
    pub fn issue(&self, visitor: u64) -> String {
        let tag = hmac::sign(&self.key, &visitor.to_be_bytes());
        format!("{visitor:x}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    /// The visitor of a token; `None`: it was not signed here. Takes the same time for every wrong signature.
    pub fn visitor(&self, token: &str) -> Option<u64> {
        let (visitor, tag) = Some(token).filter(|token| token.len() <= LONGEST)?.split_once('.')?;
        let visitor = u64::from_str_radix(visitor, 16).ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.key, &visitor.to_be_bytes(), &tag).ok().map(|()| visitor)
    }
}

/// Random bytes as hexadecimal digits.
pub(crate) fn random_hex<const BYTES: usize>() -> Result<String, NoRandom> {
    let bytes: [u8; BYTES] = rand::generate(&rand::SystemRandom::new()).map_err(|_| NoRandom)?.expose();
    let mut text = String::with_capacity(2 * BYTES);
    for byte in bytes {
        // Writing into memory does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_valid_for_its_run_only() {
        let (tokens, others) = (Tokens::new().unwrap(), Tokens::new().unwrap());
        let token = tokens.issue(42);
        assert_eq!(tokens.visitor(&token), Some(42));
        assert_eq!(others.visitor(&token), None);
        assert_eq!(tokens.visitor(&token.replacen("2a", "2b", 1)), None, "a number with another's signature");
        assert_eq!(random_hex::<16>().unwrap().len(), 32);
        assert_ne!(random_hex::<16>().unwrap(), random_hex::<16>().unwrap());
    }

    proptest! {
        #[test]
        fn anything_else_is_no_token(text in ".{0,120}", visitor: u64, cut in 0_usize..60) {
            let tokens = Tokens::new().unwrap();
            prop_assert_eq!(tokens.visitor(&text), None);
            let token = tokens.issue(visitor);
            prop_assert_eq!(tokens.visitor(&token), Some(visitor));
            let cut = cut.min(token.len() - 1);
            prop_assert_eq!(tokens.visitor(&token[..cut]), None);
        }
    }
}
