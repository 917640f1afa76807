//! What was read of the server while the load lasted: by who starts the load, from where the server runs.

use std::fmt;

use serde::Serialize;

use wsceiling_model::format::{self, Unit};

/// Fewer readings show no course.
const FEWEST_READINGS: u64 = 3;

/// A part of the server: an instance, its machine, or its front. What could not be read is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PartSeen {
    /// `instance-0`, `host`, `front-0`.
    pub part: String,
    /// Where it was read, without secrets.
    pub sources: Vec<String>,
    /// How often a number came.
    pub readings: u64,
    /// Cores used on average, from the first reading to the last; of a machine those that were busy.
    pub cpu_cores: Option<f64>,
    /// Cores used on average between those two readings where they were most.
    pub cpu_max_cores: Option<f64>,
    /// Memory in use at the first reading, before the load.
    pub memory_before_bytes: Option<f64>,
    /// Largest memory in use.
    pub memory_max_bytes: Option<f64>,
    /// Memory that a machine could still give at the first reading.
    pub memory_available_before_bytes: Option<f64>,
    /// Least memory that it could still give.
    pub memory_available_min_bytes: Option<f64>,
    /// Most open descriptors; of a machine those of all its processes.
    pub descriptors_max: Option<f64>,
    /// The limit of open descriptors.
    pub descriptors_limit: Option<f64>,
}

impl fmt::Display for PartSeen {
    /// `CPU 0.52 cores on average, 0.98 at most; memory 12.0 MiB before, 40.1 MiB at most; descriptors 1,030 at most of 4,096`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(cores) = self.cpu_cores {
            let most =
                self.cpu_max_cores.map_or_else(String::new, |most| format!(", {} at most", format::number(most)));
            parts.push(format!("CPU {} on average{most}", format::quantity(Unit::Cores, cores)));
        }
        if let (Some(before), Some(most)) = (self.memory_before_bytes, self.memory_max_bytes) {
            parts.push(format!("memory {} before, {} at most", format::bytes(before), format::bytes(most)));
        }
        if let (Some(before), Some(least)) = (self.memory_available_before_bytes, self.memory_available_min_bytes) {
            parts.push(format!("memory available {} before, {} at least", format::bytes(before), format::bytes(least)));
        }
        if let Some(most) = self.descriptors_max {
            let limit =
                self.descriptors_limit.map_or_else(String::new, |limit| format!(" of {}", format::whole(limit)));
            parts.push(format!("descriptors {} at most{limit}", format::whole(most)));
        }
        if parts.is_empty() {
            return f.write_str("no number of CPU, memory or descriptors came");
        }
        if self.readings < FEWEST_READINGS {
            parts.push(format!("only {}", format::counted(self.readings, "reading", "readings")));
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_told_and_what_was_not_is_left_out() {
        let mut part = PartSeen { part: "instance-0".into(), readings: 9, ..PartSeen::default() };
        assert_eq!(part.to_string(), "no number of CPU, memory or descriptors came");
        part.cpu_cores = Some(0.5);
        part.cpu_max_cores = Some(0.98);
        part.memory_before_bytes = Some(12.0 * 1024.0 * 1024.0);
        part.memory_max_bytes = Some(40.0 * 1024.0 * 1024.0);
        part.descriptors_max = Some(1030.0);
        part.descriptors_limit = Some(4096.0);
        assert_eq!(
            part.to_string(),
            "CPU 0.500 cores on average, 0.980 at most; memory 12.0 MiB before, 40.0 MiB at most; descriptors 1,030 at \
             most of 4,096"
        );
        part.readings = 1;
        assert!(part.to_string().ends_with("; only 1 reading"));
    }
}
