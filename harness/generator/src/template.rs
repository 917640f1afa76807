//! Messages with variables.

use std::io::Write as _;

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Connection,
    Sequence,
    Now,
}

/// The variables of a message.
const VARIABLES: [(&[u8], Piece); 3] =
    [(b"{connection}", Piece::Connection), (b"{sequence}", Piece::Sequence), (b"{now_ns}", Piece::Now)];

/// A message with variables. Braces that are no variable stand for themselves, since JSON is full of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// Values of the variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values {
    /// Number of the connection, over all workers.
    pub connection: u64,
    /// Number of the message, from 1.
    pub sequence: u32,
    /// Intended moment of the message in nanoseconds since 1970.
    pub now_ns: u64,
}

impl Template {
    /// Finds the variables.
    pub fn new(mut bytes: &[u8]) -> Self {
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        while !bytes.is_empty() {
            if let Some((name, piece)) = VARIABLES.iter().find(|(name, _)| bytes.starts_with(name)) {
                if !plain.is_empty() {
                    pieces.push(Piece::Bytes(std::mem::take(&mut plain)));
                }
                pieces.push(piece.clone());
                bytes = &bytes[name.len()..];
            } else {
                plain.push(bytes[0]);
                bytes = &bytes[1..];
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Bytes(plain));
        }
        Self { pieces }
    }

    /// Appends the message with those values.
    pub fn write(&self, values: Values, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            // Writing into memory does not fail.
            let _ = match piece {
                Piece::Bytes(bytes) => out.write_all(bytes),
                Piece::Connection => write!(out, "{}", values.connection),
                Piece::Sequence => write!(out, "{}", values.sequence),
                Piece::Now => write!(out, "{}", values.now_ns),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(template: &str) -> String {
        let mut out = Vec::new();
        let values = Values { connection: 12, sequence: 3, now_ns: 1_700_000_000_000_000_000 };
        Template::new(template.as_bytes()).write(values, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn variables_are_replaced_and_other_braces_stay() {
        assert_eq!(written("{connection}/{sequence}"), "12/3");
        assert_eq!(written(r#"{"id":{sequence},"t":"{now_ns}"}"#), r#"{"id":3,"t":"1700000000000000000"}"#);
        assert_eq!(written("{{connection}} {other} {sequence"), "{12} {other} {sequence");
        assert_eq!(written(""), "");
    }
}
