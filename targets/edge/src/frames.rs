//! The frames in one direction of a connection: only as much of RFC 6455 as an edge needs to know where a message ends and
//! how long it is. Payloads are never looked at.

/// Opcode of a ping.
const PING: u8 = 9;
/// Opcodes from here on are of control frames, which may stand between the frames of a message.
const CONTROL: u8 = 8;
/// Longest head: two bytes, eight of the length, four of the mask.
const HEAD_MAX: usize = 14;

/// What an edge does not let through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Longest payload of a frame, in bytes.
    pub frame_max: Option<u64>,
    /// Longest payload of a message, in bytes.
    pub message_max: Option<u64>,
    /// Pings are swallowed.
    pub drop_pings: bool,
}

/// A frame or a message is longer than the rules allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooBig;

/// Where one direction is in its frames.
#[derive(Debug, Default)]
pub struct Frames {
    head: [u8; HEAD_MAX],
    /// Bytes of the head that are there.
    have: u8,
    /// Bytes of the payload that are still to come.
    left: u64,
    /// Payload of the message so far, in bytes.
    message: u64,
    /// The frame is swallowed.
    dropping: bool,
}

impl Frames {
    /// Whether the next byte begins a frame, so that another frame may be put in before it.
    pub fn between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Appends to `out` what may pass of the next bytes. A head is held back until it is whole.
    pub fn pass(&mut self, mut bytes: &[u8], rules: &Rules, out: &mut Vec<u8>) -> Result<(), TooBig> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let taken = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                if !self.dropping {
                    out.extend_from_slice(&bytes[..taken]);
                }
                self.left -= taken as u64;
                bytes = &bytes[taken..];
                continue;
            }
            self.head[usize::from(self.have)] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            if usize::from(self.have) == self.head_length() {
                self.begin(rules)?;
                if !self.dropping {
                    out.extend_from_slice(&self.head[..usize::from(self.have)]);
                }
                self.have = 0;
            }
        }
        Ok(())
    }

    /// The length that the head will have, as far as its bytes tell.
    fn head_length(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let length = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.head[1] & 0x80 == 0 { 0 } else { 4 }
    }

    /// The head is whole.
    fn begin(&mut self, rules: &Rules) -> Result<(), TooBig> {
        let wide = |bytes: &[u8]| bytes.iter().fold(0, |length: u64, byte| length << 8 | u64::from(*byte));
        self.left = match self.head[1] & 0x7f {
            126 => wide(&self.head[2..4]),
            127 => wide(&self.head[2..10]),
            short => u64::from(short),
        };
        let (last, opcode) = (self.head[0] & 0x80 != 0, self.head[0] & 0x0f);
        self.dropping = rules.drop_pings && opcode == PING;
        if opcode >= CONTROL {
            return Ok(());
        }
        self.message = self.message.saturating_add(self.left);
        let above = |most: Option<u64>, length: u64| most.is_some_and(|most| length > most);
        if above(rules.frame_max, self.left) || above(rules.message_max, self.message) {
            return Err(TooBig);
        }
        if last {
            self.message = 0;
        }
        Ok(())
    }
}

/// A close frame of a server, with its code.
pub fn close(code: u16) -> [u8; 4] {
    let [high, low] = code.to_be_bytes();
    [0x88, 2, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of a client, masked with zeros.
    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match payload {
            0..126 => frame.push(0x80 | payload as u8),
            126..65_536 => {
                frame.push(0xfe);
                frame.extend_from_slice(&(payload as u16).to_be_bytes());
            }
            _ => {
                frame.push(0xff);
                frame.extend_from_slice(&(payload as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.resize(frame.len() + payload, b'x');
        frame
    }

    /// What passes of bytes that come in pieces of a size.
    fn pass(bytes: &[u8], piece: usize, rules: &Rules) -> Result<Vec<u8>, TooBig> {
        let (mut frames, mut out) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            frames.pass(piece, rules, &mut out)?;
        }
        assert!(frames.between());
        Ok(out)
    }

    #[test]
    fn everything_passes_unchanged_however_it_is_cut() {
        let bytes = [frame(0x82, 0), frame(0x81, 125), frame(0x89, 4), frame(0x02, 126), frame(0x80, 70_000)].concat();
        for piece in [1, 2, 7, 1000, bytes.len()] {
            assert_eq!(pass(&bytes, piece, &Rules::default()), Ok(bytes.clone()), "pieces of {piece}");
        }
        let mut frames = Frames::default();
        frames.pass(&bytes[..1], &Rules::default(), &mut Vec::new()).unwrap();
        assert!(!frames.between());
    }

    #[test]
    fn pings_are_swallowed_wherever_they_stand() {
        let rules = Rules { drop_pings: true, ..Rules::default() };
        let (first, second) = (frame(0x02, 300), frame(0x80, 10));
        let bytes = [frame(0x89, 100), first.clone(), frame(0x89, 0), second.clone(), frame(0x8a, 3)].concat();
        for piece in [1, 3, bytes.len()] {
            assert_eq!(pass(&bytes, piece, &rules), Ok([first.clone(), second.clone(), frame(0x8a, 3)].concat()));
        }
    }

    #[test]
    fn a_message_is_all_of_its_frames_and_the_next_one_begins_anew() {
        let rules = Rules { message_max: Some(1000), ..Rules::default() };
        let whole = [frame(0x02, 500), frame(0x89, 100), frame(0x80, 500), frame(0x81, 1000)].concat();
        assert_eq!(pass(&whole, 64, &rules), Ok(whole.clone()));
        assert_eq!(pass(&[frame(0x02, 500), frame(0x80, 501)].concat(), 64, &rules), Err(TooBig));
        assert_eq!(pass(&frame(0x81, 1001), 1, &rules), Err(TooBig));
        let rules = Rules { frame_max: Some(500), ..rules };
        assert_eq!(pass(&frame(0x81, 501), 64, &rules), Err(TooBig));
    }

    #[test]
    fn a_length_that_nobody_can_send_is_too_big_and_no_overflow() {
        let mut huge = vec![0x02, 0xff];
        huge.extend_from_slice(&[0xff; 8]);
        huge.extend_from_slice(&[0; 4]);
        let mut frames = Frames::default();
        frames.pass(&huge, &Rules::default(), &mut Vec::new()).unwrap();
        let rules = Rules { message_max: Some(1 << 20), ..Rules::default() };
        assert_eq!(Frames::default().pass(&huge, &rules, &mut Vec::new()), Err(TooBig));
    }

    #[test]
    fn a_close_has_its_code() {
        assert_eq!(close(1009), [0x88, 2, 3, 0xf1]);
    }
}
