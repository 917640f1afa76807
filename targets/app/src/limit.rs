//! How much one connection may send: a token bucket, and a count of refusals.

use std::time::Instant;

/// Tokens that refill at a steady rate up to a maximum.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    tokens: f64,
    burst: f64,
    per_second: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn new(per_second: f64, burst: f64, now: Instant) -> Self {
        Self { tokens: burst, burst, per_second, at: now }
    }

    /// Adds what has dripped in since the last call; returns whether the bucket is full.
    fn refill(&mut self, now: Instant) -> bool {
        let elapsed_s = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = elapsed_s.mul_add(self.per_second, self.tokens).min(self.burst);
        self.at = now;
        self.tokens >= self.burst
    }

    /// Takes one token, if there is one.
    fn take(&mut self) -> bool {
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// It is served.
    Allow,
    /// It is ignored and answered with an error.
    Refuse,
    /// The connection has been refused often enough and ends.
    Close,
}

/// The limit of one connection.
#[derive(Debug, Clone, Copy)]
pub struct Limiter {
    bucket: Bucket,
    strikes: u32,
    strikes_max: u32,
}

impl Limiter {
    /// `strikes_max` refusals since the bucket was last full end the connection.
    pub fn new(bucket: Bucket, strikes_max: u32) -> Self {
        Self { bucket, strikes: 0, strikes_max }
    }

    /// Decides on one message that arrived `now`.
    pub fn rule(&mut self, now: Instant) -> Ruling {
        if self.bucket.refill(now) {
            self.strikes = 0;
        }
        if self.bucket.take() {
            return Ruling::Allow;
        }
        self.strikes += 1;
        if self.strikes > self.strikes_max { Ruling::Close } else { Ruling::Refuse }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limiter(start: Instant) -> Limiter {
        Limiter::new(Bucket::new(10.0, 5.0, start), 3)
    }

    #[test]
    fn a_burst_is_allowed_then_refused_then_the_connection_ends() {
        let start = Instant::now();
        let mut limiter = limiter(start);
        let rulings: Vec<_> = (0..9).map(|_| limiter.rule(start)).collect();
        assert_eq!(rulings[..5], [Ruling::Allow; 5]);
        assert_eq!(rulings[5..8], [Ruling::Refuse; 3]);
        assert_eq!(rulings[8], Ruling::Close);
    }

    #[test]
    fn the_long_run_rate_is_never_refused() {
        let start = Instant::now();
        let mut limiter = limiter(start);
        for message in 0..1000 {
            assert_eq!(limiter.rule(start + Duration::from_millis(100) * message), Ruling::Allow, "{message}");
        }
    }

    #[test]
    fn a_little_too_fast_ends_too_because_the_bucket_never_fills() {
        let start = Instant::now();
        let mut limiter = limiter(start);
        let closed = (0..200).find(|n| limiter.rule(start + Duration::from_millis(75) * *n) == Ruling::Close);
        // 13.3 a second against 10: a quarter is refused once the burst of 5 is used up.
        assert!((20..60).contains(&closed.unwrap()), "{closed:?}");
    }

    #[test]
    fn a_pause_that_fills_the_bucket_forgives() {
        let start = Instant::now();
        let mut limiter = limiter(start);
        for round in 0..20 {
            let now = start + Duration::from_secs(round);
            let refused = (0..8).filter(|_| limiter.rule(now) != Ruling::Allow).count();
            assert_eq!(refused, 3, "round {round}");
        }
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_adds_nothing() {
        let before = Instant::now();
        let mut limiter = limiter(before + Duration::from_secs(10));
        for _ in 0..5 {
            limiter.rule(before + Duration::from_secs(5));
        }
        assert_eq!(limiter.rule(before), Ruling::Refuse);
    }
}
