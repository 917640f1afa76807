//! Frames (RFC 6455, section 5.2): parsing the header of a server's frame and writing a client's frame.

use std::fmt;

/// Longest payload of a control frame in bytes (RFC 6455, section 5.5).
pub const CONTROL_MAX: usize = 125;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message that is under way.
    Continuation = 0x0,
    /// A message of UTF-8 text, or its first fragment.
    Text = 0x1,
    /// A message of bytes, or its first fragment.
    Binary = 0x2,
    /// The close handshake.
    Close = 0x8,
    /// A ping.
    Ping = 0x9,
    /// A pong.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode of a frame's low 4 bits; `None`: reserved.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Whether it is a control frame, which may stand between the fragments of a message.
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// What a server did that RFC 6455 forbids, or that is beyond the limits of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Violation {
    /// A reserved bit is set and no extension was negotiated.
    ReservedBits,
    /// A reserved opcode.
    UnknownOpcode,
    /// A server must not mask.
    Masked,
    /// A control frame of more than [`CONTROL_MAX`] bytes.
    LongControl,
    /// A control frame without FIN.
    FragmentedControl,
    /// The length is not written in the fewest bytes, or its highest bit is set.
    BadLength,
    /// A continuation without a message under way.
    UnexpectedContinuation,
    /// A new message before the last one ended.
    UnfinishedMessage,
    /// Text, or the reason of a close frame, is not UTF-8.
    InvalidUtf8,
    /// A close code that must not be sent, or a close payload of 1 byte.
    BadCloseCode,
    /// A frame longer than [`Limits::frame`].
    FrameTooBig,
    /// A message longer than [`Limits::message`].
    MessageTooBig,
}

impl Violation {
    /// The close code that the client answers with (RFC 6455, section 7.4.1).
    pub const fn close_code(self) -> u16 {
        match self {
            Self::InvalidUtf8 => 1007,
            Self::FrameTooBig | Self::MessageTooBig => 1009,
            _ => 1002,
        }
    }

    /// The rule that was broken, in a few words.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved bits",
            Self::UnknownOpcode => "unknown opcode",
            Self::Masked => "masked frame",
            Self::LongControl => "control frame over 125 bytes",
            Self::FragmentedControl => "fragmented control frame",
            Self::BadLength => "bad length",
            Self::UnexpectedContinuation => "unexpected continuation",
            Self::UnfinishedMessage => "unfinished message",
            Self::InvalidUtf8 => "invalid utf-8",
            Self::BadCloseCode => "bad close code",
            Self::FrameTooBig => "frame too big",
            Self::MessageTooBig => "message too big",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "protocol error: {}", self.rule())
    }
}

/// Longest input that the client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Payload of one frame in bytes.
    pub frame: u64,
    /// Payload of one message in bytes, over its fragments.
    pub message: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame: 16 << 20, message: 16 << 20 }
    }
}

/// Header of a frame from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Last frame of its message.
    pub fin: bool,
    /// What it carries.
    pub opcode: Opcode,
    /// Bytes of payload.
    pub length: u64,
    /// Bytes of the header itself: 2, 4 or 10.
    pub size: usize,
}

impl Header {
    /// Parses the header at the start of `input`; `None`: more bytes are needed. What is wrong with the first two bytes
    /// is said as soon as they are there.
    #[inline]
    pub fn parse(input: &[u8], limits: Limits) -> Result<Option<Self>, Violation> {
        let [first, second, rest @ ..] = input else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        let opcode = Opcode::from_bits(first & 0x0F).ok_or(Violation::UnknownOpcode)?;
        let fin = first & 0x80 != 0;
        if second & 0x80 != 0 {
            return Err(Violation::Masked);
        }
        if opcode.is_control() {
            if usize::from(*second) > CONTROL_MAX {
                return Err(Violation::LongControl);
            }
            if !fin {
                return Err(Violation::FragmentedControl);
            }
        }
        let (length, size) = match second {
            126 => {
                let Some(bytes) = rest.first_chunk() else { return Ok(None) };
                (u64::from(u16::from_be_bytes(*bytes)), 4)
            }
            127 => {
                let Some(bytes) = rest.first_chunk() else { return Ok(None) };
                (u64::from_be_bytes(*bytes), 10)
            }
            short => (u64::from(*short), 2),
        };
        let shortest = match length {
            0..=125 => 2,
            126..=0xFFFF => 4,
            _ => 10,
        };
        if size != shortest || length >> 63 != 0 {
            return Err(Violation::BadLength);
        }
        if length > limits.frame {
            return Err(Violation::FrameTooBig);
        }
        Ok(Some(Self { fin, opcode, length, size }))
    }
}

