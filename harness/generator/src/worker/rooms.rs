//! Rooms of the broadcast scenario. A room lies on one destination, because instances do not share rooms.

/// A room.
#[derive(Debug, Default)]
pub struct Room {
    destination: u16,
    /// Connections that were sent into the room.
    assigned: u32,
    /// Slots of those that joined it; the first one publishes.
    members: Vec<u32>,
    /// Intended moment of the last publish.
    pub last_ns: u64,
    /// Publishes that some members have not received, oldest first.
    outstanding: Vec<Publish>,
}

/// A publish under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// Its intended moment.
    pub at_ns: u64,
    /// Members that have not received it.
    pub left: u32,
}

impl Room {
    /// Slots of the members.
    pub fn members(&self) -> &[u32] {
        &self.members
    }

    /// Whether members have not received what was published.
    pub fn is_waiting(&self) -> bool {
        !self.outstanding.is_empty()
    }
}

/// The rooms of a worker.
#[derive(Debug)]
pub struct Rooms {
    prefix: String,
    capacity: u32,
    all: Vec<Room>,
    /// Rooms with space, by destination.
    filling: Vec<Vec<u32>>,
}

impl Rooms {
    /// No rooms yet; each will take `capacity` connections.
    pub fn new(worker: u32, capacity: u32, destinations: usize) -> Self {
        Self {
            prefix: format!("w{worker}-r"),
            capacity: capacity.max(1),
            all: Vec::new(),
            filling: vec![Vec::new(); destinations],
        }
    }

    /// Name of a room.
    pub fn name(&self, room: u32) -> String {
        format!("{}{room}", self.prefix)
    }

    /// The room.
    pub fn at(&self, room: u32) -> &Room {
        &self.all[room as usize]
    }

    /// Number of rooms.
    pub fn len(&self) -> u32 {
        self.all.len() as u32
    }

    /// Finds a room for a connection to a destination, and says whether it is a new one.
    pub fn assign(&mut self, destination: u16) -> (u32, bool) {
        let filling = &mut self.filling[usize::from(destination)];
        let found = filling.last().copied();
        let room = found.unwrap_or_else(|| {
            let room = self.all.len() as u32;
            self.all.push(Room { destination, ..Room::default() });
            filling.push(room);
            room
        });
        let there = &mut self.all[room as usize];
        there.assigned += 1;
        if there.assigned >= self.capacity {
            filling.pop();
        }
        (room, found.is_none())
    }

    /// A connection that was assigned has joined.
    pub fn join(&mut self, room: u32, index: u32) {
        self.all[room as usize].members.push(index);
    }

    /// A connection that was assigned, and perhaps joined, is gone. The last publish that it received, or its joining, was at
    /// `since_ns`. Says at which moments was published what it did not receive.
    pub fn leave(&mut self, room: u32, index: u32, since_ns: u64) -> Vec<u64> {
        let there = &mut self.all[room as usize];
        let mut missed = Vec::new();
        // From the end, because the newest connections are closed first.
        if let Some(at) = there.members.iter().rposition(|member| *member == index) {
            there.members.swap_remove(at);
            for publish in there.outstanding.iter_mut().filter(|publish| publish.at_ns > since_ns) {
                publish.left = publish.left.saturating_sub(1);
                missed.push(publish.at_ns);
            }
            there.outstanding.retain(|publish| publish.left > 0);
        }
        if there.assigned >= self.capacity {
            self.filling[usize::from(there.destination)].push(room);
        }
        there.assigned = there.assigned.saturating_sub(1);
        missed
    }

    /// Something is published in a room, to be sent at `at_ns`.
    pub fn publish(&mut self, room: u32, at_ns: u64) {
        let there = &mut self.all[room as usize];
        there.last_ns = at_ns;
        there.outstanding.push(Publish { at_ns, left: there.members.len() as u32 });
    }

    /// A member received what was published at `at_ns`.
    #[inline]
    pub fn received(&mut self, room: u32, at_ns: u64) {
        let outstanding = &mut self.all[room as usize].outstanding;
        if let Some(index) = outstanding.iter().position(|publish| publish.at_ns == at_ns) {
            outstanding[index].left = outstanding[index].left.saturating_sub(1);
            if outstanding[index].left == 0 {
                outstanding.remove(index);
            }
        }
    }

    /// Takes the publishes that were not received by all.
    pub fn take_outstanding(&mut self) -> Vec<Publish> {
        self.all.iter_mut().flat_map(|room| room.outstanding.drain(..)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_fill_up_one_after_the_other_on_each_destination() {
        let mut rooms = Rooms::new(3, 2, 2);
        let assigned: Vec<_> = [0, 1, 0, 0, 1].map(|destination| rooms.assign(destination)).to_vec();
        assert_eq!(assigned, [(0, true), (1, true), (0, false), (2, true), (1, false)]);
        assert_eq!((rooms.name(2), rooms.len()), ("w3-r2".to_owned(), 3));
    }

    #[test]
    fn a_place_that_is_left_is_taken_again() {
        let mut rooms = Rooms::new(0, 2, 1);
        for index in 0..2 {
            let (room, _) = rooms.assign(0);
            rooms.join(room, index);
        }
        rooms.leave(0, 0, 0);
        assert_eq!(rooms.at(0).members(), [1]);
        assert_eq!([rooms.assign(0), rooms.assign(0)], [(0, false), (1, true)]);
        rooms.leave(0, 9, 0);
        assert_eq!(rooms.at(0).members(), [1]);
    }

    #[test]
    fn a_publish_is_outstanding_until_each_member_has_received_it_or_is_gone() {
        let mut rooms = Rooms::new(0, 3, 1);
        for index in 0..3 {
            let (room, _) = rooms.assign(0);
            rooms.join(room, index);
        }
        rooms.publish(0, 100);
        rooms.publish(0, 200);
        rooms.received(0, 100);
        rooms.received(0, 100);
        rooms.received(0, 200);
        // One has received the first of them, the other none.
        assert_eq!(rooms.leave(0, 0, 100), [200]);
        assert_eq!(rooms.leave(0, 1, 50), [100, 200]);
        assert!(!rooms.at(0).is_waiting());
        rooms.publish(0, 300);
        rooms.received(0, 299);
        assert!(rooms.at(0).is_waiting());
        assert_eq!(rooms.take_outstanding(), [Publish { at_ns: 300, left: 1 }]);
        assert!(!rooms.at(0).is_waiting());
    }
}
