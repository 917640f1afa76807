//! What one trial says by itself: the numbers by which trials are compared with each other.
//!
//! The numbers of a cell are fitted to all of its trials at once. A test needs a number of each trial, and one that depends
//! on nothing but that trial, or trials could not change places.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::cost::{self, CpuCost, Estimate, Traffic};
use super::trial::AnalysedTrial;
use wsceiling_model::matrix::{Cell, Runtime, names};
use wsceiling_model::record::{RunHeader, TrialRecord};

/// A step has opened all that it asked for from this share on.
const ALL: f64 = 0.999;

/// A number of a trial. The first four are judged where trials are compared; the other two are parts of the CPU of a
/// connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Connections at which it stopped.
    Ceiling,
    /// Memory of a connection.
    Memory,
    /// CPU of a connection under the load that the matrix configures.
    Cpu,
    /// CPU of opening a connection.
    OpeningCpu,
    /// CPU of a connection that says nothing.
    IdleCpu,
    /// CPU of a message and its answer.
    MessageCpu,
}

impl Quantity {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 6] =
        [Self::Ceiling, Self::Memory, Self::Cpu, Self::OpeningCpu, Self::IdleCpu, Self::MessageCpu];

    /// Those that are judged: more would weaken each by the correction for many tests, and say little more.
    pub const JUDGED: [Self; 4] = [Self::Ceiling, Self::Memory, Self::Cpu, Self::OpeningCpu];

    /// Its name in files for programs; a unit is its last word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::Memory => "memory_per_connection_bytes",
            Self::Cpu => "cpu_per_connection_us_per_s",
            Self::OpeningCpu => "cpu_per_open_us",
            Self::IdleCpu => "cpu_per_idle_connection_us_per_s",
            Self::MessageCpu => "cpu_per_message_us",
        }
    }

    /// Whether a smaller value is the better one: of costs.
    pub fn is_cost(self) -> bool {
        self != Self::Ceiling
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for Quantity {
    type Err = String;

    /// Reads the name of one that is judged.
    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::JUDGED.map(Self::name);
        let found = Self::JUDGED.into_iter().find(|quantity| quantity.name() == name);
        found.ok_or_else(|| format!("no such number; {}", names::unknown_hint(name, &known, "numbers are")))
    }
}

/// The numbers of one trial; `None`: it does not tell, or it is not valid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct TrialNumbers {
    /// Connections at which it stopped; of a trial that met no ceiling the most that it was asked for, and held.
    pub ceiling: Option<f64>,
    /// It met no ceiling, so that its number is a lower bound.
    pub at_least: bool,
    /// Bytes of memory of a connection.
    pub memory_per_connection_bytes: Option<f64>,
    /// CPU microseconds per second (micro-cores) of a connection under the configured load.
    pub cpu_per_connection_us_per_s: Option<f64>,
    /// CPU microseconds of opening a connection.
    pub cpu_per_open_us: Option<f64>,
    /// CPU microseconds per second (micro-cores) of a silent connection.
    pub cpu_per_idle_connection_us_per_s: Option<f64>,
    /// CPU microseconds of a message and its answer.
    pub cpu_per_message_us: Option<f64>,
}

impl TrialNumbers {
    /// One of them.
    pub fn get(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Ceiling => self.ceiling,
            Quantity::Memory => self.memory_per_connection_bytes,
            Quantity::Cpu => self.cpu_per_connection_us_per_s,
            Quantity::OpeningCpu => self.cpu_per_open_us,
            Quantity::IdleCpu => self.cpu_per_idle_connection_us_per_s,
            Quantity::MessageCpu => self.cpu_per_message_us,
        }
    }
}

/// The numbers of a valid trial of a cell.
pub(super) fn of_trial(header: &RunHeader, cell: &Cell, record: &TrialRecord, own: &AnalysedTrial) -> TrialNumbers {
    let at_least = record.ceiling.is_some_and(|bracket| bracket.first_bad.is_none());
    let costs = cost::of_cell(&[&own.costs], Traffic::configured(&header.load, cell.scenario), false);
    let cpu = |pick: fn(&CpuCost) -> Option<Estimate>| costs.cpu.as_ref().and_then(pick).map(|found| found.value);
    TrialNumbers {
        ceiling: stopped(record, own.measured),
        at_least,
        // A server that goes on keeps what its first trial made it take, so that trials are no repetitions of each other.
        memory_per_connection_bytes: costs
            .memory
            .as_ref()
            .filter(|_| cell.runtime != Runtime::Remote)
            .map(|memory| memory.per_connection.value),
        cpu_per_connection_us_per_s: cpu(|cpu| cpu.per_connection),
        cpu_per_open_us: cpu(|cpu| cpu.opening),
        cpu_per_idle_connection_us_per_s: cpu(|cpu| cpu.idle),
        cpu_per_message_us: cpu(|cpu| cpu.message),
    }
}

