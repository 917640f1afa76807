//! The connection table: every connection of a worker in a slab, 80 bytes each, and how many are open to which destination.

use super::protocol::{Last, Session};
use super::transport::Link;

/// State of a connection in the worker.
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
    /// It no longer counts as open; the other side's close frame or end is awaited for a moment.
    Closing,
}

/// A connection.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent marks, a byte each, on a struct that exists 15,000 times"
)]
pub struct Connection {
    /// Private, because the table counts the open ones.
    state: State,
    /// The open command under way waits for it.
    pub asked_for: bool,
    /// A message is unanswered (not in broadcast).
    pub waiting: bool,
    /// That message is one of a probe.
    pub probing: bool,
    /// It is a member of its room (broadcast).
    pub joined: bool,
    /// Another one takes its place once it is closed (churn).
    pub replace: bool,
    /// Index of its destination.
    pub destination: u16,
    /// Number of the connection, unique in the worker.
    serial: u32,
    /// Number of its last message. Until it is open: by how many microseconds the connect was issued late.
    pub sequence: u32,
    /// Its room (broadcast).
    pub room: u32,
    /// When it opened, in milliseconds; wraps around after 49 days.
    pub opened_ms: u32,
    /// Until it is open: the intended moment of the connect. Then: the intended moment of its last message; in broadcast
    /// that of the last publish that it received.
    pub since_ns: u64,
    /// When a message was due that is not said yet, because the last one is unanswered; 0: there is none. Until it is said
    /// the connection is not in the schedule, unless it is a message of a probe.
    pub parked_ns: u64,
    /// The transport's part.
    pub link: Link,
    /// The protocol's part.
    pub session: Session,
}

impl Connection {
    /// A connection that has just been issued.
    pub fn connecting(link: Link, destination: u16, intended_ns: u64, started_ns: u64) -> Self {
        Self {
            state: State::Connecting,
            destination,
            sequence: (started_ns.saturating_sub(intended_ns) / 1000) as u32,
            since_ns: intended_ns,
            link,
            ..Self::default()
        }
    }

    /// Its state.
    #[inline]
    pub fn state(&self) -> State {
        self.state
    }

    /// Its name; it is in that slot.
    #[inline]
    pub fn handle(&self, index: u32) -> Handle {
        Handle { index, serial: self.serial }
    }

    /// What it said last, for the protocol.
    #[inline]
    pub fn last(&self) -> Last {
        Last { serial: self.serial, sequence: self.sequence, at_ns: self.since_ns, waiting: self.waiting }
    }

    /// How long it has been open, in milliseconds.
    pub fn age_ms(&self, now_ns: u64) -> u32 {
        wrapped_ms(now_ns).wrapping_sub(self.opened_ms)
    }

    /// The moment at which its connect was issued; meaningless once it is open.
    pub fn issued_ns(&self) -> u64 {
        self.since_ns + u64::from(self.sequence) * 1000
    }
}

/// A moment in milliseconds, as [`Connection::opened_ms`] has it.
pub fn wrapped_ms(now_ns: u64) -> u32 {
    (now_ns / 1_000_000) as u32
}

/// Names a connection; a later one in the same slot has another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle {
    /// Slot.
    pub index: u32,
    /// Number of the connection, unique in the worker; newer ones have higher numbers.
    pub serial: u32,
}

/// The connections of a worker.
#[derive(Debug)]
pub struct ConnectionTable {
    slots: Vec<Connection>,
    free: Vec<u32>,
    /// Number of the next connection.
    next_serial: u32,
    /// Open connections by destination.
    open: Vec<u64>,
}

