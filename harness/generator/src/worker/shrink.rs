//! Going down: connections are closed with a close frame, newest first, each at its intended moment.

use super::clock::{SECOND_NS, now_ns};
use super::connection::{Handle, State};
use super::engine::Engine;
use super::task::Gone;
use crate::protocol::Report;
use wsceiling_model::matrix::Scenario;

/// Connections closed in one turn of the loop.
const CLOSES_PER_TURN: usize = 64;

/// A shrink command under way.
#[derive(Debug)]
pub(super) struct Shrinking {
    keep: u32,
    per_second: f64,
    start_ns: u64,
    /// Closes so far.
    closed: u32,
    /// Connections to close, the newest one last.
    order: Vec<Handle>,
    /// Connections that have been told, and have not ended when last looked at.
    told: Vec<Handle>,
}

impl Shrinking {
    /// Intended moment of the next close; `None`: all are told.
    pub fn next_moment(&self) -> Option<u64> {
        let after = f64::from(self.closed) / self.per_second * SECOND_NS as f64;
        (!self.order.is_empty()).then(|| self.start_ns.saturating_add(after as u64))
    }
}

impl Engine {
    /// Begins to close connections until `keep` are left.
    pub(super) fn begin_shrink(&mut self, keep: u32, per_second: f64, start_ns: u64) {
        self.counters.from_ns = start_ns.min(now_ns());
        let order = self.to_close(keep);
        self.shrinking = Some(Shrinking { keep, per_second, start_ns, closed: 0, order, told: Vec::new() });
    }

    /// The newest open connections that are too many. In churn those count too that are about to come back.
    fn to_close(&self, keep: u32) -> Vec<Handle> {
        let open = self.slab.in_state(State::Open);
        let mut all: Vec<Handle> =
            open.map(|(index, connection)| Handle { index, serial: connection.serial }).collect();
        let mut coming = self.replacements.len();
        if self.config.scenario == Scenario::Churn {
            let waiting =
                [State::Connecting, State::Upgrading].into_iter().map(|state| self.slab.in_state(state).count());
            coming += waiting.sum::<usize>();
            coming += self.slab.in_state(State::Closing).filter(|(_, connection)| connection.replace).count();
        }
        let excess = (all.len() + coming).saturating_sub(keep as usize).min(all.len());
        all.sort_unstable_by_key(|handle| handle.serial);
        all.split_off(all.len() - excess)
    }

    /// Closes the connections that are due. True: more are due.
    pub(super) fn shrink_due(&mut self, now: u64) -> bool {
        for _ in 0..CLOSES_PER_TURN {
            let Some(shrinking) = &mut self.shrinking else { return false };
            let Some(due) = shrinking.next_moment().filter(|due| *due <= now) else { return false };
            let Some(handle) = shrinking.order.pop() else { return false };
            shrinking.closed += 1;
            if self.close_politely(handle, due, Gone::ForGood)
                && let Some(shrinking) = &mut self.shrinking
            {
                shrinking.told.push(handle);
            }
        }
        true
    }

    /// Ends the command once every connection that was told has ended. True: it has just ended.
    pub(super) fn shrink_done(&mut self) -> bool {
        let Some(shrinking) = &mut self.shrinking else { return false };
        while shrinking.told.pop_if(|handle| self.slab.get(*handle).is_none()).is_some() {}
        if !shrinking.order.is_empty() || !shrinking.told.is_empty() {
            return false;
        }
        let keep = shrinking.keep;
        if self.config.scenario == Scenario::Churn {
            // Some of those to be closed had their lives end before, and others in their places.
            let order = self.to_close(keep);
            if let (Some(shrinking), false) = (&mut self.shrinking, order.is_empty()) {
                shrinking.order = order;
                return false;
            }
        }
        self.end_shrinking(now_ns());
        true
    }

    /// Ends the command as it is.
    pub(super) fn end_shrinking(&mut self, now: u64) {
        if self.shrinking.take().is_some() {
            let window = self.window(0, now);
            self.reports.push(Report::Opened(Box::new(window)));
        }
    }
}
