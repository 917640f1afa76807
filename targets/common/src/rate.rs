//! A limit of connections a second: each second admits as many, however many came before.

use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// Counts who was let in this second.
#[derive(Debug)]
pub struct Rate {
    most: u32,
    began: Instant,
    admitted: u32,
}

impl Rate {
    /// So many a second; 0: all.
    pub fn new(most: u32) -> Self {
        Self { most, began: Instant::now(), admitted: 0 }
    }

    /// Whether one more is let in now.
    pub fn admits(&mut self) -> bool {
        if self.most == 0 {
            return true;
        }
        if self.began.elapsed() >= SECOND {
            (self.began, self.admitted) = (Instant::now(), 0);
        }
        self.admitted += 1;
        self.admitted <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_second_admits_again_and_none_is_no_limit() {
        let mut rate = Rate::new(2);
        assert_eq!([rate.admits(), rate.admits(), rate.admits()], [true, true, false]);
        rate.began -= SECOND;
        assert!(rate.admits());
        assert!((0..100).all(|_| Rate::new(0).admits()));
    }
}
