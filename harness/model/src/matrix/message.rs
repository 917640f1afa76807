//! Messages: what each connection sends while it is open, and how often.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::keyword::keywords;

/// A message and how often each connection sends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Payload in bytes; of a mix its mean, rounded up.
    pub bytes: u32,
    /// Time between two messages of one connection; where it is random, its mean.
    pub every: Duration,
    /// How that time is distributed.
    pub spread: ThinkTime,
    /// Payloads of several sizes; empty: all are [`Self::bytes`] long.
    pub mix: Vec<Portion>,
}

impl Message {
    /// Largest payload in bytes: tungstenite's own default for one frame.
    pub const BYTES_MAX: u64 = 16 << 20;

    /// Messages of one size at one interval.
    pub fn plain(bytes: u32, every: Duration) -> Self {
        Self { bytes, every, spread: ThinkTime::Fixed, mix: Vec::new() }
    }

    /// Share of the connections that send at least one message in that time, wherever it begins.
    pub fn share_within(&self, time: Duration) -> f64 {
        let times = time.as_secs_f64() / self.every.as_secs_f64();
        match self.spread {
            ThinkTime::Fixed => times.min(1.0),
            // The rest of an interval up to twice the mean, seen from any moment.
            ThinkTime::Uniform => times.min(2.0) * (1.0 - times.min(2.0) / 4.0),
            ThinkTime::Exponential => -(-times).exp_m1(),
        }
    }

    /// The longest payload in bytes.
    pub fn longest(&self) -> u32 {
        self.mix.iter().map(|portion| portion.bytes).max().unwrap_or(self.bytes)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let portions: Vec<String> =
            self.mix.iter().map(|portion| format!("{} x {} bytes", portion.share, portion.bytes)).collect();
        let sizes = if portions.is_empty() { format!("{} bytes", self.bytes) } else { portions.join(" + ") };
        write!(f, "{sizes} every {:?}", self.every)?;
        if self.spread == ThinkTime::Fixed { Ok(()) } else { write!(f, " ({})", self.spread) }
    }
}

/// Messages of one size in a mix.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Portion {
    /// Payload in bytes.
    pub bytes: u32,
    /// Share of all messages, 0 to 1; the shares of a mix add up to 1.
    pub share: f64,
}

keywords! {
    /// How the time between two messages of a connection is distributed, around its mean.
    #[derive(Default)]
    pub enum ThinkTime {
        Exponential = "exponential", "Exponential: what independent users make (a Poisson process)";
        Uniform = "uniform", "Between nothing and twice the mean, all equally likely";
        #[default]
        Fixed = "fixed", "Always the same";
    }
}
