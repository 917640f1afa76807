//! Rooms: who is a member, what was said, and how it reaches every member.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::outbox::Outbox;
use crate::protocol::{self, Fault};

/// Identifies a connection among the members of rooms.
pub type MemberId = u64;

/// What bounds rooms.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most rooms at a time.
    pub rooms: usize,
    /// Messages that each keeps.
    pub history: usize,
    /// Bytes of messages that each keeps.
    pub history_bytes: usize,
    /// Shortest time between two presence messages of one room.
    pub presence_every: Duration,
}

/// All rooms of the server. Sessions hold the rooms they are members of, so the map is locked only by joins and leaves.
#[derive(Debug)]
pub struct Rooms {
    limits: Limits,
    rooms: Mutex<HashMap<Box<str>, Arc<Room>>>,
}

/// One room; it lives from the first join until the last leave.
#[derive(Debug)]
pub struct Room {
    name: Box<str>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    members: HashMap<MemberId, Outbox>,
    seq: u64,
    history: VecDeque<Utf8Bytes>,
    history_bytes: usize,
    /// A presence message is due; it carries the number of members at the moment it is sent.
    presence_due: bool,
}

impl Rooms {
    /// No rooms yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, rooms: Mutex::default() }
    }

    /// Rooms that exist now.
    pub fn count(&self) -> usize {
        lock(&self.rooms).len()
    }

    /// Makes a connection a member; returns the room and its number of members.
    pub fn join(&self, name: &str, id: MemberId, outbox: &Outbox) -> Result<(Arc<Room>, usize), Fault> {
        let mut rooms = lock(&self.rooms);
        let room = match rooms.get(name) {
            Some(room) => Arc::clone(room),
            None if rooms.len() >= self.limits.rooms => return Err(Fault::RoomLimit),
            None => {
                let room = Arc::new(Room { name: name.into(), inner: Mutex::default() });
                rooms.insert(name.into(), Arc::clone(&room));
                room
            }
        };
        // Inside of the map's lock, so that the room cannot be removed as empty in between.
        let mut inner = lock(&room.inner);
        let changed = inner.members.insert(id, outbox.clone()).is_none();
        let count = inner.members.len();
        drop(inner);
        drop(rooms);
        if changed {
            room.announce(self.limits.presence_every);
        }
        Ok((room, count))
    }

    /// Ends a membership; the room ends with its last member.
    pub fn leave(&self, room: &Arc<Room>, id: MemberId) {
        let mut rooms = lock(&self.rooms);
        let mut inner = lock(&room.inner);
        if inner.members.remove(&id).is_none() {
            return;
        }
        let empty = inner.members.is_empty();
        drop(inner);
        if empty {
            rooms.remove(&room.name);
        }
        drop(rooms);
        if !empty {
            room.announce(self.limits.presence_every);
        }
    }

    /// Members of a room now; 0 if no room has that name.
    pub fn presence(&self, name: &str) -> usize {
        lock(&self.rooms).get(name).map_or(0, |room| lock(&room.inner).members.len())
    }

    /// Hands a message to every member, the publisher included. Written once; members share the bytes.
    pub fn publish(&self, room: &Room, at: &str, body: &str) {
        let mut inner = lock(&room.inner);
        inner.seq += 1;
        // Numbered, kept and queued under one lock: every member sees the same order.
        let message = protocol::message(&room.name, inner.seq, at, body);
        for outbox in inner.members.values() {
            outbox.push(&message);
        }
        inner.keep(message, self.limits.history, self.limits.history_bytes);
    }
}

impl Room {
    /// The room's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `history` message with the last `last` messages that are kept.
    pub fn history(&self, last: Option<usize>) -> Utf8Bytes {
        let inner = lock(&self.inner);
        let skip = inner.history.len().saturating_sub(last.unwrap_or(usize::MAX));
        protocol::history(&self.name, inner.history.iter().skip(skip))
    }

    /// Sends the number of members to all of them after `every`, unless that is already about to happen.
    fn announce(self: &Arc<Self>, every: Duration) {
        if std::mem::replace(&mut lock(&self.inner).presence_due, true) {
            return;
        }
        let room = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(every).await;
            let mut inner = lock(&room.inner);
            inner.presence_due = false;
            let message = protocol::presence(&room.name, inner.members.len());
            for outbox in inner.members.values() {
                outbox.push(&message);
            }
        });
    }
}

impl Inner {
    fn keep(&mut self, message: Utf8Bytes, most: usize, most_bytes: usize) {
        self.history_bytes += message.len();
        self.history.push_back(message);
        while self.history.len() > most || self.history_bytes > most_bytes {
            let Some(oldest) = self.history.pop_front() else { break };
            self.history_bytes -= oldest.len();
        }
    }
}

