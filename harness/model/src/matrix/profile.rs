//! The load profile: what the generator does to the connections of each cell, as the file says it ([`Load`]) and phase
//! by phase ([`Phase`]), whether the file gives a staircase or stages.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::long::LongConnections;
use super::message::Message;
use super::read::Gates;
use super::units::{format_duration, format_rate};
use crate::format;
use crate::keyword::keywords;

/// What the generator does to each cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Connections added in each step of the staircase.
    pub step: u32,
    /// Connections opened per second, open loop.
    pub rate: f64,
    /// How long the connections of a step are held and measured.
    pub hold: Duration,
    /// The staircase ends here; a cell that gets there is reported as `at least max`.
    pub max: u32,
    /// What is done to the connections one after the other, in the place of the staircase; empty: the staircase. Then
    /// [`Self::max`] is the largest number of them, [`Self::step`] the same, and nothing is narrowed.
    pub stages: Vec<LoadStage>,
    /// What each connection sends while it is open, in the scenarios `idle` and `echo`.
    pub message: Message,
    /// Conditions each step must meet.
    pub gates: Gates,
    /// Narrowing the bracket stops once it is at most this share of the last good step (0.05 is 5 %).
    pub resolution: f64,
    /// At most this many extra steps to narrow the bracket.
    pub narrow: u32,
    /// A TCP connect that takes longer has failed.
    pub connect_timeout: Duration,
    /// An upgrade that takes longer, counted from the connect's end, has failed.
    pub handshake_timeout: Duration,
    /// Workers of the generator; `None`: as many as the descriptor limit asks for.
    pub workers: Option<u32>,
    /// Where they run; `None`: on the host, or beside the containers where the host cannot drive them.
    pub workers_in: Option<WorkersIn>,
    /// Where the image of the workers is pushed for the nodes of a swarm: `HOST[:PORT]/NAME`.
    #[serde(default)]
    pub registry: Option<String>,
    /// Settings of the scenario `broadcast`.
    pub broadcast: Broadcast,
    /// Settings of the scenario `churn`.
    pub churn: Churn,
    /// Limits of the generator's own, below those of the machine.
    #[serde(default)]
    pub generator: GeneratorLimits,
    /// Connections beside the load that are kept for long; see [`Self::long_beside`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongConnections>,
}

/// A part of a load that is given stage by stage (`[[load.stage]]`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadStage {
    /// Connections are opened, or closed with a close frame, until so many are open; then they are held and measured.
    To {
        /// Connections at its end.
        to: u32,
        /// Connections opened or closed per second, open loop.
        rate: f64,
        /// How long they are then held.
        hold: Duration,
    },
    /// Every connection is closed with RST and connects again, as after a failure of the network or a proxy's restart.
    Storm {
        /// Each one connects again at a random moment of this time, seeded; zero: all at once.
        jitter: Duration,
        /// How long they are then held.
        hold: Duration,
    },
}

/// Settings of the scenario `broadcast`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Broadcast {
    /// Connections in one room.
    pub room: u32,
    /// Time between two messages published into one room.
    pub every: Duration,
    /// Payload of a published message in bytes.
    pub bytes: u32,
}

/// Settings of the scenario `churn`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Churn {
    /// Mean time a connection stays open before the client closes it and opens another.
    pub lifetime: Duration,
}

/// What the generator may use; `None`: what the machine gives. They tell how a starved client looks from how a slow
/// server does, and keep a generator from taking too much of a shared machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorLimits {
    /// CPUs that all workers together may use.
    pub cpus: Option<f64>,
    /// Descriptors of each worker.
    pub descriptors: Option<u64>,
    /// Source ports of each (source, destination) pair.
    pub ports: Option<u32>,
}

keywords! {
    /// Where the workers of the generator run.
    pub enum WorkersIn {
        Host = "host", "Processes of the host";
        Docker = "docker", "Containers on the network of the instances, each with an address of its own";
        Swarm = "swarm", "Tasks of a Docker Swarm service, spread over its nodes, each with an address of its own";
    }
}

/// A part of the load profile: connections come or go, then they are held and measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phase {
    /// Connections at its end.
    pub to: u32,
    /// Connections opened or closed per second; in a storm, reconnects in a second at most.
    pub per_second: f64,
    /// How long they are held.
    pub hold: Duration,
    /// In a storm: each connection comes back at a random moment of this time.
    pub storm: Option<Duration>,
}

impl Default for Load {
    /// The load of a file without `[load]`.
    fn default() -> Self {
        Self {
            step: 2000,
            rate: 2000.0,
            hold: Duration::from_secs(2),
            max: 20_000,
            stages: Vec::new(),
            message: Message::plain(64, Duration::from_secs(5)),
            gates: Gates::default(),
            resolution: 0.1,
            narrow: 3,
            connect_timeout: Duration::from_secs(3),
            handshake_timeout: Duration::from_secs(5),
            workers: None,
            workers_in: None,
            registry: None,
            broadcast: Broadcast { room: 100, every: Duration::from_secs(1), bytes: 64 },
            churn: Churn { lifetime: Duration::from_secs(5) },
            generator: GeneratorLimits::default(),
            long: None,
        }
    }
}

