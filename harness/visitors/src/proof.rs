//! What the target must say before anybody is told to connect to it: who can put a file there may load it.

use wsceiling_model::record::ScrapeFault;
use wsceiling_model::url::Url;

use crate::token::{NoRandom, random_hex};

/// Where the target says it.
pub const PROOF_PATH: &str = "/.well-known/wsceiling";

/// Longest file that is looked at.
const LONGEST: usize = 64 << 10;

/// The words that a target has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    token: String,
}

/// What the target says about being loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofAnswer {
    /// It may be.
    Holds,
    /// It does not say so; in words, for the operator.
    Denies(String),
    /// Nobody can tell: it did not answer, which an overloaded server may do.
    Unclear(String),
}

impl Proof {
    /// New words that nobody can guess.
    pub fn new() -> Result<Self, NoRandom> {
        Ok(Self { token: random_hex::<16>()? })
    }

    /// The words of a token that was used before.
    pub fn with_token(token: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (16..=64).contains(&token.len()) && token.bytes().all(plain) {
            return Ok(Self { token: token.to_owned() });
        }
        Err("a token has 16 to 64 letters, digits, `-` or `_` (hint: leave it out, and one is made)".to_owned())
    }

    /// The token, to be given again.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The line that the file must have.
    pub fn line(&self) -> String {
        format!("wsceiling-visitors {}", self.token)
    }

    /// Where the file of a target is.
    pub fn place(target: &Url) -> String {
        let scheme = if target.secure { "https" } else { "http" };
        format!("{scheme}://{}{PROOF_PATH}", target.host_header())
    }

    /// What an answer says.
    pub fn judge(&self, answer: Result<&[u8], &ScrapeFault>) -> ProofAnswer {
        let says = |what: String| ProofAnswer::Denies(what);
        match answer {
            Ok(body) if body.len() > LONGEST => says("the file is longer than 64 KiB".to_owned()),
            Ok(body) => {
                let line = self.line();
                let holds = body.split(|byte| *byte == b'\n').any(|found| found.trim_ascii() == line.as_bytes());
                if holds { ProofAnswer::Holds } else { says("the file does not have the line".to_owned()) }
            }
            Err(
                fault @ (ScrapeFault::Unauthorised { .. }
                | ScrapeFault::Redirected { .. }
                | ScrapeFault::Status { status: 400..=428 | 430..=499 }),
            ) => says(fault.to_string()),
            Err(fault) => ProofAnswer::Unclear(fault.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_says_it_with_a_line_of_its_file() {
        let proof = Proof::with_token("0123456789abcdef").unwrap();
        for body in ["wsceiling-visitors 0123456789abcdef", "# ours\r\nwsceiling-visitors 0123456789abcdef\r\n"] {
            assert_eq!(proof.judge(Ok(body.as_bytes())), ProofAnswer::Holds, "{body}");
        }
        for body in ["", "wsceiling-visitors 0123456789abcdeF", "xwsceiling-visitors 0123456789abcdef", "<html>"] {
            assert!(matches!(proof.judge(Ok(body.as_bytes())), ProofAnswer::Denies(_)), "{body}");
        }
        let long = vec![b'\n'; LONGEST + 1];
        assert!(matches!(proof.judge(Ok(&long)), ProofAnswer::Denies(_)));
    }

    #[test]
    fn an_overloaded_target_has_not_taken_it_back() {
        let proof = Proof::new().unwrap();
        assert_eq!(Proof::with_token(proof.token()), Ok(proof.clone()));
        let judged = |fault: ScrapeFault| proof.judge(Err(&fault));
        for fault in [
            ScrapeFault::Status { status: 404 },
            ScrapeFault::Status { status: 410 },
            ScrapeFault::Unauthorised { status: 403 },
            ScrapeFault::Redirected { status: 301, to: "https://elsewhere/".to_owned() },
        ] {
            assert!(matches!(judged(fault.clone()), ProofAnswer::Denies(_)), "{fault}");
        }
        for fault in [
            ScrapeFault::Status { status: 503 },
            ScrapeFault::Status { status: 429 },
            ScrapeFault::TooSlow { within_ms: 9 },
            ScrapeFault::Refused { address: "[::1]:1".to_owned() },
        ] {
            assert!(matches!(judged(fault.clone()), ProofAnswer::Unclear(_)), "{fault}");
        }
    }

    #[test]
    fn the_file_is_beside_the_target() {
        let place = |url: &str| Proof::place(&Url::parse(url).unwrap());
        assert_eq!(place("wss://shop.example/chat?x=1"), "https://shop.example/.well-known/wsceiling");
        assert_eq!(place("ws://[::1]:9001"), "http://[::1]:9001/.well-known/wsceiling");
        for token in ["", "short", "0123456789abcdef\n", "0123456789 abcdef", &"a".repeat(65)] {
            assert!(Proof::with_token(token).is_err(), "{token:?}");
        }
    }
}