/// A session that panicked has left the data whole: every change is complete before anything can fail.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::{self, Inbox};

    fn rooms(limits: Limits) -> Rooms {
        Rooms::new(limits)
    }

    const LIMITS: Limits =
        Limits { rooms: 2, history: 3, history_bytes: 1000, presence_every: Duration::from_millis(20) };

    fn drain(inbox: &mut Inbox) -> Vec<String> {
        std::iter::from_fn(|| inbox.queue.try_recv().ok().map(|m| m.to_string())).collect()
    }

    #[tokio::test]
    async fn members_share_one_message_and_others_get_none() {
        let rooms = rooms(LIMITS);
        let (a, mut a_in) = outbox::channel(8);
        let (b, mut b_in) = outbox::channel(8);
        let (c, mut c_in) = outbox::channel(8);
        let (room, count) = rooms.join("r", 1, &a).unwrap();
        assert_eq!(count, 1);
        assert_eq!(rooms.join("r", 2, &b).unwrap().1, 2);
        assert_eq!(rooms.join("r", 2, &b).unwrap().1, 2, "joining twice is one membership");
        rooms.join("other", 3, &c).unwrap();
        rooms.publish(&room, "5", "hello");
        let (to_a, to_b) = (a_in.queue.try_recv().unwrap(), b_in.queue.try_recv().unwrap());
        assert_eq!(to_a, r#"{"type":"message","room":"r","seq":1,"at":"5","body":"hello"}"#);
        assert_eq!(to_a.as_str().as_ptr(), to_b.as_str().as_ptr(), "the bytes are shared");
        assert!(drain(&mut c_in).is_empty());
    }

    #[tokio::test]
    async fn an_empty_room_is_forgotten_with_its_history() {
        let rooms = rooms(LIMITS);
        let (a, _inbox) = outbox::channel(8);
        let (room, _) = rooms.join("r", 1, &a).unwrap();
        rooms.publish(&room, "1", "x");
        rooms.leave(&room, 1);
        rooms.leave(&room, 1);
        assert_eq!((rooms.count(), rooms.presence("r")), (0, 0));
        let (again, _) = rooms.join("r", 1, &a).unwrap();
        assert_eq!(again.history(None), r#"{"type":"history","room":"r","messages":[]}"#);
    }

    #[tokio::test]
    async fn a_stale_leave_does_not_remove_the_rooms_successor() {
        let rooms = rooms(LIMITS);
        let (a, _inbox) = outbox::channel(8);
        let (old, _) = rooms.join("r", 1, &a).unwrap();
        rooms.leave(&old, 1);
        rooms.join("r", 2, &a).unwrap();
        rooms.leave(&old, 1);
        assert_eq!(rooms.presence("r"), 1);
    }

    #[tokio::test]
    async fn the_number_of_rooms_is_bounded() {
        let rooms = rooms(LIMITS);
        let (a, _inbox) = outbox::channel(8);
        rooms.join("one", 1, &a).unwrap();
        let (two, _) = rooms.join("two", 1, &a).unwrap();
        assert_eq!(rooms.join("three", 1, &a).unwrap_err(), Fault::RoomLimit);
        assert!(rooms.join("one", 2, &a).is_ok(), "rooms that exist stay open");
        rooms.leave(&two, 1);
        assert!(rooms.join("three", 1, &a).is_ok());
    }

    #[tokio::test]
    async fn history_is_bounded_by_number_and_by_bytes() {
        let rooms = rooms(LIMITS);
        let (a, _inbox) = outbox::channel(64);
        let (room, _) = rooms.join("r", 1, &a).unwrap();
        for n in 1..=5 {
            rooms.publish(&room, "0", &format!("m{n}"));
        }
        let all = room.history(None);
        assert!(!all.contains("m2") && all.contains("m3") && all.contains("m5"), "{all}");
        let last = room.history(Some(1));
        assert!(!last.contains("m4") && last.contains("m5"), "{last}");
        rooms.publish(&room, "0", &"x".repeat(950));
        assert!(room.history(None).len() < 1100 && !room.history(None).contains("m5"));
        rooms.publish(&room, "0", &"x".repeat(2000));
        assert_eq!(room.history(None), r#"{"type":"history","room":"r","messages":[]}"#);
    }

    #[tokio::test]
    async fn presence_is_coalesced_and_carries_the_last_number() {
        let rooms = rooms(LIMITS);
        let (a, mut a_in) = outbox::channel(64);
        let (room, _) = rooms.join("r", 1, &a).unwrap();
        let others: Vec<_> = (2..50).map(|_| outbox::channel(64)).collect();
        for (id, (outbox, _)) in (2..).zip(&others) {
            rooms.join("r", id, outbox).unwrap();
        }
        rooms.leave(&room, 2);
        assert_eq!(drain(&mut a_in), Vec::<String>::new(), "nothing at once");
        let first = a_in.queue.recv().await.unwrap();
        assert_eq!(first, r#"{"type":"presence","room":"r","count":48}"#);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(drain(&mut a_in), Vec::<String>::new(), "one for all changes");
        rooms.leave(&room, 3);
        assert_eq!(a_in.queue.recv().await.unwrap(), r#"{"type":"presence","room":"r","count":47}"#);
    }
}
