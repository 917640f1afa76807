//! Connections of a worker: their state, some 70 bytes each, in one slab.

use std::os::fd::OwnedFd;

use super::port::Source;
use crate::codec::session::Session;

/// Stage of a connection in the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// The slot is free.
    #[default]
    Free,
    /// TCP is not established yet.
    Connecting,
    /// The upgrade is under way.
    Upgrading,
    /// It is open.
    Open,
    /// It is no longer counted as open; the other side's close frame or end is awaited for a moment.
    Closing,
}

/// A connection.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent marks, a byte each, on a struct that exists 15,000 times"
)]
pub struct Connection {
    /// Its socket; closing it sends RST.
    pub socket: Option<OwnedFd>,
    /// Its stage.
    pub state: State,
    /// The open command under way waits for it.
    pub asked_for: bool,
    /// A message is unanswered (not in broadcast).
    pub waiting: bool,
    /// It is a member of its room (broadcast).
    pub joined: bool,
    /// Another one takes its place once it is closed (churn).
    pub replace: bool,
    /// Index of its destination.
    pub destination: u16,
    /// Its source address and port.
    pub source: Source,
    /// Number of the connection, unique in the worker.
    pub serial: u32,
    /// Number of its last message.
    pub sequence: u32,
    /// Its room (broadcast).
    pub room: u32,
    /// Until it is open: the intended moment of the connect. Then: the intended moment of its last message; in broadcast
    /// that of the last publish that it received.
    pub since_ns: u64,
    /// The protocol's state.
    pub session: Session,
    /// What the socket did not take yet.
    pub output: Option<Box<Output>>,
}

/// Bytes that wait for the socket.
#[derive(Debug, Default)]
pub struct Output {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many of them are sent.
    pub sent: usize,
}

/// Names a connection; a later one in the same slot has another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle {
    /// Slot.
    pub index: u32,
    /// [`Connection::serial`].
    pub serial: u32,
}

/// The connections of a worker.
#[derive(Debug, Default)]
pub struct Slab {
    slots: Vec<Connection>,
    free: Vec<u32>,
}

impl Slab {
    /// Puts a connection into a free slot.
    pub fn insert(&mut self, connection: Connection) -> u32 {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = connection;
            return index;
        }
        self.slots.push(connection);
        (self.slots.len() - 1) as u32
    }

    /// Takes a connection out; dropping it closes it.
    pub fn remove(&mut self, index: u32) -> Connection {
        self.free.push(index);
        std::mem::take(&mut self.slots[index as usize])
    }

    /// The connection in a slot, which must have been in use; see [`State::Free`].
    #[inline]
    pub fn at(&mut self, index: u32) -> &mut Connection {
        &mut self.slots[index as usize]
    }

    /// The connection of that name, if it still exists.
    #[inline]
    pub fn get(&mut self, handle: Handle) -> Option<&mut Connection> {
        let connection = self.slots.get_mut(handle.index as usize)?;
        (connection.serial == handle.serial && connection.state != State::Free).then_some(connection)
    }

    /// All connections in a state, with their slots.
    pub fn in_state(&self, state: State) -> impl Iterator<Item = (u32, &Connection)> {
        self.slots
            .iter()
            .enumerate()
            .filter(move |(_, connection)| connection.state == state)
            .map(|(index, connection)| (index as u32, connection))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_takes_tens_of_bytes() {
        assert!(size_of::<Connection>() <= 80, "{} bytes", size_of::<Connection>());
    }

    #[test]
    fn a_name_does_not_reach_the_next_one_in_its_slot() {
        let mut slab = Slab::default();
        let connection = |serial| Connection { serial, state: State::Open, ..Connection::default() };
        let index = slab.insert(connection(1));
        let first = Handle { index, serial: 1 };
        assert!(slab.get(first).is_some());
        slab.remove(index);
        assert!(slab.get(first).is_none());
        assert_eq!(slab.insert(connection(2)), index);
        assert!(slab.get(first).is_none());
        assert!(slab.get(Handle { index, serial: 2 }).is_some());
        assert_eq!(slab.in_state(State::Open).count(), 1);
    }
}