/// Starts a client's frame of `length` bytes at the end of `out`: header and mask key. The payload is appended by the
/// caller and then masked with [`mask`].
#[inline]
pub fn begin(out: &mut Vec<u8>, fin: bool, opcode: Opcode, length: usize, key: [u8; 4]) {
    out.push(opcode as u8 | if fin { 0x80 } else { 0 });
    match length {
        0..=125 => out.push(0x80 | length as u8),
        126..=0xFFFF => {
            out.push(0xFE);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(0xFF);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
}

/// Masks or unmasks in place.
#[inline]
pub fn mask(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// Appends a whole client's frame with a finished payload.
pub fn write(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
    begin(out, true, opcode, payload.len(), key);
    let start = out.len();
    out.extend_from_slice(payload);
    mask(&mut out[start..], key);
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;

    use super::*;

    const LIMITS: Limits = Limits { frame: 1 << 20, message: 1 << 20 };

    fn parse(input: &[u8]) -> Result<Option<Header>, Violation> {
        Header::parse(input, LIMITS)
    }

    #[test]
    fn forbidden_headers_are_named_by_their_first_two_bytes() {
        for (input, violation) in [
            ([0xC1, 0], Violation::ReservedBits),
            ([0x91, 0], Violation::ReservedBits),
            ([0x83, 0], Violation::UnknownOpcode),
            ([0x8B, 0], Violation::UnknownOpcode),
            ([0x81, 0x80], Violation::Masked),
            ([0x89, 126], Violation::LongControl),
            ([0x09, 0], Violation::FragmentedControl),
        ] {
            assert_eq!(parse(&input), Err(violation));
        }
    }

    #[test]
    fn lengths_must_be_minimal_and_within_the_limit() {
        assert_eq!(parse(&[0x82, 126, 0, 125]), Err(Violation::BadLength));
        assert_eq!(parse(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]), Err(Violation::BadLength));
        assert_eq!(parse(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(Violation::BadLength));
        assert_eq!(parse(&[0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1]), Err(Violation::FrameTooBig));
        let longest = parse(&[0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0]).unwrap().unwrap();
        assert_eq!((longest.length, longest.size), (1 << 20, 10));
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_what_tungstenite_reads(input in proptest::collection::vec(any::<u8>(), 0..14)) {
            if let Ok(Some(header)) = parse(&input) {
                let mut cursor = Cursor::new(&input);
                let (theirs, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
                prop_assert_eq!(theirs.is_final, header.fin);
                prop_assert_eq!(u8::from(theirs.opcode), header.opcode as u8);
                prop_assert_eq!(length, header.length);
                prop_assert_eq!(cursor.position() as usize, header.size);
            }
        }

        #[test]
        fn written_frames_are_read_back_by_tungstenite(
            payload in proptest::collection::vec(any::<u8>(), 0..70_000),
            key in any::<[u8; 4]>(),
        ) {
            let mut out = Vec::new();
            write(&mut out, Opcode::Binary, &payload, key);
            let mut cursor = Cursor::new(&out);
            let (theirs, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
            prop_assert_eq!(theirs.mask, Some(key));
            prop_assert_eq!(length as usize, payload.len());
            let start = cursor.position() as usize;
            let mut body = out.split_off(start);
            for (index, byte) in body.iter_mut().enumerate() {
                *byte ^= key[index % 4];
            }
            prop_assert_eq!(body, payload);
        }
    }
}