/// Connections at which a trial stopped. A step that lost or refused connections says it itself, finer than the bracket
/// does: `seen` there. Where all were open and something else failed, such as the latency, it lies within the bracket.
fn stopped(record: &TrialRecord, seen: Option<f64>) -> Option<f64> {
    let bracket = record.ceiling?;
    let Some(bad) = bracket.first_bad else { return Some(bracket.last_good as f64) };
    let failed = record.steps.iter().find(|step| !step.passed)?;
    let refused = |seen: &f64| *seen < ALL * f64::from(failed.target);
    Some(seen.filter(refused).unwrap_or_else(|| f64::midpoint(bracket.last_good as f64, bad as f64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_model::plan::TrialId;
    use wsceiling_model::record::{Bracket, Outcome, StepRecord};

    use crate::testing::script;
    use crate::trial::analyse;

    #[test]
    fn a_name_reads_back_and_an_unknown_one_is_told_the_nearest() {
        for quantity in Quantity::JUDGED {
            assert_eq!(quantity.name().parse(), Ok(quantity));
        }
        let unknown = "cpu_per_opens_us".parse::<Quantity>().unwrap_err();
        assert!(unknown.contains("did you mean `cpu_per_open_us`?"), "{unknown}");
        // A part of another number is shown and never asked for.
        assert!("cpu_per_message_us".parse::<Quantity>().is_err());
    }

    #[test]
    fn where_a_trial_stopped_is_finer_than_its_steps() {
        let record = |last_good, first_bad, target| TrialRecord {
            ceiling: Some(Bracket { last_good, first_bad, peak: 0 }),
            steps: vec![StepRecord { target, passed: first_bad.is_none(), ..StepRecord::default() }],
            ..TrialRecord::unmeasured(TrialId::new("a", 1), Outcome::Ceiling)
        };
        // Refused past 1,830 of 2,000; all 2,000 open and too slow; all passed.
        assert_eq!(stopped(&record(1800, Some(1860), 2000), Some(1830.0)), Some(1830.0));
        assert_eq!(stopped(&record(1800, Some(1860), 2000), Some(2000.0)), Some(1830.0));
        assert_eq!(stopped(&record(1500, Some(2000), 2000), None), Some(1750.0));
        assert_eq!(stopped(&record(4000, None, 4000), Some(3999.0)), Some(4000.0));
        assert_eq!(stopped(&TrialRecord::unmeasured(TrialId::new("a", 1), Outcome::Killed), Some(3.0)), None);
    }

    #[test]
    fn a_trial_tells_its_numbers_by_itself() {
        let script = script().noisy().load(500, 2000).good_up_to(2000);
        let cell = script.cell.clone();
        let header = crate::testing::header(&script);
        let (record, samples) = script.finish();
        let own = analyse(&header, &cell, &record, &samples);
        let found = of_trial(&header, &cell, &record, &own);
        assert_eq!((found.ceiling, found.at_least), (Some(2000.0), true));
        let all = Quantity::JUDGED.map(|quantity| found.get(quantity));
        assert!(all.iter().all(Option::is_some), "{found:?}");
        // A message a second and a hold of a second: the load does not tell the two apart.
        assert_eq!((found.get(Quantity::IdleCpu), found.get(Quantity::MessageCpu)), (None, None));
        let alone = cost::of_cell(&[&own.costs], Traffic::configured(&header.load, cell.scenario), false);
        assert_eq!(found.memory_per_connection_bytes, Some(alone.memory.unwrap().per_connection.value));
        let remote = Cell { runtime: Runtime::Remote, ..cell };
        assert_eq!(of_trial(&header, &remote, &record, &own).memory_per_connection_bytes, None);
    }
}
