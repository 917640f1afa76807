//! What a server does beside serving: a thread that stands still now and then, a helper process that comes and goes, memory
//! that piles up, and chance.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::sleep;

use crate::options::Options;

/// How often memory is leaked.
const LEAKS_PER_SECOND: usize = 20;

/// Starts what the options ask for.
pub fn start(options: &Options) {
    let (every, stall, helper) = (options.stall_every, options.stall, options.helper);
    if !every.is_zero() {
        tokio::spawn(async move {
            loop {
                sleep(every).await;
                // Not the runtime's sleep: the thread itself stands still.
                std::thread::sleep(stall);
            }
        });
    }
    if !helper.is_zero() {
        tokio::spawn(helpers(helper));
    }
    if options.leak > 0 {
        tokio::spawn(leak(options.leak));
    }
}

/// Piles up memory, so many bytes a second.
async fn leak(bytes_per_second: usize) {
    let mut piled = Vec::new();
    loop {
        piled.push(vec![0xa5_u8; bytes_per_second / LEAKS_PER_SECOND]);
        sleep(Duration::from_secs(1) / LEAKS_PER_SECOND as u32).await;
    }
}

async fn helpers(lives: Duration) {
    loop {
        let mut helper = Command::new("sleep");
        let ended = helper.arg(lives.as_secs_f64().to_string()).kill_on_drop(true).status().await;
        match ended {
            Ok(status) => eprintln!("the helper ended ({status}), starting another"),
            Err(error) => return eprintln!("no helper: {error}"),
        }
    }
}

/// Numbers that look like chance: SplitMix64, the same in every run.
#[derive(Debug, Default)]
pub struct Chance(AtomicU64);

impl Chance {
    /// The next one, from 0 up to 1.
    pub fn next(&self) -> f64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_even_and_stays_below_one() {
        let chance = Chance::default();
        let all: Vec<f64> = (0..10_000).map(|_| chance.next()).collect();
        let few = all.iter().filter(|value| **value < 0.02).count();
        assert!(all.iter().all(|value| (0.0..1.0).contains(value)));
        assert!((150..250).contains(&few), "{few}");
    }
}
