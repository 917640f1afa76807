//! Frames become messages, however the bytes are cut.
//!
//! A message that arrives whole is handed on where it lies in the read buffer, without a copy. Only what a read cuts
//! off is kept, in a box that is gone as soon as the cut is healed, so a quiet connection costs one pointer.

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::frame::{CONTROL_MAX, Header, Limits, Opcode, Violation};

/// Something whole that the server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A message of text; the bytes are valid UTF-8.
    Text(&'a [u8]),
    /// A message of bytes.
    Binary(&'a [u8]),
    /// A ping with its payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong,
    /// A close frame: its code, where it has one.
    Close(Option<u16>),
}

/// The receiving half of a connection after the upgrade.
#[derive(Debug, Default)]
pub struct Receiver {
    cut: Option<Box<Cut>>,
}

/// What is kept between two reads.
#[derive(Debug, Default)]
struct Cut {
    /// A header whose end has not arrived.
    header: [u8; 10],
    header_length: u8,
    /// The frame whose payload is under way, and its bytes that have not arrived.
    frame: Option<Header>,
    missing: u64,
    /// Payload of a control frame under way.
    control: Vec<u8>,
    /// The message under way: text or binary, its bytes so far, and how many of them are known to be UTF-8.
    kind: Option<Opcode>,
    message: Vec<u8>,
    valid: usize,
    /// The item that was handed on last lies in `control` or in `message`, and is to be dropped.
    spent_control: bool,
    spent_message: bool,
}

impl Receiver {
    /// Bytes that the connection keeps between reads.
    #[inline]
    pub fn buffered(&self) -> usize {
        self.cut.as_ref().map_or(0, |cut| size_of::<Cut>() + cut.control.capacity() + cut.message.capacity())
    }

    /// Takes the next item from the start of `input`, and says how many bytes it used; `None`: all of them are used up. To
    /// be called with the rest until then, or memory stays in use.
    #[inline]
    pub fn next<'a>(&'a mut self, input: &'a [u8], limits: Limits) -> Result<(usize, Option<Item<'a>>), Violation> {
        if self.cut.is_none() {
            if input.is_empty() {
                return Ok((0, None));
            }
            if let Some((used, item)) = whole(input, limits)? {
                return Ok((used, Some(item)));
            }
        }
        self.cut_next(input, limits)
    }

    /// The same with something kept from earlier reads, or to be kept from this one.
    #[cold]
    #[inline(never)]
    fn cut_next(&mut self, input: &[u8], limits: Limits) -> Result<(usize, Option<Item<'_>>), Violation> {
        let cut = self.cut.get_or_insert_default();
        cut.drop_spent();
        let mut rest = input;
        let mut ended = None;
        while ended.is_none() {
            if cut.frame.is_none() && !cut.take_header(&mut rest, limits)? {
                break;
            }
            ended = cut.take_payload(&mut rest)?;
            if cut.frame.is_some() {
                break;
            }
        }
        let used = input.len() - rest.len();
        let Some(opcode) = ended else {
            if cut.is_idle() {
                self.cut = None;
            }
            return Ok((used, None));
        };
        // Asked for again, because the branch above gives the box up.
        let cut = self.cut.get_or_insert_default();
        let item = if opcode.is_control() {
            cut.spent_control = true;
            control_item(opcode, &cut.control)?
        } else {
            cut.spent_message = true;
            if opcode == Opcode::Text { Item::Text(&cut.message) } else { Item::Binary(&cut.message) }
        };
        Ok((used, Some(item)))
    }
}

/// An item that lies whole at the start of `input`, and its length.
#[inline]
fn whole(input: &[u8], limits: Limits) -> Result<Option<(usize, Item<'_>)>, Violation> {
    let Some(header) = Header::parse(input, limits)? else { return Ok(None) };
    let end = header.size as u64 + header.length;
    if !header.fin || header.opcode == Opcode::Continuation || end > input.len() as u64 {
        return Ok(None);
    }
    let payload = &input[header.size..end as usize];
    let item = match header.opcode {
        Opcode::Text => {
            check_size(header.length, limits)?;
            std::str::from_utf8(payload).map_err(|_| Violation::InvalidUtf8)?;
            Item::Text(payload)
        }
        Opcode::Binary | Opcode::Continuation => {
            check_size(header.length, limits)?;
            Item::Binary(payload)
        }
        control => control_item(control, payload)?,
    };
    Ok(Some((end as usize, item)))
}

