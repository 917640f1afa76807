//! The course of a trial: what is done to the connections, leg by leg, whether the file says it as a staircase or as
//! stages.

use crate::format;
use std::time::Duration;

use super::units::{format_duration, format_rate};
use super::{Load, LoadStage};

/// A part of a trial: connections come or go, then they are held and measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leg {
    /// Connections at its end.
    pub to: u32,
    /// Connections opened or closed per second; in a storm, reconnects in a second at most.
    pub per_second: f64,
    /// How long they are held.
    pub hold: Duration,
    /// In a storm: each connection comes back at a random moment of this time.
    pub storm: Option<Duration>,
}

impl Load {
    /// The legs in order, without those that narrow a bracket.
    pub fn legs(&self) -> Vec<Leg> {
        if self.stages.is_empty() {
            let (step, max) = (self.step.max(1), self.max);
            let targets = (1..=max.div_ceil(step)).map(|index| index.saturating_mul(step).min(max));
            return targets.map(|to| self.leg(to)).collect();
        }
        let mut now = 0;
        let leg = |stage: &LoadStage| match *stage {
            LoadStage::To { to, rate, hold } => {
                now = to;
                Leg { to, per_second: rate, hold, storm: None }
            }
            LoadStage::Storm { jitter, hold } => {
                let per_second = f64::from(now) / jitter.as_secs_f64().max(1.0);
                Leg { to: now, per_second, hold, storm: Some(jitter) }
            }
        };
        self.stages.iter().map(leg).collect()
    }

    /// A leg to that many connections at the rate and with the hold of the whole load.
    pub fn leg(&self, to: u32) -> Leg {
        Leg { to, per_second: self.rate, hold: self.hold, storm: None }
    }

    /// Time that all legs take on a server that keeps up: arithmetic, not a measurement.
    pub fn shortest(&self) -> Duration {
        let mut before = 0;
        let time = |leg: Leg| {
            let change = f64::from(leg.to.abs_diff(std::mem::replace(&mut before, leg.to)));
            let change = leg.storm.unwrap_or_else(|| Duration::from_secs_f64(change / leg.per_second));
            change.saturating_add(leg.hold)
        };
        self.legs().into_iter().map(time).fold(Duration::ZERO, Duration::saturating_add)
    }
}

impl std::fmt::Display for Leg {
    /// `to 5,000 at 1000/s, held 5s` or `storm of 5,000 within 5s, held 5s`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (to, hold) = (format::count(self.to.into()), format_duration(self.hold));
        match self.storm {
            None => write!(f, "to {to} at {}, held {hold}", format_rate(self.per_second)),
            Some(Duration::ZERO) => write!(f, "storm of {to} at once, held {hold}"),
            Some(jitter) => write!(f, "storm of {to} within {}, held {hold}", format_duration(jitter)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn load(text: &str) -> Load {
        let text = format!("{text}\n[targets.t.process]\ncargo = \"t\"\n[axes]\ntarget = [\"t\"]\n");
        parse(&text, std::path::Path::new("m.toml")).unwrap_or_else(|faults| panic!("{faults}")).matrix.load
    }

    #[test]
    fn a_staircase_is_legs_of_one_step_and_a_shorter_last_one() {
        let load = load("[load]\nstep = 2000\nmax = 5000\nrate = \"1000/s\"\nhold = \"1s\"");
        assert_eq!(load.legs().iter().map(|leg| leg.to).collect::<Vec<_>>(), [2000, 4000, 5000]);
        assert_eq!(load.shortest(), Duration::from_secs(5 + 3));
    }

    #[test]
    fn stages_go_up_and_down_and_a_storm_keeps_their_number() {
        let load = load(
            "[load]\nrate = \"500/s\"\nhold = \"2s\"\n[[load.stage]]\nto = 1000\n[[load.stage]]\nreconnect = \"all\"\n\
             jitter = \"4s\"\n[[load.stage]]\nto = 200\nrate = \"100/s\"\nhold = \"1s\"",
        );
        let legs = load.legs();
        assert_eq!(legs.iter().map(|leg| leg.to).collect::<Vec<_>>(), [1000, 1000, 200]);
        assert_eq!((legs[0].per_second, legs[1].per_second, legs[2].per_second), (500.0, 250.0, 100.0));
        assert_eq!((load.max, load.step, load.narrow), (1000, 1000, 0));
        assert_eq!(load.shortest(), Duration::from_secs(2 + 2 + 4 + 2 + 8 + 1));
        let words: Vec<String> = legs.iter().map(ToString::to_string).collect();
        let expected = ["to 1,000 at 500/s, held 2s", "storm of 1,000 within 4s, held 2s", "to 200 at 100/s, held 1s"];
        assert_eq!(words, expected);
    }
}
