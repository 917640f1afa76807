//! So many things a second, with some saved for a moment.

/// A token bucket, on the clock of its caller.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    per_s: f64,
    most: f64,
    filled: f64,
    at_ms: u64,
}

impl Bucket {
    /// `per_s` a second; what is not used is kept for `keep_s` seconds. It begins with what one second brings.
    pub fn new(per_s: f64, keep_s: f64) -> Self {
        let most = (per_s * keep_s).max(1.0);
        Self { per_s, most, filled: per_s.clamp(1.0, most), at_ms: 0 }
    }

    /// Another rate from now on; what is in it stays, as far as it fits.
    pub fn change(&mut self, now_ms: u64, per_s: f64, keep_s: f64) {
        self.fill(now_ms);
        self.per_s = per_s;
        self.most = (per_s * keep_s).max(1.0);
        self.filled = self.filled.min(self.most);
    }

    /// Takes up to `wanted`, whole ones only.
    pub fn take(&mut self, now_ms: u64, wanted: u32) -> u32 {
        self.fill(now_ms);
        let taken = wanted.min(self.filled as u32);
        self.filled -= f64::from(taken);
        taken
    }

    fn fill(&mut self, now_ms: u64) {
        let passed_s = now_ms.saturating_sub(self.at_ms) as f64 / 1e3;
        self.filled = (self.filled + passed_s * self.per_s).min(self.most);
        self.at_ms = self.at_ms.max(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let mut bucket = Bucket::new(10.0, 2.0);
        let taken: u32 = (0..=100).map(|tenth| bucket.take(tenth * 100, 1000)).sum();
        assert_eq!(taken, 10 + 100);
        assert_eq!(bucket.take(1_000_000, 1000), 20, "two seconds are kept");
        bucket.change(1_000_000, 0.5, 2.0);
        assert_eq!(bucket.take(1_001_000, 5), 0);
        assert_eq!(bucket.take(1_002_000, 5), 1);
        assert_eq!(bucket.take(0, 5), 0, "a clock that goes back gives nothing");
    }
}
