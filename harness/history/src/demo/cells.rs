//! The cells of a made history.

use crate::night::Axes;
use wsceiling_model::matrix::{Runtime, Scenario};
use wsceiling_model::record::Cause;

/// A cell of a made history.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoCell {
    /// Its id.
    pub id: String,
    /// Its axes.
    pub axes: Axes,
    /// Ceiling, memory, CPU and opening before anything happens.
    pub base: [f64; 4],
    /// It reaches the end of the load, so that its ceiling is a lower bound.
    pub at_least: bool,
    /// What stops it.
    pub cause: Cause,
    /// It is the control.
    pub control: bool,
}

/// The name of a target that runs a second time as a sentinel.
pub(super) const AGAIN: &str = "-again";

impl DemoCell {
    /// A cell of a target. Its numbers depend on its axes alone.
    fn new(target: &str, runtime: Runtime, instances: u32, size: &str, scenario: Scenario) -> Self {
        let app = target.starts_with("app");
        let medium = size == "medium";
        let docker = if runtime == Runtime::Docker { 1.04 } else { 1.0 };
        let memory = if app { 31_400.0 } else { 7_300.0 } * docker;
        let cpu = if app { 96.0 } else { 11.8 } * docker * if scenario == Scenario::Idle { 0.4 } else { 1.0 };
        let room = if medium { 256.0 } else { 64.0 } * 1024.0 * 1024.0 * 0.94;
        let by_memory = room / memory * f64::from(instances);
        let by_cpu = if medium { 1e6 } else { 5e5 } * f64::from(instances) / cpu * 0.9;
        let most = 12_000.0;
        let ceiling = by_memory.min(by_cpu).min(most);
        let cause = if by_memory < by_cpu { Cause::MemoryLimit } else { Cause::CpuQuota };
        let mut id = format!("{target}-{}-x{instances}-{size}", runtime.name());
        if scenario != Scenario::Echo {
            id = format!("{id}-{}", scenario.name());
        }
        Self {
            id,
            axes: Axes {
                target: target.to_owned(),
                runtime,
                instances,
                front: None,
                size: Some(size.to_owned()),
                scenario,
            },
            base: [ceiling, memory, cpu, if app { 210.0 } else { 58.0 }],
            at_least: ceiling >= most,
            cause,
            control: target == "control",
        }
    }
}

/// A cell that runs twice, one after the other.
fn twice(target: &str, runtime: Runtime, size: &str) -> [DemoCell; 2] {
    [target.to_owned(), format!("{target}{AGAIN}")]
        .map(|target| DemoCell::new(&target, runtime, 1, size, Scenario::Echo))
}

fn control() -> DemoCell {
    DemoCell::new("control", Runtime::Bare, 1, "small", Scenario::Echo)
}

/// Two cells with their sentinels, and a control.
pub(super) fn few() -> Vec<DemoCell> {
    let mut cells = Vec::from(twice("echo", Runtime::Bare, "small"));
    cells.extend(twice("app", Runtime::Bare, "small"));
    cells.push(control());
    cells
}

/// The cells of the nightly matrix, with sentinels and a control.
pub(super) fn matrix() -> Vec<DemoCell> {
    let mut cells = Vec::new();
    for target in ["echo", "app"] {
        for runtime in [Runtime::Bare, Runtime::Docker] {
            for instances in [1, 2] {
                for size in ["small", "medium"] {
                    for scenario in [Scenario::Idle, Scenario::Echo] {
                        cells.push(DemoCell::new(target, runtime, instances, size, scenario));
                    }
                }
            }
        }
    }
    cells.push(DemoCell::new("app", Runtime::Bare, 1, "medium", Scenario::Broadcast));
    cells.push(DemoCell::new("echo", Runtime::Bare, 1, "medium", Scenario::Churn));
    for (target, runtime) in
        [("echo", Runtime::Bare), ("echo", Runtime::Docker), ("app", Runtime::Bare), ("app", Runtime::Docker)]
    {
        cells.push(DemoCell::new(&format!("{target}{AGAIN}"), runtime, 1, "small", Scenario::Echo));
    }
    cells.push(control());
    cells
}

/// The cells of the demo of the site.
pub(super) fn site() -> Vec<DemoCell> {
    let mut cells = Vec::from(twice("echo", Runtime::Bare, "small"));
    cells.extend(twice("app", Runtime::Docker, "small"));
    cells.push(DemoCell::new("echo", Runtime::Docker, 1, "medium", Scenario::Idle));
    cells.push(DemoCell::new("app", Runtime::Bare, 1, "medium", Scenario::Echo));
    cells.push(DemoCell::new("app", Runtime::Bare, 2, "small", Scenario::Echo));
    cells.push(DemoCell::new("app", Runtime::Bare, 1, "medium", Scenario::Broadcast));
    cells.push(control());
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_has_the_34_cells_that_are_measured_every_night() {
        let cells = matrix();
        assert_eq!(cells.iter().filter(|cell| !cell.control && !cell.axes.target.ends_with(AGAIN)).count(), 34);
        let mut ids: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), cells.len());
    }
}
