//! The walls of the plan, scored afterwards: what arithmetic predicted against what happened.

use serde::Serialize;

use super::statistics::median;
use wsceiling_model::record::{Cause, Wall, WallName};

/// How far from an exact wall a ceiling may be that met it.
const WITHIN: f64 = 0.10;

/// A wall that was predicted before the run, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WallScore {
    /// The wall of the cause that was found, else the nearest one.
    pub wall: Wall,
    /// It was the nearest.
    pub nearest: bool,
    /// Connections at which the cell stopped, the median of its trials.
    pub stopped_at: u64,
    /// Nothing stopped it: the load ended there.
    pub at_least: bool,
    /// How good the prediction was.
    pub score: Score,
}

/// How good a prediction was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// It stopped there, and for that reason.
    Hit,
    /// It stopped for that reason elsewhere, or went on past it.
    Missed,
    /// It stopped before, for a reason that no wall tells of, or the load ended before.
    NotReached,
}

impl Score {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Missed => "missed",
            Self::NotReached => "not reached",
        }
    }
}

/// Scores the walls of a cell; `stopped` are the connections at which each of its trials stopped. `None` where no wall was
/// predicted or nothing was measured.
pub(super) fn score(walls: &[Wall], stopped: &[f64], cause: Option<Cause>) -> Option<WallScore> {
    let stopped_at = median(stopped)?;
    let at_least = cause.is_none_or(|cause| cause == Cause::None);
    let nearest = walls.iter().min_by_key(|wall| wall.connections)?;
    let met = walls.iter().filter(|wall| cause.is_some_and(|cause| causes(wall.name).contains(&cause)));
    let met = met.min_by_key(|wall| wall.connections);
    let wall = met.unwrap_or(nearest);
    let stands = wall.connections as f64;
    // What rests on an assumption about the least that a connection takes is an upper bound.
    let bound = wall.is_upper_bound();
    let past = stopped_at > stands * (1.0 + WITHIN);
    let score = match met {
        _ if past => Score::Missed,
        Some(_) if bound || stopped_at >= stands * (1.0 - WITHIN) => Score::Hit,
        Some(_) => Score::Missed,
        None => Score::NotReached,
    };
    let is_nearest = wall.name == nearest.name;
    Some(WallScore { wall: wall.clone(), nearest: is_nearest, stopped_at: stopped_at as u64, at_least, score })
}

/// Causes that a wall predicts, by its name.
fn causes(wall: WallName) -> &'static [Cause] {
    match wall {
        WallName::Descriptors => &[Cause::ServerDescriptors],
        WallName::Memory => &[Cause::MemoryLimit],
        WallName::HostMemory => &[Cause::HostMemory],
        WallName::Ports | WallName::GeneratorDescriptors => &[Cause::ClientLimited],
        WallName::FrontPorts => &[Cause::PortExhaustion],
        WallName::FrontCap | WallName::FrontDescriptors => &[Cause::ProxyCap],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_model::record::Component;

    fn wall(name: WallName, connections: u64, why: &str) -> Wall {
        Wall { name, component: Component::Instance(0), connections, why: why.into() }
    }

    fn scored(stopped: f64, cause: Cause) -> (WallName, Score, bool) {
        let walls = [
            wall(WallName::Descriptors, 993, "1,000 less 7"),
            wall(WallName::Memory, 16_384, "at most: 64MiB by 4KiB"),
            wall(WallName::Ports, 64_512, "ports 1024 to 65535"),
        ];
        let found = score(&walls, &[stopped], Some(cause)).unwrap();
        (found.wall.name, found.score, found.nearest)
    }

    #[test]
    fn a_wall_is_hit_where_its_cause_stopped_it_at_its_number() {
        assert_eq!(scored(988.0, Cause::ServerDescriptors), (WallName::Descriptors, Score::Hit, true));
        assert_eq!(scored(600.0, Cause::ServerDescriptors), (WallName::Descriptors, Score::Missed, true));
        // An upper bound that is kept.
        assert_eq!(scored(700.0, Cause::MemoryLimit), (WallName::Memory, Score::Hit, false));
    }

    #[test]
    fn a_wall_that_nobody_came_to_is_not_reached_and_one_that_was_passed_is_missed() {
        assert_eq!(scored(500.0, Cause::ApplicationCap), (WallName::Descriptors, Score::NotReached, true));
        assert_eq!(scored(500.0, Cause::None), (WallName::Descriptors, Score::NotReached, true));
        assert_eq!(scored(2000.0, Cause::None), (WallName::Descriptors, Score::Missed, true));
        assert_eq!(score(&[], &[5.0], None), None);
        assert_eq!(score(&[wall(WallName::Ports, 1, "")], &[], None), None);
    }
}