impl ConnectionTable {
    /// An empty table for connections to so many destinations.
    pub fn new(destinations: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), next_serial: 0, open: vec![0; destinations] }
    }

    /// Puts a connection into a free slot and gives it its number.
    pub fn insert(&mut self, connection: Connection) -> Handle {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let connection = Connection { serial, ..connection };
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = connection;
            return Handle { index, serial };
        }
        self.slots.push(connection);
        Handle { index: (self.slots.len() - 1) as u32, serial }
    }

    /// Takes a connection out.
    pub fn remove(&mut self, index: u32) -> Connection {
        self.enter(index, State::Free);
        self.free.push(index);
        std::mem::take(&mut self.slots[index as usize])
    }

    /// Changes the state of a connection.
    pub fn enter(&mut self, index: u32, state: State) {
        let connection = &mut self.slots[index as usize];
        let open = &mut self.open[usize::from(connection.destination)];
        *open -= u64::from(connection.state == State::Open);
        *open += u64::from(state == State::Open);
        connection.state = state;
    }

    /// The connection in a slot, which must have been in use; see [`State::Free`].
    #[inline]
    pub fn at(&mut self, index: u32) -> &mut Connection {
        &mut self.slots[index as usize]
    }

    /// State of the connection in a slot.
    #[inline]
    pub fn state(&self, index: u32) -> State {
        self.slots[index as usize].state
    }

    /// The connection of that name, if it still exists.
    #[inline]
    pub fn get(&mut self, handle: Handle) -> Option<&mut Connection> {
        let connection = self.slots.get_mut(handle.index as usize)?;
        (connection.serial == handle.serial && connection.state != State::Free).then_some(connection)
    }

    /// Whether the connection of that name exists and is in that state.
    #[inline]
    pub fn is_in(&self, handle: Handle, state: State) -> bool {
        let connection = self.slots.get(handle.index as usize);
        connection.is_some_and(|connection| connection.serial == handle.serial && connection.state == state)
    }

    /// Whether the connection of that name waits for an answer; `None`: it is not open.
    #[inline]
    pub fn waits(&self, handle: Handle) -> Option<bool> {
        let connection = self.slots.get(handle.index as usize)?;
        (connection.serial == handle.serial && connection.state == State::Open).then_some(connection.waiting)
    }

    /// The name of the connection in a slot.
    pub fn handle(&self, index: u32) -> Handle {
        self.slots[index as usize].handle(index)
    }

    /// All connections in a state.
    pub fn in_state(&self, state: State) -> impl Iterator<Item = (Handle, &Connection)> {
        let all = self.slots.iter().enumerate().filter(move |(_, connection)| connection.state == state);
        all.map(|(index, connection)| (Handle { index: index as u32, serial: connection.serial }, connection))
    }

    /// All connections that are not open yet.
    pub fn opening(&self) -> impl Iterator<Item = (Handle, &Connection)> {
        self.in_state(State::Connecting).chain(self.in_state(State::Upgrading))
    }

    /// The connections in a state, oldest first.
    pub fn oldest_first(&self, state: State) -> Vec<Handle> {
        let mut handles: Vec<Handle> = self.in_state(state).map(|(handle, _)| handle).collect();
        handles.sort_unstable_by_key(|handle| handle.serial);
        handles
    }

    /// Open connections by destination.
    pub fn open_by_destination(&self) -> &[u64] {
        &self.open
    }

    /// Open connections.
    pub fn open(&self) -> u64 {
        self.open.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(destination: u16) -> Connection {
        Connection::connecting(Link::default(), destination, 1_000_000, 3_000_000)
    }

    #[test]
    fn a_connection_takes_tens_of_bytes() {
        assert!(size_of::<Connection>() <= 80, "{} bytes", size_of::<Connection>());
    }

    #[test]
    fn a_name_does_not_reach_the_next_one_in_its_slot() {
        let mut table = ConnectionTable::new(1);
        let first = table.insert(connection(0));
        assert!(table.get(first).is_some());
        table.remove(first.index);
        assert!(table.get(first).is_none());
        let second = table.insert(connection(0));
        assert_eq!(second, Handle { index: first.index, serial: 1 });
        assert!(table.get(first).is_none() && table.get(second).is_some());
        assert!(!table.is_in(first, State::Connecting) && table.is_in(second, State::Connecting));
    }

    #[test]
    fn open_connections_are_counted_by_destination_whatever_way_they_go() {
        let mut table = ConnectionTable::new(2);
        let handles: Vec<Handle> = [0, 1, 1, 1].map(|destination| table.insert(connection(destination))).to_vec();
        for handle in &handles {
            table.enter(handle.index, State::Open);
        }
        assert_eq!((table.open(), table.open_by_destination()), (4, [1, 3].as_slice()));
        table.enter(handles[1].index, State::Closing);
        table.remove(handles[1].index);
        table.remove(handles[2].index);
        assert_eq!((table.open(), table.open_by_destination()), (2, [1, 1].as_slice()));
    }

    #[test]
    fn newer_connections_come_last_also_from_reused_slots() {
        let mut table = ConnectionTable::new(1);
        let old: Vec<Handle> = (0..3).map(|_| table.insert(connection(0))).collect();
        table.remove(old[0].index);
        let newest = table.insert(connection(0));
        assert_eq!(table.oldest_first(State::Connecting), [old[1], old[2], newest]);
        assert_eq!(table.opening().count(), 3);
    }

    #[test]
    fn an_age_is_right_although_the_moment_of_opening_wraps_around() {
        let opened_ns = (u64::from(u32::MAX) - 10) * 1_000_000;
        let young = Connection { opened_ms: wrapped_ms(opened_ns), ..connection(0) };
        assert_eq!(young.age_ms(opened_ns + 2_500_000_000), 2500);
    }

    #[test]
    fn a_connect_that_was_issued_late_knows_when() {
        assert_eq!(connection(0).issued_ns(), 3_000_000);
    }
}
