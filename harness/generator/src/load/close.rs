//! The end of a load: every connection says goodbye, in bounded time.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::progress::Progress;
use crate::coordinator::{Generator, Watching};
use crate::ipc::Window;

/// The close frames are spread over this time at most; then the server has a second to answer each.
const SPREAD: Duration = Duration::from_secs(2);

/// Close frames per second, at least.
const AT_LEAST_PER_SECOND: f64 = 1000.0;

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Closing {
    /// Close frames sent, with code 1000.
    pub asked: u64,
    /// Those that the server answered with its own within a second; the others were closed with RST.
    pub answered: u64,
    /// Connections that the server ended between the last hold and their turn.
    pub lost: u64,
    /// Length in seconds.
    pub took_s: f64,
}

impl Closing {
    fn new(windows: &[Window], took: Duration) -> Self {
        let sum = |field: fn(&Window) -> u64| windows.iter().map(field).sum::<u64>();
        let asked = sum(|window| window.closes);
        // One that was closed earlier, for a wrong answer, may be answered only now.
        let answered = sum(|window| window.closes_answered).min(asked);
        Self { asked, answered, lost: sum(|window| window.lost), took_s: took.as_secs_f64() }
    }
}

/// Close frames per second for so many connections.
pub(super) fn per_second(connections: u64) -> f64 {
    (connections as f64 / SPREAD.as_secs_f64()).max(AT_LEAST_PER_SECOND)
}

/// Closes what is open. `None`: nothing was open, or a worker failed, which is said.
pub async fn politely(generator: &mut Generator, progress: &Progress) -> Option<Closing> {
    let open = generator.open();
    if open == 0 {
        return None;
    }
    let started = Instant::now();
    generator.ignore_stop();
    match generator.shrink_to(0, per_second(open), &mut |_| Watching::GoOn).await {
        Ok(windows) => Some(Closing::new(&windows.workers, started.elapsed())),
        Err(error) => {
            progress.note(&format!("not every connection was closed with a close frame: {error:#}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_earlier_closes_are_not_counted_as_more_than_was_asked() {
        let window = |closes, closes_answered| Window { closes, closes_answered, lost: 1, ..Window::default() };
        let closing = Closing::new(&[window(3, 3), window(2, 3)], Duration::from_millis(1500));
        assert_eq!(closing, Closing { asked: 5, answered: 5, lost: 2, took_s: 1.5 });
    }
}
