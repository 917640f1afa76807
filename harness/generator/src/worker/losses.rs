//! Ages of the connections that were lost in a window. Only losses are looked at, so the hot path pays nothing.

use crate::histogram;
use crate::ipc::Lost;
use wsceiling_model::record::FailureReason;

/// Most reasons that are told apart in a window; a hostile server could invent close codes without end, and each has two
/// histograms.
const REASONS_MAX: usize = 8;

/// What a connection leaves that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Time since its upgrade, in milliseconds.
    pub age_ms: u64,
    /// Time since its last message, in milliseconds.
    pub quiet_ms: u64,
    /// It has said nothing since the message that it began with.
    pub silent: bool,
}

/// The losses of a window, by reason.
#[derive(Debug, Default)]
pub struct Losses(Vec<OfReason>);

#[derive(Debug)]
struct OfReason {
    reason: FailureReason,
    silent: u64,
    age: hdrhistogram::Histogram<u64>,
    quiet: hdrhistogram::Histogram<u64>,
}

impl Losses {
    /// A connection is lost.
    pub fn add(&mut self, reason: &FailureReason, loss: Loss) {
        let known = |all: &[OfReason], reason: &FailureReason| all.iter().position(|known| known.reason == *reason);
        let (reason, index) = match known(&self.0, reason) {
            None if self.0.len() >= REASONS_MAX => {
                (&FailureReason::ManyOthers, known(&self.0, &FailureReason::ManyOthers))
            }
            index => (reason, index),
        };
        let index = index.unwrap_or_else(|| {
            let (age, quiet) = (histogram::new(), histogram::new());
            self.0.push(OfReason { reason: reason.clone(), silent: 0, age, quiet });
            self.0.len() - 1
        });
        let of_reason = &mut self.0[index];
        of_reason.silent += u64::from(loss.silent);
        // They grow with what is recorded, so nothing is out of their range.
        let _ = of_reason.age.record(loss.age_ms);
        let _ = of_reason.quiet.record(loss.quiet_ms);
    }

    /// What was lost, for a report; the next window begins with nothing.
    pub fn take(&mut self) -> Vec<Lost> {
        let report = |of: OfReason| Lost {
            reason: of.reason,
            silent: of.silent,
            age: (&of.age).into(),
            quiet: (&of.quiet).into(),
        };
        std::mem::take(&mut self.0).into_iter().map(report).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_apart_by_reason_up_to_a_number_of_them() {
        let mut losses = Losses::default();
        for code in 4000..4100 {
            losses.add(&FailureReason::close(code), Loss { age_ms: 60_000, quiet_ms: 5, silent: code % 2 == 0 });
        }
        losses.add(&FailureReason::close(4000), Loss { age_ms: 30_000, quiet_ms: 30_000, silent: true });
        let taken = losses.take();
        assert_eq!(taken.len(), REASONS_MAX + 1);
        assert_eq!((&taken[0].reason, taken[0].silent), (&FailureReason::close(4000), 2));
        assert_eq!(taken[0].age.decode().unwrap().len(), 2);
        let others = taken.last().unwrap();
        assert_eq!((&others.reason, others.age.decode().unwrap().len()), (&FailureReason::ManyOthers, 92));
        assert_eq!(losses.take(), []);
    }
}