impl Load {
    /// The phases in order, without those that narrow a bracket.
    pub fn phases(&self) -> Vec<Phase> {
        if self.stages.is_empty() {
            let (step, max) = (self.step.max(1), self.max);
            let targets = (1..=max.div_ceil(step)).map(|index| index.saturating_mul(step).min(max));
            return targets.map(|to| self.phase(to)).collect();
        }
        let mut now = 0;
        let phase = |stage: &LoadStage| match *stage {
            LoadStage::To { to, rate, hold } => {
                now = to;
                Phase { to, per_second: rate, hold, storm: None }
            }
            LoadStage::Storm { jitter, hold } => {
                let per_second = f64::from(now) / jitter.as_secs_f64().max(1.0);
                Phase { to: now, per_second, hold, storm: Some(jitter) }
            }
        };
        self.stages.iter().map(phase).collect()
    }

    /// A phase to that many connections at the rate and with the hold of the whole load.
    pub fn phase(&self, to: u32) -> Phase {
        Phase { to, per_second: self.rate, hold: self.hold, storm: None }
    }

    /// Time that the probe of a phase takes on a server that keeps up: only connections that are due for no message in the
    /// hold are asked, no faster than they were opened.
    pub fn probe(&self, phase: Phase) -> Duration {
        let opening = Duration::try_from_secs_f64(f64::from(phase.to) / phase.per_second).unwrap_or(phase.hold);
        opening.min(phase.hold).mul_f64(1.0 - self.message.share_within(phase.hold))
    }

    /// Time that all phases take on a server that keeps up: arithmetic, not a measurement.
    pub fn shortest(&self) -> Duration {
        let mut before = 0;
        let time = |phase: Phase| {
            let change = f64::from(phase.to.abs_diff(std::mem::replace(&mut before, phase.to)));
            let change = phase.storm.unwrap_or_else(|| Duration::from_secs_f64(change / phase.per_second));
            change.saturating_add(phase.hold).saturating_add(self.probe(phase))
        };
        self.phases().into_iter().map(time).fold(Duration::ZERO, Duration::saturating_add)
    }
}

impl fmt::Display for Phase {
    /// `to 5,000 at 1000/s, held 5s` or `storm of 5,000 within 5s, held 5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    use super::super::parsed;
    use super::*;

    fn load(text: &str) -> Load {
        parsed(&format!("{text}\n[targets.t.process]\ncargo = \"t\"\n[axes]\ntarget = [\"t\"]\n")).load
    }

    #[test]
    fn a_staircase_is_legs_of_one_step_and_a_shorter_last_one() {
        let load =
            load("[load]\nstep = 2000\nmax = 5000\nrate = \"1000/s\"\nhold = \"1s\"\nmessage = { every = \"1s\" }");
        assert_eq!(load.phases().iter().map(|phase| phase.to).collect::<Vec<_>>(), [2000, 4000, 5000]);
        assert_eq!(load.shortest(), Duration::from_secs(5 + 3));
    }

    #[test]
    fn a_hold_shorter_than_the_interval_is_followed_by_a_probe_of_those_that_said_nothing() {
        let load =
            load("[load]\nstep = 500\nmax = 5000\nrate = \"1000/s\"\nhold = \"1s\"\nmessage = { every = \"4s\" }");
        // A quarter says something in the hold. 500 were opened within half a second, 5,000 within more than the hold.
        let probe = |to| load.probe(load.phase(to)).as_millis();
        assert_eq!((probe(500), probe(5000)), (375, 750));
        assert_eq!(load.shortest(), Duration::from_millis(5000 + 10 * 1000 + 375 + 9 * 750));
    }

    #[test]
    fn the_share_that_says_something_depends_on_the_think_time() {
        use super::super::message::ThinkTime::{Exponential, Fixed, Uniform};
        let share = |spread, times: u64| {
            let message = Message { spread, ..Message::plain(1, Duration::from_secs(2)) };
            (message.share_within(Duration::from_secs(times)) * 1000.0).round() as u64
        };
        assert_eq!([share(Fixed, 1), share(Fixed, 3)], [500, 1000]);
        assert_eq!([share(Uniform, 1), share(Uniform, 2), share(Uniform, 4)], [438, 750, 1000]);
        assert_eq!([share(Exponential, 1), share(Exponential, 2)], [393, 632]);
    }

    #[test]
    fn stages_go_up_and_down_and_a_storm_keeps_their_number() {
        let load = load(
            "[load]\nrate = \"500/s\"\nhold = \"2s\"\nmessage = { every = \"1s\" }\n[[load.stage]]\nto = 1000\n[[load.stage]]\nreconnect = \"all\"\n\
             jitter = \"4s\"\n[[load.stage]]\nto = 200\nrate = \"100/s\"\nhold = \"1s\"",
        );
        let phases = load.phases();
        assert_eq!(phases.iter().map(|phase| phase.to).collect::<Vec<_>>(), [1000, 1000, 200]);
        assert_eq!((phases[0].per_second, phases[1].per_second, phases[2].per_second), (500.0, 250.0, 100.0));
        assert_eq!((load.max, load.step, load.narrow), (1000, 1000, 0));
        assert_eq!(load.shortest(), Duration::from_secs(2 + 2 + 4 + 2 + 8 + 1));
        let words: Vec<String> = phases.iter().map(ToString::to_string).collect();
        let expected = ["to 1,000 at 500/s, held 2s", "storm of 1,000 within 4s, held 2s", "to 200 at 100/s, held 1s"];
        assert_eq!(words, expected);
    }
}
