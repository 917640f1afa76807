//! Fingerprints of responses: of each refusal, and of the first upgrade that succeeds. Nothing else is looked at, so a
//! connection that opens costs one comparison.

use crate::codec::session::Heads;
use wsceiling_model::record::answer::{Answer, HEADERS, Keep, PRESENT};

/// Most different answers that are kept between two reports; further ones are in the failures only.
const ANSWERS_MAX: usize = 6;

/// Longest text that is kept of a value.
const TEXT_MAX: usize = 80;

/// How far into the body an error code is looked for.
const BODY_MAX: usize = 1024;

/// Most header lines of a response.
const LINES_MAX: usize = 64;

/// The answers that were heard since the last report.
#[derive(Debug, Default)]
pub struct Answers {
    refused: Vec<Answer>,
    accepted: Option<Answer>,
    /// An upgrade has succeeded before.
    known: bool,
}

impl Heads for Answers {
    #[inline]
    fn accepted(&mut self, head: &[u8]) {
        if !self.known {
            self.known = true;
            self.accepted = fingerprint(head, &[]);
        }
    }

    #[cold]
    fn refused(&mut self, head: &[u8], body: &[u8]) {
        let Some(answer) = fingerprint(head, body) else { return };
        let full = self.refused.len() >= ANSWERS_MAX;
        match self.refused.iter_mut().find(|known| known.is_like(&answer)) {
            Some(known) => known.count += 1,
            None if !full => self.refused.push(answer),
            None => {}
        }
    }
}

impl Answers {
    /// What refused upgrades were answered with, each kind once.
    pub fn take_refused(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.refused)
    }

    /// What the first upgrade was answered with that succeeded; told once.
    pub fn take_accepted(&mut self) -> Option<Answer> {
        self.accepted.take()
    }
}

/// The fingerprint of a whole head; `None`: it is not HTTP.
fn fingerprint(head: &[u8], body: &[u8]) -> Option<Answer> {
    let mut lines = [httparse::EMPTY_HEADER; LINES_MAX];
    let mut response = httparse::Response::new(&mut lines);
    response.parse(head).ok().filter(httparse::Status::is_complete)?;
    let kept = response.headers.iter().filter_map(|header| {
        let (name, keep) = HEADERS.iter().find(|(name, _)| header.name.eq_ignore_ascii_case(name))?;
        let value = match keep {
            Keep::Value => shown(header.value),
            Keep::Presence => PRESENT.to_owned(),
            Keep::Origin => shown(origin(header.value).as_bytes()),
        };
        Some(((*name).to_owned(), value))
    });
    Some(Answer {
        count: 1,
        status: response.code?,
        phrase: shown(response.reason.unwrap_or_default().as_bytes()),
        code: error_code(&body[..body.len().min(BODY_MAX)]),
        headers: kept.collect(),
    })
}

/// A short text without anything that a terminal or a page could take for more than text.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.trim_ascii());
    text.chars().take(TEXT_MAX).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '\u{b7}' }).collect()
}

/// `https://example.com:8443` of an address; what has no scheme and host is on the same one.
fn origin(value: &[u8]) -> String {
    let text = std::str::from_utf8(value).unwrap_or_default().trim();
    let parts = text.split_once("://").map(|(scheme, rest)| {
        let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // What stands before the last `@` is a name and a password.
        (scheme, place.rsplit('@').next().unwrap_or_default())
    });
    match parts {
        Some((scheme, host)) if !host.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            format!("{scheme}://{host}")
        }
        _ => "same host".to_owned(),
    }
}

