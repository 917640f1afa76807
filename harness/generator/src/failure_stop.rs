//! Whether so many connects fail that no more may be made: a server of somebody else is spared.

use std::fmt;

use crate::ipc::Status;

/// Connects of a step before their failures are counted: the first few may meet a moment of the network.
const FEWEST: u64 = 50;

/// Watches the failures of a step.
#[derive(Debug)]
pub struct FailureStop {
    /// Share that may fail; `None`: all may.
    at: Option<f64>,
    /// Connects before the step.
    issued: u64,
    /// Failures before the step.
    failed: u64,
    /// No more connects may be made in this step.
    pub stopped: bool,
}

/// What made it stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Connects that had failed.
    pub failed: u64,
    /// Connects that had been made.
    pub issued: u64,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} connects have failed: no more are made in this stage", self.failed, self.issued)
    }
}

impl FailureStop {
    /// At the start of a step, with the state of the generator then.
    pub fn new(at: Option<f64>, before: &Status) -> Self {
        Self { at, issued: before.issued, failed: before.failed, stopped: false }
    }

    /// Looks at a later state; says so once, where the share is reached.
    pub fn look(&mut self, status: &Status) -> Option<Stopped> {
        let at = self.at.filter(|_| !self.stopped)?;
        let issued = status.issued.saturating_sub(self.issued);
        let failed = status.failed.saturating_sub(self.failed);
        self.stopped = issued >= FEWEST && failed as f64 >= at * issued as f64;
        self.stopped.then_some(Stopped { failed, issued })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(issued: u64, failed: u64) -> Status {
        Status { issued, failed, ..Status::default() }
    }

    #[test]
    fn a_server_whose_connects_fail_is_asked_for_no_more_and_that_is_said_once() {
        let mut failures = FailureStop::new(Some(0.5), &status(1000, 400));
        assert_eq!(failures.look(&status(1049, 449)), None, "too few to tell");
        assert_eq!(failures.look(&status(1100, 449)), None);
        assert!(!failures.stopped);
        assert_eq!(failures.look(&status(1100, 450)), Some(Stopped { failed: 50, issued: 100 }));
        assert!(failures.stopped);
        assert_eq!(failures.look(&status(1200, 600)), None);
    }

    #[test]
    fn without_a_share_nothing_stops() {
        assert_eq!(FailureStop::new(None, &status(0, 0)).look(&status(1000, 1000)), None);
    }
}