impl Cut {
    fn drop_spent(&mut self) {
        if self.spent_control {
            self.control.clear();
            self.spent_control = false;
        }
        if self.spent_message {
            self.message = Vec::new();
            self.valid = 0;
            self.spent_message = false;
        }
    }

    /// Nothing is under way.
    fn is_idle(&self) -> bool {
        self.frame.is_none() && self.kind.is_none() && self.header_length == 0
    }

    /// Completes the header of the next frame; false: more bytes are needed.
    fn take_header(&mut self, input: &mut &[u8], limits: Limits) -> Result<bool, Violation> {
        loop {
            let known = usize::from(self.header_length);
            if let Some(header) = Header::parse(&self.header[..known], limits)? {
                self.header_length = 0;
                self.begin(header, limits)?;
                return Ok(true);
            }
            // One byte at a time: a header never takes bytes of the payload.
            let Some((byte, rest)) = input.split_first() else { return Ok(false) };
            self.header[known] = *byte;
            self.header_length += 1;
            *input = rest;
        }
    }

    /// Begins a frame, in the message that it belongs to.
    fn begin(&mut self, header: Header, limits: Limits) -> Result<(), Violation> {
        match (header.opcode, self.kind) {
            (Opcode::Continuation, None) => return Err(Violation::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(Violation::UnfinishedMessage),
            (Opcode::Text | Opcode::Binary, None) => self.kind = Some(header.opcode),
            _ => {}
        }
        if !header.opcode.is_control() {
            check_size(self.message.len() as u64 + header.length, limits)?;
        }
        self.frame = Some(header);
        self.missing = header.length;
        Ok(())
    }

    /// Takes what is there of the frame's payload. The opcode of what ended with it: of the control frame, or of the
    /// whole message.
    fn take_payload(&mut self, input: &mut &[u8]) -> Result<Option<Opcode>, Violation> {
        let Some(header) = self.frame else { return Ok(None) };
        let here = self.missing.min(input.len() as u64) as usize;
        let (payload, rest) = input.split_at(here);
        *input = rest;
        self.missing -= here as u64;
        if header.opcode.is_control() {
            self.control.extend_from_slice(payload);
        } else {
            self.message.extend_from_slice(payload);
            if self.kind == Some(Opcode::Text) {
                self.check_text(header.fin && self.missing == 0)?;
            }
        }
        if self.missing > 0 {
            return Ok(None);
        }
        self.frame = None;
        Ok(match header.opcode {
            control if control.is_control() => Some(control),
            _ if header.fin => self.kind.take(),
            _ => None,
        })
    }

    /// Checks the new text as far as its characters are whole; at the end of the message they must be.
    fn check_text(&mut self, ends: bool) -> Result<(), Violation> {
        match std::str::from_utf8(&self.message[self.valid..]) {
            Ok(_) => self.valid = self.message.len(),
            Err(error) if error.error_len().is_none() && !ends => self.valid += error.valid_up_to(),
            Err(_) => return Err(Violation::InvalidUtf8),
        }
        Ok(())
    }
}

fn check_size(length: u64, limits: Limits) -> Result<(), Violation> {
    if length > limits.message { Err(Violation::MessageTooBig) } else { Ok(()) }
}

/// The item of a whole control frame (RFC 6455, sections 5.5 and 7.4).
fn control_item(opcode: Opcode, payload: &[u8]) -> Result<Item<'_>, Violation> {
    debug_assert!(payload.len() <= CONTROL_MAX);
    match opcode {
        Opcode::Ping => Ok(Item::Ping(payload)),
        Opcode::Pong => Ok(Item::Pong),
        _ => match payload {
            [] => Ok(Item::Close(None)),
            [_] => Err(Violation::BadCloseCode),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                if !CloseCode::from(code).is_allowed() {
                    return Err(Violation::BadCloseCode);
                }
                std::str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
                Ok(Item::Close(Some(code)))
            }
        },
    }
}

#[cfg(test)]
mod tests;
