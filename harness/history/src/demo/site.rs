//! What happens in the demo of the site.

use super::{Event, What};
use crate::night::Metric;
use wsceiling_model::record::Cause;

/// The CPU that the demo has for a while.
const OTHER_CPU: &str = "Example Xeon Platinum 8370C";

/// All of it, in the order of nights.
pub(super) fn events() -> Vec<Event> {
    let event = |night, cells, what| Event { night, cells, what };
    vec![
        // A leak that goes in one night and is mended weeks later.
        event(60, "app-bare-x2-small", What::Step(Metric::Memory, 1.20)),
        event(60, "app-bare-x2-small", What::Step(Metric::Ceiling, 1.0 / 1.20)),
        event(60, "app-bare-x2-small", What::Confirmed(Metric::Memory, 1.20)),
        event(96, "app-bare-x2-small", What::Step(Metric::Memory, 1.0 / 1.20)),
        event(96, "app-bare-x2-small", What::Step(Metric::Ceiling, 1.20)),
        event(98, "app-bare-x2-small", What::Confirmed(Metric::Memory, 1.0 / 1.20)),
        // Nights that nobody measured.
        event(118, "", What::Gap(4)),
        // One bad value, which is no change.
        event(140, "app-bare-x1-medium", What::Spike(Metric::Cpu, 1.9)),
        event(141, "app-bare-x1-medium", What::NotConfirmed(Metric::Cpu)),
        // The runners have another CPU for a while: a series of its own.
        event(165, "", What::Cpu(OTHER_CPU, 1.3, 22)),
        event(210, "", What::Kernel("6.18.0")),
        // Slow growth, below every fence of a single night.
        event(220, "echo-bare-x1-small", What::Drift(Metric::Memory, 0.002, 60)),
        // A bad machine: the control moves, too.
        event(250, "", What::Machine(1.35)),
        event(262, "app-docker-x1-small", What::DoesNotStart),
        event(263, "app-docker-x1-small", What::DoesNotStart),
        // Another load from here on: a new series.
        event(285, "app-bare-x1-medium-broadcast", What::Edited),
        event(285, "app-bare-x1-medium-broadcast", What::Step(Metric::Cpu, 1.6)),
        event(300, "", What::Harness("0.2.0")),
        event(330, "", What::Gap(2)),
        event(345, "echo-docker-x1-medium-idle", What::Step(Metric::Opening, 1.35)),
        event(347, "echo-docker-x1-medium-idle", What::Confirmed(Metric::Opening, 1.35)),
        event(380, "app-bare-x2-small", What::Cause(Cause::Crash)),
        // The newest: suspected tonight.
        event(394, "app-bare-x1-medium", What::Step(Metric::Cpu, 1.18)),
        event(396, "app-bare-x1-medium", What::Step(Metric::Ceiling, 0.90)),
    ]
}
