//! A shrink command under way: connections are closed with a close frame, newest first, each at its intended moment.

use super::super::clock::SECOND_NS;
use super::super::table::Handle;

/// A shrink command under way.
#[derive(Debug)]
pub struct RampDown {
    /// Connections to keep.
    pub keep: u32,
    per_second: f64,
    start_ns: u64,
    /// Closes so far.
    closed: u32,
    /// Connections to close, the newest one last.
    order: Vec<Handle>,
    /// Connections that were sent a close frame, and had not ended when last looked at.
    closing: Vec<Handle>,
}

impl RampDown {
    /// Closes of `order`, the last one first, at a rate above 0.
    pub fn new(keep: u32, per_second: f64, start_ns: u64, order: Vec<Handle>) -> Self {
        Self { keep, per_second, start_ns, closed: 0, order, closing: Vec::new() }
    }

    /// Intended moment of the next close; `None`: none is left.
    pub fn next_moment(&self) -> Option<u64> {
        let after = f64::from(self.closed) / self.per_second * SECOND_NS as f64;
        (!self.order.is_empty()).then(|| self.start_ns.saturating_add(after as u64))
    }

    /// Takes the next close, if it is due: its intended moment and connection.
    pub fn take(&mut self, now: u64) -> Option<(u64, Handle)> {
        let due = self.next_moment().filter(|due| *due <= now)?;
        self.closed += 1;
        Some((due, self.order.pop()?))
    }

    /// A connection was sent its close frame.
    pub fn await_end(&mut self, handle: Handle) {
        self.closing.push(handle);
    }

    /// Whether every connection that was to be closed has ended.
    pub fn is_done(&mut self, mut exists: impl FnMut(Handle) -> bool) -> bool {
        while self.closing.pop_if(|handle| !exists(*handle)).is_some() {}
        self.order.is_empty() && self.closing.is_empty()
    }

    /// Connections that are to be closed too.
    pub fn extend(&mut self, order: Vec<Handle>) {
        self.order = order;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_closed_first_and_the_end_of_each_is_awaited() {
        let handle = |serial| Handle { index: serial, serial };
        let mut down = RampDown::new(1, 2.0, 0, vec![handle(1), handle(2)]);
        assert_eq!(down.take(0), Some((0, handle(2))));
        assert_eq!((down.take(0), down.next_moment()), (None, Some(SECOND_NS / 2)));
        down.await_end(handle(2));
        assert_eq!(down.take(SECOND_NS), Some((SECOND_NS / 2, handle(1))));
        assert!(!down.is_done(|_| true));
        assert!(down.is_done(|_| false));
        down.extend(vec![handle(0)]);
        assert!(!down.is_done(|_| false));
    }
}