/// The code by which a platform names its own errors, where the body begins with a page that has one: Heroku's `H11`, Fly's
/// `PT01`, Cloudflare's `error code: 1015`.
fn error_code(body: &[u8]) -> Option<String> {
    let words = body.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut words = words.map(|word| std::str::from_utf8(word).unwrap_or_default()).peekable();
    let mut before = "";
    while let Some(word) = words.next() {
        if before.eq_ignore_ascii_case("error") && word.eq_ignore_ascii_case("code") {
            let number = words.peek().filter(|number| number.len() <= 5 && all_digits(number));
            if let Some(number) = number {
                return Some(format!("error code {number}"));
            }
        }
        let is_code = |letters: &str, digits| {
            word.strip_prefix(letters).is_some_and(|rest| rest.len() == digits && all_digits(rest))
        };
        if is_code("H", 2) || is_code("PT", 2) || is_code("PR", 2) || is_code("PU", 2) {
            return Some(word.to_owned());
        }
        before = word;
    }
    None
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(head: &str, body: &str) -> Answer {
        let mut answers = Answers::default();
        answers.refused(head.replace('\n', "\r\n").as_bytes(), body.as_bytes());
        answers.take_refused().pop().unwrap()
    }

    #[test]
    fn an_edge_is_known_by_its_headers_and_its_own_code() {
        let answer = refused(
            "HTTP/1.1 503 Service Unavailable\nServer: heroku-router\nVia: 1.1 vegur\nSet-Cookie: session=secret\n\n",
            "<html><title>Application error</title><p>code=H11 desc=\"Backlog too deep\"",
        );
        assert_eq!(
            (answer.status, answer.phrase.as_str(), answer.code.as_deref()),
            (503, "Service Unavailable", Some("H11"))
        );
        assert_eq!((answer.header("server"), answer.header("via")), (Some("heroku-router"), Some("1.1 vegur")));
        assert!(!format!("{answer:?}").contains("secret"));
        let answer =
            refused("HTTP/1.1 429 x\nserver: cloudflare\nCF-RAY: 8f2c-FRA\nretry-after: 10\n\n", "error code: 1015");
        assert_eq!((answer.header("cf-ray"), answer.header("retry-after")), (Some(PRESENT), Some("10")));
        assert_eq!(answer.code.as_deref(), Some("error code 1015"));
    }

    #[test]
    fn an_address_loses_all_that_may_be_secret() {
        let location = |value: &str| {
            let answer = refused(&format!("HTTP/1.1 301 Moved\nLocation: {value}\n\n"), "");
            answer.header("location").unwrap().to_owned()
        };
        assert_eq!(location("https://me:pass@example.com:8443/private/abc?token=secret#x"), "https://example.com:8443");
        assert_eq!(location("/login?token=secret"), "same host");
    }

    #[test]
    fn values_are_short_and_harmless() {
        let answer = refused(&format!("HTTP/1.1 500 \u{e9}<b>\nServer: {}\n\n", "x".repeat(500)), "");
        assert_eq!(answer.header("server").unwrap().len(), TEXT_MAX);
        assert!(answer.phrase.chars().all(|c| c == '\u{b7}' || c.is_ascii_graphic()), "{}", answer.phrase);
    }

    #[test]
    fn a_word_that_only_looks_like_a_code_is_none() {
        for body in ["<h1>Busy</h1>", "H1 H111 xH11", "error code: none", "the PT cruiser"] {
            assert_eq!(error_code(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn answers_that_differ_are_kept_up_to_a_number_of_them_and_the_first_success_once() {
        let mut answers = Answers::default();
        for status in (500..600).chain(500..600) {
            answers.refused(format!("HTTP/1.1 {status} x\r\n\r\n").as_bytes(), b"");
        }
        answers.refused(b"no http", b"");
        let refused = answers.take_refused();
        assert_eq!((refused.len(), refused[0].count), (ANSWERS_MAX, 2));
        answers.accepted(b"HTTP/1.1 101 x\r\nServer: one\r\n\r\n");
        answers.accepted(b"HTTP/1.1 101 x\r\nServer: two\r\n\r\n");
        assert_eq!(answers.take_accepted().unwrap().header("server"), Some("one"));
        answers.accepted(b"HTTP/1.1 101 x\r\nServer: three\r\n\r\n");
        assert_eq!(answers.take_accepted(), None);
    }
}
